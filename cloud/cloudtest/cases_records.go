package cloudtest

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

func recordCases() []Case {
	return []Case{
		{"lines of a log", logLines},
		{"events of CloudTrail", trailEvents},
	}
}

func logLines(w *World) {
	ctx, c := w.Context(), use(w, w.aws.Logs)
	w.Logged("flows", "eni-1-all", "2 eni-1 ACCEPT OK", "2 eni-1 REJECT OK")
	w.Logged("flows", "eni-2-all", "2 eni-2 ACCEPT OK")
	find := func(group, stream, pattern string) (lines []string, err error) {
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: s(group), StartTime: aws.Int64(0)}
		if stream != "" {
			in.LogStreamNamePrefix = s(stream)
		}
		if pattern != "" {
			in.FilterPattern = s(pattern)
		}
		for {
			out, err := c.FilterLogEvents(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, e := range out.Events {
				lines = append(lines, str(e.Message))
			}
			if str(out.NextToken) == "" {
				return lines, nil
			}
			in.NextToken = out.NextToken
		}
	}
	all, err := find("flows", "", "")
	w.Code("read a group", err, "")
	w.Is("its lines", len(all), 3)
	one, err := find("flows", "eni-1-", "ACCEPT")
	w.Code("read a stream", err, "")
	w.Is("what it accepted", len(one) == 1 && one[0] == "2 eni-1 ACCEPT OK", true)
	_, err = find("nobody", "", "")
	w.Code("a group that is not there", err, "ResourceNotFoundException")
}

func trailEvents(w *World) {
	ctx, c := w.Context(), use(w, w.aws.CloudTrail)
	w.Happened("i-0123456789abcdef0", "ASIAAAAAAAAAAAAAAAA1", "DescribeInstances")
	w.Happened("ada", "AKIAADAAAAAAAAAAAAA1", "ListBuckets")
	find := func(key trailtypes.LookupAttributeKey, value string) []trailtypes.Event {
		return got[*cloudtrail.LookupEventsOutput](w, "look up events")(c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{
			StartTime: aws.Time(time.Unix(0, 0)), LookupAttributes: []trailtypes.LookupAttribute{{AttributeKey: key, AttributeValue: s(value)}},
		})).Events
	}
	byName, byKey := find(trailtypes.LookupAttributeKeyUsername, "i-0123456789abcdef0"), find(trailtypes.LookupAttributeKeyAccessKeyId, "AKIAADAAAAAAAAAAAAA1")
	w.Is("by the name of a session", len(byName) == 1 && str(byName[0].EventName) == "DescribeInstances" && str(byName[0].CloudTrailEvent) != "", true)
	w.Is("by a key", len(byKey) == 1 && str(byKey[0].Username) == "ada", true)
	w.Is("of nobody", len(find(trailtypes.LookupAttributeKeyUsername, "eve")), 0)
	_, err := c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{LookupAttributes: []trailtypes.LookupAttribute{
		{AttributeKey: trailtypes.LookupAttributeKeyUsername, AttributeValue: s("ada")}, {AttributeKey: trailtypes.LookupAttributeKeyEventName, AttributeValue: s("ListBuckets")},
	}})
	w.Code("by two attributes", err, "InvalidLookupAttributesException")
}
