package s3_test

import (
	"testing"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestRecordedHistoriesAreTakenUpByTheCodeOfToday(t *testing.T) {
	t.Parallel()
	shut := func(t *testing.T, b *kittest.Bench, _ *respond.Plan, _ map[string]playbook.Record) {
		t.Helper()
		if reads(b, "") || reads(b, "app") {
			t.Error("it can still be read")
		}
	}
	for name, h := range map[string]kittest.History{
		"s3-bucket": {Middle: "contain/deny", Fresh: func(t *testing.T) *kittest.Bench { return bucketBench(t, "s3-bucket") }, Check: shut},
		"s3-object": {Middle: "contain/deny", Fresh: func(t *testing.T) *kittest.Bench { return objectBench(t, true) }, Check: shut},
	} {
		h.Name = name
		t.Run(name, func(t *testing.T) { t.Parallel(); kittest.Histories(t, h) })
	}
}
