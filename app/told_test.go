package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
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
	pager *fakepagerduty.Server
	hook  *fakewebhook.Server

	notifiers map[string]notify.Notifier
	states    map[string]json.RawMessage
	told      map[string]int
	slackText map[string]bool
}

func listen(t *testing.T) *listeners {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	l := &listeners{states: map[string]json.RawMessage{}, told: map[string]int{}, slackText: map[string]bool{}, notifiers: map[string]notify.Notifier{}}
	var errs [4]error
	l.slack, errs[0] = fakeslack.New(fakeslack.Options{TimeScale: 1000})
	l.jira, errs[1] = fakejira.New(fakejira.Options{TimeScale: 1000})
	l.pager, errs[2] = fakepagerduty.New(fakepagerduty.Options{})
	l.hook, errs[3] = fakewebhook.New(fakewebhook.Options{Secret: secret})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.slack.Close(); l.jira.Close(); l.pager.Close(); l.hook.Close() })
	for _, d := range []config.Destination{
		{Name: "slack", Type: "slack", Slack: &config.Slack{APIURL: l.slack.URL(), Token: config.NewSecret(fakeslack.DefaultToken), Channel: fakeslack.DefaultChannel}},
		{Name: "jira", Type: "jira", Jira: &config.Jira{APIURL: l.jira.URL(), API: "cloud", Email: fakejira.DefaultEmail, APIToken: config.NewSecret(fakejira.DefaultToken),
			Project: fakejira.DefaultProject, IssueType: fakejira.DefaultIssueType}},
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
	fresh := func(name string, n int, text func(i int) string) {
		for i := l.told[name]; i < n; i++ {
			if s := text(i); s != "" {
				out = append(out, name+": "+s)
			}
		}
		l.told[name] = n
	}
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
	for _, i := range l.pager.Incidents() {
		fresh("pagerduty", len(i.Notes), func(n int) string { return i.Notes[n] })
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

	text := s.b.String()
	for _, never := range []string{"No evidence was preserved.\n", "Plan: approved", "A plan waits for approval: plan"} {
		if strings.Contains(text, never) {
			t.Errorf("people are told %q", never)
		}
	}
	golden := filepath.Join("testdata", "told.txt")
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
