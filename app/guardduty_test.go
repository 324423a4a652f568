package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/guardduty"
	"github.com/guardroom/guardroom/store"
)

// guarded is an app that reads a GuardDuty double through the real SDK.
type guarded struct {
	t        *testing.T
	fake     *fakeguardduty.Server
	detector string
	app      *App
	poller   *guardduty.Poller
}

const awsRegion = "eu-west-1"

// testKeys are credentials that nobody uses, so that the SDK does not take
// those of whoever runs the tests.
func testKeys(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
}

func newGuarded(t *testing.T, storeURL string) *guarded {
	t.Helper()
	testKeys(t)
	fake, err := fakeguardduty.Start(fakeguardduty.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	g := &guarded{t: t, fake: fake, detector: fake.AddDetector(fakeguardduty.Home, awsRegion)}
	cfg := testConfig(t, storeURL)
	cfg.AWS = config.AWS{Region: awsRegion, EndpointURL: fake.URL}
	cfg.Incidents.ArchiveOnClose = true
	cfg.Incidents.ReopenWithin = config.Duration(7 * 24 * time.Hour)
	cfg.Sources.GuardDuty = []config.GuardDutySource{{Name: "main", Interval: config.Duration(time.Minute), Overlap: config.Duration(time.Minute)}}
	g.app = testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
	g.poller = guardduty.New(cfg.Sources.GuardDuty[0], nil, g.app.cloud, g.app, g.app.Store(), guardduty.Deps{})
	return g
}

// put gives the double a finding on an instance of its own.
func (g *guarded) put(n, count int, at time.Time) finding.ID {
	g.t.Helper()
	if err := g.fake.Put(g.detector, g.finding(n, count, at)); err != nil {
		g.t.Fatal(err)
	}
	return finding.ID(fmt.Sprintf("%032x", n))
}

func (g *guarded) finding(n, count int, at time.Time) json.RawMessage {
	raw := strings.ReplaceAll(string(testFinding(n, count, 5, at)), `"detectorId":"12abc"`, fmt.Sprintf(`"detectorId":%q`, g.detector))
	return json.RawMessage(strings.ReplaceAll(raw, "111111111111", fakeguardduty.Home))
}

// hear takes a finding as whoever may write to a queue can send it.
func (g *guarded) hear(raw json.RawMessage) {
	g.t.Helper()
	if _, err := g.app.Take(g.t.Context(), source.Input{Source: "sqs:events", Body: raw}); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) close(n incident.Number) {
	g.t.Helper()
	if _, err := g.app.command.CloseIncident(g.t.Context(), n, incident.FalsePositive, "", "alice"); err != nil {
		g.t.Fatal(err)
	}
}

// archives lets the archiver work, and reports whether the finding is archived.
func (g *guarded) archives(id finding.ID) bool {
	g.t.Helper()
	if left, err := g.app.archive.Archive(g.t.Context()); left != 0 || err != nil {
		g.t.Fatalf("%d left, %v", left, err)
	}
	return g.fake.Archived(g.detector, string(id))
}

func TestOnlyWhatGuardDutyConfirmedIsArchived(t *testing.T) {
	onBoth(t, func(t *testing.T, store func() string) {
		now := time.Now().UTC()
		t.Run("a finding that only a queue told of is archived by nobody", func(t *testing.T) {
			g := newGuarded(t, store())
			id := g.put(1, 1, now)
			g.hear(g.finding(1, 1, now))
			g.close(1)
			if g.archives(id) {
				t.Error("it was archived")
			}
		})
		t.Run("it is archived when GuardDuty shows the same one later", func(t *testing.T) {
			g := newGuarded(t, store())
			id := g.put(1, 1, now)
			g.hear(g.finding(1, 1, now))
			g.close(1)
			g.poll()
			if !g.archives(id) {
				t.Error("it was not archived")
			}
		})
		t.Run("what GuardDuty showed before it was closed is archived", func(t *testing.T) {
			g := newGuarded(t, store())
			id := g.put(1, 1, now)
			g.hear(g.finding(1, 1, now))
			g.poll()
			g.close(1)
			if !g.archives(id) {
				t.Error("it was not archived")
			}
		})
		t.Run("another revision than the one that was closed is not", func(t *testing.T) {
			g := newGuarded(t, store())
			id := g.put(1, 7, now)
			g.hear(g.finding(1, 1, now.Add(-time.Minute)))
			g.close(1)
			g.poll()
			if g.archives(id) {
				t.Error("the real one was archived")
			}
		})
		t.Run("one that GuardDuty tells otherwise is not", func(t *testing.T) {
			g := newGuarded(t, store())
			id := g.put(1, 1, now)
			g.hear(json.RawMessage(strings.ReplaceAll(string(g.finding(1, 1, now)), `"severity":5`, `"severity":2`)))
			g.close(1)
			g.poll()
			if g.archives(id) {
				t.Error("the real one was archived")
			}
		})
	})
}

func (g *guarded) poll() {
	g.t.Helper()
	if err := g.poller.Poll(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) incident(n incident.Number) *incident.Incident {
	g.t.Helper()
	var i *incident.Incident
	if err := g.app.Store().Write(g.t.Context(), func(tx *store.Tx) (err error) {
		i, err = tx.Incident(g.t.Context(), n)
		return err
	}); err != nil {
		g.t.Fatal(err)
	}
	return i
}

func TestAnIncidentClosesWhenOthersArchivedAllOfItsFindings(t *testing.T) {
	onBoth(t, func(t *testing.T, store func() string) {
		g := newGuarded(t, store())
		now := time.Now().UTC()
		id := g.put(1, 1, now.Add(-time.Hour))
		g.put(2, 1, now) // so that the list no longer begins at the first one
		g.poll()
		if i := g.incident(1); i.State != incident.Open {
			t.Fatalf("INC-1 is %s", i.State)
		}
		g.poll()
		if err := g.fake.Archive(g.detector, string(id)); err != nil {
			t.Fatal(err)
		}
		g.poll()
		i := g.incident(1)
		if i.State != incident.Closed || i.ClosedBy != incident.Guardroom {
			t.Errorf("INC-1 is %s by %s", i.State, i.ClosedBy)
		}
		if g.incident(2).State != incident.Open {
			t.Error("INC-2 closed as well")
		}
		report, err := g.app.VerifyAudit(t.Context())
		if err != nil || !report.OK() {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

func TestOurOwnArchivingIsNoEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, store func() string) {
		g := newGuarded(t, store())
		now := time.Now().UTC()
		id := g.put(1, 1, now)
		g.poll()
		if _, err := g.app.command.CloseIncident(t.Context(), 1, incident.Malicious, "done", "alice"); err != nil {
			t.Fatal(err)
		}
		if left, err := g.app.archive.Archive(t.Context()); left != 0 || err != nil {
			t.Fatalf("%d left, %v", left, err)
		}
		if !g.fake.Archived(g.detector, string(id)) {
			t.Fatal("it is not archived in GuardDuty")
		}
		before := g.incident(1)
		g.poll()
		if after := g.incident(1); after.Revision != before.Revision || after.ClosedBy != "alice" {
			t.Errorf("our own archiving changed the incident: %d -> %d, closed by %s", before.Revision, after.Revision, after.ClosedBy)
		}
		if left, err := g.app.archive.Archive(t.Context()); left != 0 || err != nil {
			t.Errorf("%d left, %v", left, err)
		}
		archived := 0
		for _, c := range g.fake.Calls() {
			if c.Operation == "ArchiveFindings" {
				archived++
			}
		}
		if archived != 1 {
			t.Errorf("archived %d times", archived)
		}
	})
}

// The process that closed the incident dies before it archives.
func TestArchivingSurvivesACrash(t *testing.T) {
	g := newGuarded(t, "")
	id := g.put(1, 1, time.Now().UTC())
	g.poll()
	g.fake.Fail(fakeguardduty.Fault{Operation: "ArchiveFindings", Times: -1, Status: 500, Code: "InternalServerErrorException"})
	if _, err := g.app.command.CloseIncident(t.Context(), 1, incident.Malicious, "", "alice"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if left, err := g.app.archive.Archive(short); left == 0 && err == nil {
		t.Fatal("it went through although GuardDuty is broken")
	}
	g.fake.Heal()
	// Another archiver, as after a restart: all that it knows is in the store.
	fresh := guardduty.NewArchiver(g.app.cfg, g.app.cloud, g.app.Store(), guardduty.Deps{})
	if left, err := fresh.Archive(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	if !g.fake.Archived(g.detector, string(id)) {
		t.Error("it is not archived in GuardDuty")
	}
}

func TestWhatIsOpenAgainIsNotArchived(t *testing.T) {
	g := newGuarded(t, "")
	id := g.put(1, 1, time.Now().UTC())
	g.poll()
	if _, err := g.app.command.CloseIncident(t.Context(), 1, incident.Malicious, "", "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.app.command.Reopen(t.Context(), 1, "not done", "bob"); err != nil {
		t.Fatal(err)
	}
	if left, err := g.app.archive.Archive(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	if g.fake.Archived(g.detector, string(id)) {
		t.Error("the finding of an open incident was archived")
	}
}

func TestMarksAreTakenBackWhereTheyNoLongerHold(t *testing.T) {
	onBoth(t, func(t *testing.T, url func() string) {
		g := newGuarded(t, url())
		now := time.Now().UTC()
		gone, reopened := g.put(1, 1, now), g.put(2, 1, now)
		g.poll()
		for n := range incident.Number(2) {
			if _, err := g.app.command.CloseIncident(t.Context(), n+1, incident.Malicious, "", "alice"); err != nil {
				t.Fatal(err)
			}
		}
		pending := func() (list []finding.ID) {
			err := g.app.Store().ToArchive(t.Context(), func(id finding.ID, account, region, detector string) {
				if account != fakeguardduty.Home || region != awsRegion || detector != g.detector {
					t.Errorf("%s in %s %s %s", id, account, region, detector)
				}
				list = append(list, id)
			})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		if got := pending(); len(got) != 2 {
			t.Fatalf("pending: %v", got)
		}
		if err := g.app.Store().GiveUpArchiving(t.Context(), []finding.ID{gone}, "unknown there"); err != nil {
			t.Fatal(err)
		}
		if got := pending(); len(got) != 1 || got[0] != reopened {
			t.Errorf("after giving up on the other: %v", got)
		}
		number, err := func() (incident.Number, error) {
			f, _, err := g.app.Store().GetFinding(t.Context(), reopened)
			return f.Incident, err
		}()
		if err != nil {
			t.Fatal(err)
		}
		if err := g.app.Store().Write(t.Context(), func(tx *store.Tx) error { return tx.UnmarkArchive(t.Context(), number) }); err != nil {
			t.Fatal(err)
		}
		if got := pending(); len(got) != 0 {
			t.Errorf("after taking back: %v", got)
		}
	})
}
