package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// exposition is what /metrics says.
type exposition struct {
	text    string
	samples []sample
}

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// metrics reads /metrics and wants each line to be one of the format.
func (i *instance) metrics(t *testing.T) exposition {
	t.Helper()
	res, err := http.Get("http://" + i.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", res.Status, err, b)
	}
	e := exposition{text: string(b)}
	lines := bufio.NewScanner(strings.NewReader(e.text))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("/metrics has the line %q", lines.Text())
		}
		s := sample{name: m[1], labels: map[string]string{}}
		for _, l := range labelPair.FindAllStringSubmatch(m[2], -1) {
			s.labels[l[1]] = l[2]
		}
		if s.value, err = strconv.ParseFloat(m[3], 64); err != nil {
			t.Fatal(err)
		}
		e.samples = append(e.samples, s)
	}
	return e
}

// value is the sum of the samples with that name and these labels; -1: none.
func (e exposition) value(name string, labels ...string) float64 {
	sum, found := 0.0, false
next:
	for _, s := range e.samples {
		if s.name != name {
			continue
		}
		for n := 0; n+1 < len(labels); n += 2 {
			if s.labels[labels[n]] != labels[n+1] {
				continue next
			}
		}
		sum, found = sum+s.value, true
	}
	if !found {
		return -1
	}
	return sum
}

// breaker stands before a vendor and breaks in one way, until it is mended.
type breaker struct {
	host string // host:port
	mode atomic.Pointer[string]
	hits atomic.Int64 // requests that met what is broken
}

func newBreaker(t *testing.T, vendor, mode string) *breaker {
	t.Helper()
	target, err := url.Parse(vendor)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	b := &breaker{}
	b.mode.Store(&mode)
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		how := *b.mode.Load()
		if how != "" {
			b.hits.Add(1)
		}
		say := func(status int, kind, body string) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch how {
		case "":
			proxy.ServeHTTP(w, r)
		case "hangs":
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client left
			select {
			case <-r.Context().Done():
			case <-end:
			}
		case "closes connections":
			panic(http.ErrAbortHandler)
		case "answers 200 with an error":
			say(200, "application/json", `{"ok":false,"error":"internal_error","status":"error","errorMessages":["out of order"]}`)
		case "answers 200 with HTML":
			say(200, "text/html", "<html><title>Log in</title><body>Please log in</body></html>")
		case "answers 200 with nothing":
			say(200, "application/json", "")
		case "answers 200 without end":
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		case "asks to wait":
			w.Header().Set("Retry-After", "2")
			say(429, "application/json", `{"ok":false,"error":"ratelimited"}`)
		case "is down":
			say(503, "text/plain", "upstream is down")
		case "refuses":
			say(400, "application/json", `{"status":"invalid event","message":"Event object is invalid","errors":["payload is not to our taste"]}`)
		}
	}))
	t.Cleanup(func() {
		close(end)
		s.CloseClientConnections()
		s.Close()
	})
	b.host = strings.TrimPrefix(s.URL, "http://")
	return b
}

func (b *breaker) breaks(mode string) { b.mode.Store(&mode) }

func (b *breaker) mend() { b.breaks("") }

