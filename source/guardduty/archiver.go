package guardduty

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
)

// Pending is what the archiver keeps in the store. It is safe for concurrent
// use.
type Pending interface {
	// ToArchive calls yield for each finding that must still be archived.
	ToArchive(ctx context.Context, yield func(id finding.ID, account, region, detector string)) error
	// Archived notes durably that these are archived.
	Archived(ctx context.Context, ids []finding.ID) error
	// GiveUpArchiving notes that these cannot be archived.
	GiveUpArchiving(ctx context.Context, ids []finding.ID, why string) error
}

const (
	firstRetry = 10 * time.Second
	lastRetry  = 15 * time.Minute
	// detectorsHold is for how long the detectors of a place are remembered.
	detectorsHold = time.Hour
)

// Archiver archives findings in GuardDuty after their incidents were closed.
//
// What is to be archived stands in the store, written in the transaction of the
// person's command; the archiver only carries it out, again and again until
// GuardDuty took it. Enqueue is no more than a nudge, so a crash loses nothing,
// and archiving twice changes nothing.
type Archiver struct {
	wanted  bool
	places  []cloud.Place
	clients Clients
	pending Pending
	deps    Deps
	nudge   chan struct{}

	mu        sync.Mutex
	detectors map[cloud.Place]knownDetectors
}

type knownDetectors struct {
	ids   []string
	until time.Time
}

// NewArchiver returns the archiver. Without cfg.Incidents.ArchiveOnClose, or
// without a GuardDuty source, it is never wanted. It calls nothing; Run does.
func NewArchiver(cfg *config.Config, clients Clients, pending Pending, deps Deps) *Archiver {
	a := &Archiver{wanted: cfg.Incidents.ArchiveOnClose, clients: clients, pending: pending, deps: deps.filled(),
		nudge: make(chan struct{}, 1), detectors: map[cloud.Place]knownDetectors{}}
	for _, s := range cfg.Sources.GuardDuty {
		for _, p := range cloud.Places(s, cfg.Accounts) {
			if !slices.Contains(a.places, p) {
				a.places = append(a.places, p)
			}
		}
	}
	a.wanted = a.wanted && len(a.places) > 0
	return a
}

// Wanted reports whether closing an incident archives its findings.
func (a *Archiver) Wanted() bool { return a.wanted }

// Enqueue says that there is something new to archive. It never blocks.
func (a *Archiver) Enqueue([]finding.ID) {
	select {
	case a.nudge <- struct{}{}:
	default: // one nudge is waiting already
	}
}

