package guardduty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/source"
)

// Clients gives a client for an account and a region. An empty account is that
// of the credentials, an empty role the configured read role, an empty region
// the configured one. It does not call AWS and is safe for concurrent use.
type Clients interface {
	GuardDuty(ctx context.Context, account, role, region string) (cloud.GuardDutyClient, error)
	// Region is the configured region.
	Region(ctx context.Context) (string, error)
}

// State is what the poller keeps in the store. It is safe for concurrent use.
type State interface {
	// Cursor reads a named cursor; an unknown one is empty.
	Cursor(ctx context.Context, name string) (string, error)
	// SetCursor stores a cursor durably before it returns.
	SetCursor(ctx context.Context, name, value string) error
	// Looked notes that a source looked, and the trouble that it had.
	Looked(ctx context.Context, name, trouble string) error
	// OpenFindings calls yield for each finding of an incident that is not
	// closed.
	OpenFindings(ctx context.Context, yield func(id finding.ID, account, region, detector string)) error
}

// Deps are what the poller needs beside that. The zero value works.
type Deps struct {
	Now func() time.Time
	Log *slog.Logger
	// TimeScale divides the waits between two looks and two tries, for tests;
	// times of findings are never scaled. 0: 1.
	TimeScale float64
}

func (d Deps) filled() Deps {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.TimeScale <= 0 {
		d.TimeScale = 1
	}
	return d
}

// wait is a wait at the time scale.
func (d Deps) wait(w time.Duration) time.Duration {
	return max(time.Duration(float64(w)/d.TimeScale), time.Millisecond)
}

const (
	defaultInterval = time.Minute
	defaultOverlap  = 15 * time.Minute
	// minOverlap covers the time between two calls, and that AWS shows a
	// finding a little after the time that it gives it.
	minOverlap = time.Minute
	// announceWithin: what the very first poll finds is announced only when it
	// was last seen so recently.
	announceWithin = 24 * time.Hour
	// callLimit is the longest that one call may take with all of its retries.
	callLimit = 2 * time.Minute
	// atOnce is how many accounts and regions are read at the same time.
	atOnce = 8
	// maxSkips is for how many intervals at most a place is left alone after
	// it failed again and again.
	maxSkips = 8
)

// Poller reads the detectors of one configured source.
type Poller struct {
	cfg     config.GuardDutySource
	clients Clients
	intake  source.Intake
	state   State
	deps    Deps
	name    string
	targets []*target
	slots   chan struct{}

	mu       sync.Mutex
	troubles map[string]string // by target
}

var _ source.Source = (*Poller)(nil)

// target is an account and a region. Only one goroutine works on it at a time.
type target struct {
	account, region string // as configured; may be empty

	busy     sync.Mutex
	failures int // in a row
	skips    int
	// taken are the findings of the last window that the flow has, so that the
	// overlap is not taken again and again; it may forget.
	taken map[finding.ID]memory
	// reread is the same for the findings of open incidents.
	reread map[finding.ID]digest
	// absent are findings of other accounts that this place did not know.
	absent map[finding.ID]time.Time
}

// String names the target for people.
func (t *target) String() string { return cloud.Place{Account: t.account, Region: t.region}.String() }

// New returns the poller of one configured source. accounts may name other
// regions for an account. It calls nothing; Run does.
func New(cfg config.GuardDutySource, accounts []config.Account, clients Clients, intake source.Intake, state State, deps Deps) *Poller {
	if cfg.Interval <= 0 {
		cfg.Interval = config.Duration(defaultInterval)
	}
	if cfg.Overlap <= 0 {
		cfg.Overlap = config.Duration(defaultOverlap)
	}
	cfg.Overlap = max(cfg.Overlap, config.Duration(minOverlap))
	p := &Poller{cfg: cfg, clients: clients, intake: intake, state: state, deps: deps.filled(), name: "guardduty:" + cfg.Name,
		slots: make(chan struct{}, atOnce), troubles: map[string]string{}}
	for _, place := range cloud.Places(cfg, accounts) {
		p.targets = append(p.targets, &target{account: place.Account, region: place.Region,
			taken: map[finding.ID]memory{}, reread: map[finding.ID]digest{}, absent: map[finding.ID]time.Time{}})
	}
	return p
}

