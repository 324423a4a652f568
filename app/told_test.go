package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/internal/fakesmtp"
	"github.com/guardroom/guardroom/internal/fakewebhook"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/store"
)

var updateTold = flag.Bool("update", false, "rewrite the golden files")

// listeners are stand-ins of those who tell people, and what they were told.
type listeners struct {
	slack *fakeslack.Server
	jira  *fakejira.Server
	old   *fakejira.Server // a Jira Data Center
	pager *fakepagerduty.Server
	hook  *fakewebhook.Server
	mail  *fakesmtp.Server

	notifiers map[string]notify.Notifier
	states    map[string]json.RawMessage
	told      map[string]int
	slackText map[string]bool
}

func listen(t *testing.T) *listeners {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	l := &listeners{states: map[string]json.RawMessage{}, told: map[string]int{}, slackText: map[string]bool{}, notifiers: map[string]notify.Notifier{}}
	var errs [7]error
	l.slack, errs[0] = fakeslack.New(fakeslack.Options{TimeScale: 1000})
	l.jira, errs[1] = fakejira.New(fakejira.Options{TimeScale: 1000})
	l.pager, errs[2] = fakepagerduty.New(fakepagerduty.Options{})
	l.hook, errs[3] = fakewebhook.New(fakewebhook.Options{Secret: secret})
	l.old, errs[4] = fakejira.New(fakejira.Options{TimeScale: 1000, Dialect: fakejira.DataCenter})
	l.mail = fakesmtp.New(fakesmtp.Options{})
	errs[5] = l.mail.Start()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	errs[6] = os.WriteFile(ca, l.mail.CAPEM(), 0o600)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.slack.Close()
		l.jira.Close()
		l.old.Close()
		l.pager.Close()
		l.hook.Close()
		if err := l.mail.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, d := range []config.Destination{
		{Name: "slack", Type: "slack", Slack: &config.Slack{APIURL: l.slack.URL(), Token: config.NewSecret(fakeslack.DefaultToken), Channel: fakeslack.DefaultChannel}},
		{Name: "jira", Type: "jira", Jira: &config.Jira{APIURL: l.jira.URL(), API: "cloud", Email: fakejira.DefaultEmail, APIToken: config.NewSecret(fakejira.DefaultToken),
			Project: fakejira.DefaultProject, IssueType: fakejira.DefaultIssueType}},
		{Name: "jira dc", Type: "jira", Jira: &config.Jira{APIURL: l.old.URL(), API: "datacenter", Token: config.NewSecret(fakejira.DefaultToken),
			Project: fakejira.DefaultProject, IssueType: fakejira.DefaultIssueType}},
		{Name: "mail", Type: "email", Email: &config.Email{Host: l.mail.Host(), Port: l.mail.Port(), CAFile: ca, From: "guardroom <guardroom@example.com>", To: []string{"soc@example.com"}}},
		{Name: "pagerduty", Type: "pagerduty", PagerDuty: &config.PagerDuty{Mode: "incidents", RESTURL: l.pager.URL(), APIToken: config.NewSecret(fakepagerduty.DefaultToken),
			From: fakepagerduty.DefaultUser, ServiceID: fakepagerduty.DefaultService, MinSeverity: "low"}},
		{Name: "webhook", Type: "webhook", Webhook: &config.Webhook{URL: config.NewSecret(l.hook.URL()), Secret: config.NewSecret(secret), Insecure: true, AllowPrivate: true}},
	} {
		n, err := buildNotifier(d, http.DefaultTransport, 1000, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		l.notifiers[d.Name] = n
	}
	return l
}

// show sends a view everywhere, as often as it takes.
func (l *listeners) show(t *testing.T, v *message.View) {
	t.Helper()
	for name, n := range l.notifiers {
		for tries := 0; ; tries++ {
			_, err := n.Reconcile(t.Context(), notify.Request{View: v, State: l.states[name], Save: func(_ context.Context, state any) (err error) {
				l.states[name], err = json.Marshal(state)
				return err
			}})
			if err == nil {
				break
			}
			if e := notify.AsError(err); e.Class != notify.Retry || tries > 100 {
				t.Fatalf("%s: %+v", name, e)
			}
		}
	}
}

// news are what people read now and did not before, one line each.
func (l *listeners) news() []string {
	var out []string
	freshOf := func(name, of string, n int, text func(i int) string) {
		for i := l.told[name+of]; i < n; i++ {
			if s := text(i); s != "" {
				out = append(out, name+": "+s)
			}
		}
		l.told[name+of] = n
	}
	fresh := func(name string, n int, text func(i int) string) { freshOf(name, "", n, text) }
	for _, m := range l.slack.All() {
		// A message that is edited in place is read again.
		if m.ThreadTS == "" || l.slackText[m.TS+m.Text] {
			continue
		}
		l.slackText[m.TS+m.Text] = true
		where := "slack thread: "
		if m.Broadcast {
			where = "slack thread and channel: "
		}
		for line := range strings.SplitSeq(m.Text, "\n") {
			out = append(out, where+line)
		}
	}
	for _, i := range l.jira.Issues() {
		fresh("jira", len(i.Comments), func(n int) string {
			first, _, _ := strings.Cut(i.Comments[n].Text, "\n")
			return first
		})
	}
	for _, i := range l.old.Issues() {
		fresh("jira dc", len(i.Comments), func(n int) string {
			first, _, _ := strings.Cut(i.Comments[n].Text, "\n")
			return html.UnescapeString(first) // as it is read
		})
	}
	mails := l.mail.Messages()
	for n := l.told["mail"]; n < len(mails); n++ {
		for _, line := range happened(mails[n].Raw) {
			out = append(out, "mail: "+line)
		}
	}
	l.told["mail"] = len(mails)
	pages := l.pager.Incidents()
	fresh("pagerduty pages", len(pages), func(n int) string { return pages[n].Title })
	for _, i := range pages {
		freshOf("pagerduty", i.ID, len(i.Notes), func(n int) string { return i.Notes[n] })
	}
	hooks := l.hook.Messages()
	fresh("webhook", len(hooks), func(n int) string {
		var body struct {
			Data struct {
				Event *struct {
					Text string `json:"text"`
				} `json:"event"`
			} `json:"data"`
		}
		if json.Unmarshal(hooks[n].Body, &body) != nil || body.Data.Event == nil {
			return ""
		}
		return hooks[n].Type + ": " + body.Data.Event.Text
	})
	return out
}

// happened is what a mail says of what happened, in whole lines.
func happened(raw []byte) []string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return []string{err.Error()}
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return []string{err.Error()}
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextPart() // the text comes first
	if err != nil {
		return []string{err.Error()}
	}
	text, err := io.ReadAll(part)
	if err != nil {
		return []string{err.Error()}
	}
	_, rest, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "What happened\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	var out []string
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") && len(out) > 0 {
			out[len(out)-1] += " " + strings.TrimSpace(line)
			continue
		}
		out = append(out, line)
	}
	return out
}

