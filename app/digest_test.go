package app

import (
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
)

// A flood of small incidents must not hide the one that matters: neither in the
// list of a digest, nor from those who would be called for it.
func TestAFloodHidesNoCriticalIncident(t *testing.T) {
	onBoth(t, func(t *testing.T, store func() string) {
		r := &recorder{}
		cfg := testConfig(t, store())
		limit := 5
		cfg.Destinations[0].DigestAbove = &limit
		a := testApp(t, cfg, map[string]notify.Notifier{"chat": r})
		a.flow.config.Minute = time.Hour // of a machine that is slow
		if err := a.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := 0
		flood := func(count int, severity float64) {
			t.Helper()
			var body strings.Builder
			for range count {
				n++
				body.Write(testFinding(n, 1, severity, time.Now()))
				body.WriteString("\n")
			}
			if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: []byte(body.String())}); err != nil {
				t.Fatal(err)
			}
		}
		flood(10, 2)
		flood(1, 9.5)
		flood(250, 2)
		flood(1, 8)
		flood(20, 2)
		if stuck, err := a.WaitDelivered(t.Context(), nil); err != nil || stuck != 0 {
			t.Fatal(stuck, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		var digests []*message.View
		critical := false
		for _, views := range r.views {
			v := views[len(views)-1]
			switch {
			case v.Kind == message.KindDigest:
				digests = append(digests, v)
			case v.Severity == 9.5:
				critical = true
			}
		}
		if !critical {
			t.Error("the Critical incident has no message of its own")
		}
		if len(digests) != 2 {
			t.Fatalf("%d digests, want one for the small ones and one that begins with the High one", len(digests))
		}
		for _, d := range digests {
			first := d.Findings[0].Render(keep, keep)
			if d.Band.String() == "High" && !strings.HasPrefix(first, "HIGH 8.0 INC-262 ") {
				t.Errorf("the first line of the worse digest is %q", first)
			}
			if s := d.Sentence.Render(keep, keep); strings.Contains(s, "not listed") {
				t.Errorf("the digest says %q", s)
			}
		}
	})
}

func keep(s string) string { return s }
