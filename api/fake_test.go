package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// service is a small service: one incident (INC-7), two findings ("f", and
// "old" whose raw form is gone), one delivery ("d"), one rejected input ("r"),
// one destination ("soc") and some audit records. What it was told to do is
// written down.
type service struct {
	broken  error  // every call that can fail, fails with it
	streams error  // streams fail with it after their first line
	panics  bool   // the status panics
	records int    // in the audit chain
	hold    func() // runs before each audit record
	still   int    // so many looks find nothing new in the run
	export  func(w io.Writer) error
	slow    func(ctx context.Context) error // what reads evidence or the chain waits for it
	// tampered: the bytes of the plan are not those of its digest.
	tampered bool

	mu      sync.Mutex
	told    []string
	input   source.Input
	asked   any // the last filter
	stopped int // audit records that were read when the last stream ended
	ended   context.Context
	looks   int
}

func (s *service) tell(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
	return s.broken
}

func (s *service) wait(ctx context.Context) error {
	if s.slow == nil {
		return nil
	}
	return s.slow(ctx)
}

func (s *service) saw(filter any) { s.mu.Lock(); s.asked = filter; s.mu.Unlock() }

func (s *service) Reader() api.Reader       { return reader{s} }
func (s *service) Commands() api.Commander  { return commander{s} }
func (s *service) Responses() api.Responder { return responder{s} }
func (s *service) Version() string          { return "1.2.3" }
func (s *service) Delivering() bool         { return true }
func (s *service) Doctor(context.Context) []api.Check {
	return []api.Check{{Area: "store", What: "it answers", OK: true}}
}
func (s *service) Prune(context.Context) (int, error) { return 3, s.tell("prune") }
func (s *service) VerifyAudit(ctx context.Context) (audit.Report, error) {
	if err := s.wait(ctx); err != nil {
		return audit.Report{}, err
	}
	return audit.Report{Records: 9}, s.broken
}
func (s *service) Suppressions() []api.Suppression {
	return []api.Suppression{{Name: "scanner", Owner: "ana"}}
}
func (s *service) Routes() []api.Route { return []api.Route{{Name: "all", To: []string{"soc"}}} }
func (s *service) Destinations(context.Context) ([]api.Destination, error) {
	return []api.Destination{{Name: "soc"}}, s.broken
}

func (s *service) Take(_ context.Context, in source.Input) (source.Receipt, error) {
	s.mu.Lock()
	s.input = in
	s.mu.Unlock()
	return source.Receipt{Accepted: 2, Incidents: []string{"INC-7"}}, s.broken
}

func (s *service) Explain(context.Context, finding.ID) ([]triage.Step, error) {
	return []triage.Step{{Stage: "route", Decision: "soc", Reason: "<all>"}}, s.broken
}

func (s *service) TestDestination(_ context.Context, name string) (string, error) {
	if name != "soc" {
		return "", fault.New(fault.NotFound, "there is no destination "+name, "")
	}
	return "look into #soc", s.tell("test %s", name)
}

type commander struct{ s *service }

func (c commander) incident(n incident.Number, format string, args ...any) (*incident.Incident, error) {
	if n != 7 {
		return nil, fmt.Errorf("incident %s: %w", n, store.ErrNotFound)
	}
	return &incident.Incident{Number: 7}, c.s.tell(format, args...)
}

func (c commander) Acknowledge(_ context.Context, n incident.Number, who string) (*incident.Incident, error) {
	return c.incident(n, "ack by %s", who)
}

func (c commander) Assign(_ context.Context, n incident.Number, owner, who string) (*incident.Incident, error) {
	return c.incident(n, "assign %s by %s", owner, who)
}

func (c commander) Note(_ context.Context, n incident.Number, text, who string) (*incident.Incident, error) {
	return c.incident(n, "note %s by %s", text, who)
}

func (c commander) CloseIncident(_ context.Context, n incident.Number, v incident.Verdict, note, who string) (*incident.Incident, error) {
	return c.incident(n, "close %s %s by %s", v, note, who)
}

func (c commander) Merge(_ context.Context, n, into incident.Number, why, who string) (*incident.Incident, error) {
	return c.incident(n, "merge into %s because %s by %s", into, why, who)
}

func (c commander) Reopen(_ context.Context, n incident.Number, why, who string) (*incident.Incident, error) {
	return c.incident(n, "reopen %s by %s", why, who)
}

func (c commander) delivery(id, format string, args ...any) (notify.Delivery, error) {
	if id != "d" {
		return notify.Delivery{}, fmt.Errorf("delivery %s: %w", id, store.ErrNotFound)
	}
	return notify.Delivery{ID: id}, c.s.tell(format, args...)
}

