package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/durable"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
)

// gate holds the first work item that is enqueued until it is opened, and
// refuses those for one destination.
type gate struct {
	enqueuer
	first  sync.Once
	inside chan struct{}
	open   chan struct{}
}

var errRefused = errors.New("refused")

func (g *gate) Enqueue(ctx context.Context, tx *sql.Tx, destination string, item durable.Item, after time.Duration) error {
	g.first.Do(func() { close(g.inside); <-g.open })
	if destination == "broken" {
		return errRefused
	}
	return g.enqueuer.Enqueue(ctx, tx, destination, item, after)
}

// TestCallersWhoShareATransactionStandAlone lets a hundred callers wait behind
// one: among them senders of the same finding, one whose work fails, and one who
// gave up.
func TestCallersWhoShareATransactionStandAlone(t *testing.T) {
	cfg := testConfig(t, "")
	cfg.Destinations = append(cfg.Destinations, config.Destination{Name: "broken", Type: "slack"})
	cfg.Routes = append(cfg.Routes, config.Route{Name: "high", When: "severity >= 8", To: []string{"broken"}})
	a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}, "broken": &recorder{}})
	g := &gate{enqueuer: a.flow.engine, inside: make(chan struct{}), open: make(chan struct{})}
	a.flow.engine = g

	now := time.Now()
	const n = 100
	type answer struct {
		source.Receipt
		err error
	}
	answers := make([]answer, n)
	var wg sync.WaitGroup
	send := func(ctx context.Context, i int, body []byte) {
		wg.Go(func() { answers[i].Receipt, answers[i].err = a.Take(ctx, source.Input{Source: "test", Body: body}) })
	}
	send(t.Context(), 0, testFinding(1000, 1, 5, now))
	<-g.inside
	const broken, gaveUp = 50, 51
	ctx, cancel := context.WithCancel(t.Context())
	for i := 1; i < n; i++ {
		switch i {
		case broken:
			send(t.Context(), i, testFinding(i, 1, 8.5, now))
		case gaveUp:
			send(ctx, i, testFinding(i, 1, 5, now))
		default:
			send(t.Context(), i, testFinding(i/3, 1, 5, now)) // three senders of each
		}
	}
	until(t, func() bool {
		a.flow.together.mu.Lock()
		defer a.flow.together.mu.Unlock()
		return len(a.flow.together.waiting) >= n-1
	}, "all wait")
	cancel()
	close(g.open)
	wg.Wait()

	accepted := map[string]int{}
	for i, got := range answers {
		switch {
		case i == broken:
			if !errors.Is(got.err, errRefused) {
				t.Errorf("the one that fails: %v", got.err)
			}
		case i == gaveUp:
			if !errors.Is(got.err, context.Canceled) {
				t.Errorf("the one that gave up: %v", got.err)
			}
		case got.err != nil || got.Accepted+got.Known != 1:
			t.Errorf("sender %d: %+v %v", i, got.Receipt, got.err)
		default:
			accepted[fmt.Sprint(i/3)] += got.Accepted
		}
	}
	for id, times := range accepted {
		if id != "0" && times != 1 {
			t.Errorf("finding %s was accepted %d times", id, times)
		}
	}
	for _, i := range []int{broken, gaveUp} {
		if _, ok, err := a.db.GetFinding(t.Context(), finding.ID(fmt.Sprintf("%032x", i))); ok || err != nil {
			t.Errorf("the finding of sender %d is stored: %v", i, err)
		}
	}
	if report, err := a.db.VerifyAudit(t.Context(), nil); err != nil || !report.OK() {
		t.Errorf("%+v %v", report, err)
	}
}
