package ec2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/guardroom/guardroom/respond"
)

const (
	// maxPages and maxEvents bound what is read of one log group at once.
	maxPages  = 50
	maxEvents = 50_000
	// early is how much before a record's own start its event may be dated.
	early = 15 * time.Minute
)

// readGroup counts the records of an interface in a log group: those that were
// accepted, those that AWS left out, and, where there is none of both, whether
// there is any. The newest are read first: whoever fills the log hides only what is
// older. What was accepted ends it, once a few are known whom it talks to. Each
// interface has a stream of its own, whose name begins with its id.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
func (p *prover) readGroup(ctx context.Context, l FlowLog, n Interface, t *tally) (reason string) {
	group, _ := l.group()
	c, err := p.aws.Logs(ctx, p.place)
	if err != nil {
		return unread("log group "+group, err)
	}
	f, _ := readFormat(l.Format)
	for _, pattern := range []string{"ACCEPT", "SKIPDATA", ""} {
		left := maxPages
		events := 0
		for at := newestWindow(p.now, t.since); ; at = at.before(t.since) {
			in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, LogStreamNamePrefix: aws.String(n.ID + "-"), StartTime: aws.Int64(at.from.UnixMilli())}
			if !at.to.IsZero() {
				in.EndTime = aws.Int64(at.to.UnixMilli() - 1)
			}
			if pattern != "" {
				in.FilterPattern = &pattern
			}
			for {
				out, err := c.FilterLogEvents(ctx, in)
				switch {
				case respond.Gone(err):
					return "log group " + group + " has nothing of it"
				case err != nil:
					return unread("log group "+group, err)
				}
				for _, e := range out.Events {
					if strings.HasPrefix(str(e.LogStreamName), n.ID+"-") {
						t.take(f, str(e.Message))
					}
				}
				left, events = left-1, events+len(out.Events)
				if t.enough() || pattern == "" && t.records > 0 {
					return ""
				}
				if str(out.NextToken) == "" {
					break
				}
				if left <= 0 || events >= maxEvents {
					return fmt.Sprintf("log group %s has more records than the %d that are read at once, since %s", group, maxEvents, clock(at.from))
				}
				in.NextToken = out.NextToken
			}
			if !at.from.After(t.since) {
				break
			}
		}
		if t.accepted > 0 || t.records+t.unreadable > 0 && pattern == "SKIPDATA" {
			break
		}
	}
	return ""
}

// window is a time of which events are read, to without its end; to is zero for
// the newest.
type window struct{ from, to time.Time }

const firstWindow = 10 * time.Minute

// newestWindow begins no earlier than since.
func newestWindow(now, since time.Time) window {
	return window{from: later(now.Add(-firstWindow), since)}
}

// before is the window before it, twice as far from it as it is from now at most.
func (w window) before(since time.Time) window {
	long := firstWindow
	if !w.to.IsZero() {
		long = w.to.Sub(w.from)
	}
	return window{from: later(w.from.Add(-2*long), since), to: w.from}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
