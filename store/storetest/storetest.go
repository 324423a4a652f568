package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// Open opens an empty store whose clock is now, and closes it at the end of the
// test.
type Open func(t *testing.T, now func() time.Time) *store.DB

// Run runs the contract suite, each part against a store of its own.
func Run(t *testing.T, open Open) {
	for name, part := range map[string]func(t *testing.T, s *suite){
		"transactions": transactions, "accepts that meet": meeting, "findings": findings, "revisions": revisions, "paging": paging,
		"incidents": incidents, "merge keys": mergeKeys, "deliveries": deliveries, "audit": auditChain, "tampering": tampering,
		"inputs and sources": inputs, "workers, pauses, rules": rest, "digests and notices": speaking, "retention": retention, "schema": schema,
		"plans": plans, "runs": runs, "journals": journals, "the switch of responses": switches, "what is owed": owing, "wishes": wishes, "evidence": preserving,
		"tokens": tokens, "retention of responses": keepsResponses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			part(t, &suite{DB: open(t, c.now), t: t, clock: c})
		})
	}
}

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// suite is an open store with short ways to use it.
type suite struct {
	*store.DB
	t     *testing.T
	clock *clock
}

// write runs fn in a transaction that must succeed.
func (s *suite) write(fn func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.Write(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// must fails the test on an error.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// same compares what came with what was wanted.
func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func notFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: got %v, not ErrNotFound", what, err)
	}
}

// hostile is text that databases like to stumble over.
const hostile = "x\x00y' \"; DROP TABLE findings;--\xff\u202e\U0001F480 Ünïcode $1 ?1 %s\n"

// cleaned is hostile as both databases give it back.
const cleaned = "x\uFFFDy' \"; DROP TABLE findings;--\uFFFD\u202e\U0001F480 Ünïcode $1 ?1 %s\n"

func aFinding(id string, at time.Time) store.Finding {
	return store.Finding{ID: finding.ID(id), ARN: "arn:" + id, Type: "Recon:EC2/Portscan", AccountID: "111111111111", Region: "eu-west-1", Severity: 5,
		Title: "t", ResourceKind: finding.KindInstance, ResourceID: "i-1", UpdatedAt: at, Count: 1, FirstSeen: at, LastSeen: at, FirstReceived: at,
		LastReceived: at, Decision: "incident", Revisions: 1, Source: "test", DetectorID: "d"}
}

func anIncident(n incident.Number, at time.Time) *incident.Incident {
	return &incident.Incident{ID: incident.ID(fmt.Sprintf("id-%06d", n)), Number: n, Revision: 1, State: incident.Open, Severity: 5,
		Account: incident.Account{ID: "111111111111"}, Region: "eu-west-1", Family: "Portscan", Resources: []incident.Resource{},
		Findings: []incident.FindingRef{}, OpenedAt: at, UpdatedAt: at, LastActivity: at}
}

func aDelivery(id, subject, destination string, at time.Time) notify.Delivery {
	return notify.Delivery{ID: id, Kind: message.KindIncident, Subject: subject, Destination: destination, Status: notify.Pending, Wanted: 1,
		Armed: true, Generation: 1, CreatedAt: at, WantedAt: at}
}

// opened stores a new incident and returns it.
func (s *suite) opened(change func(i *incident.Incident)) *incident.Incident {
	s.t.Helper()
	var i *incident.Incident
	s.write(func(tx *store.Tx) error {
		n, err := tx.NextNumber(s.t.Context())
		if err != nil {
			return err
		}
		i = anIncident(n, tx.Now())
		if change != nil {
			change(i)
		}
		return tx.PutIncident(s.t.Context(), i, true, nil)
	})
	return i
}

func (s *suite) put(list ...store.Finding) {
	s.t.Helper()
	s.write(func(tx *store.Tx) error {
		for _, f := range list {
			if err := tx.PutFinding(s.t.Context(), f, true); err != nil {
				return err
			}
		}
		return nil
	})
}
