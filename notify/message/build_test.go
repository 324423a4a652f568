package message_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

var now = time.Date(2026, 11, 24, 10, 54, 0, 0, time.UTC)

func clock(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-11-24 "+s)
	if err != nil {
		panic(err)
	}
	return t
}

// mining is an open incident; change, where given, turns it into another one.
func mining(change func(*message.Input)) message.Input {
	in := message.Input{
		Incident: &incident.Incident{
			ID: "01jd4b7c9qzj4m6y3r8t2v5w0x", Number: 42, Revision: 3, State: incident.Open, Severity: 8,
			Account:   incident.Account{ID: "111111111111", Name: "payments-prod", Environment: "production", Owner: "team-payments"},
			Region:    "eu-west-1",
			Partition: "aws",
			Family:    "BitcoinTool",
			Lead: incident.Lead{
				FindingID: "f0e1d2c3b4a5968778695a4b3c2d1e0f", Type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", Severity: 8,
				Title: "EC2 instance i-0f3c9d2a1b asks for a mining pool.", Description: "The instance asks for pool.mining.example.",
				Role:     finding.RoleActor,
				Resource: incident.Resource{Kind: finding.KindInstance, ID: "i-0f3c9d2a1b", Name: "payments-api-3", Region: "eu-west-1", ARN: "arn:aws:ec2:eu-west-1:111111111111:instance/i-0f3c9d2a1b"},
				Actor:    incident.Actor{Domains: []string{"pool.mining.example"}},
				Action:   "DNS request for pool.mining.example",
				Exposure: "public 203.0.113.4, role payments-api",
			},
			Resources: []incident.Resource{{Kind: finding.KindInstance, ID: "i-0f3c9d2a1b", Name: "payments-api-3"}},
			Findings: []incident.FindingRef{
				{ID: "a", Type: "Recon:EC2/Portscan", Severity: 5, UpdatedAt: clock("10:20"), Count: 1, LastSeen: clock("10:18")},
				{ID: "b", Type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", Severity: 8, UpdatedAt: clock("10:42"), Count: 6, LastSeen: clock("10:41")},
			},
			FindingCount: 2, Occurrences: 7,
			OpenedAt: clock("10:42"), LastActivity: clock("10:42"), UpdatedAt: clock("10:42"),
			FirstSeen: clock("10:02"), LastSeen: clock("10:41"),
		},
		Timeline: []incident.Entry{
			{Seq: 1, EventAt: clock("10:42"), Kind: incident.KindOpened, Who: "guardroom", Text: "opened by CryptoCurrency:EC2/BitcoinTool.B!DNS", To: "8.0"},
			{Seq: 2, EventAt: clock("10:42"), Kind: incident.KindFindingJoined, Who: "guardroom", Text: "finding a joined"},
		},
		Delivery: "dlv-1",
		Explanation: message.Explanation{
			Known: true, Title: "Bitcoin mining", Preposition: "from",
			Seen:  "The instance asked for the address of a mining pool.",
			Why:   "Mining needs code that runs on the machine; whoever put it there can do more.",
			First: []string{"Look at the processes of the instance.", "Look at the use of its role.", "A third line that is not shown."},
		},
		Link: "https://guardroom.example.com/incidents/INC-42",
		Now:  now,
	}
	if change != nil {
		change(&in)
	}
	return in
}

func entry(seq int64, at string, kind incident.Kind, who, text, from, to string) incident.Entry {
	return incident.Entry{Seq: seq, EventAt: clock(at), RecordedAt: clock(at), Kind: kind, Who: who, Text: text, From: from, To: to}
}

func TestBuildSaysEveryStateInPlainWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*message.Input)
	}{
		{"open", nil},
		{"acknowledged", func(in *message.Input) {
			in.Incident.State, in.Incident.AcknowledgedBy, in.Incident.Owner = incident.Acknowledged, "ana", "ana"
			in.Incident.AcknowledgedAt = clock("10:44")
			in.Timeline = append(in.Timeline, entry(3, "10:44", incident.KindAcknowledged, "ana", "acknowledged", "open", "acknowledged"))
			in.Elsewhere = []message.Reference{
				{Destination: "jira-sec", Type: "jira", Label: "SEC-88", State: "delivered"},
				{Destination: "pd", Type: "pagerduty", Label: "guardroom/01jd", State: "delivered"},
				{Destination: "soc", Type: "slack", Label: "C024BE91L/1700000000.000100", State: "pending"},
				{Destination: "mail", Type: "email", State: "parked"}, {Destination: "hook", Type: "webhook", State: "delivered"},
				{Destination: "jira-ops", Type: "jira", State: "unknown"}, {Destination: "new", Type: "jira", State: "pending"},
				{Destination: "old", Type: "jira", Label: "OLD-1", State: "dropped"},
			}
		}},
		{"raised_and_handed_over", func(in *message.Input) {
			in.Incident.Severity, in.Incident.State = 9.5, incident.Acknowledged
			in.Incident.AcknowledgedBy, in.Incident.Owner = "raj", "mei"
			in.Incident.AcknowledgedAt = clock("10:50")
			in.Timeline = append(in.Timeline,
				entry(3, "10:44", incident.KindAcknowledged, "ana", "acknowledged", "", ""),
				entry(4, "10:46", incident.KindSeverityRaised, "guardroom", "raised", "8.0", "9.5"),
				entry(5, "10:47", incident.KindResourceJoined, "guardroom", "payments-api-4 (i-0aaa) is affected too", "", "i-0aaa"),
				entry(11, "10:53", incident.KindResourceJoined, "guardroom", "i-0bbb is affected too", "", "i-0bbb"),
				entry(12, "10:53", incident.KindAssigned, "mei", "unassigned", "mei", ""),
				entry(6, "10:50", incident.KindAcknowledged, "raj", "taken over from ana", "ana", "raj"),
				entry(7, "10:51", incident.KindAssigned, "raj", "assigned", "", "mei"),
				entry(8, "10:51", incident.KindAssigned, "mei", "assigned", "", "mei"),
				entry(9, "10:52", incident.KindNote, "mei", "a note that is not spoken", "", ""),
				entry(10, "10:53", incident.KindDeliveryParked, "guardroom", "the delivery to jira-sec is parked: customfield_10050 is required", "", "jira-sec"),
			)
			in.Incident.Resources = append(in.Incident.Resources, incident.Resource{Kind: finding.KindInstance, ID: "i-0aaa", Name: "payments-api-4"})
		}},
		{"raised_by_words", func(in *message.Input) {
			in.Timeline[0].To = ""
			in.Timeline = append(in.Timeline, entry(3, "10:46", incident.KindSeverityRaised, "guardroom", "raised", "Medium", "High"))
		}},
		{"contained", func(in *message.Input) {
			in.Incident.State, in.Incident.ContainedAt = incident.Contained, clock("10:49")
			in.Timeline = append(in.Timeline, entry(3, "10:49", incident.KindContained, "guardroom", "the security groups were looked at again and hold", "", ""))
		}},
		{"closed_as_false_positive", func(in *message.Input) {
			in.Incident.State, in.Incident.Verdict, in.Incident.ClosedBy = incident.Closed, incident.FalsePositive, "ana"
			in.Incident.Note, in.Incident.ClosedAt = "our own test, see wiki.example.com", clock("10:53")
			in.Timeline = append(in.Timeline, entry(3, "10:53", incident.KindClosed, "ana", "closed", "open", "false_positive"))
		}},
		{"closed_because_merged", func(in *message.Input) {
			in.Incident.State, in.Incident.Verdict, in.Incident.MergedInto = incident.Closed, incident.Merged, 7
			in.Incident.Note, in.Incident.Links = "merged into INC-7", []incident.Link{{Number: 7, Why: "merged into"}, {Number: 3, Why: "absorbed"}}
			in.Incident.ClosedAt, in.MergedLink = clock("10:53"), "https://guardroom.example.com/incidents/INC-7"
			in.Timeline = append(in.Timeline, entry(3, "10:53", incident.KindClosed, "guardroom", "closed as merged: merged into INC-7", "open", "merged"))
		}},
		{"reopened", func(in *message.Input) {
			in.Timeline = append(in.Timeline,
				entry(3, "10:44", incident.KindClosed, "ana", "closed as benign: our own scanner", "open", "benign"),
				entry(4, "10:50", incident.KindReopened, "guardroom", "reopened: a new revision was higher", "benign", "open"),
				entry(5, "10:51", incident.KindReopened, "raj", "reopened", "benign", "open"))
		}},
		{"sample", func(in *message.Input) { in.Incident.Sample = true }},
		{"unknown_type", func(in *message.Input) {
			in.Explanation = message.Explanation{Title: "derived", Seen: "Derived sentence.", First: []string{"Derived step."}}
			in.Incident.Lead.Type = "NewPurpose:Moon/Landing.X&Y!Z"
		}},
		{"unknown_type_without_title", func(in *message.Input) {
			in.Explanation = message.Explanation{}
			in.Incident.Lead.Type, in.Incident.Lead.Title, in.Incident.Lead.Description = "NewPurpose:Moon/Landing", "", ""
		}},
		{"nothing_known", func(in *message.Input) {
			in.Explanation = message.Explanation{}
			in.Incident = &incident.Incident{ID: "01jd", Number: 9, Revision: 1, State: incident.Open, OpenedAt: now}
			in.Timeline = nil
		}},
		{"actor_seen_from_the_target", func(in *message.Input) {
			in.Incident.Lead.Role = finding.RoleTarget
			in.Incident.Lead.Actor = incident.Actor{
				IPs: []string{"203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.10"}, ASN: "64500", Org: "Example Hosting",
				Country: "Germany", UserName: "deploy", Lists: []string{"tor-exits"},
			}
			in.Incident.Lead.Action = "s3:PutBucketPolicy (AccessDenied)"
			in.Incident.Occurrences, in.Incident.FirstSeen = 1, in.Incident.LastSeen
		}},
		{"attack_sequence", func(in *message.Input) {
			in.Explanation = message.Explanation{Known: true, Title: "Attack sequence", Preposition: "in", Seen: "Several signals form one attack."}
			in.Incident.Severity, in.Incident.Lead.Severity = 9, 9
			in.Timeline[0].To = "9.0"
			in.Incident.Lead.Resource = incident.Resource{Kind: finding.KindAttackSequence, ID: "seq-uid"}
			in.Incident.Resources = []incident.Resource{
				{Kind: finding.KindAttackSequence, ID: "seq-uid"}, {Kind: finding.KindInstance, ID: "i-1", Name: "web"},
				{Kind: finding.KindAccessKey, ID: "deploy"}, {Kind: finding.KindS3Bucket, ID: "logs"}, {Kind: finding.KindS3Bucket, ID: "data"},
			}
		}},
		{"contradicts_itself_and_is_old", func(in *message.Input) {
			in.Incident.Lead.Warnings = []string{"account in the ARN differs from accountId.", "count was 0"}
			day := func(d int) time.Time { return now.AddDate(0, 0, -d) }
			in.Incident.FirstSeen, in.Incident.LastSeen, in.Incident.OpenedAt = day(6), day(4), day(4)
			in.Incident.ArchivedByOthers = 1
			in.Incident.Links = []incident.Link{{Number: 7, Why: "same actor 203.0.113.7"}, {Number: 8, Why: "continues"}, {Number: 9}}
			in.Incident.Partition, in.Incident.Region = "aws-us-gov", "us-gov-west-1"
			in.Incident.Lead.FindingID = ""
		}},
		{"many_findings", func(in *message.Input) {
			in.Incident.Findings = nil
			for i := range 40 {
				in.Incident.Findings = append(in.Incident.Findings, incident.FindingRef{
					Type: "Recon:EC2/Portscan", Severity: 2, Count: i + 1, UpdatedAt: clock("09:00").Add(time.Duration(i) * time.Minute), Archived: i == 39,
				})
			}
			in.Incident.FindingCount = 61
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			golden(t, "incident_"+tt.name+".txt", plain(message.Build(mining(tt.change))))
		})
	}
}