// TestAVendorThatIsOutOfOrderHoldsUpNoOther breaks one vendor in each way: the
// others are told meanwhile, and with the vendor mended everything is shown
// there too, once.
func TestAVendorThatIsOutOfOrderHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ vendor, mode string }{
		{"slack", "hangs"}, {"slack", "answers 200 with an error"}, {"slack", "answers 200 with HTML"}, {"slack", "answers 200 without end"}, {"slack", "asks to wait"},
		{"jira", "hangs"}, {"jira", "answers 200 with HTML"}, {"jira", "closes connections"}, {"jira", "answers 200 with nothing"}, {"jira", "asks to wait"},
		{"pagerduty", "hangs"}, {"pagerduty", "closes connections"}, {"pagerduty", "is down"}, {"pagerduty", "answers 200 with HTML"}, {"pagerduty", "asks to wait"},
	} {
		t.Run(c.vendor+" "+c.mode, func(t *testing.T) {
			t.Parallel()
			v := newVendors(t, 50, 0, 1)
			address := map[string]string{"slack": v.slack.URL(), "jira": v.jira.URL(), "pagerduty": v.pager.URL()}[c.vendor]
			b := newBreaker(t, address, c.mode)
			host, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			i := newInstance(t, v, settings{scale: 50})
			i.edit(host.Host, b.host)
			i.start()
			if err := i.ready(); err != nil {
				t.Fatal(err)
			}
			first := time.Now().Add(-time.Hour)
			for n := range 4 {
				if ok, err := i.post(t.Context(), makeRevision(n%2, 1+n/2, 8, first, first.Add(time.Duration(n)*time.Minute)).body); !ok {
					t.Fatal(err)
				}
			}
			await(t, i, "the others are told, and the broken one was tried", func() bool {
				told := map[string]int{"slack": len(slackRoots(v)), "jira": len(jiraIssues(v)), "pagerduty": len(pagerAlerts(v))}
				for name, n := range told {
					if name != c.vendor && n < 2 {
						return false
					}
				}
				return b.hits.Load() > 0
			})
			b.mend()
			destination := map[string]string{"slack": "chat", "jira": "tickets", "pagerduty": "pager"}[c.vendor]
			await(t, i, "everything is shown", func() bool {
				open := 0
				for _, d := range lines[delivery](t, i.must("delivery", "list", "--behind", "--json", "--limit", "100")) {
					open++
					switch d.Status {
					case "paused":
						i.must("destination", "test", destination)
					case "parked", "unknown":
						i.must("delivery", "retry", d.ID)
					}
				}
				return open == 0
			})
			checkVendors(t, i, v)
			if m := i.metrics(t); m.value("guardroom_delivery_failures_total", "destination", destination) < 1 {
				t.Error("no failure is counted")
			}
			if strings.Contains(i.out.String(), "panic") {
				t.Error(i.out)
			}
		})
	}
}

// notices are the texts of what guardroom says about itself in Slack, with
// their edits.
func notices(v *vendors, words string) (open, resolved int) {
	for _, m := range v.slack.Messages() {
		text := m.Text + string(m.Blocks) + string(m.Attachments)
		if !strings.Contains(text, words) || strings.Contains(string(m.Metadata), `"incident":"`) && strings.Contains(m.Text, "INC-") {
			continue
		}
		if strings.Contains(m.Text, "Resolved") {
			resolved++
		} else {
			open++
		}
	}
	return open, resolved
}

// TestTroubleIsToldByAnotherDestination parks a delivery, pauses a destination,
// lets a source be silent and an incident undelivered: each is told by Slack, and
// told to be over.
func TestTroubleIsToldByAnotherDestination(t *testing.T) {
	t.Parallel()
	t.Run("a parked delivery", func(t *testing.T) {
		t.Parallel()
		v := newVendors(t, 50, 0, 1)
		host, _ := url.Parse(v.pager.URL())
		b := newBreaker(t, v.pager.URL(), "refuses")
		i := newInstance(t, v, settings{scale: 50})
		i.edit(host.Host, b.host)
		serveOne(t, i)
		await(t, i, "it is parked and told", func() bool {
			open, _ := notices(v, "pager")
			return open == 1 && strings.Contains(i.must("delivery", "list", "--status", "parked"), "pager")
		})
		b.mend()
		for _, d := range lines[delivery](t, i.must("delivery", "list", "--status", "parked", "--json")) {
			i.must("delivery", "retry", d.ID)
		}
		await(t, i, "it is told to be over", func() bool { _, resolved := notices(v, "pager"); return resolved == 1 })
		i.settle()
		checkVendors(t, i, v)
	})
	t.Run("a paused destination", func(t *testing.T) {
		t.Parallel()
		v := newVendors(t, 50, 0, 1)
		i := newInstance(t, v, settings{scale: 50})
		v.slack.SetToken("xoxb-another")
		serveOne(t, i)
		await(t, i, "it is paused and told by Jira", func() bool {
			told := false
			for _, issue := range v.jira.Issues() {
				told = told || strings.Contains(issue.Summary, "chat")
			}
			return told && strings.Contains(i.must("destination", "list"), "paused")
		})
		if got := i.metrics(t).value("guardroom_destination_paused", "destination", "chat"); got != 1 {
			t.Errorf("guardroom_destination_paused is %v", got)
		}
		if r := i.run("destination", "test", "chat"); r.code == 0 || !strings.Contains(r.err, "hint:") {
			t.Errorf("the test of what is still broken ended with %d: %s%s", r.code, r.out, r.err)
		}
		v.slack.SetToken(fakeslack.DefaultToken)
		if out := i.must("destination", "test", "chat"); !strings.Contains(out, "goes on") {
			t.Errorf("the test said %s", out)
		}
		await(t, i, "the incident is shown", func() bool { return len(slackRoots(v)) > 0 })
		i.settle()
		checkVendors(t, i, v)
	})
	t.Run("a silent source and an old undelivered incident", func(t *testing.T) {
		t.Parallel()
		v := newVendors(t, 50, 0, 1)
		host, _ := url.Parse(v.jira.URL())
		b := newBreaker(t, v.jira.URL(), "hangs")
		i := newInstance(t, v, settings{scale: 50, more: "watch: {silent_after: 3s, undelivered_after: 3s, to: [chat]}"})
		i.edit(host.Host, b.host, "lease: 30s", "lease: 5s")
		i.start()
		if err := i.ready(); err != nil {
			t.Fatal(err)
		}
		await(t, i, "the source that never gave anything is told", func() bool { open, _ := notices(v, "http"); return open == 1 })
		first := time.Now().Add(-time.Hour)
		if ok, err := i.post(t.Context(), makeRevision(1, 1, 8, first, first).body); !ok {
			t.Fatal(err)
		}
		await(t, i, "the source is told to speak again", func() bool { _, resolved := notices(v, "http"); return resolved >= 1 })
		await(t, i, "the incident that Jira does not show is told", func() bool { open, _ := notices(v, "tickets"); return open >= 1 })
		if got := i.metrics(t).value("guardroom_delivery_oldest_undelivered_seconds", "destination", "tickets"); got < 1 {
			t.Errorf("the oldest waits for %v seconds", got)
		}
		b.mend()
		await(t, i, "it is told to be over", func() bool {
			for _, d := range lines[delivery](t, i.must("delivery", "list", "--status", "unknown,parked", "--json")) {
				i.must("delivery", "retry", d.ID)
			}
			open, resolved := notices(v, "tickets")
			return open == 0 && resolved >= 1
		})
	})
}

