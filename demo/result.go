package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// Result is how things stand after the story.
type Result struct {
	Dir string // where store and configuration are kept

	Accepted   int // revisions of findings
	Suppressed int // of them
	Known      int // came a second time
	Ignored    int // events that are no findings
	Rejected   int // inputs that could not be read

	Slack, Jira, PagerDuty Tally
	Violations             []string // limits of a vendor that were broken
	AuditRecords           int64

	Evidence        int  // items that the response preserved
	EvidenceChecked int  // of them and of their manifests, found good again
	Restored        bool // the undo left the host as it was before
}

// Tally compares what one vendor shows with what guardroom wanted it to show.
type Tally struct {
	Wanted   int // incidents that were routed there one by one
	Shown    int // those of them that are there exactly once
	Digested int // incidents that a digest stands for
	Digests  int
	Closed   int // shown as closed
	// Wrong says what is missing, twice, or nobody's, one sentence each.
	Wrong []string
}

func (r *Result) count(c source.Receipt) {
	r.Accepted += c.Accepted
	r.Suppressed += c.Suppressed
	r.Known += c.Known
	r.Ignored += c.Ignored
	r.Rejected += c.Rejected
}

// Problems are all ways in which the vendors do not show what they should.
func (r Result) Problems() []string {
	return slices.Concat(r.Slack.Wrong, r.Jira.Wrong, r.PagerDuty.Wrong, r.Violations)
}

// compare looks at every vendor: each incident that was routed there must be
// there exactly once, and nothing else.
func (s *show) compare(ctx context.Context) error {
	r, v := &s.result, s.vendors
	var found []thing
	for _, m := range v.slack.Messages() {
		id, ours := subject(m)
		found = append(found, thing{id: id, name: "message " + m.TS, ours: ours, closed: isStruck(m)})
	}
	if err := s.tally(ctx, "slack", found, &r.Slack); err != nil {
		return err
	}
	found = nil
	for _, i := range v.jira.Issues() {
		id := ""
		for _, l := range i.Labels {
			if rest, ok := strings.CutPrefix(l, "gr-"); ok {
				id = rest
			}
		}
		found = append(found, thing{id: id, name: "issue " + i.Key, ours: id != "", closed: i.Status == "Done"})
	}
	if err := s.tally(ctx, "jira", found, &r.Jira); err != nil {
		return err
	}
	found = nil
	for _, a := range v.pager.Alerts() {
		id, ours := strings.CutPrefix(a.DedupKey, "guardroom/")
		if strings.HasSuffix(id, "/critical") {
			continue // the one further page for a rise to Critical
		}
		found = append(found, thing{id: id, name: "alert " + a.Summary, ours: ours, closed: a.Status == fakepagerduty.Resolved})
	}
	if err := s.tally(ctx, "pagerduty", found, &r.PagerDuty); err != nil {
		return err
	}
	r.Violations = slices.Concat(v.slack.Violations(), v.jira.Violations(), v.pager.Violations())
	return nil
}

// thing is a message, an issue or an alert.
type thing struct {
	id, name     string
	ours, closed bool
}

func (s *show) tally(ctx context.Context, destination string, found []thing, t *Tally) error {
	deliveries, err := s.deliveries(ctx, destination)
	if err != nil {
		return err
	}
	wanted, others := map[string]bool{}, map[string]bool{}
	for _, d := range deliveries {
		switch {
		case d.Kind != message.KindIncident:
			others[d.Subject] = true
			if d.Kind == message.KindDigest {
				t.Digests++
			}
		case d.Status == notify.Digested:
			t.Digested++
		default:
			wanted[d.Subject] = true
			if d.Status != notify.Delivered {
				t.Wrong = append(t.Wrong, fmt.Sprintf("%s: delivery %s is %s", destination, d.ID, d.Status))
			}
		}
	}
	times, open := map[string]int{}, map[string]int{}
	for _, f := range found {
		if !f.ours || !wanted[f.id] && !others[f.id] {
			t.Wrong = append(t.Wrong, fmt.Sprintf("%s: %s belongs to nothing that was routed there", destination, f.name))
			continue
		}
		times[f.id]++
		if !f.closed {
			open[f.id]++
		}
	}
	t.Wanted = len(wanted)
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		// An incident that was reopened may have an alert that was resolved
		// before: one live thing is what counts.
		n := cmp.Or(open[id], min(times[id], 1))
		if n != 1 {
			t.Wrong = append(t.Wrong, fmt.Sprintf("%s: incident %s is there %d times", destination, id, times[id]))
			continue
		}
		t.Shown++
		if open[id] == 0 {
			t.Closed++
		}
	}
	return nil
}

// deliveries reads all of a destination's, page by page.
func (s *show) deliveries(ctx context.Context, destination string) ([]notify.Delivery, error) {
	const page = 100
	var out []notify.Delivery
	f := store.DeliveryFilter{Destination: destination, Limit: page}
	for {
		list, err := s.room.Reader().Deliveries(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
		if len(list) < page {
			return out, nil
		}
		last := list[len(list)-1]
		f.After = store.Cursor{At: last.CreatedAt, ID: last.ID}
	}
}
