package forensics

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// timelineWidth is how many characters the time of a run is drawn in.
const timelineWidth = 60

// Timeline draws the steps of a run as bars over its time, a line for each, in
// the order of the plan. Steps that did not begin are left out.
func Timeline(p *respond.Plan, records map[string]playbook.Record) string {
	var first, last time.Time
	wide := 0
	for _, s := range p.Steps {
		r := records[s.ID]
		if r.Started.IsZero() || r.Ended.IsZero() {
			continue
		}
		if first.IsZero() || r.Started.Before(first) {
			first = r.Started
		}
		if r.Ended.After(last) {
			last = r.Ended
		}
		wide = max(wide, len(s.ID))
	}
	whole := last.Sub(first)
	if whole <= 0 {
		return ""
	}
	var out strings.Builder
	at := func(t time.Time) int { return int(int64(timelineWidth) * int64(t.Sub(first)) / int64(whole)) }
	for _, s := range p.Steps {
		r := records[s.ID]
		if r.Started.IsZero() || r.Ended.IsZero() {
			continue
		}
		from, to := at(r.Started), at(r.Ended)
		bar := strings.Repeat(" ", from) + strings.Repeat("=", max(1, to-from))
		fmt.Fprintf(&out, "%-*s |%-*s| %6s to %6s  %s\n", wide, s.ID, timelineWidth+1, bar, clock(r.Started.Sub(first)), clock(r.Ended.Sub(first)), r.State)
	}
	return out.String()
}

// clock is a duration as minutes and seconds.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
