package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

func aPlan(id string, n incident.Number, target string, at time.Time) respond.PlanRow {
	return respond.PlanRow{ID: respond.PlanID(id), Incident: n, Playbook: "ec2-contain", Target: target, Bytes: []byte(`{"schema":1}`), Before: []byte(`{"instance":{}}`),
		Digest: respond.Digest([]byte(id)), World: "w", State: respond.PlanWaiting, Requester: "eve", Needed: 1, CreatedAt: at, ExpiresAt: at.Add(30 * time.Minute)}
}

func aRun(id string, n incident.Number, target string, at time.Time) respond.RunRow {
	return respond.RunRow{ID: respond.RunID(id), Plan: respond.PlanID("pln_" + id), Incident: n, Playbook: "ec2-contain", Target: target, Account: "111111111111",
		Class: respond.Isolation, State: respond.RunQueued, CreatedAt: at}
}

func planIDs(list []respond.PlanRow) string {
	out := []string{}
	for _, p := range list {
		out = append(out, string(p.ID))
	}
	return strings.Join(out, " ")
}

func runIDs(list []respond.RunRow) string {
	out := []string{}
	for _, r := range list {
		out = append(out, string(r.ID))
	}
	return strings.Join(out, " ")
}

func plans(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	p := aPlan("pln_01", 7, hostile, at)
	p.Bytes, p.Before = []byte("{\"x\":\"\x00\xff\"}"), []byte(strings.Repeat("a", 1<<16))
	p.Why, p.Approvals = "w", []respond.Approval{{Who: "ann", How: "token", At: at, Reason: "r", Digest: p.Digest, Own: true}}
	s.write(func(tx *store.Tx) error { return tx.PutPlan(ctx, p) })
	want := p
	got := must[respond.PlanRow](t)(s.GetPlan(ctx, p.ID))
	want.Target = got.Target // as JSON holds it
	same(t, "every field comes back", want, got)
	_, err := s.GetPlan(ctx, "pln_none")
	notFound(t, "an unknown plan", err)
	notFound(t, "for a change", s.Write(ctx, func(tx *store.Tx) error { _, err := tx.LockPlan(ctx, "pln_none"); return err }))

	// What was decided changes; what it was decided about never does.
	s.write(func(tx *store.Tx) error {
		row, err := tx.LockPlan(ctx, p.ID)
		if err != nil {
			return err
		}
		row.State, row.Bytes, row.Before = respond.PlanRejected, []byte("other"), []byte("other")
		return tx.PutPlan(ctx, row)
	})
	got = must[respond.PlanRow](t)(s.GetPlan(ctx, p.ID))
	if got.State != respond.PlanRejected || string(got.Bytes) != string(p.Bytes) || string(got.Before) != string(p.Before) {
		t.Errorf("a decided plan: %s, %d and %d bytes", got.State, len(got.Bytes), len(got.Before))
	}

	s.write(func(tx *store.Tx) error {
		for n, x := range []struct {
			incident incident.Number
			target   string
			state    respond.PlanState
			expires  time.Duration
		}{{8, "t1", respond.PlanWaiting, time.Hour}, {8, "t2", respond.PlanWaiting, 2 * time.Hour}, {9, "t1", respond.PlanApproved, 0}, {9, "t1", respond.PlanRefused, 0}} {
			row := aPlan(fmt.Sprintf("pln_1%d", n), x.incident, x.target, at)
			row.State, row.ExpiresAt = x.state, at.Add(x.expires)
			if err := tx.PutPlan(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]struct {
		f    store.PlanFilter
		want string
	}{
		"all, the newest first": {store.PlanFilter{}, "pln_13 pln_12 pln_11 pln_10 pln_01"},
		"of an incident":        {store.PlanFilter{Incident: 8}, "pln_11 pln_10"},
		"of a target":           {store.PlanFilter{Target: "t1"}, "pln_13 pln_12 pln_10"},
		"of states":             {store.PlanFilter{States: []respond.PlanState{respond.PlanApproved, respond.PlanWaiting}}, "pln_12 pln_11 pln_10"},
		"a page":                {store.PlanFilter{Limit: 2}, "pln_13 pln_12"},
		"the page behind it":    {store.PlanFilter{Limit: 2, Before: "pln_12"}, "pln_11 pln_10"},
		"all of it at once":     {store.PlanFilter{Incident: 9, Target: "t1", States: []respond.PlanState{respond.PlanRefused}, Before: "pln_99"}, "pln_13"},
		"none":                  {store.PlanFilter{Incident: 99}, ""},
	} {
		list := must[[]respond.PlanRow](t)(s.Plans(ctx, c.f))
		if list == nil || planIDs(list) != c.want {
			t.Errorf("%s: %q, want %q", name, planIDs(list), c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "", time.Hour: "pln_10", 3 * time.Hour: "pln_10 pln_11"} {
		if got := planIDs(must[[]respond.PlanRow](t)(s.ExpiredPlans(ctx, at.Add(d), 10))); got != want {
			t.Errorf("expired after %s: %q, want %q", d, got, want)
		}
	}
	if got := planIDs(must[[]respond.PlanRow](t)(s.ExpiredPlans(ctx, at.Add(3*time.Hour), 1))); got != "pln_10" {
		t.Errorf("one at most: %q", got)
	}

	// Many approve at the same time: one of them starts the run.
	started := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			won := false
			err := s.Write(ctx, func(tx *store.Tx) error {
				won = false
				row, err := tx.LockPlan(ctx, "pln_10")
				if err != nil || row.State != respond.PlanWaiting {
					return err
				}
				won, err = row.Approve(respond.Approval{Who: fmt.Sprint("p", n), Own: true, Reason: "r", Digest: row.Digest}, respond.Rules{}, at)
				if err != nil {
					return err
				}
				return tx.PutPlan(ctx, row)
			})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if won {
				started++
			}
		})
	}
	wg.Wait()
	if started != 1 {
		t.Errorf("%d of ten approvals started the run", started)
	}
}

func runs(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	r := aRun("run_01", 7, "t1", at)
	r.State, r.Worker, r.Epoch, r.Generation, r.AbortedBy, r.AbortWhy, r.AbortedAt = respond.RunRunning, "w", 3, 2, "eve", "why", at
	r.Contained, r.StillOpen, r.StartedAt, r.NextCheck, r.Checks, r.Drift, r.Simulated = true, []string{"dns"}, at, at.Add(time.Hour), 2, []string{"d"}, true
	s.write(func(tx *store.Tx) error { return tx.PutRun(ctx, r) })
	same(t, "every field comes back", r, must[respond.RunRow](t)(s.GetRun(ctx, r.ID)))
	_, err := s.GetRun(ctx, "run_none")
	notFound(t, "an unknown run", err)
	notFound(t, "for a change", s.Write(ctx, func(tx *store.Tx) error { _, err := tx.LockRun(ctx, "run_none"); return err }))
	notFound(t, "to be taken", s.Write(ctx, func(tx *store.Tx) error { _, err := tx.TakeRun(ctx, "run_none", "w"); return err }))

	// One run at a time has a target.
	err = s.Write(ctx, func(tx *store.Tx) error { return tx.PutRun(ctx, aRun("run_02", 7, "t1", at)) })
	if !errors.Is(err, store.ErrTargetBusy) || !strings.Contains(err.Error(), "run_01") {
		t.Errorf("a second run of a target: %v", err)
	}
	_, err = s.GetRun(ctx, "run_02")
	notFound(t, "the run that was refused", err)
	s.write(func(tx *store.Tx) error {
		return errors.Join(tx.HoldTargets(ctx, "run_01", "t2", "t1", "t3"), tx.PutRun(ctx, r))
	})
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutRun(ctx, aRun("run_03", 8, "t3", at)) }); !errors.Is(err, store.ErrTargetBusy) {
		t.Errorf("a run of a target that a plan over several holds: %v", err)
	}
	for target, want := range map[string]respond.RunID{"t1": "run_01", "t3": "run_01", "t9": ""} {
		if got, ok, err := s.ActiveRun(ctx, target); got != want || ok != (want != "") || err != nil {
			t.Errorf("who has %s: %q %v %v", target, got, ok, err)
		}
	}
	r.State, r.EndedAt = respond.RunPartFailed, at
	s.write(func(tx *store.Tx) error { return tx.PutRun(ctx, r) })
	for _, target := range []string{"t1", "t2", "t3"} {
		if got, ok, err := s.ActiveRun(ctx, target); ok || err != nil {
			t.Errorf("who has %s after the end: %q %v", target, got, err)
		}
	}
	var won []string
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			id := fmt.Sprintf("run_1%d", n)
			err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutRun(ctx, aRun(id, 8, "t1", at)) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, id)
			case !errors.Is(err, store.ErrTargetBusy):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("the target was taken by %v", won)
	}

	// A worker that takes a run fences the one before.
	id := respond.RunID(won[0])
	var taken respond.RunRow
	old := must[respond.RunRow](t)(s.GetRun(ctx, id))
	s.write(func(tx *store.Tx) (err error) { taken, err = tx.TakeRun(ctx, id, "w2"); return err })
	if taken.Epoch != old.Epoch+1 || taken.Worker != "w2" {
		t.Errorf("taken: %+v", taken)
	}
	same(t, "and read", taken, must[respond.RunRow](t)(s.GetRun(ctx, id)))
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutRun(ctx, old) }); !errors.Is(err, playbook.ErrFenced) {
		t.Errorf("the worker before puts its row: %v", err)
	}

	s.write(func(tx *store.Tx) error {
		for n, x := range []struct {
			account string
			class   respond.Class
			state   respond.RunState
			check   time.Duration
			worker  string
		}{
			{"1", respond.Isolation, respond.RunCompleted, 2 * time.Hour, ""},
			{"1", respond.Isolation, respond.RunFailed, 0, ""},
			{"1", respond.Release, respond.RunCompleted, 0, ""},
			{"2", respond.Block, respond.RunRunning, 0, "alive"},
			{"2", respond.Block, respond.RunRunning, 0, "lost"},
		} {
			row := aRun(fmt.Sprintf("run_2%d", n), 20, fmt.Sprint("u", n), at.Add(time.Duration(n)*time.Minute))
			row.Account, row.Class, row.State, row.Worker = x.account, x.class, x.state, x.worker
			if n == 4 { // a plan over several resources
				row.Counts = map[respond.Class]int{respond.Isolation: 3, respond.Revocation: 2}
			}
			if x.check > 0 {
				row.NextCheck, row.Contained = at.Add(x.check), true
			}
			if err := tx.PutRun(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]struct {
		f    store.RunFilter
		want string
	}{
		"of an incident":     {store.RunFilter{Incident: 20}, "run_24 run_23 run_22 run_21 run_20"},
		"of a target":        {store.RunFilter{Target: "u1"}, "run_21"},
		"of states":          {store.RunFilter{Incident: 20, States: []respond.RunState{respond.RunCompleted, respond.RunFailed}}, "run_22 run_21 run_20"},
		"a page":             {store.RunFilter{Limit: 2}, "run_24 run_23"},
		"the page behind it": {store.RunFilter{Limit: 2, Before: "run_23"}, "run_22 run_21"},
		"part failed":        {store.RunFilter{States: []respond.RunState{respond.RunPartFailed}}, "run_01"},
		"none":               {store.RunFilter{Target: "none"}, ""},
	} {
		list := must[[]respond.RunRow](t)(s.Runs(ctx, c.f))
		if list == nil || runIDs(list) != c.want {
			t.Errorf("%s: %q, want %q", name, runIDs(list), c.want)
		}
	}
	if got := runIDs(must[[]respond.RunRow](t)(s.OpenRuns(ctx))); got != won[0]+" run_23 run_24" {
		t.Errorf("open runs: %q", got)
	}
	if err := s.Beat(ctx, store.Worker{ID: "alive", Mode: "serve", StartedAt: at}); err != nil {
		t.Fatal(err)
	}
	s.write(func(tx *store.Tx) error {
		if got := runIDs(must[[]respond.RunRow](t)(tx.OrphanRuns(ctx, at, 10))); got != won[0]+" run_24" {
			t.Errorf("runs whose worker is lost: %q", got)
		}
		return nil
	})
	for name, c := range map[string]struct {
		account string
		class   respond.Class
		since   time.Duration
		want    int
	}{
		"of an account and a class": {"1", respond.Isolation, 0, 2},
		"since a moment":            {"1", respond.Isolation, time.Minute, 1},
		"of an account":             {"1", "", 0, 2},
		"releases":                  {"1", respond.Release, 0, 1},
		"of the installation":       {"", "", time.Minute, 7},
		"each of several":           {"2", respond.Isolation, 0, 3},
		"of several, another class": {"2", respond.Revocation, 0, 2},
		"and not its own class":     {"2", respond.Block, 0, 1},
		"of nobody":                 {"3", respond.Block, 0, 0},
	} {
		if n := must[int](t)(s.CountRuns(ctx, c.account, c.class, at.Add(c.since))); n != c.want {
			t.Errorf("counted %s: %d, want %d", name, n, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "", time.Hour: "run_01", 2 * time.Hour: "run_01 run_20"} {
		if got := runIDs(must[[]respond.RunRow](t)(s.DueChecks(ctx, at.Add(d), 10))); got != want {
			t.Errorf("checks due after %s: %q, want %q", d, got, want)
		}
	}
}

func journals(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	s.write(func(tx *store.Tx) error {
		return errors.Join(tx.PutRun(ctx, aRun("run_a", 7, "t1", at)), tx.PutRun(ctx, aRun("run_b", 7, "t2", at)))
	})
	var row respond.RunRow
	s.write(func(tx *store.Tx) (err error) { row, err = tx.TakeRun(ctx, "run_a", "w1"); return err })
	noted := []string{}
	j := s.Journal("run_a", row.Epoch, func(tx *store.Tx, r playbook.Record) error {
		if r.Message == "refuse" {
			return errMine
		}
		noted = append(noted, r.Name+" "+string(r.State))
		return nil
	})
	rec := func(name string, state playbook.State, message string) playbook.Record {
		return playbook.Record{Name: name, State: state, Attempt: 1, Started: at, Message: message, Saved: map[string]json.RawMessage{"k": json.RawMessage(`{"a":1}`)},
			Progress: playbook.Progress{Done: 3, Total: 9, Unit: "percent"}}
	}
	put := func(j playbook.Journal, r playbook.Record) {
		t.Helper()
		if err := j.Put(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	full := rec("z/first", playbook.Running, "m")
	full.Ended, full.Error = at, &playbook.Failure{Code: "unavailable", Message: "x", Safe: "s", Hint: "h"}
	put(j, full)
	put(j, rec("a/second", playbook.Running, ""))
	list := must[[]playbook.Record](t)(j.Records(ctx))
	same(t, "records, in the order in which they were begun", []playbook.Record{full, rec("a/second", playbook.Running, "")}, list)
	_, version, err := s.StepsSince(ctx, "run_a", 0)
	if err != nil {
		t.Fatal(err)
	}
	put(j, rec("z/first", playbook.Completed, "done"))
	changed, next, err := s.StepsSince(ctx, "run_a", version)
	if err != nil || len(changed) != 1 || changed[0].Name != "z/first" || changed[0].State != playbook.Completed || next <= version {
		t.Errorf("what changed since: %+v, version %d to %d, %v", changed, version, next, err)
	}
	if changed, again, err := s.StepsSince(ctx, "run_a", next); err != nil || len(changed) != 0 || again != next {
		t.Errorf("nothing changed: %+v, %d, %v", changed, again, err)
	}
	_, _, err = s.StepsSince(ctx, "run_none", 0)
	notFound(t, "the steps of an unknown run", err)
	if got := must[[]playbook.Record](t)(s.Steps(ctx, "run_b")); len(got) != 0 {
		t.Errorf("another run has %+v", got)
	}
	same(t, "what was told after each", []string{"z/first running", "a/second running", "z/first completed"}, noted)

	// What goes with a record is durable with it, or neither is.
	if err := j.Put(ctx, rec("c/third", playbook.Running, "refuse")); !errors.Is(err, errMine) {
		t.Errorf("after failed: %v", err)
	}
	if got := must[[]playbook.Record](t)(s.Steps(ctx, "run_a")); len(got) != 2 {
		t.Errorf("a record was kept without what goes with it: %+v", got)
	}

	// Branches write side by side.
	var wg sync.WaitGroup
	plain := s.Journal("run_b", 0, nil)
	for n := range 20 {
		wg.Go(func() {
			for _, state := range []playbook.State{playbook.Running, playbook.Completed} {
				if err := plain.Put(ctx, rec(fmt.Sprint("s", n), state, "")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := must[[]playbook.Record](t)(s.Steps(ctx, "run_b")); len(got) != 20 || slices.ContainsFunc(got, func(r playbook.Record) bool { return r.State != playbook.Completed }) {
		t.Errorf("%d steps of 20", len(got))
	}

	// Another worker takes the run: the first may not write any more.
	stands := func(what string, j playbook.Journal, want playbook.Standing) {
		t.Helper()
		same(t, what, want, must[playbook.Standing](t)(j.Standing(ctx)))
	}
	stands("in hand", j, playbook.Standing{})
	s.write(func(tx *store.Tx) (err error) { row, err = tx.TakeRun(ctx, "run_a", "w2"); return err })
	stands("taken over", j, playbook.Standing{Fenced: true})
	if err := j.Put(ctx, rec("z/first", playbook.Failed, "late")); !errors.Is(err, playbook.ErrFenced) {
		t.Errorf("a fenced worker writes: %v", err)
	}
	if err := s.Journal("run_none", 0, nil).Put(ctx, full); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown run: %v", err)
	}
	_, err = s.Standing(ctx, "run_none", 0)
	notFound(t, "the standing of an unknown run", err)
	if got := must[[]playbook.Record](t)(s.Steps(ctx, "run_a")); got[0].State != playbook.Completed {
		t.Errorf("a fenced worker wrote %+v", got[0])
	}

	// Messages, the abort among them, and the switch.
	j2 := s.Journal("run_a", row.Epoch, nil)
	stands("the new worker", j2, playbook.Standing{})
	s.write(func(tx *store.Tx) error {
		return errors.Join(tx.SendMessage(ctx, "run_a", "answer", json.RawMessage(`"one"`)), tx.SendMessage(ctx, "run_a", "answer", json.RawMessage(`"two"`)))
	})
	got := must[[]playbook.Message](t)(j2.Messages(ctx, "answer", 0))
	if len(got) != 2 || string(got[0].Body) != `"one"` || string(got[1].Body) != `"two"` || got[1].Seq <= got[0].Seq {
		t.Errorf("messages: %+v", got)
	}
	if rest := must[[]playbook.Message](t)(j2.Messages(ctx, "answer", got[0].Seq)); len(rest) != 1 || rest[0].Seq != got[1].Seq {
		t.Errorf("messages behind the first: %+v", rest)
	}
	if other := must[[]playbook.Message](t)(j2.Messages(ctx, "else", 0)); len(other) != 0 {
		t.Errorf("messages of another topic: %+v", other)
	}
	notFound(t, "a message to an unknown run", s.Write(ctx, func(tx *store.Tx) error { return tx.SendMessage(ctx, "run_none", "x", nil) }))
	stands("a message is no abort", j2, playbook.Standing{})
	s.write(func(tx *store.Tx) error {
		return tx.SendMessage(ctx, "run_a", playbook.AbortTopic, json.RawMessage(`{}`))
	})
	stands("aborted by a message", j2, playbook.Standing{Aborted: true})
	s.write(func(tx *store.Tx) error {
		r, err := tx.LockRun(ctx, "run_b")
		if err != nil {
			return err
		}
		r.AbortedAt, r.AbortedBy = at, "eve"
		_, off := tx.SetSwitch(ctx, true, "eve", "a drill")
		return errors.Join(tx.PutRun(ctx, r), off)
	})
	stands("aborted by its row, and switched off", plain, playbook.Standing{Aborted: true, Off: "responses are switched off by eve: a drill"})

	// A whole playbook runs on it.
	s.write(func(tx *store.Tx) error {
		_, err := tx.SetSwitch(ctx, false, "eve", "over")
		return errors.Join(err, tx.PutRun(ctx, aRun("run_c", 7, "t3", at)))
	})
	for range 2 { // the second finds all done
		runner := playbook.Runner{Journal: s.Journal("run_c", 0, nil), Clock: playbook.NewVirtual(at)}
		err := runner.Run(ctx, func(c playbook.Context) error {
			_, err := c.Step("one", playbook.Options{}, func(st playbook.Step) (playbook.Outcome, error) {
				return playbook.Outcome{Message: "made it"}, st.Save("id", "vol-1")
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var volume string
	if list := must[[]playbook.Record](t)(s.Steps(ctx, "run_c")); len(list) != 1 || list[0].Attempt != 1 || !list[0].Load("id", &volume) || volume != "vol-1" {
		t.Errorf("the playbook left %+v", list)
	}
}

func switches(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	same(t, "at first", store.Switch{}, must[store.Switch](t)(s.Switch(ctx)))
	set := func(off bool, who, why string) (sw store.Switch) {
		t.Helper()
		s.write(func(tx *store.Tx) (err error) { sw, err = tx.SetSwitch(ctx, off, who, why); return err })
		return sw
	}
	want := store.Switch{Off: true, Who: "eve", Why: cleaned, At: at}
	same(t, "off", want, set(true, "eve", hostile))
	s.clock.add(time.Minute)
	same(t, "off again", want, set(true, "ann", "me too"))
	same(t, "read", want, must[store.Switch](t)(s.Switch(ctx)))
	same(t, "on", store.Switch{Who: "ann", Why: "over", At: s.clock.now()}, set(false, "ann", "over"))
}