func TestBuildPutsNoForeignTextIntoItsOwnWords(t *testing.T) {
	t.Parallel()
	const marker = "MARK"
	for _, known := range []bool{true, false} {
		for _, state := range []incident.State{incident.Open, incident.Acknowledged, incident.Contained, incident.Closed, marker} {
			for _, kind := range []finding.ResourceKind{finding.KindInstance, finding.KindAttackSequence, marker} {
				in := poisoned(marker, known, state, kind)
				views := []*message.View{
					message.Build(in),
					message.BuildNotice(message.NoticeInput{Topic: marker, Subject: marker, Message: marker, Safe: marker, Hint: marker, Now: now, Since: now}),
					message.BuildTest(marker, now),
				}
				views = append(views, message.BuildDigest(message.DigestInput{Incidents: views[:1], Since: now, Until: now, Now: now}))
				for _, v := range views {
					for _, text := range texts(v) {
						words := text.Render(func(s string) string { return s }, func(string) string { return "" })
						if strings.Contains(words, marker) {
							t.Errorf("known %v, state %q, %s: our own words contain foreign text: %q", known, state, v.Kind, words)
						}
					}
				}
				if shown := plain(views[0]); !strings.Contains(shown, marker) {
					t.Errorf("the marker is not shown at all:\n%s", shown)
				}
			}
		}
	}
}