func (c commander) Retry(_ context.Context, id, who string) (notify.Delivery, error) {
	return c.delivery(id, "retry by %s", who)
}

func (c commander) RetryAll(_ context.Context, destination string, statuses []notify.Status, who string) (int, error) {
	return 5, c.s.tell("retry all %v at %s by %s", statuses, destination, who)
}

func (c commander) Drop(_ context.Context, id, who, why string) (notify.Delivery, error) {
	return c.delivery(id, "drop %s by %s", why, who)
}

func (c commander) Pause(_ context.Context, name, who, why string) error {
	return c.s.tell("pause %s %s by %s", name, why, who)
}

func (c commander) Resume(_ context.Context, name, who string) (int, error) {
	return 4, c.s.tell("resume %s by %s", name, who)
}

// digest is that of the one plan, pln_1.
const digest = "7b3e91c4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0f1e"

type responder struct{ s *service }

func (r responder) Playbooks() []api.Playbook {
	return []api.Playbook{{Name: "ec2-contain", Version: 1, Summary: "isolate an instance"}}
}

func (r responder) detail(id respond.PlanID, format string, args ...any) (api.PlanDetail, error) {
	if id != "pln_1" {
		return api.PlanDetail{}, fmt.Errorf("plan %s: %w", id, store.ErrNotFound)
	}
	return api.PlanDetail{Row: respond.PlanRow{ID: id, Digest: digest}, Plan: &respond.Plan{ID: id}}, r.s.tell(format, args...)
}

func (r responder) CreatePlan(_ context.Context, q api.PlanRequest, who string) (api.PlanDetail, error) {
	if q.Incident != 7 {
		return api.PlanDetail{}, fmt.Errorf("incident %s: %w", q.Incident, store.ErrNotFound)
	}
	return r.detail("pln_1", "plan %+v by %s", q, who)
}

func (r responder) ApprovePlan(_ context.Context, id respond.PlanID, digest, reason string, by api.Approver) (api.PlanDetail, error) {
	return r.detail(id, "approve %s %s %+v", digest, reason, by)
}

func (r responder) RejectPlan(_ context.Context, id respond.PlanID, why, who string) (api.PlanDetail, error) {
	return r.detail(id, "reject %s by %s", why, who)
}

