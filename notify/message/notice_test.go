package message_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

func TestNotices(t *testing.T) {
	t.Parallel()
	notice := func(topic message.Topic, subject string) message.NoticeInput {
		return message.NoticeInput{
			Delivery: "dlv-9", ID: "notice-1", Revision: 1, Topic: topic, Subject: subject,
			Message: "no finding for 26 h, expected one at least every 24 h", Safe: "other sources work",
			Hint: "guardroom doctor", Since: clock("09:30"), Now: now,
		}
	}
	resolved := notice(message.SilentSource, "sqs-main")
	resolved.Resolved, resolved.Revision = clock("10:50"), 2
	for name, in := range map[string]message.NoticeInput{
		"silent_source":        notice(message.SilentSource, "sqs-main"),
		"parked_delivery":      notice(message.ParkedDelivery, "jira-sec"),
		"undelivered_incident": notice(message.UndeliveredIncident, "INC-42 to slack-soc"),
		"paused_destination":   notice(message.PausedDestination, "slack-soc"),
		"lost_worker":          notice(message.LostWorker, "worker-2"),
		"late_run":             notice(message.LateRun, "run_01k7"),
		"not_closed":           notice(message.NotClosed, "run_01k7"),
		"resolved":             resolved,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, "notice_"+name+".txt", plain(message.BuildNotice(in)))
		})
	}
}

func TestDigestShowsTheWorstFirstAndCountsTheRest(t *testing.T) {
	t.Parallel()
	var views []*message.View
	for i, severity := range []float64{2, 8, 5, 9.5, 8} {
		views = append(views, message.Build(mining(func(in *message.Input) {
			s, err := severityOf(severity)
			if err != nil {
				t.Fatal(err)
			}
			in.Incident.Severity, in.Incident.Number = s, incident.Number(100+i)
			if i == 1 {
				in.Incident.State = incident.Acknowledged
			}
		})))
	}
	v := message.BuildDigest(message.DigestInput{
		Delivery: "dlv-d", ID: "digest-1", Revision: 1, Incidents: views, Total: 37,
		Since: clock("10:40"), Until: clock("10:44"), Link: "https://guardroom.example.com/incidents", Now: now,
	})
	golden(t, "digest.txt", plain(v))
	got, err := json.MarshalIndent(v.Data, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "data_digest.json", string(got)+"\n")
}

func TestTestMessageSaysThatItIsATest(t *testing.T) {
	t.Parallel()
	golden(t, "test.txt", plain(message.BuildTest("soc-mail", now.In(time.FixedZone("", 3600)))))
}
