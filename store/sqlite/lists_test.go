package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/store"
)

// sizeOf is how many findings the benchmark of lists stores; a tenth of that are
// incidents. GUARDROOM_LISTS=1000000 measures what the documentation promises.
func sizeOf(b *testing.B) int {
	b.Helper()
	s := os.Getenv("GUARDROOM_LISTS")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1000 {
		b.Fatalf("GUARDROOM_LISTS=%s is no number from 1000 upward", s)
	}
	return n
}

// rows collects the rows of one multi-row INSERT.
type rows struct {
	into    string
	columns int
	args    []any
}

func (r *rows) add(tx *sql.Tx, args ...any) error {
	r.columns = len(args)
	if r.args = append(r.args, args...); len(r.args) < 500*len(args) {
		return nil
	}
	return r.flush(tx)
}

func (r *rows) flush(tx *sql.Tx) error {
	if len(r.args) == 0 {
		return nil
	}
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", r.columns), ",") + ")"
	all := strings.TrimSuffix(strings.Repeat(one+",", len(r.args)/r.columns), ",")
	_, err := tx.Exec("INSERT INTO "+r.into+" VALUES "+all, r.args...)
	r.args = r.args[:0]
	return err
}

const (
	accounts = 50
	types    = 120
)

// fill stores n findings with a revision each and n/10 incidents with five lines
// of timeline and two deliveries each, past the accept transaction. One of a
// hundred incidents is open, one of a thousand critical; the last account and
// the last type are rare.
func fill(b *testing.B, db *store.DB, n int, end time.Time) {
	b.Helper()
	raw := store.Pack([]byte(`{"title":"` + strings.Repeat("what GuardDuty says about it, and more; ", 30) + `"}`))
	body := map[string]any{}
	step := 180 * 24 * time.Hour / time.Duration(n)
	pick := func(i, of int) int {
		if i%(n/20) == 7 {
			return of - 1 // rare: twenty of all
		}
		return i % (of - 1)
	}
	findings := rows{into: `findings (id, arn, type, account_id, region, severity, title, resource_kind, resource_id, updated_at, count, first_seen, last_seen,
		first_received, last_received, archived, sample, decision, rule, incident, revisions, source, detector_id)`}
	revisions := rows{into: `revisions (finding_id, updated_at, count, received_at, source, position, freshness, decision, severity, trace, digest, raw)`}
	incidents := rows{into: `incidents (number, id, state, severity, verdict, sample, silent, account_id, region, owner, opened_at, updated_at, last_activity,
		closed_at, revision, merged_into, body)`}
	timeline := rows{into: "timeline (incident, seq, event_at, recorded_at, kind, who, text, from_value, to_value)"}
	deliveries := rows{into: `deliveries (id, kind, subject, destination, wanted, done, armed, generation, status, attempts, failures, wanted_at, done_at, next_at,
		failing_since, worker, claimed_at, state, reference, url, error, warnings, spacing, urgent, created_at, updated_at)`}
	all := []*rows{&findings, &revisions, &incidents, &timeline, &deliveries}
	for at := 0; at < n; {
		until := min(n, at+20_000)
		err := db.Backend().Write(b.Context(), func(tx *sql.Tx) error {
			for i := at; i < until; i++ {
				when := end.Add(-time.Duration(n-i) * step)
				us, id, account := when.UnixMicro(), fmt.Sprintf("%032x", i), fmt.Sprintf("%012d", pick(i, accounts))
				number, decision := i/10+1, "incident"
				if i%40 == 39 {
					number, decision = 0, "suppressed"
				}
				if err := findings.add(tx, id, "arn:aws:guardduty:eu-west-1:"+account+":detector/1/finding/"+id, fmt.Sprint("Recon:EC2/Type", pick(i, types)), account,
					"eu-west-1", float64(i%10), "a title of the usual length, about this", "instance", fmt.Sprintf("i-%017x", i/10), us, 1, us, us, us, us, 0, 0,
					decision, "", number, 1, "sqs:findings", "1"); err != nil {
					return err
				}
				if err := revisions.add(tx, id, us, 1, us, "sqs:findings", "", "new", decision, float64(i%10), `[{"stage":"merge","decision":"open","reason":"nothing open is about the same"}]`,
					[]byte("0123456789abcdef0123456789abcdef"), raw); err != nil {
					return err
				}
				if i%10 != 0 {
					continue
				}
				state, verdict, closed := "closed", "benign", when.Add(time.Hour).UnixMicro()
				if number%100 == 0 {
					state, verdict, closed = "open", "", 0
				}
				severity := float64(number % 9)
				if number%1000 == 0 {
					severity = 9.5
				}
				body["number"], body["id"], body["state"], body["opened_at"] = number, fmt.Sprint("id", number), state, when
				body["note"] = strings.Repeat("what is kept with an incident ", 60)
				packed, err := json.Marshal(body)
				if err != nil {
					return err
				}
				if err := incidents.add(tx, number, fmt.Sprint("id", number), state, severity, verdict, 0, 0, account, "eu-west-1", map[bool]string{true: "eve"}[number%500 == 0], us, us, us,
					closed, 3, 0, string(packed)); err != nil {
					return err
				}
				for seq := range 5 {
					if err := timeline.add(tx, number, seq+1, us, us, "finding_joined", "guardroom", "Recon:EC2/Portscan joined", "", ""); err != nil {
						return err
					}
				}
				for _, d := range []string{"chat", "tickets"} {
					status, done := "delivered", 3
					if number%2000 == 0 {
						status, done = "parked", 0
					}
					if err := deliveries.add(tx, fmt.Sprint(d, number), "incident", fmt.Sprint("id", number), d, 3, done, 0, 1, status, 1, 0, us, us, 0, 0, "", 0, "{}", "ref", "", "", "", 0, 0, us, us); err != nil {
						return err
					}
				}
			}
			for _, r := range all {
				if err := r.flush(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		at = until
	}
}

// BenchmarkLists measures every list with its first page and a page in the
// middle, plain and by filters with many and with few matches. It reports the
// median and the slowest.
func BenchmarkLists(b *testing.B) {
	n := sizeOf(b)
	end := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	db := open(b, filepath.Join(b.TempDir(), "g.db"), func() time.Time { return end })
	begun := time.Now()
	fill(b, db, n, end)
	b.Logf("%d findings stored in %s", n, time.Since(begun).Round(time.Second))
	middle := end.Add(-90 * 24 * time.Hour)
	deep := store.Cursor{At: middle, ID: "z"}
	rare, rareType := fmt.Sprintf("%012d", accounts-1), fmt.Sprint("Recon:EC2/Type", types-1)
	openStates := []incident.State{incident.Open, incident.Acknowledged, incident.Contained}
	half := incident.Number(n / 20)

	ctx := context.Background()
	list := func(name string, least int, read func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				at := time.Now()
				got, err := read()
				took = append(took, time.Since(at))
				if err != nil || got < least {
					b.Fatalf("%d rows, %v", got, err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/max")
		})
	}
	findings := func(name string, least int, f store.FindingFilter) {
		list("findings/"+name, least, func() (int, error) { l, err := db.Findings(ctx, f); return len(l), err })
	}
	findings("first page", 50, store.FindingFilter{})
	findings("deep page", 50, store.FindingFilter{After: deep})
	findings("account", 50, store.FindingFilter{Account: "000000000001"})
	findings("account, deep", 50, store.FindingFilter{Account: "000000000001", After: deep})
	findings("rare account", 1, store.FindingFilter{Account: rare})
	findings("rare type", 1, store.FindingFilter{Type: rareType})
	findings("region", 50, store.FindingFilter{Region: "eu-west-1"})
	findings("suppressed, deep", 50, store.FindingFilter{Decision: "suppressed", After: deep})
	findings("since a week", 50, store.FindingFilter{Since: end.Add(-7 * 24 * time.Hour)})
	findings("of an incident", 9, store.FindingFilter{Incident: half})
	findings("account and type", 0, store.FindingFilter{Account: "000000000001", Type: "Recon:EC2/Type2"})
	incidents := func(name string, least int, f store.IncidentFilter) {
		list("incidents/"+name, least, func() (int, error) { l, err := db.Incidents(ctx, f); return len(l), err })
	}
	incidents("first page", 50, store.IncidentFilter{})
	incidents("deep page", 50, store.IncidentFilter{Before: half})
	incidents("open", 1, store.IncidentFilter{States: openStates})
	incidents("open, deep", 1, store.IncidentFilter{States: openStates, Before: half})
	incidents("critical", 1, store.IncidentFilter{MinSeverity: 9})
	incidents("high, open, of an account", 0, store.IncidentFilter{States: openStates, MinSeverity: 7, Account: "000000000001"})
	incidents("rare account", 0, store.IncidentFilter{Account: rare})
	incidents("an owner", 1, store.IncidentFilter{Owner: "eve"})
	incidents("since a week", 1, store.IncidentFilter{Since: end.Add(-7 * 24 * time.Hour)})
	incidents("no match", 0, store.IncidentFilter{Region: "none"})
	deliveries := func(name string, least int, f store.DeliveryFilter) {
		list("deliveries/"+name, least, func() (int, error) { l, err := db.Deliveries(ctx, f); return len(l), err })
	}
	deliveries("first page", 50, store.DeliveryFilter{})
	deliveries("parked or unknown", 0, store.DeliveryFilter{Statuses: []notify.Status{notify.Parked, notify.Unknown}})
	deliveries("destination, deep", 50, store.DeliveryFilter{Destination: "chat", After: deep})
	deliveries("of an incident", 2, store.DeliveryFilter{Subject: fmt.Sprint("id", int64(half))})
	deliveries("behind", 0, store.DeliveryFilter{Behind: true})
	list("incident and timeline", 5, func() (int, error) {
		if _, err := db.GetIncident(ctx, half); err != nil {
			return 0, err
		}
		l, err := db.Timeline(ctx, half, 0)
		return len(l), err
	})
	list("finding and trace", 1, func() (int, error) {
		l, err := db.Revisions(ctx, finding.ID(fmt.Sprintf("%032x", n/2)), 1)
		return len(l), err
	})
	list("counts", 1, func() (int, error) {
		l, err := db.CountIncidents(ctx)
		if err != nil {
			return 0, err
		}
		d, err := db.CountDeliveries(ctx)
		return min(len(l), len(d)), err
	})
	list("retention, 500 rows", 0, func() (int, error) { return db.Prune(ctx, store.Retention{ClosedBefore: middle}, 500) })
}