// Name implements source.Source.
func (p *Poller) Name() string { return p.name }

// Run implements source.Source. Each interval it reads every place that is not
// still being read; a slow or broken one holds up no other.
func (p *Poller) Run(ctx context.Context) error {
	tick := time.NewTicker(p.deps.wait(p.cfg.Interval.Std()))
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		p.round(ctx, &running, true)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Poll reads every place once and waits for it. It returns the trouble of all
// places together; what could be taken is taken.
func (p *Poller) Poll(ctx context.Context) error {
	var running sync.WaitGroup
	p.round(ctx, &running, false)
	running.Wait()
	if trouble := p.trouble(); trouble != "" {
		return errors.New(trouble)
	}
	return ctx.Err()
}

// round starts one round. patient leaves places alone that failed before.
func (p *Poller) round(ctx context.Context, running *sync.WaitGroup, patient bool) {
	open, err := p.open(ctx)
	if err != nil && ctx.Err() == nil {
		p.deps.Log.Warn("the findings of open incidents could not be read", "source", p.name, "error", err)
	}
	for _, t := range p.targets {
		if !t.busy.TryLock() {
			continue // the round before still reads it
		}
		if patient && t.skips > 0 {
			t.skips--
			t.busy.Unlock()
			continue
		}
		running.Go(func() {
			defer t.busy.Unlock()
			select {
			case p.slots <- struct{}{}:
				defer func() { <-p.slots }()
			case <-ctx.Done():
				return
			}
			p.settle(ctx, t, p.read(ctx, t, open))
		})
	}
}

// read reads all detectors of a place, then the findings of open incidents.
func (p *Poller) read(ctx context.Context, t *target, open []openFinding) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading broke: %v", r)
		}
	}()
	client, err := p.clients.GuardDuty(ctx, t.account, p.cfg.Role, t.region)
	if err != nil {
		return err
	}
	region := t.region
	if region == "" {
		if region, err = p.clients.Region(ctx); err != nil {
			return err
		}
	}
	detectors, err := listDetectors(ctx, client)
	if err != nil {
		return err
	}
	if len(detectors) == 0 {
		p.deps.Log.Debug("guardduty is off here", "source", p.name, "account_id", t.account, "region", region)
	}
	var errs []error
	for _, d := range detectors {
		r := reader{poller: p, target: t, client: client, detector: d, region: region}
		errs = append(errs, r.pass(ctx), r.refresh(ctx, open, detectors))
	}
	return errors.Join(errs...)
}

// settle notes how reading a place went, and tells when that changed.
func (p *Poller) settle(ctx context.Context, t *target, err error) {
	if ctx.Err() != nil {
		return // being stopped is no trouble
	}
	if err == nil {
		t.failures, t.skips = 0, 0
	} else {
		t.failures++
		t.skips = min(t.failures-1, maxSkips)
		p.deps.Log.Warn("guardduty could not be read", "source", p.name, "account_id", t.account, "region", t.region, "attempt", t.failures, "error", err)
	}
	p.mu.Lock()
	if err == nil {
		delete(p.troubles, t.String())
	} else {
		p.troubles[t.String()] = err.Error()
	}
	p.mu.Unlock()
	trouble := p.trouble()
	// Written at every look, not only at changes: an event of another place
	// clears it.
	if err := p.state.Looked(ctx, p.name, trouble); err != nil && ctx.Err() == nil {
		p.deps.Log.Warn("the state of a source could not be stored", "source", p.name, "error", err)
	}
}

// trouble is what is wrong now, one part for each place.
func (p *Poller) trouble() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var parts []string
	for place, text := range p.troubles {
		parts = append(parts, place+": "+text)
	}
	slices.Sort(parts)
	const most = 5
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
	}
	return strings.Join(parts, "; ")
}
