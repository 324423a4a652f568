package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
)

func benchApp(b *testing.B, deliver bool) (*App, *recorder) {
	r := &recorder{}
	a := testApp(b, testConfig(b, ""), map[string]notify.Notifier{"chat": r})
	if deliver {
		if err := a.Deliver(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	return a, r
}

func perSecond(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "findings/s")
}

// BenchmarkAccept measures how many findings a second are accepted durably:
// finding, incident, audit records and an enqueued delivery, committed with
// synchronous=FULL.
func BenchmarkAccept(b *testing.B) {
	for _, deliver := range []bool{false, true} {
		name := "deliveries idle"
		if deliver {
			name = "deliveries running"
		}
		b.Run("one commit each/"+name, func(b *testing.B) {
			a, _ := benchApp(b, deliver)
			now := time.Now()
			n := 0
			b.ResetTimer()
			for b.Loop() {
				n++
				take(b, a, testFinding(n, 1, 5, now))
			}
			perSecond(b, n)
		})
		b.Run("32 senders/"+name, func(b *testing.B) {
			a, _ := benchApp(b, deliver)
			now := time.Now()
			var n atomic.Int64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					take(b, a, testFinding(int(n.Add(1)), 1, 5, now))
				}
			})
			perSecond(b, int(n.Load()))
		})
		b.Run("batches of 100/"+name, func(b *testing.B) {
			a, _ := benchApp(b, deliver)
			now := time.Now()
			n := 0
			b.ResetTimer()
			for b.Loop() {
				var lines bytes.Buffer
				for range 100 {
					n++
					lines.Write(testFinding(n, 1, 5, now))
					lines.WriteByte('\n')
				}
				take(b, a, lines.Bytes())
			}
			perSecond(b, n)
		})
	}
}

func take(b *testing.B, a *App, body []byte) {
	if _, err := a.Take(context.Background(), source.Input{Source: "bench", Body: body}); err != nil {
		b.Error(err)
	}
}

// BenchmarkAcceptOnPostgreSQL is BenchmarkAccept on a PostgreSQL server on the
// same machine, with its durable defaults.
func BenchmarkAcceptOnPostgreSQL(b *testing.B) {
	now := time.Now()
	b.Run("one commit each", func(b *testing.B) {
		a := testApp(b, testConfig(b, postgresURL(b)), map[string]notify.Notifier{"chat": &recorder{}})
		n := 0
		b.ResetTimer()
		for b.Loop() {
			n++
			take(b, a, testFinding(n, 1, 5, now))
		}
		perSecond(b, n)
	})
	b.Run("32 senders", func(b *testing.B) {
		a := testApp(b, testConfig(b, postgresURL(b)), map[string]notify.Notifier{"chat": &recorder{}})
		var n atomic.Int64
		b.SetParallelism(16)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				take(b, a, testFinding(int(n.Add(1)), 1, 5, now))
			}
		})
		perSecond(b, int(n.Load()))
	})
}

// BenchmarkLatency measures the time from accepted (Take returns) to the call
// of the destination, at 50 findings a second.
func BenchmarkLatency(b *testing.B) {
	a, r := benchApp(b, true)
	now := time.Now()
	accepted := map[string]time.Time{}
	n := 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		n++
		rec, err := a.Take(b.Context(), source.Input{Source: "bench", Body: testFinding(n, 1, 5, now)})
		if err != nil {
			b.Fatal(err)
		}
		accepted[rec.Incidents[0]] = time.Now()
	}
	if _, err := a.WaitDelivered(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, views := range r.views {
		_ = id
		took = append(took, r.first[id].Sub(accepted[views[0].Number]))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
}

func TestABurstOfRevisionsBecomesAHandfulOfEdits(t *testing.T) {
	r := &recorder{}
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": r})
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 2000
	start := time.Now()
	for i := range n {
		at := start.Add(time.Duration(i) * time.Millisecond)
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: testFinding(7, i+1, 5, at)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.WaitDelivered(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.views) != 1 {
		t.Fatalf("%d incidents", len(r.views))
	}
	for _, views := range r.views {
		// Edits are spaced, so a slow machine, which takes longer, has more of them.
		if most := 6 + int(took/(10*time.Second)); len(views) > most {
			t.Errorf("%d edits in %s", len(views), took)
		}
		inc, err := a.db.GetIncident(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if last := views[len(views)-1].Revision; last != inc.Revision || inc.Occurrences != n {
			t.Errorf("shown revision %d of %d, %d occurrences", last, inc.Revision, inc.Occurrences)
		}
		fmt.Println(len(views), "edits")
	}
	revisions, err := a.db.Revisions(t.Context(), "00000000000000000000000000000007", 10000)
	if err != nil || len(revisions) != n {
		t.Fatalf("%d revisions stored, %v", len(revisions), err)
	}
}

// BenchmarkBareCommit is this machine's own rate of durable commits of one small
// row through the same writer: what one commit each can reach at most.
func BenchmarkBareCommit(b *testing.B) {
	a, _ := benchApp(b, false)
	n := 0
	for b.Loop() {
		n++
		if err := a.db.SetCursor(b.Context(), "bench", fmt.Sprint(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commits/s")
}
