package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/store"
)

func inputs(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	body := bytes.Repeat([]byte("{\"deep\":\x00\xff"), 100_000)
	s.write(func(tx *store.Tx) error {
		for n := range 3 {
			r := store.Rejected{ID: fmt.Sprint("r", n), At: at, Source: hostile, Position: hostile, Reason: hostile, Size: len(body), Body: body}
			if err := tx.Reject(ctx, r); err != nil {
				return err
			}
		}
		tx.Ignore("sqs", "GuardDuty Finding Archived", 2)
		tx.Ignore("sqs", "GuardDuty Finding Archived", 3)
		tx.SawEvent("sqs")
		return nil
	})
	list := must[[]store.Rejected](t)(s.RejectedInputs(ctx, "", 2))
	if len(list) != 2 || list[0].ID != "r2" || list[0].Reason != cleaned || list[0].Body != nil {
		t.Errorf("rejected: %+v", list)
	}
	if rest := must[[]store.Rejected](t)(s.RejectedInputs(ctx, "r1", 0)); len(rest) != 1 || rest[0].ID != "r0" {
		t.Errorf("the page behind it: %+v", rest)
	}
	if r := must[store.Rejected](t)(s.RejectedInput(ctx, "r1")); !bytes.Equal(r.Body, body) || r.Size != len(body) {
		t.Error("the body of a rejected input came back changed")
	}
	_, err := s.RejectedInput(ctx, "none")
	notFound(t, "an unknown rejected input", err)
	if ignored := must[[]store.Ignored](t)(s.IgnoredEvents(ctx)); len(ignored) != 1 || ignored[0].Count != 5 || !ignored[0].LastAt.Equal(at) {
		t.Errorf("ignored: %+v", ignored)
	}

	if v := must[string](t)(s.Cursor(ctx, "c")); v != "" {
		t.Errorf("an unknown cursor is %q", v)
	}
	for _, v := range []string{"1", "2 ünï"} {
		if err := s.SetCursor(ctx, "c", v); err != nil {
			t.Fatal(err)
		}
		if got := must[string](t)(s.Cursor(ctx, "c")); got != v {
			t.Errorf("cursor %q, want %q", got, v)
		}
	}
	later := s.clock.add(time.Minute)
	if err := s.Looked(ctx, "sqs", "no permission"); err != nil {
		t.Fatal(err)
	}
	if err := s.Looked(ctx, "other", ""); err != nil {
		t.Fatal(err)
	}
	same(t, "sources", []store.Source{{Name: "other", FirstAt: later, LastLook: later}, {Name: "sqs", FirstAt: at, LastEvent: at, LastLook: later, Error: "no permission"}},
		must[[]store.Source](t)(s.Sources(ctx)))
	s.write(func(tx *store.Tx) error { tx.SawEvent("sqs"); return nil })
	if got := must[[]store.Source](t)(s.Sources(ctx)); got[1].Error != "" || !got[1].LastEvent.Equal(later) {
		t.Errorf("an event ends the trouble: %+v", got[1])
	}
}