// serveOne starts the service and gives it one finding.
func serveOne(t *testing.T, i *instance) {
	t.Helper()
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	if ok, err := i.post(t.Context(), makeRevision(1, 1, 8, first, first).body); !ok {
		t.Fatal(err)
	}
}

// TestTheHeartbeatOutsideIsCalled counts its calls and then has it fail.
func TestTheHeartbeatOutsideIsCalled(t *testing.T) {
	t.Parallel()
	var calls, status atomic.Int64
	status.Store(200)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == secretHome {
			calls.Add(1)
		}
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(outside.Close)
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50, more: fmt.Sprintf("watch: {heartbeat_url: %q, heartbeat_interval: 1s}", outside.URL+secretHome)})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	await(t, i, "it was called twice", func() bool { return calls.Load() >= 2 })
	if out := i.out.String(); strings.Contains(out, "look after itself") {
		t.Errorf("while all is well the log says\n%s", out)
	}
	status.Store(500)
	await(t, i, "its failure is in the log", func() bool { return strings.Contains(i.out.String(), "heartbeat's URL answered 500") })
	status.Store(200)
	outside.CloseClientConnections()
	outside.Close()
	await(t, i, "its absence is in the log", func() bool { return strings.Contains(i.out.String(), "refused") })
	if strings.Contains(i.out.String(), secretHome) {
		t.Errorf("the log names the secret path\n%s", i.out)
	}
}

