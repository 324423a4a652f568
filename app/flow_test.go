package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/source"
)

// recorder is a destination that remembers what it was told.
type recorder struct {
	mu    sync.Mutex
	views map[string][]*message.View // by incident
	calls int
	first map[string]time.Time
	fail  func(call int) error
}

func (r *recorder) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fail != nil {
		if err := r.fail(r.calls); err != nil {
			return notify.Outcome{}, err
		}
	}
	if r.views == nil {
		r.views = map[string][]*message.View{}
	}
	k := string(req.View.Incident)
	if _, ok := r.first[k]; !ok {
		if r.first == nil {
			r.first = map[string]time.Time{}
		}
		r.first[k] = time.Now()
	}
	r.views[k] = append(r.views[k], req.View)
	return notify.Outcome{Reference: "ref-" + k}, nil
}
func (r *recorder) Test(context.Context) (string, error)   { return "look", nil }
func (r *recorder) Check(context.Context) []notify.Finding { return nil }

func testConfig(t testing.TB, storeURL string) *config.Config {
	t.Helper()
	if storeURL == "" {
		storeURL = "sqlite:" + filepath.Join(t.TempDir(), "g.db")
	}
	c := &config.Config{Store: config.NewSecret(storeURL)}
	c.Worker.Concurrency, c.Worker.Lease, c.Worker.TimeScale = 16, config.Duration(30*time.Second), 1
	c.Audit.Head.Interval = config.Duration(30 * time.Second)
	c.Watch.HeartbeatInterval = config.Duration(time.Minute)
	c.Destinations = []config.Destination{{Name: "chat", Type: "slack"}}
	c.Routes = []config.Route{{Name: "all", To: []string{"chat"}}}
	return c
}

func testApp(t testing.TB, cfg *config.Config, n map[string]notify.Notifier) *App {
	t.Helper()
	a, err := New(t.Context(), cfg, Options{Mode: ModeServe, Notifiers: n, Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func testFinding(id int, count int, sev float64, at time.Time) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-west-1","partition":"aws","id":"%032x","arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/12abc/finding/%032x","type":"UnauthorizedAccess:EC2/SSHBruteForce","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-%017x","instanceType":"t3.small","tags":[{"key":"Name","value":"web-%d"}]}},"service":{"serviceName":"guardduty","detectorId":"12abc","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"INBOUND","remoteIpDetails":{"ipAddressV4":"203.0.113.%d"},"localPortDetails":{"port":22}}},"resourceRole":"TARGET","count":%d,"eventFirstSeen":"%[8]s","eventLastSeen":"%[8]s","archived":false},"severity":%[7]g,"createdAt":"%[8]s","updatedAt":"%[8]s","title":"SSH brute force","description":"x"}`,
		id, id, id, id, id%250+1, count, sev, at.UTC().Format(time.RFC3339Nano))
}

func TestAFindingBecomesAnIncidentThatIsTold(t *testing.T) {
	onBoth(t, aFindingIsTold)
}

func aFindingIsTold(t *testing.T, store func() string) {
	r := &recorder{}
	a := testApp(t, testConfig(t, store()), map[string]notify.Notifier{"chat": r})
	if err := a.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	got, err := a.Take(t.Context(), source.Input{Source: "test", Body: testFinding(1, 1, 5, now)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accepted != 1 || len(got.Incidents) != 1 || got.Incidents[0] != "INC-1" {
		t.Fatalf("got %+v", got)
	}
	if stuck, err := a.WaitDelivered(t.Context(), nil); err != nil || stuck != 0 {
		t.Fatal(stuck, err)
	}
	if r.calls != 1 {
		t.Fatalf("%d calls", r.calls)
	}
	again, err := a.Take(t.Context(), source.Input{Source: "test", Body: testFinding(1, 1, 5, now)})
	if err != nil || again.Known != 1 || again.Accepted != 0 {
		t.Fatalf("got %+v, %v", again, err)
	}
	report, err := a.VerifyAudit(t.Context())
	if err != nil || !report.OK() {
		t.Fatalf("%+v %v", report, err)
	}
}
