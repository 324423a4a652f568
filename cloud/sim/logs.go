package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// logsState is what a region has of CloudWatch Logs beside what flow logs deliver,
// which is computed from the connections when it is asked for.
type logsState struct {
	Groups map[string][]logEvent `json:"groups,omitempty"`
}

// logEvent is a line of a log stream.
type logEvent struct {
	Stream  string    `json:"stream"`
	At      time.Time `json:"at"`
	Message string    `json:"message"`
}

// AddLogEvents adds lines to a stream of a log group, which comes into being by it.
func (e *Editor) AddLogEvents(accountID, regionName, group, stream string, at time.Time, messages ...string) {
	_, r := e.w.at(accountID, regionName)
	list := r.Logs.Groups[group]
	for _, m := range messages {
		list = append(list, logEvent{stream, at.UTC(), m})
	}
	put(&r.Logs.Groups, group, list)
}

type logsClient struct{ client }

var _ awscalls.Logs = logsClient{}

// logEventsMost is how many events an answer holds:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
const logEventsMost = 10000

// FilterLogEvents implements awscalls.Logs. It knows patterns of terms: all of
// those without a question mark, and one of those with it. In a world with small
// pages the first page is empty, as AWS says that any may be.
func (c logsClient) FilterLogEvents(ctx context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	return do(ctx, c.client, "CloudWatch Logs", "FilterLogEvents", false, in, func(a *account, r *region) (*cloudwatchlogs.FilterLogEventsOutput, error) {
		group, prefix := aws.ToString(in.LogGroupName), aws.ToString(in.LogStreamNamePrefix)
		limit := aws.ToInt32(in.Limit)
		switch {
		case (group == "") == (in.LogGroupIdentifier == nil):
			return nil, fail("InvalidParameterException", "Exactly one of logGroupName and logGroupIdentifier is required.")
		case prefix != "" && len(in.LogStreamNames) > 0:
			return nil, fail("InvalidParameterException", "logStreamNames and logStreamNamePrefix cannot be used together.")
		case in.Limit != nil && (limit < 1 || limit > logEventsMost):
			return nil, fail("InvalidParameterException", "1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint", limit)
		}
		if group == "" {
			_, group, _ = strings.Cut(strings.TrimSuffix(*in.LogGroupIdentifier, ":*"), ":log-group:")
		}
		s := c.w.scopeOf(a, r, c.w.now())
		from, to := s.now.Add(-24*time.Hour), s.now
		if in.StartTime != nil {
			from = time.UnixMilli(*in.StartTime).UTC()
		}
		if in.EndTime != nil {
			to = time.UnixMilli(*in.EndTime).UTC()
		}
		all, there := s.logged(group, from, to)
		if !there {
			return nil, fail("ResourceNotFoundException", "The specified log group does not exist.")
		}
		all = slices.DeleteFunc(all, func(e logEvent) bool {
			named := len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, e.Stream)
			return e.At.Before(from) || e.At.After(to) || !named || !strings.HasPrefix(e.Stream, prefix) || !patternMatches(aws.ToString(in.FilterPattern), e.Message)
		})
		slices.SortStableFunc(all, func(x, y logEvent) int { return x.At.Compare(y.At) })
		if c.w.opts.PageSize > 0 && in.NextToken == nil {
			return &cloudwatchlogs.FilterLogEventsOutput{NextToken: aws.String("0")}, nil
		}
		most := logEventsMost
		if n := c.w.opts.PageSize; n > 0 {
			most = n
		}
		part, next, err := pageOf(all, in.NextToken, limit, most, "InvalidParameterException")
		if err != nil {
			return nil, err
		}
		out := &cloudwatchlogs.FilterLogEventsOutput{NextToken: next}
		for _, e := range part {
			out.Events = append(out.Events, types.FilteredLogEvent{LogStreamName: aws.String(e.Stream), Timestamp: aws.Int64(e.At.UnixMilli()), Message: aws.String(e.Message)})
		}
		return out, nil
	})
}

// logged are the events of a log group, and whether there is one.
func (s *scope) logged(group string, from, to time.Time) (all []logEvent, there bool) {
	raw, there := s.r.Logs.Groups[group]
	all = slices.Clone(raw)
	for _, l := range inOrder(s.FlowLogs) {
		if l.Group == group {
			there = true
			all = append(all, s.records(l, from, to)...)
		}
	}
	return all, there
}

// patternMatches reports whether a line matches a pattern of terms.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func patternMatches(pattern, line string) bool {
	words := strings.Fields(line)
	any, found := false, false
	for term := range strings.FieldsSeq(pattern) {
		word, optional := strings.CutPrefix(term, "?")
		has := slices.Contains(words, strings.Trim(word, `"`))
		if !optional && !has {
			return false
		}
		any, found = any || optional, found || optional && has
	}
	return !any || found
}