func (r responder) AbortRun(_ context.Context, id respond.RunID, why, who string) (respond.RunRow, error) {
	if id != "run_1" {
		return respond.RunRow{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return respond.RunRow{ID: id, AbortedBy: who}, r.s.tell("abort %s by %s", why, who)
}

func (r responder) UndoRun(_ context.Context, id respond.RunID, who string) (api.PlanDetail, error) {
	if id != "run_1" {
		return api.PlanDetail{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return r.detail("pln_1", "undo %s by %s", id, who)
}

func (r responder) Switch(context.Context) (api.Switch, error) {
	return api.Switch{Off: true, Who: "ana", At: noon}, r.s.broken
}

func (r responder) SetSwitch(_ context.Context, off bool, why, who string) (api.Switch, error) {
	return api.Switch{Off: off, Who: who, Why: why}, r.s.tell("off %v %s by %s", off, why, who)
}

func (r responder) VerifyEvidence(ctx context.Context, n incident.Number, who string) (evidence.Report, error) {
	if err := r.s.wait(ctx); err != nil {
		return evidence.Report{}, err
	}
	return evidence.Report{Incident: n.String(), Items: []evidence.Checked{{ID: "snapshot/vol-1", Good: true}}}, r.s.tell("verify %s by %s", n, who)
}

func (r responder) ExportEvidence(ctx context.Context, n incident.Number, w io.Writer, who string) error {
	if err := r.s.wait(ctx); err != nil {
		return err
	}
	if err := r.s.tell("export %s by %s", n, who); err != nil {
		return err
	}
	if r.s.export != nil {
		return r.s.export(w)
	}
	_, err := io.WriteString(w, "the archive")
	return err
}

func (r responder) CreateToken(_ context.Context, name string, role api.Role, _ time.Time, who string) (string, error) {
	return "grt_secret", r.s.tell("token %s %s by %s", name, role, who)
}

func (r responder) RevokeToken(_ context.Context, name, who string) error {
	if name != "ana" {
		return fmt.Errorf("token: %w", store.ErrNotFound)
	}
	return r.s.tell("revoke %s by %s", name, who)
}

type reader struct{ s *service }

func (r reader) Incidents(_ context.Context, f store.IncidentFilter) ([]*incident.Incident, error) {
	r.s.saw(f)
	return []*incident.Incident{{Number: 7}}, r.s.broken
}

func (r reader) GetIncident(_ context.Context, n incident.Number) (*incident.Incident, error) {
	if n != 7 {
		return nil, fmt.Errorf("incident %s: %w", n, store.ErrNotFound)
	}
	return &incident.Incident{ID: "i7", Number: 7}, r.s.broken
}

func (r reader) Timeline(context.Context, incident.Number, int) ([]incident.Entry, error) {
	return []incident.Entry{{Text: "opened"}}, r.s.broken
}

func (r reader) Findings(_ context.Context, f store.FindingFilter) ([]store.Finding, error) {
	r.s.saw(f)
	return []store.Finding{{ID: "f"}}, r.s.broken
}

func (r reader) GetFinding(_ context.Context, id finding.ID) (store.Finding, bool, error) {
	return store.Finding{ID: id}, id == "f" || id == "old", r.s.broken
}

func (r reader) Revisions(_ context.Context, id finding.ID, _ int) ([]store.Revision, error) {
	if id == "old" {
		return []store.Revision{{FindingID: id}}, r.s.broken
	}
	return []store.Revision{{FindingID: id, Raw: store.Pack([]byte(`{"id":"f"}`))}}, r.s.broken
}

func (r reader) RevisionsSince(_ context.Context, since time.Time, yield func(store.Revision) bool) error {
	r.s.saw(since)
	if r.s.broken != nil {
		return r.s.broken
	}
	for n := range 3 {
		if !yield(store.Revision{Seq: int64(n + 1), FindingID: "f", Raw: store.Pack([]byte(`{"id":"f"}`))}) {
			return nil
		}
		if r.s.streams != nil {
			return r.s.streams
		}
	}
	return r.s.broken
}

func (r reader) Deliveries(_ context.Context, f store.DeliveryFilter) ([]notify.Delivery, error) {
	r.s.saw(f)
	return []notify.Delivery{{ID: "d"}}, r.s.broken
}

func (r reader) GetDelivery(_ context.Context, id string) (notify.Delivery, error) {
	if id != "d" {
		return notify.Delivery{}, fmt.Errorf("delivery %s: %w", id, store.ErrNotFound)
	}
	return notify.Delivery{ID: id}, r.s.broken
}

func (r reader) Unfinished(context.Context) (armed, stuck int, err error) { return 2, 1, r.s.broken }

func (r reader) RejectedInputs(_ context.Context, before string, _ int) ([]store.Rejected, error) {
	r.s.saw(before)
	return []store.Rejected{{ID: "r"}}, r.s.broken
}

func (r reader) RejectedInput(_ context.Context, id string) (store.Rejected, error) {
	if id != "r" {
		return store.Rejected{}, fmt.Errorf("rejected input %s: %w", id, store.ErrNotFound)
	}
	return store.Rejected{ID: id, Body: []byte("{broken")}, r.s.broken
}

// AuditRecords streams until the reader has had enough or is gone.
func (r reader) AuditRecords(ctx context.Context, after int64, limit int, yield func(audit.Record) bool) error {
	r.s.saw([]int64{after, int64(limit)})
	n := 0
	defer func() {
		r.s.mu.Lock()
		r.s.stopped, r.s.ended = n, ctx
		r.s.mu.Unlock()
	}()
	for n = range r.s.records {
		if r.s.hold != nil {
			r.s.hold()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !yield(audit.Record{Seq: after + int64(n) + 1, Who: "ana"}) {
			return nil
		}
		if r.s.streams != nil {
			return r.s.streams
		}
	}
	return r.s.broken
}

func (r reader) AuditHead(context.Context) (audit.Head, error) {
	return audit.Head{Seq: 100}, r.s.broken
}

func (r reader) RuleUses(context.Context) (map[string]store.RuleUse, error) {
	return map[string]store.RuleUse{"scanner": {Matches: 12, LastMatch: noon}}, r.s.broken
}

func (r reader) Pauses(context.Context) (map[string]store.Pause, error)     { return nil, r.s.broken }
func (r reader) Sources(context.Context) ([]store.Source, error)            { return nil, r.s.broken }
func (r reader) Workers(context.Context) ([]store.Worker, error)            { return nil, r.s.broken }
func (r reader) IgnoredEvents(context.Context) ([]store.Ignored, error)     { return nil, r.s.broken }
func (r reader) OpenNotices(context.Context) ([]store.Notice, error)        { return nil, r.s.broken }
func (r reader) OldestBehind(context.Context) (map[string]time.Time, error) { return nil, r.s.broken }
func (r reader) CountIncidents(context.Context) (map[incident.State]int, error) {
	if r.s.panics {
		panic(errors.New("a defect with <b>secret</b>"))
	}
	return map[incident.State]int{incident.Open: 1}, r.s.broken
}

func (r reader) CountDeliveries(context.Context) (map[string]map[notify.Status]int, error) {
	return nil, r.s.broken
}

func (r reader) Plans(_ context.Context, f store.PlanFilter) ([]respond.PlanRow, error) {
	r.s.saw(f)
	return []respond.PlanRow{{ID: "pln_1", Digest: digest}}, r.s.broken
}

func (r reader) GetPlan(_ context.Context, id respond.PlanID) (respond.PlanRow, error) {
	switch id {
	case "pln_1":
		stored := []byte(`{"id":"pln_1","steps":[{"id":"record"}]}`)
		sum := respond.Digest(stored)
		if r.s.tampered {
			stored[len(stored)-4]++
		}
		return respond.PlanRow{ID: id, Digest: sum, State: respond.PlanWaiting, Bytes: stored, Before: []byte("secret")}, r.s.broken
	case "pln_torn":
		return respond.PlanRow{ID: id, Bytes: []byte(`{"id`), Digest: respond.Digest([]byte(`{"id`))}, r.s.broken
	}
	return respond.PlanRow{}, fmt.Errorf("plan %s: %w", id, store.ErrNotFound)
}

func (r reader) Runs(_ context.Context, f store.RunFilter) ([]respond.RunRow, error) {
	r.s.saw(f)
	return []respond.RunRow{{ID: "run_1"}}, r.s.broken
}

func (r reader) GetRun(_ context.Context, id respond.RunID) (respond.RunRow, error) {
	if id != "run_1" {
		return respond.RunRow{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return respond.RunRow{ID: id, Plan: "pln_1", State: respond.RunRunning}, r.s.broken
}

func (r reader) Steps(context.Context, respond.RunID) ([]playbook.Record, error) {
	return []playbook.Record{{Name: "record", State: playbook.Completed}}, r.s.broken
}

// StepsSince goes on by one version each time that it is asked for the newest.
func (r reader) StepsSince(_ context.Context, id respond.RunID, version int64) ([]playbook.Record, int64, error) {
	if id != "run_1" {
		return nil, 0, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.looks++
	if r.s.looks <= r.s.still {
		return []playbook.Record{}, version, r.s.broken
	}
	return []playbook.Record{{Name: "record", State: playbook.Completed, Saved: map[string]json.RawMessage{"before": json.RawMessage(`"user data"`)}}}, version + 1, r.s.broken
}

func (r reader) Evidence(context.Context, incident.Number) ([]store.Preserved, error) {
	return []store.Preserved{{Incident: 7, Run: "run_1", Item: evidence.Item{ID: "snapshot/vol-1"}}}, r.s.broken
}

func (r reader) Gaps(context.Context, incident.Number) ([]store.Lacking, error) {
	return []store.Lacking{{Run: "run_1", Gap: evidence.Gap{What: "memory", Why: "no agent"}}}, r.s.broken
}

func (r reader) OwedOf(context.Context, respond.RunID) ([]respond.Owed, error) {
	return []respond.Owed{{ID: "run_1/passage/vpc-1", Run: "run_1", Kind: "ec2.passage", Params: json.RawMessage(`{"secret":"user data"}`), Why: "eni-0c1 is in the group that lets everything through"}}, nil
}

func (r reader) Custody(context.Context, incident.Number) ([]evidence.Custody, error) {
	return []evidence.Custody{{Who: "ana", Action: "acquired"}}, r.s.broken
}

func (r reader) Manifests(context.Context, incident.Number) ([]store.Manifest, error) {
	return []store.Manifest{{Incident: 7, Revision: 1, Digest: digest, Bytes: []byte(`{"items":[]}`)}}, r.s.broken
}

func (r reader) Tokens(context.Context) ([]store.Token, error) {
	return []store.Token{{Name: "ana", Role: "approver", Hash: []byte("hash"), CreatedAt: noon}}, r.s.broken
}

func (r reader) Backup(_ context.Context, path string) error { return r.s.tell("backup %s", path) }
func (r reader) Place() string                               { return "sqlite:/var/lib/guardroom.db" }

// log is a log that can be read.
type log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func logger(l *log) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

var ana = api.Identity{Name: "ana", Local: true}

// inProcess is a client of s in this process, as ana.
func inProcess(t *testing.T, s *service) *api.Client {
	t.Helper()
	return api.InProcess(api.Handler(s, slog.New(slog.DiscardHandler)), ana)
}
