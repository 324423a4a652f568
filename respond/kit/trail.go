package kit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// TrailCall is the call of LookUp, by the reader.
const TrailCall = "CloudTrail.LookupEvents"

const (
	// TrailBefore is how long before the first sign of a finding events are of
	// interest, and trailKept how long CloudTrail shows them without a trail.
	TrailBefore = 24 * time.Hour
	trailKept   = 90 * 24 * time.Hour
	// trailMost events of a name are kept; trailPause is between two calls: AWS
	// answers twice a second for an account and region.
	trailMost  = 2000
	trailPage  = 50
	trailPause = 500 * time.Millisecond
)

// TrailName is something to look up events by.
type TrailName struct {
	Key   types.LookupAttributeKey `json:"key"` // Username, AccessKeyId
	Value string                   `json:"value"`
}

// TrailNames are lookups by the name of a user or session, and by an access key;
// those that are empty are left out.
func TrailNames(username, accessKey string) []TrailName {
	list := []TrailName{{types.LookupAttributeKeyUsername, username}, {types.LookupAttributeKeyAccessKeyId, accessKey}}
	return slices.DeleteFunc(list, func(n TrailName) bool { return n.Value == "" })
}

// TrailSince is when the events of a request begin that are of interest.
func TrailSince(r respond.Request) time.Time {
	var first time.Time
	if r.Incident != nil {
		first = r.Incident.FirstSeen
		for _, f := range r.Incident.Findings {
			if !f.FirstSeen.IsZero() && (first.IsZero() || f.FirstSeen.Before(first)) {
				first = f.FirstSeen
			}
		}
	}
	if first.IsZero() || first.After(r.Now) {
		first = r.Now
	}
	since := first.Add(-TrailBefore)
	if oldest := r.Now.Add(-trailKept); since.Before(oldest) {
		since = oldest
	}
	return since.UTC().Truncate(time.Second)
}

// TrailRegions are the regions in which what is done with credentials of a region
// shows: itself, and the one that has the events of global services.
func TrailRegions(region string) []string {
	return slices.Compact([]string{region, "us-east-1"})
}

// Trail is what CloudTrail shows.
type Trail struct {
	// Lines is a record of CloudTrail a line, the oldest first.
	Lines  []byte
	Events int
	// Cut names the lookups that have more events than are kept: the oldest lack.
	Cut []string
}

// LookUp reads the management events of names between two times, in the regions.
// It makes two calls a second at most, and may be repeated; CloudTrail delivers
// late, so that a repeat may find more.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
func LookUp(x *respond.Exec, account string, regions []string, names []TrailName, from, to time.Time) (Trail, error) {
	var t Trail
	seen := map[string]types.Event{}
	for _, region := range regions {
		for _, n := range names {
			more, err := lookUp(x, x.In(awscalls.Read, account, region), n, from, to, seen)
			if err != nil {
				return t, err
			}
			if more {
				t.Cut = append(t.Cut, n.Value+" in "+region)
			}
		}
	}
	list := make([]types.Event, 0, len(seen))
	for _, e := range seen {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b types.Event) int {
		return cmp.Or(aws.ToTime(a.EventTime).Compare(aws.ToTime(b.EventTime)), cmp.Compare(aws.ToString(a.EventId), aws.ToString(b.EventId)))
	})
	var out bytes.Buffer
	for _, e := range list {
		out.Write(trailLine(e))
		out.WriteByte('\n')
	}
	t.Lines, t.Events = out.Bytes(), len(list)
	return t, nil
}