func rest(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	beat := func(id string) {
		t.Helper()
		if err := s.Beat(ctx, store.Worker{ID: id, Mode: "serve", Version: "1", StartedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	beat("a")
	beat("b")
	later := s.clock.add(time.Minute)
	beat("a")
	same(t, "workers, newest heartbeat first", []store.Worker{{ID: "a", Mode: "serve", Version: "1", StartedAt: at, Heartbeat: later},
		{ID: "b", Mode: "serve", Version: "1", StartedAt: at, Heartbeat: at}}, must[[]store.Worker](t)(s.Workers(ctx)))
	for range 2 {
		if err := s.Gone(ctx, "b"); err != nil {
			t.Fatal(err)
		}
	}
	if got := must[[]store.Worker](t)(s.Workers(ctx)); len(got) != 1 {
		t.Errorf("a worker that is gone: %+v", got)
	}

	s.write(func(tx *store.Tx) error {
		for n, want := range []bool{true, false} {
			is, err := tx.PauseDestination(ctx, store.Pause{Destination: "chat", Who: "eve", Reason: fmt.Sprint("reason ", n), Hint: "h"})
			if err != nil || is != want {
				t.Errorf("pause %d: %v %v", n, is, err)
			}
		}
		return nil
	})
	if p := must[map[string]store.Pause](t)(s.Pauses(ctx)); p["chat"].Reason != "reason 0" || !p["chat"].At.Equal(later) {
		t.Errorf("the first reason stays: %+v", p)
	}
	s.write(func(tx *store.Tx) error {
		for n, want := range []bool{true, false} {
			if is, err := tx.ResumeDestination(ctx, "chat"); err != nil || is != want {
				t.Errorf("resume %d: %v %v", n, is, err)
			}
		}
		return nil
	})

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Write(ctx, func(tx *store.Tx) error { tx.Suppressed("b"); tx.Suppressed("a"); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if uses := must[map[string]store.RuleUse](t)(s.RuleUses(ctx)); uses["a"].Matches != 20 || uses["b"].Matches != 20 || !uses["a"].LastMatch.Equal(later) {
		t.Errorf("uses: %+v", uses)
	}
}

func speaking(t *testing.T, s *suite) {
	ctx := t.Context()
	at := s.clock.now()
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			err := s.Write(ctx, func(tx *store.Tx) error {
				_, err := tx.DigestIncident(ctx, "chat", fmt.Sprint("dg", n), store.Digested{Number: incident.Number(n + 1), Severity: 5}, at.Add(-time.Minute))
				return err
			})
			if err != nil {
				t.Error(err)
			}
			err = s.Write(ctx, func(tx *store.Tx) error {
				_, _, err := tx.OpenNotice(ctx, store.Notice{ID: fmt.Sprint("n", n), Key: "silent/sqs", Topic: "t", Message: hostile})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	total, digests := 0, 0
	for n := range 30 {
		if d, err := s.GetDigest(ctx, fmt.Sprint("dg", n)); err == nil {
			digests++
			total += d.Total
			if d.Revision != int64(d.Total) || len(d.Members) != d.Total {
				t.Errorf("digest %+v", d)
			}
		}
	}
	if digests != 1 || total != 30 {
		t.Errorf("%d digests for %d incidents", digests, total)
	}
	_, err := s.GetDigest(ctx, "none")
	notFound(t, "an unknown digest", err)
	s.clock.add(time.Hour)
	s.write(func(tx *store.Tx) error {
		for n := range 250 {
			if _, err := tx.DigestIncident(ctx, "chat", "later", store.Digested{Number: incident.Number(n + 1), Severity: finding.Severity(1 + n%3)}, at.Add(30*time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
	d := must[store.Digest](t)(s.GetDigest(ctx, "later"))
	if d.Total != 250 || len(d.Members) != 200 || d.Members[0] != (store.Digested{Number: 249, Severity: 3}) || d.Band != finding.Low || d.Counts[finding.Low] != 250 {
		t.Errorf("a long digest: %d of %d, %+v first", len(d.Members), d.Total, d.Members[0])
	}
	// What is worse than all before, from High upward, gets a message of its own.
	for n, c := range []struct {
		severity finding.Severity
		digest   string
	}{{5, "later"}, {8, "worse-1"}, {1, "worse-1"}, {7, "worse-1"}, {9.5, "worse-4"}, {8, "worse-4"}} {
		s.write(func(tx *store.Tx) error {
			d, err := tx.DigestIncident(ctx, "chat", fmt.Sprint("worse-", n), store.Digested{Number: incident.Number(300 + n), Severity: c.severity}, at.Add(30*time.Minute))
			if d.ID != c.digest {
				t.Errorf("severity %v went to the digest %s, want %s", c.severity, d.ID, c.digest)
			}
			return err
		})
		s.clock.add(time.Second)
	}

	open := must[[]store.Notice](t)(s.OpenNotices(ctx))
	if len(open) != 1 || open[0].Revision != 1 {
		t.Fatalf("notices: %+v", open)
	}
	if is := must[bool](t)(s.NoticeIsOpen(ctx, "silent/sqs")); !is {
		t.Error("it is not open")
	}
	resolved := 0
	var mu sync.Mutex
	for range 5 {
		wg.Go(func() {
			err := s.Write(ctx, func(tx *store.Tx) error {
				n, ok, err := tx.ResolveNotice(ctx, "silent/sqs")
				if ok {
					mu.Lock()
					defer mu.Unlock()
					resolved++
					if n.Revision != 2 || n.ResolvedAt.IsZero() {
						t.Errorf("resolved: %+v", n)
					}
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if resolved != 1 {
		t.Errorf("resolved %d times", resolved)
	}
	if is := must[bool](t)(s.NoticeIsOpen(ctx, "silent/sqs")); is {
		t.Error("it is open")
	}
	if n := must[store.Notice](t)(s.GetNotice(ctx, open[0].ID)); n.Revision != 2 {
		t.Errorf("read again: %+v", n)
	}
	_, err = s.GetNotice(ctx, "none")
	notFound(t, "an unknown notice", err)
	s.write(func(tx *store.Tx) error {
		_, isNew, err := tx.OpenNotice(ctx, store.Notice{ID: "again", Key: "silent/sqs"})
		if !isNew {
			t.Error("it cannot be opened again")
		}
		return err
	})
}
