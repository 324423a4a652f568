package guardduty_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/guardduty"
)

const day = 24 * time.Hour

func TestTheFirstPollLooksBackAndSaysWhatToAnnounce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	now := w.clock.now()
	w.put(d, 1, now.Add(-40*day)) // before look_back
	w.put(d, 2, now.Add(-20*day))
	w.put(d, 3, now.Add(-time.Hour))
	w.poll()
	if w.intake.has(id(1), now.Add(-40*day), false) {
		t.Error("a finding from before look_back was taken")
	}
	w.expect(2, now.Add(-20*day))
	w.expect(3, now.Add(-time.Hour))
	first := w.intake.reset()
	if len(first) != 1 || !first[0].LookBack || !first[0].AnnounceAfter.Equal(now.Add(-day)) || !first[0].Confirmed || first[0].Source != "guardduty:main" {
		t.Fatalf("the first poll gave %+v", first)
	}
	later := w.clock.step(time.Minute)
	w.put(d, 4, later)
	w.poll()
	next := w.intake.reset()
	if len(next) != 1 || next[0].LookBack || !next[0].AnnounceAfter.IsZero() {
		t.Fatalf("the second poll gave %+v", next)
	}
	w.expect(4, later)
	w.wellFormed()
}

func TestAQuietDetectorGivesNothingToTheFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	for n := range 3 {
		w.put(d, n, w.clock.now().Add(-time.Duration(n)*time.Second))
	}
	w.poll()
	w.intake.reset()
	for range 3 {
		w.clock.step(time.Minute)
		w.poll()
	}
	if got := w.intake.reset(); len(got) != 0 {
		t.Errorf("the flow was asked %d times about what it has", len(got))
	}
}

func TestEveryFindingOfManyPagesArrives(t *testing.T) {
	t.Parallel()
	for _, shifting := range []bool{false, true} {
		w := newWorld(t, fakeguardduty.Options{ShiftingPages: shifting}, nil)
		d := w.fake.AddDetector(fakeguardduty.Home, region)
		start := w.clock.now().Add(-10 * day)
		for n := range 500 {
			w.put(d, n, start.Add(time.Duration(n)*time.Minute))
		}
		w.poll()
		for n := range 500 {
			w.expect(n, start.Add(time.Duration(n)*time.Minute))
		}
		for _, c := range w.fake.Calls() {
			if c.IDs > 50 {
				t.Errorf("%s asked for %d ids", c.Operation, c.IDs)
			}
		}
		w.wellFormed()
	}
}

// While 500 findings are paged, those that were read change one by one and go
// to the end of the list, so that all others move up under the reader.
// A stand-in that knows neither bounds nor order must not hide findings, nor
// keep the poller busy for ever.
func TestAListWithoutBoundsAndOrderIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	start := time.Now().UTC().Truncate(time.Second).Add(-5 * day)
	for name, at := range map[string]func(n int) time.Time{
		"rising":           func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) },
		"falling":          func(n int) time.Time { return start.Add(-time.Duration(n) * time.Minute) },
		"in no order":      func(n int) time.Time { return start.Add(time.Duration(n*7919%180) * time.Minute) },
		"at the same time": func(int) time.Time { return start },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fakeguardduty.Options{Heedless: true}, nil)
			d := w.fake.AddDetector(fakeguardduty.Home, region)
			for n := range 180 {
				w.put(d, n, at(n))
			}
			for range 2 {
				w.poll()
				w.clock.step(time.Minute)
			}
			for n := range 180 {
				w.expect(n, at(n))
			}
			if n := len(w.fake.Calls()); n > 100 {
				t.Errorf("it took %d calls", n)
			}
		})
	}
}

