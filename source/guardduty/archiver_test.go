package guardduty_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/source/guardduty"
)

func (w *world) archiver(accounts ...string) *guardduty.Archiver {
	cfg := &config.Config{Incidents: config.Incidents{ArchiveOnClose: true}}
	w.cfg.Accounts = accounts
	cfg.Sources.GuardDuty = []config.GuardDutySource{w.cfg}
	return guardduty.NewArchiver(cfg, w.clients(), w.state, guardduty.Deps{Now: w.clock.now})
}

func TestArchivingIsWantedOnlyWhereItIsConfigured(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		onClose bool
		sources []config.GuardDutySource
		want    bool
	}{
		{"configured", true, []config.GuardDutySource{{Name: "main"}}, true},
		{"not asked for", false, []config.GuardDutySource{{Name: "main"}}, false},
		{"no way to GuardDuty", true, nil, false},
	} {
		cfg := &config.Config{Incidents: config.Incidents{ArchiveOnClose: c.onClose}, Sources: config.Sources{GuardDuty: c.sources}}
		if got := guardduty.NewArchiver(cfg, nil, nil, guardduty.Deps{}).Wanted(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestWhatWasMarkedBeforeACrashIsArchivedAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	for n := range 130 {
		w.put(d, n, w.clock.now())
		w.state.pending = append(w.state.pending, place{id(n), fakeguardduty.Home, region, d})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	// Nobody calls Enqueue: the process that would have is dead.
	go func() { ended <- w.archiver().Run(ctx) }()
	for {
		w.state.mu.Lock()
		left := len(w.state.pending)
		w.state.mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for n := range 130 {
		if !w.fake.Archived(d, string(id(n))) {
			t.Errorf("finding %d is not archived", n)
		}
	}
	w.wellFormed()
}

func TestArchivingIsTriedAgainUntilItIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	w.put(d, 1, w.clock.now())
	w.state.pending = []place{{id(1), fakeguardduty.Home, region, d}}
	w.fake.Fail(fakeguardduty.Fault{Operation: "ArchiveFindings", Times: -1, Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "no"})
	a := w.archiver()
	if left, err := a.Archive(t.Context()); left != 1 || err == nil {
		t.Fatalf("left %d, %v", left, err)
	}
	if len(w.state.givenUp) != 0 {
		t.Fatalf("given up: %v", w.state.givenUp)
	}
	w.fake.Heal()
	if left, err := a.Archive(t.Context()); left != 0 || err != nil {
		t.Fatalf("left %d, %v", left, err)
	}
	if !w.fake.Archived(d, string(id(1))) {
		t.Error("it is not archived")
	}
}

func TestAFindingThatIsGoneHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	for n := range 3 {
		w.state.pending = append(w.state.pending, place{id(n), fakeguardduty.Home, region, d})
	}
	w.put(d, 0, w.clock.now())
	w.put(d, 2, w.clock.now())
	if left, err := w.archiver().Archive(t.Context()); left != 0 || err != nil {
		t.Fatalf("left %d, %v", left, err)
	}
	if !w.fake.Archived(d, string(id(0))) || !w.fake.Archived(d, string(id(2))) {
		t.Error("the others are not archived")
	}
	if len(w.state.givenUp) != 1 || w.state.givenUp[id(1)] == "" {
		t.Errorf("given up: %v", w.state.givenUp)
	}
}

func TestAMembersFindingIsArchivedByItsAdministrator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	if err := w.fake.Put(d, body(id(1), w.clock.now(), second, region, "")); err != nil {
		t.Fatal(err)
	}
	w.state.pending = []place{{id(1), second, region, "the-members-own-detector"}}
	if left, err := w.archiver().Archive(t.Context()); left != 0 || err != nil {
		t.Fatalf("left %d, %v", left, err)
	}
	if !w.fake.Archived(d, string(id(1))) {
		t.Error("it is not archived")
	}
}