// poisoned has the marker in every field that somebody else can write.
func poisoned(m string, known bool, state incident.State, kind finding.ResourceKind) message.Input {
	resource := incident.Resource{Kind: kind, ID: m + "id", Name: m + "name", ARN: m + "arn", Region: m}
	in := message.Input{
		Incident: &incident.Incident{
			ID: "01jd", Number: 1, Revision: 1, State: state, Severity: 8, Verdict: incident.Verdict(m), Note: m, Owner: m,
			Account: incident.Account{ID: m, Name: m, Environment: m, Owner: m}, Region: m, Partition: m, Family: m,
			Lead: incident.Lead{
				FindingID: finding.ID(m), FindingARN: m, Type: m + "type", Title: m + "title", Description: m, Role: finding.Role(m),
				Resource: resource, DetectorID: m, Action: m, Exposure: m, Warnings: []string{m, m, m, m},
				Actor: incident.Actor{
					IPs: []string{m, m, m, m}, Domains: []string{m}, ASN: m, Org: m, Country: m, UserName: m, PrincipalID: m, Lists: []string{m},
				},
			},
			Resources: []incident.Resource{resource, {ID: m + "2"}, {ID: m + "3"}, {ID: m + "4"}, {ID: m + "5"}},
			Findings:  []incident.FindingRef{{ID: finding.ID(m), ARN: m, Type: m}}, FindingCount: 1,
			AcknowledgedBy: m, AcknowledgedAt: now, ClosedBy: m, ClosedAt: now, OpenedAt: now,
			Links: []incident.Link{{Number: 2, Why: m}},
		},
		Elsewhere: []message.Reference{
			{Destination: m, Type: m, Label: m, URL: m, State: "delivered"}, {Destination: m, State: "parked"}, {Destination: m, State: m},
		},
		Now: now,
	}
	in.Explanation = message.Explanation{Known: known}
	if !known {
		in.Explanation = message.Explanation{Title: m, Preposition: m, Seen: m, Why: m, First: []string{m, m}}
	}
	if kind == finding.KindAttackSequence {
		in.Incident.Lead.Actor = incident.Actor{PrincipalID: m}
	}
	for i, k := range []incident.Kind{
		incident.KindOpened, incident.KindFindingJoined, incident.KindFindingUpdated, incident.KindResourceJoined,
		incident.KindSeverityRaised, incident.KindAcknowledged, incident.KindAssigned, incident.KindNote, incident.KindContained,
		incident.KindClosed, incident.KindReopened, incident.KindAbsorbed, incident.KindLinked, incident.KindArchived,
		incident.KindDeliveryParked, incident.KindReleased, incident.Kind(m), incident.KindAcknowledged, incident.KindClosed,
	} {
		e := incident.Entry{Seq: int64(i + 1), Kind: k, Who: m, Text: m, From: m, To: m}
		if i%2 == 0 {
			e.To, e.Who = "", m+"2"
		}
		in.Timeline = append(in.Timeline, e)
	}
	return in
}

