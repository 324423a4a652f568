package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/store"
)

func findings(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	f := store.Finding{ID: "f-" + hostile, ARN: hostile, Type: hostile, AccountID: hostile, Region: hostile, Severity: 10, Title: hostile + strings.Repeat("ü", 1<<20),
		ResourceKind: hostile, ResourceID: hostile, UpdatedAt: at.Add(time.Microsecond), Count: 1 << 40, FirstSeen: at, FirstReceived: at, LastReceived: at,
		Archived: true, Sample: true, Decision: "suppressed", Rule: hostile, Incident: 1 << 50, Revisions: 1 << 33, Source: hostile, DetectorID: hostile,
		ArchivedByUs: true, Confirmed: true, ArchivedConfirmed: true}
	s.put(f)
	got, ok, err := s.GetFinding(ctx, f.ID)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	want := f
	want.ID, want.ARN, want.Type, want.AccountID, want.Region, want.ResourceKind = "f-"+cleaned, cleaned, cleaned, cleaned, cleaned, cleaned
	want.ResourceID, want.Rule, want.Source, want.DetectorID, want.Title = cleaned, cleaned, cleaned, cleaned, cleaned+strings.Repeat("ü", 1<<20)
	same(t, "every field comes back", want, got)

	if _, ok, err := s.GetFinding(ctx, "none"); ok || err != nil {
		t.Errorf("an unknown finding: %v %v", ok, err)
	}
	plain := aFinding("p", at)
	s.put(plain)
	plain.Count, plain.Archived, plain.Incident = 2, true, 7
	s.write(func(tx *store.Tx) error { return tx.PutFinding(ctx, plain, false) })
	if got, _, _ := s.GetFinding(ctx, "p"); !cmp.Equal(got, plain) {
		t.Errorf("a change: %s", cmp.Diff(plain, got))
	}
	s.write(func(tx *store.Tx) error {
		if got, ok, err := tx.FindingByARN(ctx, "arn:p"); err != nil || !ok || got.ID != "p" {
			t.Errorf("by ARN: %v %v %v", got.ID, ok, err)
		}
		if _, ok, err := tx.FindingByARN(ctx, "arn:none"); err != nil || ok {
			t.Errorf("by an unknown ARN: %v %v", ok, err)
		}
		if got, err := tx.FindingsOf(ctx, 7, 0); err != nil || len(got) != 1 {
			t.Errorf("of an incident: %v %v", got, err)
		}
		if n, err := tx.CountArchivedByOthers(ctx, 7); err != nil || n != 0 {
			t.Errorf("archived by somebody whom GuardDuty did not confirm: %d %v", n, err)
		}
		plain.ArchivedConfirmed = true
		if err := tx.PutFinding(ctx, plain, false); err != nil {
			return err
		}
		if n, err := tx.CountArchivedByOthers(ctx, 7); err != nil || n != 1 {
			t.Errorf("archived by others: %d %v", n, err)
		}
		if err := tx.MarkArchivedByUs(ctx, "p"); err != nil {
			return err
		}
		if n, err := tx.CountArchivedByOthers(ctx, 7); err != nil || n != 0 {
			t.Errorf("our own archiving counts: %d %v", n, err)
		}
		return tx.MoveFindings(ctx, 7, 8)
	})
	if got := must[[]store.Finding](t)(s.Findings(ctx, store.FindingFilter{Incident: 8})); len(got) != 1 || got[0].ID != "p" {
		t.Errorf("moved: %+v", got)
	}
}

