package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/store"
)

func owedIDs(list []respond.Owed) string {
	out := []string{}
	for _, o := range list {
		out = append(out, o.ID)
	}
	return strings.Join(out, " ")
}

func owing(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	s.write(func(tx *store.Tx) error {
		return errors.Join(tx.PutRun(ctx, aRun("run_a", 7, "t1", at)), tx.PutRun(ctx, aRun("run_b", 7, "t2", at)))
	})
	owe := func(id string, run respond.RunID, due time.Duration) {
		t.Helper()
		o := respond.Owed{ID: id, Run: run, Kind: "ec2.close-window", Params: json.RawMessage(`{"eni":"eni-1"}`), Place: awscalls.Place{Account: "1", Region: "r"},
			Due: at.Add(due), Why: "eni-1 is in the group that opens everything"}
		if err := s.Owe(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	owe("a1", "run_a", time.Minute)
	got := must[[]respond.Owed](t)(s.OwedOf(ctx, "run_a"))
	if len(got) != 1 || got[0].Kind != "ec2.close-window" || string(got[0].Params) != `{"eni":"eni-1"}` || got[0].Place.Region != "r" || !got[0].OpenedAt.Equal(at) {
		t.Fatalf("owed: %+v", got)
	}
	s.clock.add(time.Second)
	owe("b1", "run_b", time.Hour)
	owe("gone", "run_gone", time.Hour)
	due := func(what string, after time.Duration, want string) {
		t.Helper()
		if got := owedIDs(must[[]respond.Owed](t)(s.OwedDue(ctx, at.Add(after), 10))); got != want {
			t.Errorf("%s: %q is due, want %q", what, got, want)
		}
	}
	due("runs that live", time.Second, "gone")
	due("after a minute", time.Minute, "a1 gone")
	s.write(func(tx *store.Tx) error {
		r, err := tx.LockRun(ctx, "run_b")
		if err != nil {
			return err
		}
		r.State = respond.RunAborted
		return tx.PutRun(ctx, r)
	})
	due("of a run that has ended", time.Second, "b1 gone")
	if got := owedIDs(must[[]respond.Owed](t)(s.OwedDue(ctx, at.Add(time.Hour), 1))); got != "a1" {
		t.Errorf("at most one: %q", got)
	}

	// An attempt that did not close it is kept, and comes again.
	b := must[[]respond.Owed](t)(s.OwedOf(ctx, "run_b"))[0]
	for n, pause := range []time.Duration{5 * time.Second, 10 * time.Second} {
		b.Attempts, b.Error = n+1, "throttled"
		now := s.clock.now().Sub(at)
		s.write(func(tx *store.Tx) error { return tx.PutOwed(ctx, b) })
		due("just after an attempt", now+pause-time.Microsecond, "gone")
		due("after a pause", now+pause, "b1 gone")
		s.clock.add(time.Second)
	}
	if got := must[[]respond.Owed](t)(s.OwedOf(ctx, "run_b"))[0]; got.Attempts != 2 || got.Error != "throttled" {
		t.Errorf("attempts: %+v", got)
	}

	// What is opened again after a sweeper looked is not settled by what it closed.
	owe("b1", "run_b", time.Hour)
	settled := true
	s.write(func(tx *store.Tx) (err error) { settled, err = tx.SettleSeen(ctx, b); return err })
	if settled || owedIDs(must[[]respond.Owed](t)(s.OwedOf(ctx, "run_b"))) != "b1" {
		t.Error("a sweeper settled what was opened meanwhile")
	}
	again := must[[]respond.Owed](t)(s.OwedOf(ctx, "run_b"))
	if len(again) != 1 || again[0].Attempts != 0 || !again[0].OpenedAt.After(b.OpenedAt) {
		t.Errorf("owed again: %+v", again)
	}
	s.write(func(tx *store.Tx) (err error) { settled, err = tx.SettleSeen(ctx, again[0]); return err })
	if !settled {
		t.Error("it is not settled")
	}
	for range 2 {
		if err := s.Settle(ctx, "a1"); err != nil {
			t.Fatal(err)
		}
	}
	s.write(func(tx *store.Tx) error { return tx.PutOwed(ctx, got[0]) })
	if got := owedIDs(must[[]respond.Owed](t)(s.OwedOf(ctx, ""))); got != "gone" {
		t.Errorf("still owed: %q", got)
	}
	owe("a1", "run_a", 0)
	due("what was settled can be owed again", time.Hour, "gone a1")
	// All of it is in the audit chain.
	opened, closed := 0, 0
	if err := s.AuditRecords(ctx, 0, 0, func(r audit.Record) bool {
		if r.Action == "run.owes" {
			opened++
		}
		if r.Action == "run.settled" {
			closed++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if opened != 4 || closed != 2 {
		t.Errorf("the audit chain has %d opened and %d closed", opened, closed)
	}
}

func preserving(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	item := evidence.Item{ID: "snapshot/vol-1", Kind: evidence.Snapshot, Title: "t", Source: "vol-1", Location: "snap-1", Account: "1", Region: "r", Device: "/dev/sda1",
		SizeBytes: 1 << 40, CreatedAt: at, AWSTime: at, SHA256: "ab", HashOver: "blocks", How: "ec2:CreateSnapshots", LockMode: "governance", LockUntil: at, Trust: "aws api", Set: "s"}
	copied := evidence.Item{ID: "volume/vol-2", Kind: evidence.Volume, CreatedAt: at.Add(time.Minute), Working: true, WorkingUntil: at.Add(time.Hour), How: "x", Trust: "aws api"}
	put := func(n incident.Number, run respond.RunID, items ...evidence.Item) {
		t.Helper()
		s.write(func(tx *store.Tx) error { return tx.PutEvidence(ctx, n, run, items) })
	}
	put(7, "run_a", copied, item)
	put(7, "run_b", item)
	put(8, "run_c", item)
	want := []store.Preserved{{Incident: 7, Run: "run_a", Item: item}, {Incident: 7, Run: "run_b", Item: item}, {Incident: 7, Run: "run_a", Item: copied}}
	same(t, "evidence, the oldest first", want, must[[]store.Preserved](t)(s.Evidence(ctx, 7)))
	same(t, "of no incident", []store.Preserved{}, must[[]store.Preserved](t)(s.Evidence(ctx, 9)))
	item.Gap, item.SHA256 = "hash later", ""
	put(7, "run_a", item)
	if got := must[[]store.Preserved](t)(s.Evidence(ctx, 7)); len(got) != 3 || got[0].Gap != "hash later" {
		t.Errorf("an item that is told again: %+v", got)
	}

	for d, n := range map[time.Duration]int{0: 0, time.Hour: 1} {
		if got := must[[]store.Preserved](t)(s.WorkingCopies(ctx, at.Add(d))); len(got) != n || n > 0 && got[0].ID != copied.ID {
			t.Errorf("working copies due after %s: %+v", d, got)
		}
	}
	copied.Working = false
	put(7, "run_a", copied)
	if got := must[[]store.Preserved](t)(s.WorkingCopies(ctx, at.Add(time.Hour))); len(got) != 0 {
		t.Errorf("a copy that was cleaned up: %+v", got)
	}

	s.write(func(tx *store.Tx) error {
		return errors.Join(tx.PutGaps(ctx, 7, "run_a", []evidence.Gap{{What: "memory", Why: "no SSM"}, {What: "disk", Why: "x"}}),
			tx.PutGaps(ctx, 7, "run_a", []evidence.Gap{{What: "memory", Why: "the agent is too old"}}))
	})
	same(t, "gaps", []store.Lacking{{Run: "run_a", Gap: evidence.Gap{What: "disk", Why: "x"}}, {Run: "run_a", Gap: evidence.Gap{What: "memory", Why: "the agent is too old"}}},
		must[[]store.Lacking](t)(s.Gaps(ctx, 7)))

	lines := []evidence.Custody{{At: at.Add(time.Minute), Who: "guardroom/run_a", Action: "locked", Item: item.ID}, {At: at, Who: "guardroom/run_a", Action: "acquired", Item: item.ID, To: "snap-1"}}
	for range 2 {
		s.write(func(tx *store.Tx) error { return tx.AddCustody(ctx, 7, "run_a", lines) })
	}
	s.write(func(tx *store.Tx) error {
		return tx.AddCustody(ctx, 7, "", []evidence.Custody{{At: at.Add(time.Hour), Who: "ann", Action: "exported", Item: item.ID}})
	})
	got := must[[]evidence.Custody](t)(s.Custody(ctx, 7))
	if len(got) != 3 || got[0].Action != "acquired" || got[1].Action != "locked" || got[2].Who != "ann" {
		t.Errorf("custody: %+v", got)
	}

	manifest := func(revision int64, text string) error {
		return s.Write(ctx, func(tx *store.Tx) error {
			return tx.PutManifest(ctx, 7, revision, []byte(text), respond.Digest([]byte(text)))
		})
	}
	for _, err := range []error{manifest(2, "two"), manifest(1, "one"), manifest(1, "one")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := manifest(1, "other"); err == nil {
		t.Error("a sealed manifest was written again")
	}
	same(t, "manifests", []store.Manifest{{Incident: 7, Revision: 1, At: at, Digest: respond.Digest([]byte("one")), Bytes: []byte("one")},
		{Incident: 7, Revision: 2, At: at, Digest: respond.Digest([]byte("two")), Bytes: []byte("two")}}, must[[]store.Manifest](t)(s.Manifests(ctx, 7)))
}

func tokens(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	a := store.Token{Name: "ann", Role: "approver", Hash: []byte{1, 0, 255}, CreatedAt: at, CreatedBy: "root", ExpiresAt: at.Add(time.Hour)}
	b := store.Token{Name: "bob", Role: "viewer", Hash: []byte{2}, CreatedAt: at, CreatedBy: "root"}
	s.write(func(tx *store.Tx) error { return errors.Join(tx.PutToken(ctx, b), tx.PutToken(ctx, a)) })
	same(t, "tokens", []store.Token{a, b}, must[[]store.Token](t)(s.Tokens(ctx)))
	same(t, "by its hash", a, must[store.Token](t)(s.TokenByHash(ctx, []byte{1, 0, 255})))
	_, err := s.TokenByHash(ctx, []byte{3})
	notFound(t, "an unknown token", err)
	_, err = s.TokenByHash(ctx, nil)
	notFound(t, "no secret", err)
	notFound(t, "for a change", s.Write(ctx, func(tx *store.Tx) error { _, err := tx.LockToken(ctx, "eve"); return err }))
	if err := s.Write(ctx, func(tx *store.Tx) error {
		return tx.PutToken(ctx, store.Token{Name: "twin", Role: "admin", Hash: b.Hash, CreatedAt: at})
	}); err == nil {
		t.Error("two tokens have one secret")
	}
	s.clock.add(time.Minute)
	s.write(func(tx *store.Tx) error { return tx.UseToken(ctx, "ann") })
	s.write(func(tx *store.Tx) error {
		got, err := tx.LockToken(ctx, "ann")
		if !got.LastUsed.Equal(tx.Now()) || !got.Good(tx.Now()) || got.Good(at.Add(time.Hour)) {
			t.Errorf("used: %+v", got)
		}
		got.RevokedAt = tx.Now()
		return errors.Join(err, tx.PutToken(ctx, got))
	})
	s.clock.add(time.Minute)
	s.write(func(tx *store.Tx) error { return tx.UseToken(ctx, "ann") })
	if got := must[store.Token](t)(s.TokenByHash(ctx, a.Hash)); got.Good(at) || !got.LastUsed.Equal(at.Add(time.Minute)) {
		t.Errorf("a revoked token: %+v", got)
	}
}

// keepsResponses shows which plans and runs retention removes.
func keepsResponses(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	later := at.Add(90 * 24 * time.Hour)
	// did is a run that ended so, the step "s" of which has an effect and saved something.
	did := func(state respond.RunState, effect respond.Effect, undoOf respond.RunID) func(*store.Tx, incident.Number, *respond.RunRow) error {
		return func(tx *store.Tx, n incident.Number, r *respond.RunRow) error {
			r.State, r.UndoOf, r.Plan = state, undoOf, respond.PlanID("pln_did"+n.String())
			p := aPlan(string(r.Plan), n, r.Target, at)
			var err error
			if p.Bytes, err = json.Marshal(respond.Plan{Schema: 1, Steps: []respond.Step{{ID: "s", Effect: effect}}}); err != nil {
				return err
			}
			p.State = respond.PlanApproved
			return tx.PutPlan(ctx, p)
		}
	}
	saved := map[string]json.RawMessage{respond.SavedBefore: json.RawMessage(`["sg-1"]`)}
	cases := map[string]struct {
		closed time.Time
		more   func(tx *store.Tx, n incident.Number, r *respond.RunRow) error
		saved  map[string]json.RawMessage
		kept   bool
	}{
		"aborted after a change":         {closed: at, kept: true, saved: saved, more: did(respond.RunAborted, respond.Reversible, "")},
		"failed in part after a change":  {closed: at, kept: true, saved: saved, more: did(respond.RunPartFailed, respond.Reversible, "")},
		"completed with a change":        {closed: at, kept: true, saved: saved, more: did(respond.RunCompleted, respond.Creates, "")},
		"failed before a change":         {closed: at, kept: false, more: did(respond.RunFailed, respond.Reversible, "")},
		"changed and undone":             {closed: at, kept: false, saved: saved, more: did(respond.RunUndone, respond.Reversible, "")},
		"an undo alone":                  {closed: at, kept: false, saved: saved, more: did(respond.RunCompleted, respond.Reversible, "run_0")},
		"only looked":                    {closed: at, kept: false, saved: saved, more: did(respond.RunCompleted, respond.NoChange, "")},
		"changed by a plan that is gone": {closed: at, kept: true, saved: saved},
		"closed long ago":                {closed: at, kept: false},
		"open":                           {kept: true},
		"closed lately":                  {closed: later, kept: true},
		"with evidence": {closed: at, kept: true, more: func(tx *store.Tx, n incident.Number, r *respond.RunRow) error {
			return tx.PutEvidence(ctx, n, r.ID, []evidence.Item{{ID: "x", CreatedAt: at}})
		}},
		"with a sealed manifest": {closed: at, kept: true, more: func(tx *store.Tx, n incident.Number, _ *respond.RunRow) error {
			return tx.PutManifest(ctx, n, 1, []byte("m"), "d")
		}},
		"still contained": {closed: at, kept: true, more: func(_ *store.Tx, _ incident.Number, r *respond.RunRow) error {
			r.Contained = true
			return nil
		}},
		"contained and undone": {closed: at, kept: false, more: func(_ *store.Tx, _ incident.Number, r *respond.RunRow) error {
			r.Contained, r.State = true, respond.RunUndone
			return nil
		}},
		"still running": {closed: at, kept: true, more: func(_ *store.Tx, _ incident.Number, r *respond.RunRow) error {
			r.State = respond.RunRunning
			return nil
		}},
		"with something owed": {closed: at, kept: true, more: func(tx *store.Tx, _ incident.Number, r *respond.RunRow) error {
			return tx.Owe(ctx, respond.Owed{ID: "o", Run: r.ID})
		}},
	}
	numbers := map[string]incident.Number{}
	for name, c := range cases {
		i := s.opened(func(i *incident.Incident) {
			if !c.closed.IsZero() {
				i.State, i.Verdict, i.ClosedAt = incident.Closed, incident.Benign, c.closed
			}
		})
		numbers[name] = i.Number
		s.write(func(tx *store.Tx) error {
			r := aRun("run_"+i.Number.String(), i.Number, name, at)
			r.State = respond.RunCompleted
			if c.more != nil {
				if err := c.more(tx, i.Number, &r); err != nil {
					return err
				}
			}
			return errors.Join(tx.PutPlan(ctx, aPlan("pln_"+i.Number.String(), i.Number, name, at)), tx.PutRun(ctx, r),
				tx.PutStep(ctx, r.ID, 0, playbook.Record{Name: "s", Message: `it said "saved":{`, Saved: c.saved}), tx.SendMessage(ctx, r.ID, "x", json.RawMessage("1")),
				tx.PutGaps(ctx, i.Number, r.ID, []evidence.Gap{{What: "w", Why: "y"}}))
		})
	}
	for left := 40; must[int](t)(s.Prune(ctx, store.Retention{ResponsesBefore: at.Add(time.Hour)}, 1)) > 0; left-- {
		if left == 0 {
			t.Fatal("it never ends")
		}
	}
	for name, c := range cases {
		n := numbers[name]
		run := respond.RunID("run_" + n.String())
		left := map[string]int{
			"plans": len(must[[]respond.PlanRow](t)(s.Plans(ctx, store.PlanFilter{Incident: n}))), "runs": len(must[[]respond.RunRow](t)(s.Runs(ctx, store.RunFilter{Incident: n}))),
			"steps": len(must[[]playbook.Record](t)(s.Steps(ctx, run))), "messages": len(must[[]playbook.Message](t)(s.RunMessages(ctx, run, "x", 0))),
			"gaps": len(must[[]store.Lacking](t)(s.Gaps(ctx, n))),
		}
		for what, count := range left {
			if (count > 0) != c.kept {
				t.Errorf("%s: %d %s are left", name, count, what)
			}
		}
	}
	if n := must[int](t)(s.Prune(ctx, store.Retention{}, 10)); n != 0 {
		t.Errorf("without retention %d rows changed", n)
	}
}
