package iam_test

import (
	"testing"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestRecordedHistoriesAreTakenUpByTheCodeOfToday(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]kittest.History{
		"iam-user": {Middle: "contain/deny", Fresh: func(t *testing.T) *kittest.Bench { return userBench(t) },
			Check: func(t *testing.T, b *kittest.Bench, _ *respond.Plan, _ map[string]playbook.Record) {
				t.Helper()
				if may(b, b.World.UserKey(account, keyA)) || may(b, b.World.UserKey(account, keyB)) {
					t.Error("the user still gets in")
				}
			}},
		"iam-role": {Middle: "contain/session", Fresh: func(t *testing.T) *kittest.Bench { return roleBench(t, theirs) },
			Check: func(t *testing.T, b *kittest.Bench, _ *respond.Plan, _ map[string]playbook.Record) {
				t.Helper()
				if may(b, session(b, theirs, kittest.Start.Add(-1))) {
					t.Error("the session still gets in")
				}
			}},
	} {
		h.Name = name
		t.Run(name, func(t *testing.T) { t.Parallel(); kittest.Histories(t, h) })
	}
}
