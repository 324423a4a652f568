package message_test

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// TestWholeLifeReadsWell goes through an incident's own transitions, so that a
// change of what they write into the timeline shows here.
func TestWholeLifeReadsWell(t *testing.T) {
	t.Parallel()
	at := clock("10:00")
	tick := func() time.Time { at = at.Add(time.Minute); return at }
	revision := func(id, resource, name string, severity finding.Severity) incident.Join {
		when := tick()
		return incident.Join{Now: when, Account: incident.Account{ID: "111111111111", Name: "payments-prod"}, Finding: &finding.Finding{
			ID: finding.ID(id), Type: finding.ParseType("CryptoCurrency:EC2/BitcoinTool.B!DNS"), AccountID: "111111111111", Region: "eu-west-1",
			Partition: "aws", Severity: severity, UpdatedAt: when, FirstSeen: when, LastSeen: when, Count: 1, Role: finding.RoleActor,
			Resource: finding.Resource{Kind: finding.KindInstance, ID: resource, Name: name},
			Actor:    finding.Actor{Domains: []string{"pool.mining.example"}},
			Action:   finding.Action{Kind: finding.ActionDNSRequest, DNSRequest: &finding.DNSRequest{Domain: "pool.mining.example"}},
		}}
	}
	must := func(entries []incident.Entry, err error) []incident.Entry {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	i, timeline := incident.Start("01jd", 42, revision("f1", "i-1", "payments-api-1", 5))
	add := func(entries []incident.Entry) { timeline = append(timeline, entries...) }
	show := func(file string) {
		t.Helper()
		golden(t, file, plain(message.Build(message.Input{
			Incident: i, Timeline: timeline, Now: tick(),
			Explanation: message.Explanation{Known: true, Title: "Bitcoin mining", Preposition: "from", Seen: "It was seen.", First: []string{"Look."}},
		})))
	}
	add(i.Join(revision("f2", "i-2", "payments-api-2", 8)))
	add(must(i.Acknowledge("ana", tick())))
	add(must(i.Acknowledge("raj", tick())))
	add(must(i.Assign("mei", "raj", tick())))
	add(must(i.Assign("", "mei", tick())))
	add(must(i.AddNote("looking at it", "mei", tick())))
	add(i.Parked("jira-sec", "customfield_10050 is required", tick()))
	show("life_open.txt")
	add(must(i.Close(incident.FalsePositive, "our own test", "mei", tick())))
	show("life_closed.txt")
	add(must(i.Reopen("ana", "it was not ours", tick())))
	other, _ := incident.Start("01je", 7, revision("f3", "i-3", "payments-api-3", 9))
	absorbed, closed := other.Absorb(i, "it is part of the sequence", tick())
	_ = absorbed // the other incident's own timeline
	add(closed)
	show("life_merged.txt")
}
