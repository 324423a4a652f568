package cloudtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/moto"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// StartMoto starts a moto server, and gives the SDK credentials of its own:
// whoever runs the tests may have real ones. Call it in TestMain.
func StartMoto() (*moto.Server, error) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				return nil, fmt.Errorf("clear the environment: %w", err)
			}
		}
	}
	none := filepath.Join(os.TempDir(), "no-such-file")
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none} {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return moto.Start()
}

// Clock stands still until it is moved. It is a playbook's clock as well.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock is a clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Move lets time pass.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Slow are times in which what moto gives at once takes about as long as in AWS.
var Slow = proxy.Timing{Snapshot: 5 * time.Minute, Copy: 5 * time.Minute, Volume: 5 * time.Second, Attachment: 5 * time.Second, Instance: 20 * time.Second,
	Checks: time.Minute, Metadata: 5 * time.Second, Invocation: 2 * time.Second}

// Roles are the names of the roles in tests.
var Roles = cloud.ResponseRoles{Read: "guardroom-read", Act: "guardroom-act", Forensics: "guardroom-forensics",
	Pace: map[cloud.PaceClass]cloud.Pace{cloud.Changing: {PerSecond: 1000, AtOnce: 1000}, cloud.Looking: {PerSecond: 1000, AtOnce: 1000}}}

// OnMoto is AWS by the real SDK, the proxy and moto, and the scenery there.
func OnMoto(t testing.TB, motoURL, account string, now func() time.Time, move func(time.Duration), o proxy.Options) (awscalls.AWS, *MotoScenery) {
	t.Helper()
	o.Upstream, o.Now = motoURL, now
	if o.Problem == nil {
		o.Problem = func(message string) { t.Error(message) }
	}
	p, err := proxy.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c := cloud.New(config.AWS{Region: Region, EndpointURL: p.URL}, nil, cloud.Deps{MaxBackoff: time.Millisecond})
	return c.Responses(Roles), newMotoScenery(t, p, account, move)
}

// MotoBackend is moto behind the proxy.
func MotoBackend(motoURL string) Backend {
	return Backend{Name: Moto, Start: func(t *testing.T, account string) (awscalls.AWS, Scenery) {
		clock := NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
		return OnMoto(t, motoURL, account, clock.Now, clock.Move, proxy.Options{Timing: Slow})
	}}
}