// TestMetricsAndHealthSayWhatTheyShould reads what the network may see.
func TestMetricsAndHealthSayWhatTheyShould(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 50, 0, 1)
	host, _ := url.Parse(v.jira.URL())
	b := newBreaker(t, v.jira.URL(), "is down")
	i := newInstance(t, v, settings{scale: 50, more: `suppress: [{name: quiet, when: 'resource.kind == "lambda_function"', owner: soc, reason: a test, until: 2999-01-01}]`})
	i.edit(host.Host, b.host)
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	for n := range 5 { // the last kind is a Lambda function
		if ok, err := i.post(t.Context(), makeRevision(n, 1, 8, first, first).body); !ok {
			t.Fatal(err)
		}
	}
	f := hostileFindings(t, first, 5)
	for _, body := range [][]byte{makeRevision(1, 1, 8, first, first).body, []byte("oh no"), []byte(`{"detail-type":"Something else","source":"aws.guardduty","detail":{}}`), f[0], f[3]} {
		if ok, err := i.post(t.Context(), body); !ok {
			t.Fatal(err)
		}
	}
	await(t, i, "the others show everything", func() bool { return len(slackRoots(v)) == 6 && len(pagerAlerts(v)) == 6 && b.hits.Load() > 0 })
	var m exposition
	await(t, i, "the deliveries are counted", func() bool {
		m = i.metrics(t)
		return m.value("guardroom_deliveries_total", "destination", "pager") >= 6 && m.value("guardroom_deliveries_total", "destination", "chat") >= 6 &&
			m.value("guardroom_delivery_failures_total", "destination", "tickets") >= 1
	})
	for _, c := range []struct {
		name   string
		labels []string
		least  float64
	}{
		{"guardroom_findings_total", []string{"source", "http", "decision", "accepted"}, 6},
		{"guardroom_findings_total", []string{"source", "http", "decision", "suppressed"}, 1},
		{"guardroom_findings_total", []string{"source", "http", "decision", "known"}, 1},
		{"guardroom_findings_total", []string{"source", "http", "decision", "ignored"}, 1},
		{"guardroom_findings_total", []string{"source", "http", "decision", "rejected"}, 1},
		{"guardroom_delivery_latency_seconds_count", []string{"destination", "chat"}, 6},
		{"guardroom_delivery_latency_seconds_bucket", []string{"destination", "pager", "le", "+Inf"}, 6},
		{"guardroom_deliveries_total", []string{"destination", "chat"}, 6},
		{"guardroom_delivery_failures_total", []string{"destination", "tickets"}, 1},
		{"guardroom_delivery_queue_depth", []string{"destination", "tickets", "status", "pending"}, 1},
		{"guardroom_delivery_queue_depth", []string{"destination", "pager", "status", "delivered"}, 1},
		{"guardroom_delivery_oldest_undelivered_seconds", []string{"destination", "tickets"}, 0},
		{"guardroom_source_last_event_timestamp_seconds", []string{"source", "http"}, float64(first.Unix())},
		{"guardroom_incidents", []string{"state", "open"}, 6},
		{"guardroom_audit_records_total", nil, 10},
	} {
		if got := m.value(c.name, c.labels...); got < c.least {
			t.Errorf("%s%v is %v, want at least %v", c.name, c.labels, got, c.least)
		}
	}
	// Label values are configured names and words of ours.
	ours := regexp.MustCompile(`^([a-z_]+|[0-9.e+-]+|\+Inf|go[0-9.]+.*)$`)
	for _, s := range m.samples {
		for k, value := range s.labels {
			if !ours.MatchString(value) || len(value) > 40 {
				t.Errorf("%s has the label %s=%q", s.name, k, value)
			}
		}
		if !strings.Contains(m.text, "# HELP "+strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s.name, "_bucket"), "_sum"), "_count")+" ") {
			t.Errorf("%s has no help", s.name)
		}
	}
	for _, bad := range []string{"111111111111", "eu-west-1", "hostile", "evil.example", "i-0", "UnauthorizedAccess", "198.51.100", "payments"} {
		if strings.Contains(m.text, bad) {
			t.Errorf("/metrics has %q", bad)
		}
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		res, err := http.Get("http://" + i.address + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 200 || string(b) != want {
			t.Errorf("%s answered %s %q", path, res.Status, b)
		}
		if res, err = http.Post("http://"+i.address+path, "text/plain", nil); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s answered %s", path, res.Status)
		}
	}
}

// TestAStormBecomesOneDigest has 200 incidents begin at once.
func TestAStormBecomesOneDigest(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 4, 0, 1)
	i := newInstance(t, v, settings{scale: 4, routes: "  - {name: all, to: [chat, pager]}"})
	i.edit("digest_above: 0", "digest_above: 20")
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	for n := range 4 { // within three minutes of the scale, which are 45 s
		var in strings.Builder
		for k := range 50 {
			in.Write(makeRevision(50*n+k, 1, 5, first, first).body)
			in.WriteByte('\n')
		}
		if a := i.send(strings.NewReader(in.String())); a.Accepted != 50 {
			t.Fatalf("answered %d %s", a.status, a.text)
		}
	}
	i.settle()
	counts := map[string]int{}
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--destination", "chat", "--json", "--limit", "1000")) {
		counts[d.Kind+" "+d.Status]++
	}
	own := counts["incident delivered"]
	if own < 20 || own > 60 || own+counts["incident digested"] != 200 || counts["digest delivered"] != 1 {
		t.Fatalf("chat has %v", counts)
	}
	digests := 0
	for _, m := range v.slack.Messages() {
		text := m.Text + string(m.Blocks) + string(m.Attachments)
		if strings.Contains(text, strconv.Itoa(counts["incident digested"])) && !strings.Contains(m.Text, "SSHBruteForce") {
			digests++
		}
	}
	if got := len(v.slack.Messages()); got != own+1 || digests != 1 {
		t.Errorf("Slack has %d messages, %d of them a digest of %d; want %d and one", got, digests, counts["incident digested"], own+1)
	}
	if n := len(pagerAlerts(v)); n != 200 {
		t.Errorf("where no digest is wanted %d of 200 are told", n)
	}
	if n := len(lines[incidentLine](t, i.must("incident", "list", "--json", "--limit", "1000"))); n != 200 {
		t.Errorf("%d incidents are listed", n)
	}
	for _, s := range v.slack.Violations() {
		t.Errorf("a limit was broken: %s", s)
	}
}