func texts(v *message.View) []message.Text {
	list := []message.Text{v.Headline, v.Sentence, v.Meaning, v.Why}
	list = append(list, v.DoNext...)
	list = append(list, v.Context...)
	list = append(list, v.Findings...)
	for _, f := range v.Facts {
		list = append(list, message.Words(f.Label), f.Value)
	}
	for _, e := range v.Events {
		list = append(list, e.Who, e.Text)
	}
	return append(list, message.Words(v.GuardDutyURL), message.Words(v.Number), message.Words(v.MergedInto))
}

func TestBuildGivesTheSameViewTwice(t *testing.T) {
	t.Parallel()
	in := mining(nil)
	if a, b := plain(message.Build(in)), plain(message.Build(in)); a != b {
		t.Errorf("first:\n%s\nsecond:\n%s", a, b)
	}
}

func TestOpeningBandIsThatOfTheFirstEntryThatSaysOne(t *testing.T) {
	t.Parallel()
	for opened, want := range map[string]finding.Band{"2.0": finding.Low, "": finding.Medium} {
		v := message.Build(mining(func(in *message.Input) {
			in.Incident.Severity = 9
			in.Timeline[0].To = opened
			in.Timeline = append(in.Timeline,
				entry(3, "10:43", incident.KindSeverityRaised, "guardroom", "", "Medium 5.0", "High 8.0"),
				entry(4, "10:44", incident.KindSeverityRaised, "guardroom", "", "High 8.0", "Critical 9.0"))
		}))
		if v.OpeningBand != want || v.Band != finding.Critical {
			t.Errorf("opened with %q: opening %s, now %s; want %s and Critical", opened, v.OpeningBand, v.Band, want)
		}
	}
}

func TestARiseAlertsOnlyWhereTheWordChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		want     bool
	}{{"7.0", "8.0", false}, {"8.0", "9.0", true}, {"", "8.0", true}, {"what", "ever", true}} {
		v := message.Build(mining(func(in *message.Input) {
			in.Timeline = append(in.Timeline, entry(3, "10:43", incident.KindSeverityRaised, "guardroom", "", tt.from, tt.to))
		}))
		if len(v.Events) != 1 || v.Events[0].Alerts != tt.want {
			t.Errorf("from %q to %q: %+v, want alert %v", tt.from, tt.to, v.Events, tt.want)
		}
	}
}

func TestWebhookDataHasNoNullArrays(t *testing.T) {
	t.Parallel()
	v := message.Build(message.Input{Incident: &incident.Incident{Number: 1}, Now: now})
	got, err := json.Marshal(v.Data)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "null") {
		t.Errorf("null in %s", got)
	}
}

func TestWebhookDataIsStable(t *testing.T) {
	t.Parallel()
	v := message.Build(mining(func(in *message.Input) {
		in.Elsewhere = []message.Reference{{Destination: "jira-sec", Type: "jira", Label: "SEC-88", URL: "https://jira.example.com/browse/SEC-88", State: "delivered"}}
	}))
	got, err := json.MarshalIndent(v.Data, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "data_incident.json", string(got)+"\n")
}

func severityOf(v float64) (finding.Severity, error) { return finding.CheckSeverity(v) }
