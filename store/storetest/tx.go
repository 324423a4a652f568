package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

var errMine = errors.New("mine")

func transactions(t *testing.T, s *suite) {
	ctx := t.Context()
	all := func(tx *store.Tx, id string) error {
		n, err := tx.NextNumber(ctx)
		if err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: "me", Action: "a", Object: id})
		tx.Suppressed("rule " + id)
		tx.Ignore("src", id, 1)
		tx.SawEvent(id)
		return errors.Join(tx.PutFinding(ctx, aFinding(id, tx.Now()), true), tx.PutIncident(ctx, anIncident(n, tx.Now()), true, nil),
			tx.PutDelivery(ctx, aDelivery("d-"+id, "s", id, tx.Now()), true), tx.SetKeys(ctx, n, []string{"k" + id}, nil, nil, tx.Now()))
	}
	nothing := func(id string) {
		t.Helper()
		if _, ok, err := s.GetFinding(ctx, finding.ID(id)); ok || err != nil {
			t.Errorf("the finding of a transaction that failed: %v %v", ok, err)
		}
		_, err := s.GetDelivery(ctx, "d-"+id)
		notFound(t, "its delivery", err)
		if uses := must[map[string]store.RuleUse](t)(s.RuleUses(ctx)); uses["rule "+id].Matches != 0 {
			t.Error("its count was kept")
		}
	}
	if err := s.Write(ctx, func(tx *store.Tx) error { return errors.Join(all(tx, "1"), errMine) }); !errors.Is(err, errMine) {
		t.Fatalf("got %v, not the function's own error", err)
	}
	nothing("1")
	if err := s.Write(ctx, func(tx *store.Tx) error { _ = all(tx, "2"); panic("boom") }); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("a panic: %v", err)
	}
	nothing("2")
	if h := must[audit.Head](t)(s.AuditHead(ctx)); h.Seq != 0 {
		t.Errorf("the audit chain moved to %d", h.Seq)
	}

	// Of a hundred that run side by side, those that fail or are cancelled spoil
	// no other.
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			id := fmt.Sprintf("n%03d", n)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			err := s.Write(ctx, func(tx *store.Tx) error {
				switch n % 4 {
				case 1:
					return errors.Join(tx.PutFinding(ctx, aFinding(id, tx.Now()), true), errMine)
				case 2:
					err := tx.PutFinding(ctx, aFinding(id, tx.Now()), true)
					cancel()
					return errors.Join(err, tx.PutFinding(ctx, aFinding(id+"x", tx.Now()), true))
				case 3:
					// The database itself refuses this one.
					err := tx.PutFinding(ctx, aFinding(id, tx.Now()), true)
					return errors.Join(err, tx.PutFinding(ctx, aFinding(id, tx.Now()), true))
				}
				return tx.PutFinding(ctx, aFinding(id, tx.Now()), true)
			})
			if (err == nil) != (n%4 == 0) {
				t.Errorf("%d: got %v", n, err)
			}
		})
	}
	wg.Wait()
	for n := range 100 {
		if _, ok, err := s.GetFinding(ctx, finding.ID(fmt.Sprintf("n%03d", n))); ok != (n%4 == 0) || err != nil {
			t.Errorf("finding %d is there: %v, %v", n, ok, err)
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Write(over, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled caller: %v", err)
	}
}

// meeting has many transactions accept what belongs to one key at once: one
// incident comes of it, and each finding belongs to it.
func meeting(t *testing.T, s *suite) {
	ctx := t.Context()
	var wg sync.WaitGroup
	const many = 40
	for n := range many {
		wg.Go(func() {
			id := finding.ID(fmt.Sprintf("f%d", n))
			keys := []string{"b", "a"}
			if n%2 == 0 {
				keys = []string{"a", "b"}
			}
			err := s.Write(ctx, func(tx *store.Tx) error {
				if err := tx.LockFindings(ctx, []finding.ID{id}); err != nil {
					return err
				}
				if err := tx.LockKeys(ctx, keys, []string{"arn"}); err != nil {
					return err
				}
				if err := tx.LockIncidents(ctx, []finding.ID{id}, keys, []string{"arn"}); err != nil {
					return err
				}
				c, ok, err := tx.IncidentOfKey(ctx, keys[0])
				if err != nil {
					return err
				}
				var i *incident.Incident
				if ok {
					i, err = tx.Incident(ctx, c.Number)
				} else {
					var number incident.Number
					number, err = tx.NextNumber(ctx)
					i = anIncident(number, tx.Now())
				}
				if err != nil {
					return err
				}
				i.FindingCount++
				i.Entries++
				entry := incident.Entry{Seq: i.Entries, EventAt: tx.Now(), RecordedAt: tx.Now(), Kind: incident.KindFindingJoined, Who: "guardroom"}
				if err := tx.PutIncident(ctx, i, !ok, []incident.Entry{entry}); err != nil {
					return err
				}
				f := aFinding(string(id), tx.Now())
				f.Incident = i.Number
				if err := tx.PutFinding(ctx, f, true); err != nil {
					return err
				}
				tx.Audit(audit.Record{Who: "guardroom", Action: "accepted", Object: string(id)})
				return tx.SetKeys(ctx, i.Number, keys, nil, nil, tx.Now())
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list := must[[]*incident.Incident](t)(s.Incidents(ctx, store.IncidentFilter{}))
	if len(list) != 1 || list[0].FindingCount != many {
		t.Fatalf("%d incidents, %+v", len(list), list)
	}
	if found := must[[]store.Finding](t)(s.Findings(ctx, store.FindingFilter{Incident: list[0].Number})); len(found) != many {
		t.Errorf("%d findings in it", len(found))
	}
	timeline := must[[]incident.Entry](t)(s.Timeline(ctx, list[0].Number, 0))
	for n, e := range timeline {
		if e.Seq != int64(n+1) {
			t.Fatalf("entry %d has the number %d", n+1, e.Seq)
		}
	}
	if r := must[audit.Report](t)(s.VerifyAudit(ctx, nil)); !r.OK() || r.Records != many {
		t.Errorf("audit: %+v", r)
	}
}

func schema(t *testing.T, s *suite) {
	ctx := t.Context()
	s.put(aFinding("1", s.clock.now()))
	again, err := store.New(ctx, s.Backend(), s.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := again.GetFinding(ctx, "1"); !ok || err != nil {
		t.Fatalf("opening it a second time: %v %v", ok, err)
	}
	exec(t, s, "UPDATE meta SET value = '9999' WHERE key = 'schema'")
	_, err = store.New(ctx, s.Backend(), s.clock.now)
	if !errors.Is(err, store.ErrNewerSchema) || fault.CodeOf(err) != fault.Conflict || fault.Of(err).Hint == "" {
		t.Errorf("a newer schema: %v", err)
	}
	exec(t, s, "UPDATE meta SET value = 'nonsense' WHERE key = 'schema'")
	if _, err = store.New(ctx, s.Backend(), s.clock.now); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("a schema that is no number: %v", err)
	}
	if _, ok, err := s.GetFinding(ctx, "1"); !ok || err != nil {
		t.Errorf("what was refused was changed: %v %v", ok, err)
	}
	zero := aFinding("zero", time.Time{})
	s.put(zero)
	if got, _, err := s.GetFinding(ctx, "zero"); err != nil || !got.FirstSeen.IsZero() || !got.LastReceived.IsZero() {
		t.Errorf("zero times come back as %+v, %v", got, err)
	}
}