// TestTheFirstLookBackAnnouncesNothingOld starts on a GuardDuty that has findings
// of days and of an hour ago.
func TestTheFirstLookBackAnnouncesNothingOld(t *testing.T) {
	t.Parallel()
	double, err := fakeguardduty.Start(fakeguardduty.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	detector := double.AddDetector(fakeguardduty.Home, "eu-west-1")
	now := time.Now()
	old := map[string]bool{}
	for n, age := range []time.Duration{25 * time.Hour, 72 * time.Hour, 29 * 24 * time.Hour, time.Hour, 23 * time.Hour} {
		r := makeRevision(n, 1, 8, now.Add(-age), now.Add(-age))
		old[r.id] = age > 24*time.Hour
		if err := double.Put(detector, r.body); err != nil {
			t.Fatal(err)
		}
	}
	v := newVendors(t, 50, 0, 1)
	i := newInstance(t, v, settings{scale: 50, env: awsEnv(double.URL), sources: `  guardduty:
    - {name: api, regions: [eu-west-1], interval: 2s, look_back: 720h}
`})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	await(t, i, "all are stored", func() bool { return len(lines[findingLine](t, i.must("finding", "list", "--json"))) == len(old) })
	i.settle()
	silent := 0
	for _, inc := range lines[incidentLine](t, i.must("incident", "list", "--all", "--json")) {
		if inc.Silent != old[inc.Findings[0].ID] {
			t.Errorf("the incident of %s is silent: %v", inc.Findings[0].ID, inc.Silent)
		}
		if inc.Silent {
			silent++
		}
	}
	if silent != 3 || len(slackRoots(v)) != 2 || len(jiraIssues(v)) != 2 || len(pagerAlerts(v)) != 2 {
		t.Errorf("%d are silent; Slack has %d, Jira %d, PagerDuty %d, want 3 and 2 each", silent, len(slackRoots(v)), len(jiraIssues(v)), len(pagerAlerts(v)))
	}
	// What comes at a later poll is announced, however old it says it is.
	late := makeRevision(7, 1, 8, now.Add(-48*time.Hour), time.Now())
	if err := double.Put(detector, late.body); err != nil {
		t.Fatal(err)
	}
	await(t, i, "what came later is told", func() bool { return len(slackRoots(v)) == 3 })
	i.settle()
	checkVendors(t, i, v)
}

// TestNoiseHidesNothingCritical has a critical incident begin in the middle of
// a storm: it is told by itself and calls people, although a digest stands for
// the noise.
func TestNoiseHidesNothingCritical(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 10, 0, 1)
	i := newInstance(t, v, settings{scale: 10})
	i.edit("digest_above: 0", "digest_above: 5", "digest_above: 0", "digest_above: 5", "digest_above: 0", "digest_above: 5")
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	storm := func(from int) {
		var in strings.Builder
		for k := range 20 {
			in.Write(makeRevision(from+k, 1, 2, first, first).body)
			in.WriteByte('\n')
		}
		if a := i.send(strings.NewReader(in.String())); a.Accepted != 20 {
			t.Fatalf("answered %d %s", a.status, a.text)
		}
	}
	storm(0)
	await(t, i, "the digest is told", func() bool { return len(v.slack.Messages()) == 6 && len(v.pager.Alerts()) == 6 })
	storm(20)
	worst := makeRevision(100, 1, 9.5, first, first)
	if ok, err := i.post(t.Context(), worst.body); !ok {
		t.Fatal(err)
	}
	i.settle()
	own, called := 0, 0
	for _, m := range v.slack.Messages() {
		if strings.Contains(m.Text, "INC-41") {
			own++
		}
	}
	for _, e := range v.slack.Transcript() { // edits call nobody any more
		if e.Method == "chat.postMessage" && e.Effect == "posted" && strings.Contains(e.Body, "INC-41") && strings.Contains(e.Body, "!here") {
			called++
		}
	}
	if own != 1 || called != 1 {
		t.Errorf("Slack has %d messages of it, %d posts call people", own, called)
	}
	pages := 0
	for _, a := range v.pager.Alerts() {
		if a.Severity == "critical" && strings.Contains(a.Summary, "INC-41") {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("%d pages", pages)
	}
}
