package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// slowAWS confirms nothing, and answers each question only when it is let.
type slowAWS struct {
	mu    sync.Mutex
	let   map[finding.ID]chan struct{}
	asked chan finding.ID
	free  bool // nothing is held up any more
}

func (s *slowAWS) confirm(ctx context.Context, f store.Finding) (bool, error) {
	s.mu.Lock()
	c := s.let[f.ID]
	free := s.free
	s.mu.Unlock()
	if free || c == nil {
		return false, nil
	}
	s.asked <- f.ID
	select {
	case <-c:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// A flood of findings in an account that answers slowly holds up the plan for no
// other account, and the most severe come first.
func TestASlowAccountHoldsUpNoPlanOfAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		storeURL := storeOf()
		if storeURL == "" {
			storeURL = "sqlite:" + t.TempDir() + "/g.db"
		}
		cfg := respondConfig(storeURL, "one")
		everyFinding("ec2-contain", 5)(cfg)
		cfg.Worker.TimeScale = 1
		a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: attackedWorld(t, "").AWS()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		const other = "333333333333"
		aws := &slowAWS{let: map[finding.ID]chan struct{}{}, asked: make(chan finding.ID, 100)}
		id := func(n int) finding.ID { return finding.ID(fmt.Sprintf("%032x", n)) }
		take := func(n, severity int, account string, slow bool) {
			t.Helper()
			body := minerOn(n, fmt.Sprintf("i-0%016x", n))
			body = bytes.ReplaceAll(body, []byte(`"severity":8`), fmt.Appendf(nil, `"severity":%d`, severity))
			body = bytes.ReplaceAll(body, []byte(victimAccount), []byte(account))
			if slow {
				aws.let[id(n)] = make(chan struct{})
			}
			if _, err := a.Take(t.Context(), source.Input{Source: "sqs:main", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		for severity := 1; severity <= 8; severity++ {
			take(0xf0+severity, severity, victimAccount, true)
		}
		take(0xf20, 1, other, false)
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan error, 1)
		go func() { done <- (&wisher{desk: a.desk, confirm: aws.confirm}).look(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		next := func() finding.ID {
			t.Helper()
			select {
			case f := <-aws.asked:
				return f
			case <-time.After(2 * time.Minute):
				t.Fatal("nothing more is asked")
				return ""
			}
		}
		first := []finding.ID{next(), next()}
		slices.Sort(first)
		if !slices.Equal(first, []finding.ID{id(0xf7), id(0xf8)}) {
			t.Errorf("asked first: %v", first)
		}
		// Both wait for AWS; the other account's is looked at all the same.
		tries := func(f finding.ID) int {
			t.Helper()
			list, err := a.db.DueWishes(t.Context(), time.Now().Add(1000*time.Hour), 100)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(list, func(w store.Wish) bool { return w.Finding == f })
			if i < 0 {
				t.Fatalf("no wish for %s", f)
			}
			return list[i].Tries
		}
		until(t, func() bool { return tries(id(0xf20)) > 0 }, "the other account does not wait")
		if len(aws.asked) != 0 {
			t.Errorf("%d more of one account at once", len(aws.asked))
		}
		close(aws.let[id(0xf8)])
		if got := next(); got != id(0xf6) {
			t.Errorf("asked next: %s", got)
		}
		aws.mu.Lock()
		aws.free = true
		aws.mu.Unlock()
		close(aws.let[id(0xf7)])
		close(aws.let[id(0xf6)])
		until(t, func() bool { return tries(id(0xf1)) > 0 }, "the least severe is looked at")
	})
}

// However many plans guardroom makes by itself at the same time, the cap holds
// exactly.
func TestTheCapOfPlansHoldsExactly(t *testing.T) {
	onBoth(t, func(t *testing.T, storeOf func() string) {
		t.Parallel()
		cfg := testConfig(t, storeOf())
		const limit, many = 3, 12
		cfg.Respond.Caps.Plans = limit
		a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: minerFinding()}); err != nil {
			t.Fatal(err)
		}
		errs := make([]error, many)
		var g sync.WaitGroup
		for n := range many {
			now := a.now()
			p := &respond.Plan{Schema: respond.SchemaVersion, ID: respond.PlanID(fmt.Sprintf("pln_%02d", n)), Incident: 1, Playbook: "forensics", Requester: incident.Guardroom, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
			g.Go(func() {
				_, errs[n] = a.desk.keep(t.Context(), p, respond.World{Before: []byte("{}")}, incident.Guardroom, true)
			})
		}
		g.Wait()
		made := 0
		for _, err := range errs {
			switch {
			case err == nil:
				made++
			case fault.CodeOf(err) != fault.Conflict:
				t.Error(err)
			}
		}
		list, err := a.db.Plans(t.Context(), store.PlanFilter{Limit: 100})
		if err != nil || made != limit || len(list) != limit {
			t.Errorf("%d made, %d kept, %v", made, len(list), err)
		}
		now := a.now()
		p := &respond.Plan{Schema: respond.SchemaVersion, ID: "pln_99", Incident: 1, Playbook: "forensics", Requester: "kim", CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if _, err := a.desk.keep(t.Context(), p, respond.World{Before: []byte("{}")}, "kim", false); err != nil {
			t.Errorf("a person's plan: %v", err)
		}
	})
}