// lookUp adds the events of one name to those that were seen. It reports whether
// there are more than it reads.
func lookUp(x *respond.Exec, p awscalls.Place, n TrailName, from, to time.Time, seen map[string]types.Event) (more bool, err error) {
	in := &cloudtrail.LookupEventsInput{StartTime: aws.Time(from), EndTime: aws.Time(to), MaxResults: aws.Int32(trailPage),
		LookupAttributes: []types.LookupAttribute{{AttributeKey: n.Key, AttributeValue: aws.String(n.Value)}}}
	for got := 0; ; {
		var out *cloudtrail.LookupEventsOutput
		err := x.Look(func(ctx context.Context) (err error) {
			c, err := x.AWS.CloudTrail(ctx, p)
			if err != nil {
				return err
			}
			out, err = c.LookupEvents(ctx, in)
			return err
		})
		if err != nil {
			return false, err
		}
		for _, e := range out.Events {
			got++
			seen[aws.ToString(e.EventId)] = e
		}
		switch {
		case aws.ToString(out.NextToken) == "":
			return false, x.Sleep(trailPause)
		case got >= trailMost:
			return true, x.Sleep(trailPause)
		}
		in.NextToken = out.NextToken
		if err := x.Sleep(trailPause); err != nil {
			return false, err
		}
	}
}

// trailLine is an event as one line of JSON. The record holds what its caller
// wrote, user agents for example; where it is no JSON it is kept as a text.
func trailLine(e types.Event) []byte {
	record := []byte(aws.ToString(e.CloudTrailEvent))
	var line bytes.Buffer
	if len(record) > 0 && json.Compact(&line, record) == nil {
		return line.Bytes()
	}
	raw, err := json.Marshal(map[string]any{"eventID": e.EventId, "eventTime": e.EventTime, "eventName": e.EventName, "eventSource": e.EventSource, "record": string(record)})
	if err != nil {
		return []byte(`{}`) // texts and a time: it does not fail
	}
	return raw
}

// TrailParams are those of a step that keeps events.
type TrailParams struct {
	Who     string      `json:"who"` // for people: user ada
	Source  string      `json:"source,omitempty"`
	Names   []TrailName `json:"names"`
	Regions []string    `json:"regions"`
	Since   time.Time   `json:"since"`
}

// TrailParamsOf are those of a request about somebody with a name and, where the
// finding has one, an access key.
func TrailParamsOf(r respond.Request, who, source, username string) TrailParams {
	return TrailParams{Who: who, Source: source, Names: TrailNames(username, r.Target.Parts[respond.PartAccessKeyID]), Regions: TrailRegions(r.Target.Region), Since: TrailSince(r)}
}

// Title says what the step does.
func (p TrailParams) Title() string {
	return fmt.Sprintf("%s: keep what CloudTrail shows since %s", p.Who, p.Since.Format(time.RFC3339))
}

// KeepTrail keeps the management events of somebody in the evidence bucket, a line
// each. What may not be looked up is a gap and no failure. Each attempt writes an
// object of its own, for CloudTrail may show more each time.
func KeepTrail(x *respond.Exec, p TrailParams) (playbook.Outcome, error) {
	title := "events of CloudTrail of " + p.Who
	if x.Policy.Evidence.Bucket == "" {
		const why = "no evidence bucket is configured to keep them"
		return playbook.Outcome{Message: why}, x.Lack(title, why)
	}
	t, err := LookUp(x, x.Def.Account, p.Regions, p.Names, p.Since, x.Started().UTC())
	if respond.DeniedByAWS(err) {
		why := "AWS answered " + respond.Code(err) + " to " + respond.Called(err)
		return playbook.Outcome{State: playbook.Skipped, Message: why}, x.Lack(title, why)
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	if len(t.Cut) > 0 {
		if err := x.Lack("older "+title, "there are more than are read at once, by "+strings.Join(t.Cut, ", ")); err != nil {
			return playbook.Outcome{}, err
		}
	}
	title += fmt.Sprintf(", in %s: %d", strings.Join(p.Regions, " and "), t.Events)
	err = Keep(x, Piece{Name: fmt.Sprintf("cloudtrail-%d.ndjson", x.Attempt()), Kind: evidence.Trail, Title: title, Source: p.Source, How: TrailCall, Type: "application/x-ndjson", Body: bytes.NewReader(t.Lines)})
	return playbook.Outcome{Message: fmt.Sprintf("kept %d events since %s", t.Events, p.Since.Format(time.RFC3339))}, err
}
