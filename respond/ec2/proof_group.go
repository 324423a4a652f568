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
// there is any, of late or else at all. What was accepted ends it, once a few are
// known whom it talks to. Each interface has a stream of its own, whose name begins with
// its id. https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
func (p *prover) readGroup(ctx context.Context, l FlowLog, n Interface, t *tally) (reason string) {
	group, _ := l.group()
	c, err := p.aws.Logs(ctx, p.place)
	if err != nil {
		return unread("log group "+group, err)
	}
	f, _ := readFormat(l.Format)
	late := p.now.Add(-l.interval() - deliveredBy)
	if late.Before(t.from) {
		late = t.from
	}
	for _, ask := range []struct {
		pattern string
		from    time.Time
	}{{"ACCEPT", t.from}, {"SKIPDATA", t.from}, {"", late}, {"", t.from}} {
		pattern := ask.pattern
		if t.accepted > 0 || pattern == "" && t.records+t.unreadable > 0 {
			break
		}
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, LogStreamNamePrefix: aws.String(n.ID + "-"), StartTime: aws.Int64(ask.from.Add(-early).UnixMilli())}
		if pattern != "" {
			in.FilterPattern = &pattern
		}
		pages, events := 0, 0
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
			pages, events = pages+1, events+len(out.Events)
			enough := pattern == "" && t.records > 0 || len(t.peers) >= maxPeers || t.in > 0 && len(t.peers) > shownPeers
			if str(out.NextToken) == "" || enough {
				break
			}
			if pages >= maxPages || events >= maxEvents {
				return fmt.Sprintf("log group %s has more records than the %d that are read at once", group, maxEvents)
			}
			in.NextToken = out.NextToken
		}
	}
	return ""
}