func TestNothingSlipsWhenFindingsChangeWhileTheyArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{ShiftingPages: true}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	start := w.clock.now().Add(-10 * day)
	for n := range 500 {
		w.put(d, n, start.Add(time.Duration(n)*time.Minute))
	}
	changed := map[int]time.Time{}
	calls := 0
	change := func(n int) {
		changed[n] = w.clock.step(time.Second)
		w.put(d, n, changed[n])
	}
	w.fake.Fail(fakeguardduty.Fault{Operation: "ListFindings", Times: -1, Before: func() {
		for n := calls * 7; n < calls*7+7 && n < 500 && calls > 0; n++ {
			change(n)
		}
		calls++
	}})
	// And the last one of the page goes between the list and the reading.
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetFindings", Times: 1, Before: func() { change(49) }})
	w.poll()
	w.fake.Heal()
	w.clock.step(time.Minute)
	w.poll()
	for n := range 500 {
		at, ok := changed[n]
		if !ok {
			at = start.Add(time.Duration(n) * time.Minute)
		}
		w.expect(n, at)
	}
	if len(changed) < 50 {
		t.Fatalf("only %d findings changed: the test tests nothing", len(changed))
	}
	w.wellFormed()
}

func TestManyFindingsOfOneMillisecondArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{ShiftingPages: true}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	at := w.clock.now().Add(-2 * day)
	for n := range 170 {
		w.put(d, n, at)
	}
	for n := range 60 {
		w.put(d, 200+n, at.Add(time.Duration(n)*time.Millisecond))
	}
	// Some of them leave the millisecond while it is read.
	calls := 0
	w.fake.Fail(fakeguardduty.Fault{Operation: "ListFindings", Times: 6, Before: func() {
		if calls++; calls > 2 {
			w.put(d, calls, w.clock.step(time.Second))
		}
	}})
	w.poll()
	w.clock.step(time.Minute)
	w.poll()
	for n := range 170 {
		if n >= 3 && n <= 6 {
			continue // moved; whether the old revision was seen is chance
		}
		w.expect(n, at)
	}
	for n := range 60 {
		w.expect(200+n, at.Add(time.Duration(n)*time.Millisecond))
	}
	w.wellFormed()
}

func TestAFindingThatShowsLateIsCaughtByTheOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	w.put(d, 1, w.clock.now().Add(-time.Second))
	w.poll()
	late := w.clock.now().Add(-4 * time.Minute) // older than the cursor, within the overlap
	w.put(d, 2, late)
	w.clock.step(time.Minute)
	w.poll()
	w.expect(2, late)
}

func TestTheCursorWaitsForTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	start := w.clock.now().Add(-10 * day)
	for n := range 200 {
		w.put(d, n, start.Add(time.Duration(n)*time.Minute))
	}
	announceAfter := w.clock.now().Add(-day)
	takes := 0
	w.intake.fail = func(source.Input) error {
		if takes++; takes > 2 {
			return errors.New("the disk is full")
		}
		return nil
	}
	err := w.poller.Poll(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("the poll said %v", err)
	}
	if !strings.Contains(w.state.troubled(), "the disk is full") {
		t.Errorf("the trouble is not visible: %q", w.state.troubled())
	}
	w.intake.fail = nil
	w.intake.reset()
	w.clock.step(3 * day)
	w.restart()
	w.poll()
	for n := range 200 {
		w.expect(n, start.Add(time.Duration(n)*time.Minute))
	}
	for _, in := range w.intake.reset() {
		if !in.LookBack || !in.AnnounceAfter.Equal(announceAfter) {
			t.Errorf("after the restart the first poll is no longer one: %v %v", in.LookBack, in.AnnounceAfter)
		}
	}
	if w.state.troubled() != "" {
		t.Errorf("the trouble stays: %q", w.state.troubled())
	}
}

func TestFindingsKeepWhatTheSDKDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	at := w.clock.now()
	// A member that no SDK knows, and one of a type that the SDK refuses.
	raw := body(id(1), at, fakeguardduty.Home, region, `,"inventedIn2031":{"a":[1,2.50,null]},"confidence":"not a number"`)
	if err := w.fake.Put(d, raw); err != nil {
		t.Fatal(err)
	}
	w.put(d, 2, at)
	w.poll()
	w.expect(1, at)
	w.expect(2, at)
	compact := func(b []byte) string { return strings.Join(strings.Fields(string(b)), "") }
	if got := w.intake.raw[id(1)]; compact(got) != compact(raw) || !bytes.Contains(got, []byte(`2.50`)) {
		t.Errorf("the finding changed on the way:\n%s", got)
	}
}

func TestOneBrokenRegionStopsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, func(w *world) { w.cfg.Regions = []string{other, region, "us-east-1"} })
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	w.fake.AddDetector(fakeguardduty.Home, other)
	w.put(d, 1, w.clock.now())
	w.fake.Fail(fakeguardduty.Fault{Region: other, Times: -1, Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "User is not authorized to perform: guardduty:ListDetectors"})
	err := w.poller.Poll(t.Context())
	if err == nil || !strings.Contains(err.Error(), "own account/"+other) || !strings.Contains(err.Error(), "AccessDeniedException") {
		t.Errorf("the poll said %v", err)
	}
	if strings.Contains(w.state.troubled(), "us-east-1") {
		t.Errorf("a region without GuardDuty is no trouble: %s", w.state.troubled())
	}
	w.expect(1, w.clock.now())
	w.fake.Heal()
	w.poll()
	if w.state.troubled() != "" {
		t.Errorf("the trouble stays: %q", w.state.troubled())
	}
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	w.put(d, 1, w.clock.now())
	for _, op := range []string{"ListDetectors", "ListFindings", "GetFindings"} {
		w.fake.Fail(fakeguardduty.Fault{Operation: op, Times: 2, Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "slow down"})
	}
	w.poll()
	w.expect(1, w.clock.now())
}

func TestEveryAccountIsReadThroughItsRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{ExternalID: "x-1"}, func(w *world) {
		w.cfg.Accounts = []string{"111111111111", second, "333333333333"}
		w.aws.ReadRole, w.aws.ExternalID = "guardroom-read", config.NewSecret("x-1")
	})
	for n, account := range []string{"111111111111", second} {
		d := w.fake.AddDetector(account, region)
		if err := w.fake.Put(d, body(id(n), w.clock.now(), account, region, "")); err != nil {
			t.Fatal(err)
		}
	}
	w.poll()
	w.expect(0, w.clock.now())
	w.expect(1, w.clock.now())
	assumed := 0
	for _, c := range w.fake.Calls() {
		if c.Operation == "AssumeRole" {
			assumed++
		}
	}
	w.poll()
	for _, c := range w.fake.Calls() {
		if c.Operation == "AssumeRole" {
			assumed--
		}
	}
	if assumed != 0 {
		t.Errorf("roles are assumed again at each poll")
	}
	w.wellFormed()
}

func TestAWrongExternalIDIsToldForEachAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{ExternalID: "x-1"}, func(w *world) {
		w.cfg.Accounts = []string{second}
		w.aws.ReadRole = "guardroom-read"
	})
	err := w.poller.Poll(t.Context())
	if err == nil || !strings.Contains(err.Error(), second) || !strings.Contains(err.Error(), "AssumeRole") {
		t.Errorf("the poll said %v", err)
	}
}

func TestFindingsBelowTheLimitAreLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, func(w *world) { w.cfg.MinSeverity = 4.5 })
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	at := w.clock.now()
	for n, severity := range []string{"2", "4", "4.4", "4.5", "8"} {
		raw := bytes.Replace(body(id(n), at, fakeguardduty.Home, region, ""), []byte(`"severity":2`), []byte(`"severity":`+severity), 1)
		if err := w.fake.Put(d, raw); err != nil {
			t.Fatal(err)
		}
	}
	w.poll()
	for n, want := range []bool{false, false, false, true, true} {
		if got := w.intake.has(id(n), at, false); got != want {
			t.Errorf("finding %d taken: %t", n, got)
		}
	}
	w.wellFormed()
}

func TestRunLooksAgainAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeguardduty.Options{}, nil)
	d := w.fake.AddDetector(fakeguardduty.Home, region)
	took := make(chan struct{}, 16)
	w.intake.fail = func(source.Input) error { took <- struct{}{}; return nil }
	w.poller = guardduty.New(w.cfg, nil, w.clients(), w.intake, w.state, guardduty.Deps{Now: w.clock.now, TimeScale: 6000})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.poller.Run(ctx) }()
	for n := range 3 {
		w.put(d, n, w.clock.step(time.Second))
		select {
		case <-took:
		case <-time.After(5 * time.Minute):
			t.Fatalf("finding %d was not looked for", n)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an orderly stop is no error: %v", err)
	}
	if w.state.troubled() != "" {
		t.Errorf("being stopped is no trouble: %s", w.state.troubled())
	}
}