// passing are the parts of a text that differ from run to run.
var passing = []struct {
	form *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b(run|pln)_[0-9a-z]{26}`), "${1}_…"},
	{regexp.MustCompile(`\b(\d{4}-\d\d-\d\d )?\d\d:\d\d(:\d\d)? UTC( tomorrow| on \d+ \w+)?`), "TIME"},
	{regexp.MustCompile(`\b\d+ (s|m|h|d|min)( \d+ (s|m|h))?\b`), "LENGTH"},
	{regexp.MustCompile(`\b(i|vol|snap|eni|sg|eipalloc)-[0-9a-f]{17}\b`), "${1}-…"},
	{regexp.MustCompile(`\b\d+ (of \d+ )?(steps?|items?|gaps?|skipped|failed|evidence volumes?|working cop|with a hash)`), "N $2"},
	{regexp.MustCompile(`(sha256:|--digest |[pP]lan )[0-9a-f]{8}\b`), "${1}DIGEST"},
}

func lasting(s string) string {
	for _, p := range passing {
		s = p.form.ReplaceAllString(s, p.by)
	}
	return s
}

// story is a response whose every word is written down.
type story struct {
	responding
	*listeners
	t    *testing.T
	seen int64
	b    strings.Builder
	// ends leaves out how far a run is before its end.
	ends bool
}

// told writes down what is new in the timeline, and what people are told of it.
func (s *story) told(chapter string) {
	s.t.Helper()
	i, err := s.db.GetIncident(s.t.Context(), 1)
	if err != nil {
		s.t.Fatal(err)
	}
	v, err := s.views.Incident(s.t.Context(), i, notify.Delivery{ID: "d-1"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.show(s.t, v)
	fmt.Fprintf(&s.b, "== %s\n", chapter)
	entries, err := s.db.Timeline(s.t.Context(), 1, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Seq <= s.seen {
			continue
		}
		s.seen = e.Seq
		fmt.Fprintf(&s.b, "timeline %s [%s]: %s\n", e.Kind, e.Who, lasting(e.Text))
	}
	for _, line := range s.news() {
		if s.ends && strings.Contains(line, ": running. ") {
			continue // how far it is depends on the machine
		}
		s.b.WriteString(lasting(line) + "\n")
	}
	s.b.WriteString("\n")
}

func (s *story) approve(p api.PlanDetail, why string) respond.RunID {
	s.t.Helper()
	got, err := s.desk.ApprovePlan(s.t.Context(), p.Row.ID, p.Row.Digest, why, raj)
	if err != nil {
		s.t.Fatal(err)
	}
	return got.Row.Run
}

// until waits for an entry of the timeline that was not told yet.
func (s *story) until(kind incident.Kind) {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		entries, err := s.db.Timeline(s.t.Context(), 1, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Kind == kind && e.Seq > s.seen {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nobody says %s", kind)
		}
	}
}

func (s *story) groups(eni string, groups ...string) {
	s.t.Helper()
	if err := s.world.Edit(func(e *sim.Editor) { e.SetGroups(victimAccount, victimRegion, eni, groups...) }); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) groupsOf(eni string) (out []string) {
	s.t.Helper()
	c, err := s.world.AWS().EC2(s.t.Context(), awscalls.Place{Account: victimAccount, Region: victimRegion, Role: awscalls.Read})
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := c.DescribeNetworkInterfaces(s.t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, g := range got.NetworkInterfaces[0].Groups {
		out = append(out, *g.GroupId)
	}
	return out
}

// A text of the timeline that package message does not understand is told badly,
// and so is an entry that nobody should have written: here is what people read of a
// whole response, from what the program really writes.
func TestPeopleAreToldWhatTheProgramWrites(t *testing.T) {
	t.Parallel()
	cfg := respondConfig("sqlite:"+t.TempDir()+"/g.db", "one")
	w := attackedWorld(t, "")
	a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Responses: w.AWS()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	begun := false
	begin := func() { begun = true; go func() { defer close(done); a.respond(ctx) }() }
	t.Cleanup(func() {
		stop()
		if begun {
			<-done
		}
		if err := a.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	s := &story{responding: responding{a, w}, listeners: listen(t), t: t}
	// This machine may be slow: what is late is said when the story says so.
	start := time.Now()
	a.late.now = func() time.Time { return start }
	later := func(by time.Duration) {
		t.Helper()
		l := lateness{store: a.db.DB, desk: a.desk, notices: a.late.notices, tempo: 1, now: func() time.Time { return time.Now().Add(by) }}
		if err := l.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.take(t, true)
	s.told("a finding opens an incident")

	// Nobody carries anything out yet.
	p := s.plan(t)
	s.told("kim asks for a plan")
	for range 3 {
		later(time.Until(p.Row.ExpiresAt) - remindBefore/2)
	}
	s.told("nobody has approved it, and it expires soon")
	if _, err := s.desk.RejectPlan(t.Context(), p.Row.ID, "it is a test host", "raj"); err != nil {
		t.Fatal(err)
	}
	s.told("raj rejects it")
	p = s.plan(t)
	run := s.approve(p, "it mines")
	s.told("raj approves the next one")
	later(queuedLimit + time.Second)
	s.told("no worker begins it")
	if _, err := s.desk.AbortRun(t.Context(), run, "wrong host", "kim"); err != nil {
		t.Fatal(err)
	}
	s.told("kim aborts it")
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin()
	s.ended(t, run)
	s.told("it ends before its first change")

	eni := ""
	if err := w.Edit(func(e *sim.Editor) { eni = e.InterfaceOf(victimAccount, victimRegion, victimID, 1) }); err != nil {
		t.Fatal(err)
	}
	p = s.plan(t)
	s.told("kim asks once more")
	s.groups(eni, "sg-0web")
	s.ended(t, s.approve(p, "it does mine"))
	s.until(incident.KindPlanWaits)
	s.told("the world has changed since the plan")
	list, err := s.db.Plans(t.Context(), store.PlanFilter{Incident: 1, States: []respond.PlanState{respond.PlanWaiting}})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	run = s.approve(api.PlanDetail{Row: list[0]}, "the group is as good")
	if got := s.ended(t, run); got.State != respond.RunCompleted {
		t.Fatalf("%s: %s", got.State, got.Summary)
	}
	s.told("raj approves the one made anew, and it contains the host")
	again := s.plan(t)
	if again.Row.State != respond.PlanRefused {
		t.Fatal(again.Row.State)
	}
	s.told("kim asks for another")
	contained := s.groupsOf(eni)
	s.groups(eni, "sg-0web")
	s.until(incident.KindDrift)
	s.told("a colleague lets it out again")
	s.groups(eni, contained...)
	s.until(incident.KindProven)
	s.told("and puts it back")

	undo, err := s.desk.UndoRun(t.Context(), run, "kim")
	if err != nil {
		t.Fatal(err)
	}
	s.told("kim asks for the undo")
	if got := s.ended(t, s.approve(undo, "the miner is gone")); got.State != respond.RunCompleted {
		t.Fatalf("%s: %s", got.State, got.Summary)
	}
	s.told("raj approves that, and the host is free")

	s.golden("told.txt")
}

// golden compares all that was told with a file.
func (s *story) golden(name string) {
	t := s.t
	t.Helper()
	text := s.b.String()
	for _, never := range []string{"No evidence was preserved.\n", "Plan: approved", "A plan waits for approval: plan"} {
		if strings.Contains(text, never) {
			t.Errorf("people are told %q", never)
		}
	}
	golden := filepath.Join("testdata", name)
	if *updateTold {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("people are told otherwise than before; read it, and run the test with -update:\n%s", diff)
	}
}

// Nothing could be isolated, the run goes on with the evidence, and a person aborts
// it half-way: what people read of that, from what the program really writes.
func TestPeopleAreToldWhatIsNotContainedAndOfAnAbortHalfWay(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	hook := func(phase sim.Phase, c sim.Call) error {
		switch in := c.Input.(type) {
		case *ec2.ModifyNetworkInterfaceAttributeInput:
			if phase == sim.Before && !aws.ToBool(in.DryRun) {
				return refuse("UnauthorizedOperation")
			}
		case *ec2.RunInstancesInput:
			if phase == sim.Before && !aws.ToBool(in.DryRun) {
				<-hold
			}
		}
		return nil
	}
	begun := time.Now()
	r := startResponding(t, start{world: simWorld(t, sim.Options{Hook: hook}, attackWorld), ready: func(a *App) {
		a.late.now = func() time.Time { return begun } // this machine may be slow
	}})
	t.Cleanup(release) // before the app is waited for
	s := &story{responding: r, listeners: listen(t), t: t, ends: true}
	s.take(t, true)
	s.told("a finding opens an incident")
	run := s.approve(s.plan(t), "it mines")
	s.until(incident.KindNotContained)
	s.told("no interface could be isolated, and the run goes on")
	if _, err := s.desk.AbortRun(t.Context(), run, "the role cannot do it", "kim"); err != nil {
		t.Fatal(err)
	}
	s.told("kim aborts it half-way")
	release()
	if got := s.ended(t, run); got.State != respond.RunAborted {
		t.Fatalf("%s: %s", got.State, got.Summary)
	}
	s.told("it ends")
	s.golden("told_abort.txt")
}