func revisions(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	random := make([]byte, 2<<20)
	for i := range random {
		random[i] = byte(rand.Uint32()) //nolint:gosec // only something that does not compress
	}
	raw := append([]byte(`{"title":"`), random...)
	digest := sha256.Sum256(raw)
	rev := func(count int, updated, received time.Time) store.Revision {
		return store.Revision{FindingID: "f", UpdatedAt: updated, Count: count, ReceivedAt: received, Source: "s", Position: hostile, Freshness: "new",
			Decision: "incident", Severity: 8.5, Trace: json.RawMessage(`[{"stage":"route"}]`), Digest: digest[:], Raw: store.Pack(raw)}
	}
	// The second has the time of the first and another count.
	list := []store.Revision{rev(1, at, at), rev(2, at, at.Add(time.Second)), rev(1, at.Add(-time.Hour), at.Add(2*time.Second))}
	s.write(func(tx *store.Tx) error {
		for _, r := range list {
			if _, has, err := tx.RevisionDigest(ctx, finding.Revision{ID: "f", UpdatedAt: r.UpdatedAt, Count: r.Count}); has || err != nil {
				t.Errorf("known before it came: %v %v", has, err)
			}
			if err := tx.AddRevision(ctx, r); err != nil {
				return err
			}
		}
		d, has, err := tx.RevisionDigest(ctx, finding.Revision{ID: "f", UpdatedAt: at, Count: 2})
		if err != nil || !has || !bytes.Equal(d, digest[:]) {
			t.Errorf("its digest: %x %v %v", d, has, err)
		}
		return nil
	})
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.AddRevision(ctx, list[0]) }); err == nil {
		t.Error("one revision was stored twice")
	}
	got := must[[]store.Revision](t)(s.Revisions(ctx, "f", 0))
	if len(got) != 3 || got[0].Count != 2 || !got[2].UpdatedAt.Equal(at.Add(-time.Hour)) {
		t.Fatalf("%d revisions, newest first: %+v", len(got), got)
	}
	want := list[1]
	want.Seq, want.Position = got[0].Seq, cleaned
	back := must[[]byte](t)(store.Unpack(got[0].Raw))
	want.Raw, got[0].Raw = nil, nil
	same(t, "a revision", want, got[0])
	if !bytes.Equal(back, raw) {
		t.Error("the raw form came back changed")
	}
	if newest, ok, err := s.NewestRevisionOf(ctx, "f"); err != nil || !ok || newest.Count != 2 {
		t.Errorf("the newest: %+v %v %v", newest.Count, ok, err)
	}
	if n, ok, err := s.NewestRevisionOf(ctx, "none"); ok || err != nil {
		t.Errorf("of an unknown finding: %+v %v %v", n, ok, err)
	}
	var since []int64
	if err := s.RevisionsSince(ctx, at.Add(time.Second), func(r store.Revision) bool { since = append(since, r.Seq); return true }); err != nil {
		t.Fatal(err)
	}
	if len(since) != 2 || since[0] != got[0].Seq {
		t.Errorf("since: %v", since)
	}
	n := 0
	if err := s.RevisionsSince(ctx, time.Time{}, func(store.Revision) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("a reader that has enough: %d, %v", n, err)
	}
}

// paging reads every list in small pages while rows come in, and must see each
// row that was there at the beginning exactly once.
func paging(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	var want []string
	for n := range 60 {
		f := aFinding(fmt.Sprintf("f%02d", n), at.Add(time.Duration(n/7)*time.Second)) // several at one time
		f.AccountID = fmt.Sprint(n % 2)
		s.put(f)
		want = append(want, string(f.ID))
		s.opened(func(i *incident.Incident) { i.Account.ID = fmt.Sprint(n % 2) })
		s.write(func(tx *store.Tx) error {
			d := aDelivery(fmt.Sprintf("d%02d", n), fmt.Sprint(n), "x", at.Add(time.Duration(n/7)*time.Second))
			if n%3 == 0 {
				d.Status = "parked"
			}
			return tx.PutDelivery(ctx, d, true)
		})
	}
	slices.Reverse(want)
	more := 0
	meanwhile := func() {
		more++
		s.put(aFinding(fmt.Sprintf("new%d", more), at.Add(time.Hour)))
		s.opened(nil)
		s.write(func(tx *store.Tx) error {
			return tx.PutDelivery(ctx, aDelivery(fmt.Sprintf("new%d", more), fmt.Sprint("new", more), "x", at.Add(time.Hour)), true)
		})
	}
	var got []string
	filter := store.FindingFilter{Limit: 7}
	for {
		list := must[[]store.Finding](t)(s.Findings(ctx, filter))
		for _, f := range list {
			got = append(got, string(f.ID))
		}
		if len(list) < 7 {
			break
		}
		filter.After = store.Cursor{At: list[6].LastReceived, ID: string(list[6].ID)}
		meanwhile()
	}
	same(t, "findings", want, got)

	var numbers []incident.Number
	incidents := store.IncidentFilter{Limit: 7, Before: 61, States: []incident.State{incident.Open, incident.Acknowledged}}
	for {
		list := must[[]*incident.Incident](t)(s.Incidents(ctx, incidents))
		for _, i := range list {
			numbers = append(numbers, i.Number)
		}
		if len(list) < 7 {
			break
		}
		incidents.Before = list[6].Number
		meanwhile()
	}
	if len(numbers) != 60 || numbers[0] != 60 || numbers[59] != 1 || !slices.IsSortedFunc(numbers, func(a, b incident.Number) int { return int(b - a) }) {
		t.Errorf("incidents: %v", numbers)
	}

	for what, f := range map[string]store.DeliveryFilter{"deliveries": {}, "deliveries of two statuses": {Statuses: []notifyStatus{"pending", "parked", "pending"}}} {
		got = nil
		f.Limit, f.After = 7, store.Cursor{At: at.Add(time.Minute)}
		for {
			list := must[[]notifyDelivery](t)(s.Deliveries(ctx, f))
			for _, d := range list {
				got = append(got, "f"+d.ID[1:])
			}
			if len(list) < 7 {
				break
			}
			f.After = store.Cursor{At: list[6].CreatedAt, ID: list[6].ID}
			meanwhile()
		}
		same(t, what, want, got)
	}

	// Filters leave out and never reorder.
	half := must[[]store.Finding](t)(s.Findings(ctx, store.FindingFilter{Account: "1", Region: "eu-west-1", Type: "Recon:EC2/Portscan", Decision: "incident", Limit: 100}))
	if len(half) != 30 {
		t.Errorf("%d findings of an account", len(half))
	}
	if list := must[[]store.Finding](t)(s.Findings(ctx, store.FindingFilter{Since: at.Add(8 * time.Second), Account: "0"})); len(list) != 2 {
		t.Errorf("%d findings since", len(list))
	}
	for _, f := range []store.FindingFilter{{Decision: "suppressed"}, {Region: "x"}, {Type: "x"}, {Incident: 77}} {
		if list := must[[]store.Finding](t)(s.Findings(ctx, f)); list == nil || len(list) != 0 {
			t.Errorf("%+v: %v", f, list)
		}
	}
}

