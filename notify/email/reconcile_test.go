package email_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakesmtp"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

func TestLifeOfAnIncidentIsOneThread(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{Username: "u", Password: "p"}, withLogin("u", "p"))
	acknowledged := event(2, incident.KindAcknowledged, "ana", "", "", "")
	raised := event(3, incident.KindSeverityRaised, "guardroom", "", "High 8.0", "Critical 9.5")
	contained := event(4, incident.KindContained, "guardroom", "the second look found the instance cut off", "", "")
	closed := event(5, incident.KindClosed, "ana", "", "", "malicious")
	reopened := event(6, incident.KindReopened, "guardroom", "seen again", "", "")
	critical := func(i *incident.Incident) { i.Severity = 9.5 }

	d.mustReconcile(incidentView(1, nil))
	if out := d.mustReconcile(incidentView(1, nil)); out.Quiet == "" {
		t.Errorf("the same revision again was not quiet: %+v", out)
	}
	if out := d.mustReconcile(incidentView(2, nil, acknowledged)); out.Quiet == "" {
		t.Errorf("an acknowledgement is worth no mail: %+v", out)
	}
	d.mustReconcile(incidentView(3, critical, acknowledged, raised))
	d.mustReconcile(incidentView(4, critical, acknowledged, raised))
	d.mustReconcile(incidentView(5, func(i *incident.Incident) {
		critical(i)
		i.State, i.ContainedAt = incident.Contained, now
	}, acknowledged, raised, contained))
	d.mustReconcile(incidentView(6, func(i *incident.Incident) {
		critical(i)
		i.State, i.Verdict, i.ClosedBy, i.ClosedAt, i.Note = incident.Closed, incident.Malicious, "ana", now, "rebuilt from image, see https://wiki.example.com/42"
	}, acknowledged, raised, contained, closed))
	d.mustReconcile(incidentView(7, critical, acknowledged, raised, contained, closed, reopened))

	sent := d.server.Messages()
	names := []string{"opened", "raised", "contained", "closed", "reopened"}
	if len(sent) != len(names) {
		t.Fatalf("%d mails, want %d", len(sent), len(names))
	}
	const root = "<01jd4b7c9qzj4m6y3r8t2v5w0x@example.com>"
	ids := []string{root}
	for i, m := range sent {
		golden(t, names[i]+".eml", lf(m.Raw))
		if !m.TLS || m.User != "u" || m.From != "guardroom@example.com" || m.Hello != "example.com" {
			t.Errorf("%s: envelope %+v", names[i], m)
		}
		if diff := cmp.Diff([]string{ana, raj}, m.Recipients); diff != "" {
			t.Errorf("%s: recipients (-want +got):\n%s", names[i], diff)
		}
	}
	for i, m := range d.mails() {
		subject, text, _ := decoded(t, m)
		if want := "[HIGH] INC-42 Bitcoin mining from payments-api-3"; subject != want {
			t.Errorf("%s: subject %q, want %q", names[i], subject, want)
		}
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 72 && !strings.Contains(line, "https://") {
				t.Errorf("%s: a line of %d columns: %q", names[i], n, line)
			}
		}
		if i > 0 {
			if m.Header.Get("In-Reply-To") != root || m.Header.Get("References") != root {
				t.Errorf("%s is not in the thread: %v", names[i], m.Header)
			}
			ids = append(ids, m.Header.Get("Message-Id"))
		}
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != len(names) {
		t.Errorf("%d different ids in %v", n, ids)
	}
}

func TestConnectionLostAfterTheDotRepeatsTheSameMail(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.server.CutAfterDot(1)
	_, err := d.reconcile(incidentView(1, nil))
	if e := asError(t, err); e.Class != notify.Retry || e.Reason != "unknown_outcome" || e.Safe == "" {
		t.Fatalf("got %+v", e)
	}
	// Meanwhile the incident went on; the mail that is owed keeps its identity,
	// and what is new comes in a mail of its own.
	raised := event(2, incident.KindSeverityRaised, "guardroom", "", "High 8.0", "Critical 9.5")
	d.mustReconcile(incidentView(4, func(i *incident.Incident) { i.Severity = 9.5 }, raised))
	mails := d.mails()
	if len(mails) != 3 {
		t.Fatalf("%d mails, want 3", len(mails))
	}
	for _, h := range []string{"Message-Id", "Date", "Subject"} {
		if a, b := mails[0].Header.Get(h), mails[1].Header.Get(h); a != b {
			t.Errorf("%s changed from %q to %q", h, a, b)
		}
	}
	if got, want := mails[2].Header.Get("Message-Id"), "<01jd4b7c9qzj4m6y3r8t2v5w0x.4@example.com>"; got != want {
		t.Errorf("the third mail is %s, want %s", got, want)
	}
}

