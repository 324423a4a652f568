package iam_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// Whatever a user has, contain lets none of its credentials in, and contain
// followed by undo gives back the same world. Nothing of a user is lost by it.
func TestContainAndUndoOfAnyUserGivesTheSameWorld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfN(rapid.Bool(), 0, 3).Draw(rt, "keys")
		policies := rapid.IntRange(0, 3).Draw(rt, "policies")
		leftover := rapid.Bool().Draw(rt, "a policy of our name is there")
		b := kittest.New(t, byName(t, "iam-user"), iam.Actions(), iam.Closings(), func(e *sim.Editor) {
			e.AddUser(account, sim.User{Name: "ada", ID: "AIDAADA", Password: rapid.Bool().Draw(rt, "password")})
			for i, active := range keys {
				e.AddAccessKey(account, "ada", sim.AccessKey{ID: fmt.Sprintf("AKIA%016d", i), Active: active, Used: kittest.Start.Add(-time.Hour)})
			}
			for i := range policies {
				e.PutUserPolicy(account, "ada", fmt.Sprint("own-", i), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
			}
			if leftover {
				e.PutUserPolicy(account, "ada", denyADA, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`)
			}
		})
		b.Target = respond.Target{Kind: finding.KindAccessKey, ID: "ada", Account: account, Region: kittest.Region, Parts: map[string]string{respond.PartUserName: "ada", respond.PartUserType: "IAMUser"}}
		before := b.Dump()
		p, records := b.Contain()
		for i := range keys {
			if may(b, b.World.UserKey(account, fmt.Sprintf("AKIA%016d", i))) {
				rt.Fatal("a key gets in")
			}
		}
		if may(b, sim.Principal{Account: account, User: "ada", UserID: "AIDAADA"}) {
			rt.Fatal("a session gets in")
		}
		b.Undo(p, records)
		if diff := cmp.Diff(before, b.Dump()); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestAnAbortAnywhereBeginsNothingAndCanBeUndone(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(t *testing.T) *kittest.Bench{
		"user":    func(t *testing.T) *kittest.Bench { return userBench(t) },
		"session": func(t *testing.T) *kittest.Bench { return roleBench(t, theirs) },
		"role":    func(t *testing.T) *kittest.Bench { return roleBench(t, "") },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); kittest.Stops(t, kittest.Stop{Fresh: fresh}) })
		t.Run(name+"-undo", func(t *testing.T) { t.Parallel(); kittest.UndoStops(t, kittest.Stop{Fresh: fresh}) })
	}
}

func TestADriftOfAUserOrARoleIsFoundLater(t *testing.T) {
	t.Parallel()
	b := userBench(t)
	p, records := b.Contain()
	if d := b.Drift(p, records); len(d) != 0 {
		t.Fatal(d)
	}
	_ = b.World.Edit(func(e *sim.Editor) {
		e.User(account, "ada").Keys[1].Active = true
		e.PutUserPolicy(account, "ada", denyADA, "")
	})
	if d := b.Drift(p, records); len(d) != 2 {
		t.Fatal(d)
	}
	for _, s := range []string{"", theirs} {
		b := roleBench(t, s)
		p, records := b.Contain()
		if d := b.Drift(p, records); len(d) != 0 {
			t.Fatal(d)
		}
		_ = b.World.Edit(func(e *sim.Editor) {
			for name := range e.Role(account, "payments").Inline {
				e.PutRolePolicy(account, "payments", name, "")
			}
		})
		if d := b.Drift(p, records); len(d) != 1 {
			t.Fatal(d)
		}
	}
}