// Run archives until ctx ends, beginning with what an earlier run left.
func (a *Archiver) Run(ctx context.Context) error {
	if !a.wanted {
		<-ctx.Done()
		return nil
	}
	wait := firstRetry
	for {
		left, err := a.Archive(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		if err != nil {
			a.deps.Log.Warn("findings could not be archived in guardduty", "count", left, "error", err)
		}
		if left > 0 {
			wait = min(wait*2, lastRetry)
		} else {
			wait = firstRetry
		}
		if !a.rest(ctx, wait, left > 0) {
			return nil
		}
	}
}

// rest waits for a nudge, or for the time of the next try where something is
// left. It returns false when ctx ended.
func (a *Archiver) rest(ctx context.Context, wait time.Duration, again bool) bool {
	if !again {
		// Another process on the same store may have closed something.
		wait = lastRetry
	}
	timer := time.NewTimer(a.deps.wait(wait))
	defer timer.Stop()
	select {
	case <-a.nudge:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// Archive carries out once what is to be archived. It returns how many findings
// are left for another time, and why.
func (a *Archiver) Archive(ctx context.Context) (left int, err error) {
	type group struct{ account, region, detector string }
	groups := map[group][]finding.ID{}
	var order []group
	var strange []finding.ID
	err = a.pending.ToArchive(ctx, func(id finding.ID, account, region, detector string) {
		if !realID.MatchString(string(id)) {
			strange = append(strange, id)
			return
		}
		g := group{account, region, detector}
		if _, ok := groups[g]; !ok {
			order = append(order, g)
		}
		groups[g] = append(groups[g], id)
	})
	if err != nil {
		return 0, err
	}
	var errs []error
	if len(strange) > 0 {
		errs = append(errs, a.pending.GiveUpArchiving(ctx, strange, "its id is none that GuardDuty gives"))
	}
	for _, g := range order {
		for chunk := range slices.Chunk(groups[g], maxIDs) {
			n, err := a.chunk(ctx, g.account, g.region, g.detector, chunk)
			left += n
			errs = append(errs, err)
		}
	}
	return left, errors.Join(errs...)
}

// chunk archives findings of one detector, wherever that is allowed: in the
// finding's own account, or with the detector of an administrator account. It
// returns how many are left.
func (a *Archiver) chunk(ctx context.Context, account, region, detector string, ids []finding.ID) (int, error) {
	refusals := 0
	tried := 0
	var errs []error
	for _, p := range a.near(account, region) {
		client, detectors, err := a.at(ctx, p, region)
		if err != nil {
			tried++
			errs = append(errs, err)
			continue
		}
		if slices.Contains(detectors, detector) {
			detectors = []string{detector}
		}
		for _, d := range detectors {
			tried++
			if err = a.call(ctx, client, d, ids); err == nil {
				return 0, a.pending.Archived(ctx, ids)
			}
			if fault.CodeOf(err) == fault.Usage {
				refusals++
			}
			errs = append(errs, fmt.Errorf("%s/%s: %w", p.Account, region, err))
		}
	}
	if refusals < tried {
		return len(ids), errors.Join(errs...)
	}
	if len(ids) > 1 {
		// One that GuardDuty does not know has the whole call refused.
		left := 0
		errs = nil
		for _, id := range ids {
			n, err := a.chunk(ctx, account, region, detector, []finding.ID{id})
			left += n
			errs = append(errs, err)
		}
		return left, errors.Join(errs...)
	}
	why := "no configured account has a detector that knows it"
	if len(errs) > 0 {
		why = errors.Join(errs...).Error()
	}
	a.deps.Log.Warn("guardduty does not archive a finding", "finding_id", string(ids[0]), "account_id", account, "region", region, "error", why)
	return 0, a.pending.GiveUpArchiving(ctx, ids, why)
}

// near are the places that may archive findings of an account and a region: its
// own first.
func (a *Archiver) near(account, region string) []cloud.Place {
	var own, others []cloud.Place
	for _, p := range a.places {
		switch {
		case p.Region != "" && p.Region != region:
		case p.Account == account:
			own = append(own, p)
		default:
			others = append(others, p)
		}
	}
	return append(own, others...)
}

// at returns a client of a place and its detectors.
func (a *Archiver) at(ctx context.Context, p cloud.Place, region string) (cloud.GuardDutyClient, []string, error) {
	p.Region = region
	client, err := a.clients.GuardDuty(ctx, p.Account, p.Role, p.Region)
	if err != nil {
		return nil, nil, err
	}
	a.mu.Lock()
	known, ok := a.detectors[p]
	a.mu.Unlock()
	if ok && a.deps.Now().Before(known.until) {
		return client, known.ids, nil
	}
	ids, err := listDetectors(ctx, client)
	if err != nil {
		return nil, nil, err
	}
	a.mu.Lock()
	a.detectors[p] = knownDetectors{ids: ids, until: a.deps.Now().Add(detectorsHold)}
	a.mu.Unlock()
	return client, ids, nil
}

func (a *Archiver) call(ctx context.Context, client cloud.GuardDutyClient, detector string, ids []finding.ID) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	_, err := client.ArchiveFindings(ctx, &guardduty.ArchiveFindingsInput{DetectorId: aws.String(detector), FindingIds: words})
	return cloud.Explain(err, "archive findings of detector "+detector)
}