func TestCrashBeforeTheStateIsSavedRepeatsTheSameMail(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.failSave = 2 // the one after sending
	if _, err := d.reconcile(incidentView(1, nil)); !errors.Is(err, errNotOurs) {
		t.Fatalf("got %v, want the error of Save", err)
	}
	d.mustReconcile(incidentView(2, nil))
	mails := d.mails()
	if len(mails) != 2 || mails[0].Header.Get("Message-Id") != mails[1].Header.Get("Message-Id") {
		t.Errorf("got %d mails, want twice the same", len(mails))
	}
}

func TestNothingIsSentWhenTheBeginningCannotBeSaved(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.failSave = 1
	if _, err := d.reconcile(incidentView(1, nil)); !errors.Is(err, errNotOurs) {
		t.Fatalf("got %v, want the error of Save", err)
	}
	if n := d.server.Sessions(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

func TestOneRefusedRecipientDoesNotKeepTheOthersFromTheMail(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.server.AnswerRecipient(raj, fakesmtp.Reply{Code: 550, Message: "no such user"})
	out := d.mustReconcile(incidentView(1, nil))
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], raj) || !strings.Contains(out.Warnings[0], "550") {
		t.Errorf("warnings %q", out.Warnings)
	}
	sent := d.server.Messages()
	if len(sent) != 1 || !slices.Equal(sent[0].Recipients, []string{ana}) {
		t.Errorf("sent %+v", sent)
	}
	if out := d.mustReconcile(incidentView(1, nil)); out.Quiet == "" {
		t.Errorf("the refused recipient was tried again: %+v", out)
	}
}

func TestADeferredRecipientGetsTheMailLaterAndTheOthersOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.server.AnswerRecipient(ana, fakesmtp.Reply{Code: 450, Message: "greylisted"})
	_, err := d.reconcile(incidentView(1, nil))
	if e := asError(t, err); e.Class != notify.Retry || e.Safe != "1 of 2 recipients have the mail" {
		t.Fatalf("got %+v", e)
	}
	d.mustReconcile(incidentView(1, nil))
	var got [][]string
	for _, m := range d.server.Messages() {
		got = append(got, m.Recipients)
	}
	if diff := cmp.Diff([][]string{{raj}, {ana}}, got); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	if mails := d.mails(); mails[0].Header.Get("Message-Id") != mails[1].Header.Get("Message-Id") {
		t.Error("the two have different ids")
	}
}

func TestAllRecipientsRefusedParksAndARetryAsksAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	no := fakesmtp.Reply{Code: 550, Message: "no such user"}
	d.server.AnswerRecipient(ana, no)
	d.server.AnswerRecipient(raj, no)
	_, err := d.reconcile(incidentView(1, nil))
	if e := asError(t, err); e.Class != notify.Park || e.Hint == "" {
		t.Fatalf("got %+v", e)
	}
	d.mustReconcile(incidentView(1, nil))
	if n := len(d.server.Messages()); n != 1 {
		t.Errorf("%d mails after the retry, want 1", n)
	}
}

func TestRepliesOfTheServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script func(*fakesmtp.Server)
		class  notify.Class
		reason string
	}{
		{"421 to MAIL comes again", func(s *fakesmtp.Server) { s.AnswerSender(fakesmtp.Reply{Code: 421, Message: "busy"}) }, notify.Retry, "server_error"},
		{"550 to MAIL is a wrong sender", func(s *fakesmtp.Server) { s.AnswerSender(fakesmtp.Reply{Code: 550, Message: "not allowed"}) }, notify.Pause, "invalid"},
		{"530 to MAIL wants a login", func(s *fakesmtp.Server) { s.AnswerSender(fakesmtp.Reply{Code: 530, Message: "log in"}) }, notify.Pause, "auth"},
		{"421 to RCPT comes again for all", func(s *fakesmtp.Server) { s.AnswerRecipient(raj, fakesmtp.Reply{Code: 421, Message: "closing"}) }, notify.Retry, "server_error"},
		{"450 after the dot comes again", func(s *fakesmtp.Server) { s.AnswerData(fakesmtp.Reply{Code: 450, Message: "later"}) }, notify.Retry, "rate_limited"},
		{"552 after the dot parks", func(s *fakesmtp.Server) { s.AnswerData(fakesmtp.Reply{Code: 552, Message: "too big"}) }, notify.Park, "invalid"},
		{"554 after the dot parks", func(s *fakesmtp.Server) { s.AnswerData(fakesmtp.Reply{Code: 554, Message: "spam\x1b[31m"}) }, notify.Park, "invalid"},
		{"a message lost after the dot comes again", func(s *fakesmtp.Server) { s.LoseAfterDot(1) }, notify.Retry, "unknown_outcome"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, fakesmtp.Options{}, nil)
			tt.script(d.server)
			_, err := d.reconcile(incidentView(1, nil))
			e := asError(t, err)
			if e.Class != tt.class || e.Reason != tt.reason {
				t.Errorf("got %s/%s (%s), want %s/%s", e.Class, e.Reason, e.Message, tt.class, tt.reason)
			}
			if e.Safe == "" || e.Class != notify.Retry && e.Hint == "" {
				t.Errorf("a person needs safe and hint: %+v", e)
			}
			if strings.Contains(e.Message, "\x1b") {
				t.Errorf("a control character of the server reached the message: %q", e.Message)
			}
			d.mustReconcile(incidentView(1, nil)) // the script is over
			if n := len(d.server.Messages()); n != 1 {
				t.Errorf("%d mails in the end, want 1", n)
			}
		})
	}
}

