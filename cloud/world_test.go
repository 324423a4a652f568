package cloud_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/moto"
)

const (
	region = "eu-central-1"
	second = "222222222222"
)

// calls is everything that the tests of this package called.
var calls = &recorder{seen: map[string]int{}}

type recorder struct {
	mu   sync.Mutex
	seen map[string]int
}

func (r *recorder) observe(c cloud.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[c.String()]++
}

func (r *recorder) count(call string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[call]
}

// motoURL is the moto server of this package's tests.
var motoURL string

// TestMain starts moto and gives the SDK credentials of its own: whoever runs
// the tests may have real ones.
func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(os.TempDir(), "no-such-file"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(os.TempDir(), "no-such-file")} {
		_ = os.Setenv(name, value)
	}
	server, err := moto.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	motoURL = server.URL
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// world is a Cloud in front of a GuardDuty double, with moto behind it.
type world struct {
	fake  *fakeguardduty.Server
	calls *recorder
	cloud *cloud.Cloud
}

func newWorld(t testing.TB, cfg config.AWS, accounts []config.Account, opts fakeguardduty.Options) world {
	t.Helper()
	opts.Fallback = motoURL
	fake, err := fakeguardduty.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	w := world{fake: fake, calls: &recorder{seen: map[string]int{}}}
	if cfg.Region == "" {
		cfg.Region = region
	}
	if cfg.EndpointURL == "" {
		cfg.EndpointURL = fake.URL
	}
	w.cloud = cloud.New(cfg, accounts, cloud.Deps{MaxBackoff: time.Millisecond, Log: slog.New(slog.DiscardHandler), Observe: func(c cloud.Call) {
		w.calls.observe(c)
		calls.observe(c)
	}})
	return w
}

// permitted are the calls of the table.
func permitted() []string {
	var out []string
	for _, p := range cloud.Permissions() {
		if p.Call != "" && !slices.Contains(out, p.Call) {
			out = append(out, p.Call)
		}
	}
	return out
}