func retention(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	open := s.opened(nil)
	closed := s.opened(nil)
	fresh := s.opened(nil)
	for n, number := range map[string]incident.Number{"open": open.Number, "closed": closed.Number, "fresh": fresh.Number, "suppressed": 0} {
		f := aFinding(n, at)
		f.Incident = number
		s.put(f)
		s.write(func(tx *store.Tx) error {
			return tx.AddRevision(ctx, store.Revision{FindingID: f.ID, UpdatedAt: at, Count: 1, ReceivedAt: at, Source: "s", Digest: []byte("d"), Raw: store.Pack([]byte("{}")), Trace: json.RawMessage("[]")})
		})
	}
	closeAt := func(i *incident.Incident, when time.Time) {
		i.State, i.Verdict, i.ClosedAt = incident.Closed, incident.Benign, when
		s.write(func(tx *store.Tx) error { return tx.PutIncident(ctx, i, false, nil) })
	}
	closeAt(closed, at.Add(time.Hour))
	closeAt(fresh, at.Add(80*24*time.Hour))
	s.write(func(tx *store.Tx) error {
		return tx.Reject(ctx, store.Rejected{ID: "r1", At: at, Reason: "x", Body: []byte("y")})
	})
	if n := must[int](t)(s.Prune(ctx, store.Retention{}, 100)); n != 0 {
		t.Errorf("without retention %d rows changed", n)
	}
	r := store.Retention{ClosedBefore: at.Add(30 * 24 * time.Hour), RejectedBefore: at.Add(30 * 24 * time.Hour)}
	total := 0
	for {
		n := must[int](t)(s.Prune(ctx, r, 1))
		if total += n; n == 0 {
			break
		}
	}
	if total != 3 {
		t.Errorf("%d rows changed: the revisions of what is closed or suppressed, and the rejected input", total)
	}
	for id, kept := range map[finding.ID]bool{"open": true, "closed": false, "fresh": true, "suppressed": false} {
		rev, ok, err := s.NewestRevisionOf(ctx, id)
		if err != nil || !ok || (len(rev.Raw) > 0) != kept {
			t.Errorf("%s: raw form kept %v, row there %v, %v", id, len(rev.Raw) > 0, ok, err)
		}
		s.write(func(tx *store.Tx) error {
			_, has, err := tx.RevisionDigest(ctx, finding.Revision{ID: id, UpdatedAt: at, Count: 1})
			if !has {
				t.Errorf("%s: an old finding delivered again would be new", id)
			}
			return err
		})
	}
	n := 0
	if err := s.RevisionsSince(ctx, time.Time{}, func(store.Revision) bool { n++; return true }); err != nil || n != 2 {
		t.Errorf("%d revisions to replay, %v", n, err)
	}
}