func TestMergedBeforeItWasToldIsQuiet(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	merged := func(i *incident.Incident) {
		i.State, i.Verdict, i.MergedInto = incident.Closed, incident.Merged, 7
	}
	if out := d.mustReconcile(incidentView(2, merged)); !strings.Contains(out.Quiet, "INC-7") {
		t.Errorf("got %+v", out)
	}
	d.mustReconcile(incidentView(3, nil))
	d.mustReconcile(incidentView(4, merged)) // closed without an event that says so
	mails := d.mails()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	if _, text, _ := decoded(t, mails[1]); !strings.Contains(text, "merged into INC-7") {
		t.Errorf("the mail does not say so:\n%s", text)
	}
}

func TestDigestAndNoticeAreMailedOnceAndResolvedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	in := message.NoticeInput{
		Delivery: "dlv-n", ID: "notice/silent sqs", Revision: 1, Topic: message.SilentSource, Subject: "sqs-main",
		Message: "no finding for 26 h", Safe: "other sources work", Hint: "guardroom doctor", Since: now.Add(-26 * time.Hour), Now: now,
	}
	d.mustReconcile(message.BuildNotice(in))
	in.Revision = 2
	d.mustReconcile(message.BuildNotice(in))
	in.Revision, in.Resolved = 3, now
	d.mustReconcile(message.BuildNotice(in))
	d.mustReconcile(message.BuildNotice(in))
	d.state = nil
	digest := message.DigestInput{
		Delivery: "dlv-d", ID: "digest-1", Revision: 1, Total: 30, Since: now.Add(-time.Minute), Until: now, Now: now,
		Incidents: []*message.View{incidentView(1, nil)},
	}
	d.mustReconcile(message.BuildDigest(digest))
	digest.Revision, digest.Total = 2, 31
	d.mustReconcile(message.BuildDigest(digest))
	sent := d.server.Messages()
	names := []string{"notice", "notice_resolved", "digest"}
	if len(sent) != len(names) {
		t.Fatalf("%d mails, want %d", len(sent), len(names))
	}
	for i, m := range sent {
		golden(t, names[i]+".eml", lf(m.Raw))
	}
}

func TestStateThatCannotBeReadParks(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	d.state = []byte(`{"told":"x"}`)
	_, err := d.reconcile(incidentView(1, nil))
	if e := asError(t, err); e.Class != notify.Park {
		t.Errorf("got %+v", e)
	}
}

func TestMailsAboutAResponse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, fakesmtp.Options{}, nil)
	var entries []incident.Entry
	for n, c := range []struct {
		kind  incident.Kind
		text  string
		to    string
		mails int // so far
	}{
		{incident.KindPlanWaits, "plan pln_1 waits for 1 approval: guardroom plan approve pln_1 --digest 7b3e91c4", "", 2},
		{incident.KindPlanDecided, "plan pln_1 approved", "", 2},
		{incident.KindRunStarted, "run run_1 started", "", 2},
		{incident.KindEvidenceReady, "3 items", "", 3},
		{incident.KindRunEnded, "run run_1 completed", "completed", 3},
		{incident.KindRunEnded, "run run_2 part failed", "part failed", 4},
		{incident.KindDrift, "eni-0c1 has another group", "", 5},
		{incident.KindReleased, "undone", "", 6},
		{incident.KindRunLate, "run_1 is late", "", 7},
		{incident.KindLeftOpen, "left open by run_1: eni-0c1", "", 8},
		{incident.KindClosedAgain, "closed again what run_1 had left open", "", 9},
		{incident.KindNotContained, "i-0f3c9d2a1b is NOT contained", "", 10},
	} {
		if n == 0 {
			d.mustReconcile(incidentView(1, nil))
		}
		entries = append(entries, event(int64(n+2), c.kind, "guardroom", c.text, "", c.to))
		d.mustReconcile(incidentView(int64(n+2), nil, entries...))
		if got := len(d.mails()); got != c.mails {
			t.Errorf("after %s (%s): %d mails, want %d", c.kind, c.text, got, c.mails)
		}
	}
}
