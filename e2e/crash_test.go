package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// used says that the PostgreSQL server was started.
var used atomic.Bool

func postgresURL(t testing.TB) string {
	t.Helper()
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	used.Store(true)
	return s.Database(t)
}

// number reads a number from the environment.
func number(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// kills is how many kills each store gets; `make soak` asks for more.
func kills(t testing.TB) int { return int(number(t, "GUARDROOM_KILLS", 50)) } //nolint:gosec // a small number

func seed(t testing.TB) uint64 {
	s := number(t, "GUARDROOM_SEED", uint64(time.Now().UnixNano())) //nolint:gosec // the bits are a seed
	t.Logf("seed %d (GUARDROOM_SEED=%d repeats the choices)", s, s)
	return s
}

func TestCrashOnSQLite(t *testing.T) {
	t.Parallel()
	crashSuite(t, "", 1)
}

func TestCrashOnPostgreSQL(t *testing.T) {
	t.Parallel()
	crashSuite(t, postgresURL(t), 1)
}

func TestCrashOfTwoWorkersOnPostgreSQL(t *testing.T) {
	t.Parallel()
	crashSuite(t, postgresURL(t), 2)
}

// crashScale is the tempo of time for the fakes and for guardroom alike.
const crashScale = 50

// crashSuite kills workers again and again while findings come in and vendors
// fail at random, and then asks the vendors and the store what became of it.
func crashSuite(t *testing.T, store string, workers int) {
	seed := seed(t)
	random := rand.New(rand.NewPCG(seed, 1))
	v := newVendors(t, crashScale, 0.15, seed)
	var all []*instance
	for w := range workers {
		all = append(all, newInstance(t, v, settings{store: store, worker: fmt.Sprintf("w%d", w+1), scale: crashScale}))
	}
	for _, i := range all {
		i.start()
		if err := i.ready(); err != nil {
			t.Fatal(err)
		}
	}
	var book ledger
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	s := newStream(seed, time.Now().Add(-6*time.Hour))
	for range 2 {
		senders.Go(func() { send(ctx, s, all, &book) })
	}
	inCall, elsewhere, total := 0, 0, kills(t)
	for n := range total {
		victim := all[random.IntN(len(all))]
		// Most kills come when something was let in since the last one; the
		// rest come at any time.
		if random.IntN(4) > 0 {
			book.grow(2 * time.Second)
		}
		// Two of three kills fall inside a call: of every three, one is dealt that
		// does not.
		if n%3 == 0 {
			elsewhere = n + random.IntN(3)
		}
		if killOnce(t, random, v, victim, n != elsewhere) {
			inCall++
		}
		victim.start()
		// One in five is killed again while it starts.
		if random.IntN(5) == 0 {
			time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
			_ = victim.kill(syscall.SIGKILL)
			victim.start()
		}
		if err := victim.ready(); err != nil {
			t.Fatalf("after kill %d: %v", n+1, err)
		}
	}
	cancel()
	senders.Wait()
	t.Logf("%d kills, %d of them inside a vendor's call, %d findings acknowledged", total, inCall, len(book.newest()))
	if inCall*10 < total*3 {
		t.Errorf("only %d of %d kills fell inside a vendor's call, want 30 %%", inCall, total)
	}
	v.slack.SetFaults(fakeslack.Faults{})
	v.jira.SetFaults(fakejira.Faults{})
	v.pager.SetFaults(fakepagerduty.Faults{})
	all[0].settle()
	release(t, all[0], v)
	check(t, all[0], v, &book)
	for _, i := range all {
		if err := i.kill(syscall.SIGTERM); err == nil || !strings.Contains(err.Error(), "143") {
			t.Errorf("a service that is told to stop ended with %v\n%s", err, i.out)
		}
	}
}

// send posts revisions until ctx ends; what is not acknowledged comes again.
func send(ctx context.Context, s *stream, all []*instance, book *ledger) {
	for n := 0; ctx.Err() == nil; n++ {
		r := s.next()
		for k := n; ctx.Err() == nil; k++ {
			ok, _ := all[k%len(all)].post(context.WithoutCancel(ctx), r.body)
			if ok {
				book.acknowledged(r)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(15 * time.Millisecond)
	}
}

// killOnce kills the victim with SIGKILL: when it is inside a call to a vendor,
// before or after the effect, or at any time. It reports whether it was inside a
// call.
func killOnce(t *testing.T, random *rand.Rand, v *vendors, victim *instance, inCall bool) (inside bool) {
	t.Helper()
	var hit atomic.Bool
	if inCall {
		stage := []string{"received", "effect"}[random.IntN(2)]
		var left atomic.Int64
		left.Store(int64(1 + random.IntN(6)))
		done := make(chan struct{})
		v.intercept(func(_, s, _ string) {
			if s == stage && left.Add(-1) == 0 {
				victim.shoot()
				hit.Store(true)
				close(done)
			}
		})
		select {
		case <-done:
		case <-time.After(time.Minute): // nobody has anything to tell
		}
		v.intercept(nil)
	} else {
		<-time.After(time.Duration(20+random.IntN(300)) * time.Millisecond)
	}
	_ = victim.kill(syscall.SIGKILL)
	return hit.Load()
}

// release plays the person who looks after deliveries that are parked as
// unknown: what can be found is rare to miss, so they are told in the log.
func release(t *testing.T, i *instance, v *vendors) {
	t.Helper()
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--status", "unknown,parked,paused", "--json", "--limit", "1000")) {
		t.Logf("%s to %s is %s: %+v", d.ID, d.Destination, d.Status, d.Error)
		i.must("delivery", "retry", d.ID)
	}
	_ = v
	i.settle()
}

// check asks the store and the vendors: nothing acknowledged is lost, each
// incident is shown once everywhere and at its newest revision, and the audit
// chain holds.
func check(t *testing.T, i *instance, v *vendors, book *ledger) {
	t.Helper()
	stored := map[string]findingLine{}
	for _, f := range lines[findingLine](t, i.must("finding", "list", "--json", "--limit", "100000")) {
		stored[f.ID] = f
	}
	for id, r := range book.newest() {
		f, ok := stored[id]
		switch {
		case !ok:
			t.Errorf("finding %s was acknowledged and is lost", id)
		case f.Count < r.count || f.UpdatedAt.Before(r.updated):
			t.Errorf("finding %s was acknowledged at count %d, the store has %d", id, r.count, f.Count)
		case f.Revisions < len(book.acked[id]):
			t.Errorf("finding %s: %d revisions acknowledged, %d stored", id, len(book.acked[id]), f.Revisions)
		case f.Incident == 0:
			t.Errorf("finding %s has no incident", id)
		}
	}
	checkVendors(t, i, v)
	if out := i.run("audit", "verify"); out.code != 0 {
		t.Errorf("audit verify: %s%s", out.out, out.err)
	}
}

// checkVendors holds the fakes' state against the incidents.
func checkVendors(t *testing.T, i *instance, v *vendors) {
	t.Helper()
	list := lines[incidentLine](t, i.must("incident", "list", "--all", "--json", "--limit", "100000"))
	deliveries := map[string]map[string]delivery{}
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--json", "--limit", "100000")) {
		if d.Kind != "incident" {
			continue
		}
		if deliveries[d.Subject] == nil {
			deliveries[d.Subject] = map[string]delivery{}
		}
		deliveries[d.Subject][d.Destination] = d
	}
	roots, issues, alerts := slackRoots(v), jiraIssues(v), pagerAlerts(v)
	for _, inc := range list {
		if inc.Sample || inc.Silent {
			if n := len(roots[inc.ID]) + len(issues[inc.ID]) + len(alerts[inc.ID]); n > 0 {
				t.Errorf("INC-%d should be told to nobody and is shown %d times", inc.Number, n)
			}
			continue
		}
		for _, name := range []string{"chat", "tickets", "pager"} {
			d, ok := deliveries[inc.ID][name]
			if !ok {
				t.Errorf("INC-%d has no delivery to %s", inc.Number, name)
				continue
			}
			if d.Status == "digested" {
				continue
			}
			if d.Status != "delivered" || d.Done < d.Wanted {
				t.Errorf("INC-%d in %s is %s at revision %d of %d", inc.Number, name, d.Status, d.Done, d.Wanted)
			}
		}
		if deliveries[inc.ID]["chat"].Status != "digested" {
			checkOne(t, inc, "Slack root", roots[inc.ID])
		}
		if deliveries[inc.ID]["tickets"].Status != "digested" {
			checkOne(t, inc, "Jira issue", issues[inc.ID])
		}
		if deliveries[inc.ID]["pager"].Status != "digested" {
			if n := len(alerts[inc.ID]); n != 1 {
				t.Errorf("INC-%d has %d PagerDuty alerts", inc.Number, n)
			} else if want := pagerSeverity(inc.Severity); alerts[inc.ID][0] != want {
				t.Errorf("INC-%d is %s in PagerDuty, want %s", inc.Number, alerts[inc.ID][0], want)
			}
		}
	}
	for name, violations := range map[string][]string{"slack": v.slack.Violations(), "jira": v.jira.Violations(), "pagerduty": v.pager.Violations()} {
		for n, s := range violations {
			if n < 5 {
				t.Errorf("%s: a limit was broken: %s", name, s)
			}
		}
	}
}

// checkOne wants one text for an incident, which shows its newest revision: how
// often it was seen, and how severe it is.
func checkOne(t *testing.T, inc incidentLine, what string, texts []string) {
	t.Helper()
	if len(texts) != 1 {
		t.Errorf("INC-%d has %d %ss", inc.Number, len(texts), what)
		return
	}
	times := fmt.Sprintf("%d times", inc.Occurrences)
	if inc.Occurrences == 1 {
		times = "once"
	}
	if !strings.Contains(texts[0], times) {
		t.Errorf("INC-%d: the %s does not say %q: %.2000s", inc.Number, what, times, texts[0])
	}
	label := strings.ToUpper(finding.Severity(inc.Severity).Label())
	if !strings.Contains(texts[0], label) {
		t.Errorf("INC-%d: the %s does not say %s", inc.Number, what, label)
	}
}

// slackRoots are the texts of root messages by the incident that their metadata
// names.
func slackRoots(v *vendors) map[string][]string {
	out := map[string][]string{}
	for _, m := range v.slack.Messages() {
		if id := incidentOf(m); id != "" {
			out[id] = append(out[id], m.Text+string(m.Blocks)+string(m.Attachments))
		}
	}
	return out
}

// incidentOf is the id of the incident that a message's metadata names; empty:
// none.
func incidentOf(m fakeslack.Message) string {
	var meta struct {
		Payload struct {
			Incident string `json:"incident"`
		} `json:"event_payload"`
	}
	if json.Unmarshal(m.Metadata, &meta) != nil {
		return ""
	}
	return meta.Payload.Incident
}

// jiraIssues are the texts of issues by the incident that a label names.
func jiraIssues(v *vendors) map[string][]string {
	out := map[string][]string{}
	for _, i := range v.jira.Issues() {
		for _, l := range i.Labels {
			if id, ok := strings.CutPrefix(l, "gr-"); ok {
				out[id] = append(out[id], i.Summary+" "+i.Text)
			}
		}
	}
	return out
}

// pagerAlerts are the severities of alerts by incident, those for a second page
// left out.
func pagerAlerts(v *vendors) map[string][]string {
	out := map[string][]string{}
	for _, a := range v.pager.Alerts() {
		if id, ok := strings.CutPrefix(a.DedupKey, "guardroom/"); ok && !strings.Contains(id, "/") {
			out[id] = append(out[id], a.Severity)
		}
	}
	return out
}

func pagerSeverity(s float64) string {
	switch finding.Severity(s).Band() {
	case finding.Critical:
		return "critical"
	case finding.High:
		return "error"
	case finding.Medium:
		return "warning"
	}
	return "info"
}
