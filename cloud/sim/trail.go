package sim

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// trailState is what a region has of CloudTrail's event history.
type trailState struct {
	Events []TrailEvent `json:"events,omitempty"`
}

// TrailEvent is a management event of CloudTrail.
type TrailEvent struct {
	ID string `json:"id"`
	// At is when it happened; zero: now.
	At time.Time `json:"at"`
	// Name and Source are GetCallerIdentity and sts.amazonaws.com.
	Name   string `json:"name"`
	Source string `json:"source"`
	// User is the name of a user or of a session, AccessKey the key that signed.
	User      string `json:"user,omitempty"`
	AccessKey string `json:"access_key,omitempty"`
	IP        string `json:"ip,omitempty"`
	// Record is the event as CloudTrail keeps it; empty: made of the rest.
	Record string `json:"record,omitempty"`
}

// AddTrailEvents adds events to the history of an account and region.
func (e *Editor) AddTrailEvents(accountID, regionName string, events ...TrailEvent) {
	_, r := e.w.at(accountID, regionName)
	for _, v := range events {
		v.ID = orText(v.ID, e.w.id("ev-"))
		v.At = orTime(v.At, e.w.now()).UTC().Truncate(time.Second)
		if v.Record == "" {
			raw, err := json.Marshal(map[string]any{"eventVersion": "1.11", "eventID": v.ID, "eventTime": v.At.Format(time.RFC3339), "eventSource": v.Source, "eventName": v.Name,
				"awsRegion": regionName, "sourceIPAddress": v.IP, "recipientAccountId": accountID, "userIdentity": map[string]any{"userName": v.User, "accessKeyId": v.AccessKey}})
			if err != nil {
				panic(err) // texts only
			}
			v.Record = string(raw)
		}
		r.Trail.Events = append(r.Trail.Events, v)
	}
}

type trailClient struct{ client }

var _ awscalls.CloudTrail = trailClient{}

// What AWS allows: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
const (
	trailMost = 50
	trailKept = 90 * day
)

// LookupEvents implements awscalls.CloudTrail. The newest event comes first.
func (c trailClient) LookupEvents(ctx context.Context, in *cloudtrail.LookupEventsInput, _ ...func(*cloudtrail.Options)) (*cloudtrail.LookupEventsOutput, error) {
	return do(ctx, c.client, "CloudTrail", "LookupEvents", false, in, func(_ *account, r *region) (*cloudtrail.LookupEventsOutput, error) {
		now := c.w.now()
		limit := aws.ToInt32(in.MaxResults)
		switch {
		case in.MaxResults != nil && (limit < 1 || limit > trailMost):
			return nil, fail("InvalidMaxResultsException", "The number of results must be from 1 to 50.")
		case len(in.LookupAttributes) > 1:
			return nil, fail("InvalidLookupAttributesException", "The list of lookup attributes can contain only one item.")
		case in.StartTime != nil && in.EndTime != nil && in.EndTime.Before(*in.StartTime):
			return nil, fail("InvalidTimeRangeException", "The end time is before the start time.")
		}
		all := slices.Clone(r.Trail.Events)
		all = slices.DeleteFunc(all, func(v TrailEvent) bool {
			return v.At.Before(now.Add(-trailKept)) || in.StartTime != nil && v.At.Before(*in.StartTime) || in.EndTime != nil && v.At.After(*in.EndTime) || !v.has(in.LookupAttributes)
		})
		slices.SortStableFunc(all, func(x, y TrailEvent) int { return y.At.Compare(x.At) })
		most := trailMost
		if n := c.w.opts.PageSize; n > 0 {
			most = min(most, n)
		}
		part, next, err := pageOf(all, in.NextToken, limit, most, "InvalidNextTokenException")
		if err != nil {
			return nil, err
		}
		out := &cloudtrail.LookupEventsOutput{NextToken: next, Events: []types.Event{}}
		for _, v := range part {
			out.Events = append(out.Events, types.Event{EventId: aws.String(v.ID), EventName: aws.String(v.Name), EventSource: aws.String(v.Source), EventTime: aws.Time(v.At),
				Username: aws.String(v.User), AccessKeyId: aws.String(v.AccessKey), CloudTrailEvent: aws.String(v.Record)})
		}
		return out, nil
	})
}

// has reports whether an event has what is looked up.
func (v TrailEvent) has(list []types.LookupAttribute) bool {
	for _, a := range list {
		have := map[types.LookupAttributeKey]string{types.LookupAttributeKeyEventId: v.ID, types.LookupAttributeKeyEventName: v.Name, types.LookupAttributeKeyEventSource: v.Source,
			types.LookupAttributeKeyUsername: v.User, types.LookupAttributeKeyAccessKeyId: v.AccessKey}
		if have[a.AttributeKey] != aws.ToString(a.AttributeValue) {
			return false
		}
	}
	return true
}
