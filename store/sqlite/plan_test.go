package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// small are the tables that hold a few rows whatever happens, so that reading
// all of one is right.
var small = map[string]bool{"sources": true, "workers": true, "destinations": true, "suppressions": true, "ignored": true, "meta": true,
	"incident_numbers": true, "sqlite_master": true, "audit_head": true, "respond_switch": true, "s": true, // the switch, in a join
	"tokens": true, "owed": true, // one for each person, and one for each thing that is open
	"found": true, "newest": true} // subqueries with a limit

// walks are the indexes that a list may walk from one end until its page is
// full, because they are sorted as the list is, or small.
var walks = map[string]bool{"findings_received": true, "incidents_list": true, "incidents_state": true, "deliveries_created": true,
	"deliveries_count": true, "deliveries_behind": true, "deliveries_armed": true, "notices_open": true, "sqlite_autoindex_rejected_1": true,
	"plans_list": true, "runs_list": true, "runs_open": true, "plans_incident": true}

var (
	// page are lists of which an inner part finds one page by an index.
	page      = regexp.MustCompile(`^SELECT body FROM \w+ WHERE (?:number|id) IN \(SELECT .* LIMIT \?\d*\) ORDER BY`)
	parameter = regexp.MustCompile(`\?\d*`)
	scan      = regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$`)
)

// TestNoStatementReadsAWholeTable runs every list with every filter, and every
// look-up of the accept transaction, and asks SQLite how it would do each
// statement that came of it.
func TestNoStatementReadsAWholeTable(t *testing.T) {
	t.Parallel()
	b, err := Open(t.Context(), filepath.Join(t.TempDir(), "g.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.read.SetMaxOpenConns(1) // one connection sees every statement
	db, err := store.New(t.Context(), b, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	readEverything(t, db)
	writeEverything(t, db)
	statements := map[string]bool{}
	for _, pool := range []*sql.DB{b.read, b.write} {
		for _, s := range cachedStatements(t, pool) {
			statements[s] = true
		}
	}
	if len(statements) < 60 {
		t.Fatalf("only %d statements were seen", len(statements))
	}
	for s := range statements {
		explainPlan(t, b.read, s)
	}
}

func cachedStatements(t *testing.T, pool *sql.DB) []string {
	t.Helper()
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var out []string
	if err := conn.Raw(func(c any) error {
		for s := range c.(*cachingConn).cache {
			switch word, _, _ := strings.Cut(s, " "); word {
			case "SELECT", "INSERT", "UPDATE", "DELETE":
				out = append(out, s)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func explainPlan(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+parameter.ReplaceAllString(statement, "1"))
	if err != nil {
		t.Errorf("%v: %s", err, statement)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if m := scan.FindStringSubmatch(detail); m != nil && !small[m[1]] && !walks[m[2]] {
			t.Errorf("%s, for\n%s", detail, statement)
		}
		// Sorting is right only for the rows of one page, of one incident, or
		// for what is in hand.
		if strings.Contains(detail, "TEMP B-TREE FOR ORDER BY") && !page.MatchString(statement) &&
			!strings.Contains(statement, "WHERE subject = ") && !strings.Contains(statement, "WHERE armed = 1 AND") {
			t.Errorf("%s, for\n%s", detail, statement)
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}

// readEverything calls every reading method, lists with every single filter,
// with and without a place to continue at.
func readEverything(t *testing.T, db *store.DB) {
	t.Helper()
	ctx, at, yes := t.Context(), time.Now(), true
	must := func(_ any, err error) {
		t.Helper()
		if err != nil && !strings.Contains(err.Error(), store.ErrNotFound.Error()) {
			t.Fatal(err)
		}
	}
	for _, after := range []store.Cursor{{}, {At: at, ID: "x"}} {
		for _, f := range []store.FindingFilter{{}, {Account: "1"}, {Region: "r"}, {Type: "t"}, {Decision: "incident"}, {Decision: "suppressed"},
			{Incident: 1}, {Since: at}, {Account: "1", Since: at}, {Account: "1", Region: "r", Type: "t", Decision: "recorded", Since: at}} {
			f.After = after
			must(db.Findings(ctx, f))
		}
		for _, f := range []store.DeliveryFilter{{}, {Statuses: []notify.Status{notify.Parked}}, {Statuses: []notify.Status{notify.Parked, notify.Unknown}},
			{Destination: "d"}, {Subject: "s"}, {Subject: "s", Behind: true}, {Behind: true}, {Destination: "d", Behind: true, Statuses: []notify.Status{notify.Pending}}} {
			f.After = after
			must(db.Deliveries(ctx, f))
		}
	}
	for _, before := range []incident.Number{0, 5} {
		for _, f := range []store.IncidentFilter{{}, {States: []incident.State{incident.Open}}, {States: []incident.State{incident.Open, incident.Closed}},
			{Account: "1"}, {Region: "r"}, {Owner: "o"}, {MinSeverity: 7}, {Since: at}, {Samples: &yes},
			{States: []incident.State{incident.Open}, Account: "1", MinSeverity: 9, Since: at, Samples: &yes, Owner: "o"}} {
			f.Before = before
			must(db.Incidents(ctx, f))
		}
		must(db.RejectedInputs(ctx, map[incident.Number]string{5: "x"}[before], 10))
	}
	must(db.GetIncident(ctx, 1))
	must(db.GetIncidentByID(ctx, "x"))
	must(db.Timeline(ctx, 1, 0))
	must(db.CountIncidents(ctx))
	must(db.Revisions(ctx, "f", 0))
	must(nil, db.RevisionsSince(ctx, at, func(store.Revision) bool { return true }))
	must(db.GetDelivery(ctx, "d"))
	must(db.OldestBehind(ctx))
	must(db.Claimants(ctx))
	must(db.Waiting(ctx, at))
	must(db.CountDeliveries(ctx))
	_, _, err := db.Unfinished(ctx)
	must(nil, err)
	must(db.VerifyAudit(ctx, nil))
	must(db.RejectedInput(ctx, "x"))
	must(db.GetDigest(ctx, "x"))
	must(db.GetNotice(ctx, "x"))
	must(db.OpenNotices(ctx))
	must(db.NoticeIsOpen(ctx, "x"))
	must(db.Cursor(ctx, "x"))
	_, _, err = db.GetFinding(ctx, "f")
	must(nil, err)
	_, _, err = db.NewestRevisionOf(ctx, "f")
	must(nil, err)
	readResponses(t, db, must)
}

// readResponses calls every method that reads about plans, runs and evidence.
func readResponses(t *testing.T, db *store.DB, must func(_ any, err error)) {
	t.Helper()
	ctx, at := t.Context(), time.Now()
	for _, before := range []string{"", "x"} {
		for _, f := range []store.PlanFilter{{}, {Incident: 1}, {Target: "t"}, {States: []respond.PlanState{respond.PlanWaiting}}, {Incident: 1, Target: "t"},
			{Incident: 1, Target: "t", States: []respond.PlanState{respond.PlanWaiting, respond.PlanApproved}}} {
			f.Before = respond.PlanID(before)
			must(db.Plans(ctx, f))
			must(db.Runs(ctx, store.RunFilter{Incident: f.Incident, Target: f.Target, Before: respond.RunID(before), States: make([]respond.RunState, len(f.States))}))
		}
	}
	must(db.GetPlan(ctx, "x"))
	must(db.ExpiredPlans(ctx, at, 5))
	must(db.GetRun(ctx, "x"))
	must(db.OpenRuns(ctx))
	must(db.DueChecks(ctx, at, 5))
	must(db.CountRuns(ctx, "a", respond.Isolation, at))
	must(db.CountRuns(ctx, "a", "", at))
	must(db.CountRuns(ctx, "", "", at))
	_, _, err := db.ActiveRun(ctx, "t")
	must(nil, err)
	must(db.Steps(ctx, "x"))
	must(db.Standing(ctx, "x", 1))
	must(db.RunMessages(ctx, "x", "t", 0))
	must(db.Switch(ctx))
	must(db.OwedDue(ctx, at, 5))
	must(db.OwedOf(ctx, "x"))
	must(db.OwedOf(ctx, ""))
	must(db.Evidence(ctx, 1))
	must(db.WorkingCopies(ctx, at))
	must(db.Gaps(ctx, 1))
	must(db.Custody(ctx, 1))
	must(db.Manifests(ctx, 1))
	must(db.Tokens(ctx))
	must(db.TokenByHash(ctx, []byte{1}))
}

// writeEverything calls what the accept transaction and the watch look up.
func writeEverything(t *testing.T, db *store.DB) {
	t.Helper()
	ctx, at := t.Context(), time.Now()
	err := db.Write(ctx, func(tx *store.Tx) error {
		i := &incident.Incident{ID: "i", Number: 1, State: incident.Open, Entries: 1}
		d := notify.Delivery{ID: "d", Subject: "i", Destination: "x", CreatedAt: at}
		do := []func() error{
			func() error { return tx.PutFinding(ctx, store.Finding{ID: "f", Incident: 1, ARN: "a"}, true) },
			func() error { return tx.PutFinding(ctx, store.Finding{ID: "f", Incident: 1, ARN: "a"}, false) },
			func() error {
				return tx.AddRevision(ctx, store.Revision{FindingID: "f", UpdatedAt: at, Count: 1, Digest: []byte{1}, Raw: []byte{1}})
			},
			func() error { return tx.PutIncident(ctx, i, true, []incident.Entry{{Seq: 1}}) },
			func() error { return tx.PutIncident(ctx, i, false, nil) },
			func() error { return tx.SetKeys(ctx, 1, []string{"k"}, []string{"a"}, []string{"m"}, at) },
			func() error { return tx.PutDelivery(ctx, d, true) },
			func() error { return tx.PutDelivery(ctx, d, false) },
			func() error { _, err := tx.Incident(ctx, 1); return err },
			func() error { _, err := tx.IncidentByID(ctx, "i"); return err },
			func() error { _, _, err := tx.IncidentOfFinding(ctx, "f"); return err },
			func() error { _, _, err := tx.IncidentOfKey(ctx, "k"); return err },
			func() error { _, _, err := tx.IncidentOfARN(ctx, "a"); return err },
			func() error { _, _, err := tx.SequenceOf(ctx, "m"); return err },
			func() error { _, err := tx.IncidentsOfActor(ctx, "a", at); return err },
			func() error {
				return tx.ReadAhead(ctx, store.Ahead{Findings: []finding.ID{"1", "2", "3", "4"}, ARNs: []string{"a"}, Keys: []string{"k"}, Actors: []string{"a"}, Since: at})
			},
			func() error { _, err := tx.CountArchivedByOthers(ctx, 1); return err },
			func() error { _, err := tx.CountNewDeliveries(ctx, "x", at, 5); return err },
			func() error { _, err := tx.CountNewCritical(ctx, "x", at, 5); return err },
			func() error { _, err := tx.Delivery(ctx, "d"); return err },
			func() error { _, err := tx.DeliveriesOf(ctx, "i"); return err },
			func() error { _, err := tx.DeliveriesOfDestination(ctx, "x", notify.Paused, 5); return err },
			func() error { _, err := tx.Orphans(ctx, at, 5); return err },
			func() error { _, err := tx.ClaimedBy(ctx, "w"); return err },
			func() error {
				_, err := tx.DigestIncident(ctx, "x", "dg", store.Digested{Number: 1, Severity: 5}, at)
				return err
			},
			func() error { _, _, err := tx.OpenNotice(ctx, store.Notice{ID: "n", Key: "k"}); return err },
			func() error { _, _, err := tx.ResolveNotice(ctx, "k"); return err },
			func() error { return tx.MoveFindings(ctx, 1, 2) },
			func() error { return tx.MoveKeys(ctx, 1, 2) },
			func() error { return tx.MarkArchivedByUs(ctx, "f") },
			func() error { return writeResponses(t, tx) },
		}
		for _, one := range do {
			if err := one(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Prune(ctx, store.Retention{ClosedBefore: at, RejectedBefore: at, ResponsesBefore: at}, 10); err != nil {
		t.Fatal(err)
	}
}

// writeResponses calls every method that writes about plans, runs and evidence.
func writeResponses(t *testing.T, tx *store.Tx) error {
	t.Helper()
	ctx, at := t.Context(), tx.Now()
	run := respond.RunRow{ID: "run_1", Incident: 1, Target: "t", State: respond.RunRunning}
	for _, err := range []error{
		tx.PutPlan(ctx, respond.PlanRow{ID: "pln_1", Incident: 1}), tx.PutRun(ctx, run), tx.HoldTargets(ctx, "run_1", "u"),
		tx.PutStep(ctx, "run_1", 0, playbook.Record{Name: "s"}), tx.SendMessage(ctx, "run_1", "x", []byte("1")),
		tx.Owe(ctx, respond.Owed{ID: "o", Run: "run_1"}), tx.PutOwed(ctx, respond.Owed{ID: "o", Run: "run_1", OpenedAt: at.Truncate(time.Microsecond)}), tx.Settle(ctx, "o"),
		tx.PutEvidence(ctx, 1, "run_1", []evidence.Item{{ID: "e"}}), tx.PutGaps(ctx, 1, "run_1", []evidence.Gap{{What: "w"}}),
		tx.AddCustody(ctx, 1, "run_1", []evidence.Custody{{Who: "w"}}), tx.PutManifest(ctx, 1, 1, []byte("m"), "d"), tx.PutManifest(ctx, 1, 1, []byte("m"), "d"),
		tx.PutToken(ctx, store.Token{Name: "n"}), tx.UseToken(ctx, "n"),
	} {
		if err != nil {
			return err
		}
	}
	_, plan := tx.LockPlan(ctx, "pln_1")
	_, lock := tx.LockRun(ctx, "run_1")
	_, take := tx.TakeRun(ctx, "run_1", "w")
	_, orphans := tx.OrphanRuns(ctx, at, 5)
	_, turn := tx.SetSwitch(ctx, true, "w", "y")
	_, token := tx.LockToken(ctx, "n")
	run.State, run.Epoch = respond.RunCompleted, 1
	return errors.Join(plan, lock, take, orphans, turn, token, tx.PutRun(ctx, run))
}
