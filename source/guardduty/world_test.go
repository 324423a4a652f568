package guardduty_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/guardduty"
)

// TestMain gives the SDK credentials of its own: whoever runs the tests may
// have real ones.
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
	os.Exit(m.Run())
}

const (
	region = "eu-central-1"
	other  = "eu-west-1"
	second = "222222222222"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) step(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// intake is a flow that remembers what it took.
type intake struct {
	mu        sync.Mutex
	inputs    []source.Input
	revisions map[finding.ID]map[string]bool // updatedAt/count/archived
	raw       map[finding.ID][]byte
	fail      func(in source.Input) error
}

func (i *intake) Take(_ context.Context, in source.Input) (source.Receipt, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		if err := i.fail(in); err != nil {
			return source.Receipt{}, err
		}
	}
	i.inputs = append(i.inputs, in)
	if i.revisions == nil {
		i.revisions, i.raw = map[finding.ID]map[string]bool{}, map[finding.ID][]byte{}
	}
	var r source.Receipt
	err := finding.Decode(bytes.NewReader(in.Body), finding.Limits{}, func(item finding.Item) bool {
		if item.Finding == nil {
			r.Rejected++
			return true
		}
		f := item.Finding
		if i.revisions[f.ID] == nil {
			i.revisions[f.ID] = map[string]bool{}
		}
		i.revisions[f.ID][revision(f.UpdatedAt, f.Archived)] = true
		i.raw[f.ID] = f.Raw
		r.Accepted++
		return true
	})
	return r, err
}

func revision(at time.Time, archived bool) string {
	return fmt.Sprintf("%s archived=%t", at.UTC().Format(time.RFC3339Nano), archived)
}

func (i *intake) has(id finding.ID, at time.Time, archived bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.revisions[id][revision(at.Truncate(time.Millisecond), archived)]
}

// reset forgets the inputs, not the revisions, and returns them.
func (i *intake) reset() []source.Input {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.inputs
	i.inputs = nil
	return out
}

// state is a store in memory.
type state struct {
	mu       sync.Mutex
	cursors  map[string]string
	trouble  string
	looks    int
	open     []place
	pending  []place
	archived []finding.ID
	givenUp  map[finding.ID]string
}

type place struct {
	id                        finding.ID
	account, region, detector string
}

func newState() *state {
	return &state{cursors: map[string]string{}, givenUp: map[finding.ID]string{}}
}

func (s *state) Cursor(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[name], nil
}

func (s *state) SetCursor(_ context.Context, name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors[name] = value
	return nil
}

func (s *state) Looked(_ context.Context, _, trouble string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
	s.looks++
	return nil
}

func (s *state) OpenFindings(_ context.Context, yield func(id finding.ID, account, region, detector string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.open {
		yield(p.id, p.account, p.region, p.detector)
	}
	return nil
}

func (s *state) ToArchive(_ context.Context, yield func(id finding.ID, account, region, detector string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		yield(p.id, p.account, p.region, p.detector)
	}
	return nil
}

func (s *state) done(ids []finding.ID) {
	var left []place
	for _, p := range s.pending {
		keep := true
		for _, id := range ids {
			keep = keep && p.id != id
		}
		if keep {
			left = append(left, p)
		}
	}
	s.pending = left
}

func (s *state) Archived(_ context.Context, ids []finding.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archived = append(s.archived, ids...)
	s.done(ids)
	return nil
}

func (s *state) GiveUpArchiving(_ context.Context, ids []finding.ID, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.givenUp[id] = why
	}
	s.done(ids)
	return nil
}

func (s *state) troubled() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// world is a poller in front of a GuardDuty.
type world struct {
	t      testing.TB
	fake   *fakeguardduty.Server
	clock  *clock
	intake *intake
	state  *state
	aws    config.AWS
	cfg    config.GuardDutySource
	poller *guardduty.Poller
}

func newWorld(t testing.TB, opts fakeguardduty.Options, change func(*world)) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), intake: &intake{}, state: newState()}
	fake, err := fakeguardduty.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	w.fake = fake
	w.aws = config.AWS{Region: region, EndpointURL: fake.URL}
	w.cfg = config.GuardDutySource{Name: "main", Regions: []string{region}, Interval: config.Duration(time.Minute),
		Overlap: config.Duration(5 * time.Minute), LookBack: config.Duration(30 * 24 * time.Hour)}
	if change != nil {
		change(w)
	}
	w.restart()
	return w
}

func (w *world) clients() *cloud.Cloud {
	return cloud.New(w.aws, nil, cloud.Deps{MaxBackoff: time.Millisecond})
}

// restart begins anew with what the store has.
func (w *world) restart() {
	w.poller = guardduty.New(w.cfg, nil, w.clients(), w.intake, w.state, guardduty.Deps{Now: w.clock.now})
}

// poll reads once and fails the test on trouble.
func (w *world) poll() {
	w.t.Helper()
	if err := w.poller.Poll(w.t.Context()); err != nil {
		w.t.Fatalf("poll: %v", err)
	}
}

// wellFormed fails the test when a request broke a limit.
func (w *world) wellFormed() {
	w.t.Helper()
	for _, r := range w.fake.Refused() {
		w.t.Errorf("refused: %s", r)
	}
}

func id(n int) finding.ID { return finding.ID(fmt.Sprintf("%032x", n+1)) }

// body is a finding as GuardDuty sends it.
func body(id finding.ID, at time.Time, account, where string, extra string) json.RawMessage {
	stamp := at.UTC().Format("2006-01-02T15:04:05.000Z")
	return json.RawMessage(fmt.Sprintf(`{"schemaVersion":"2.0","accountId":%q,"region":%q,"partition":"aws","id":%q,
	"arn":"arn:aws:guardduty:%[2]s:%[1]s:detector/0/finding/%[3]s","type":"Recon:EC2/PortProbeUnprotectedPort","severity":2,
	"title":"probed","description":"probed","createdAt":%[4]q,"updatedAt":%[4]q,"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0abc"}},
	"service":{"serviceName":"guardduty","eventFirstSeen":%[4]q,"eventLastSeen":%[4]q,"count":1,"archived":false}%[5]s}`, account, where, string(id), stamp, extra))
}

func (w *world) put(detector string, n int, at time.Time) {
	w.t.Helper()
	if err := w.fake.Put(detector, body(id(n), at, fakeguardduty.Home, region, "")); err != nil {
		w.t.Fatal(err)
	}
}

// expect fails the test unless the flow took this revision of a finding.
func (w *world) expect(n int, at time.Time) {
	w.t.Helper()
	if !w.intake.has(id(n), at, false) {
		w.t.Errorf("finding %d at %s never reached the flow", n, at.Format(time.RFC3339Nano))
	}
}
