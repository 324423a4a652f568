package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// service starts a service with made-up responses, for the scripts about them,
// and lets guardroom act through it as ana, an approver. Raj, a responder, asked
// for what is there already. The secret of ROLE is ROLE-secret.
func service(ts *testscript.TestScript, neg bool, args []string) {
	s := &responseService{now: time.Now}
	s.fill()
	names := map[string]string{"viewer": "vic", "responder": "raj", "approver": "ana", "admin": "root"}
	e := api.Entrance{Now: time.Now, Log: slog.New(slog.DiscardHandler), ByHash: func(_ context.Context, hash []byte) (store.Token, error) {
		for _, role := range api.Roles() {
			if sum := sha256.Sum256([]byte(string(role) + "-secret")); slices.Equal(sum[:], hash) {
				return store.Token{Name: names[string(role)], Role: string(role), Hash: hash}, nil
			}
		}
		return store.Token{}, store.ErrNotFound
	}}
	server := httptest.NewServer(e.Guard(api.Handler(s, slog.New(slog.DiscardHandler))))
	ts.Defer(server.Close)
	ts.Setenv("GUARDROOM_SERVER", server.URL)
	ts.Setenv("GUARDROOM_TOKEN", "approver-secret")
	ts.Setenv("URL", server.URL)
}

// responseService keeps plans and runs in memory. Decisions are those of package
// respond; a run goes on by one step whenever it is looked at.
type responseService struct {
	api.Service
	now func() time.Time

	mu     sync.Mutex
	order  []respond.PlanID
	plans  map[respond.PlanID]*respond.PlanRow
	runs   map[respond.RunID]*fakeRun
	owed   map[respond.RunID][]respond.Owed
	off    api.Switch
	tokens []store.Token
}

type fakeRun struct {
	row     respond.RunRow
	states  []map[string]playbook.Record // by version, from 1
	ends    respond.RunState
	version int64
	stays   bool // it never ends
}

func (s *responseService) Reader() api.Reader       { return responseReader{s: s} }
func (s *responseService) Responses() api.Responder { return s }

// steps of the one plan that there is.
func planSteps() []respond.Step {
	return []respond.Step{
		{ID: "record", Stage: "record", Title: "instance, interfaces, tags", Effect: respond.NoChange},
		{ID: "isolate/eni-0c1", Stage: "contain", Title: "eni-0c1: 1 security group -> guardroom-contain", Effect: respond.Reversible, Needs: []string{"record"}, Approval: "last healthy target of payments", Contains: true},
		{ID: "snapshot/vol-0a1", Stage: "snapshot", Title: "vol-0a1 (100 GiB) \x1b[2J", Effect: respond.Creates, After: []string{"record"}},
	}
}

func (s *responseService) put(id respond.PlanID, change func(*respond.Plan)) *respond.PlanRow {
	p := respond.Plan{Schema: 1, ID: id, Incident: 7, Playbook: "ec2-contain", Version: 1, Steps: planSteps(),
		Target:  respond.Target{Kind: finding.ResourceKind("Instance"), ID: "i-0f3c", Name: "payments-api-3", Account: "111111111111", Region: "eu-west-1"},
		WillNot: []string{"stop, reboot or terminate the instance", "delete anything"}, Undo: "guardroom run undo (prepares a plan of its own)",
		ShortestSeconds: 540, LongestSeconds: 1500, CostCents: 3100, CostWhy: "600 GiB of snapshots", Requester: "raj", Approvals: 1,
		CreatedAt: s.now().UTC(), ExpiresAt: s.now().UTC().Add(30 * time.Minute)}
	if change != nil {
		change(&p)
	}
	b, err := respond.Canonical(p)
	if err != nil {
		panic(err)
	}
	row := &respond.PlanRow{ID: id, Incident: p.Incident, Playbook: p.Playbook, Target: p.Target.Key(), Bytes: b, Digest: respond.Digest(b), State: respond.PlanWaiting,
		Requester: p.Requester, Needed: p.Approvals, CreatedAt: p.CreatedAt, ExpiresAt: p.ExpiresAt, UndoOf: p.UndoOf}
	if g, refused := p.Refused(); refused {
		row.State, row.Why = respond.PlanRefused, g.Why
	}
	if s.plans == nil {
		s.plans, s.runs = map[respond.PlanID]*respond.PlanRow{}, map[respond.RunID]*fakeRun{}
	}
	s.plans[id] = row
	s.order = append(s.order, id)
	return row
}

func (s *responseService) fill() {
	s.put("pln_one", nil)
	s.put("pln_two_people", func(p *respond.Plan) { p.Approvals = 2 })
	s.put("pln_refused", func(p *respond.Plan) {
		p.Guards = []respond.Guard{{Name: "never-touch", Answer: respond.Refuse, Why: "the tag guardroom:never-touch is set", Hint: "take the tag off, then make a new plan"}}
	})
	s.put("pln_terminal", func(p *respond.Plan) {
		p.Simulated, p.DryRun = true, true
		p.Guards = []respond.Guard{{Name: "shared role", Answer: respond.Warn, Why: "5 other instances use it"}}
		p.AlsoHits = []string{"5 other instances use the role payments-api and keep working"}
		p.Irreversible, p.Manual = []string{"the public address is lost"}, []string{"rotate the password of root"}
	})
	s.start("run_failed", s.put("pln_failed", nil), respond.RunPartFailed)
	s.owed = map[respond.RunID][]respond.Owed{"run_failed": {
		{ID: "run_failed/passage", Run: "run_failed", Kind: "ec2.passage", Why: "eni-0c1 is in the group that lets everything through", OpenedAt: s.now(), Due: s.now(), Attempts: 3,
			Error: "AWS refused ec2:DeleteSecurityGroup", RetryAt: s.now().Add(time.Minute), Params: []byte(`"saved"`)},
		{ID: "run_failed/block", Run: "run_failed", Kind: "block.acl", Why: "10.0.0.1 is denied", OpenedAt: s.now(), Due: time.Date(2037, 1, 2, 3, 4, 5, 0, time.UTC), Expires: true}}}
	s.start("run_stays", s.put("pln_stays", nil), respond.RunCompleted).stays = true
	s.plans["pln_failed"].State, s.plans["pln_stays"].State = respond.PlanApproved, respond.PlanApproved
	s.tokens = []store.Token{{Name: "ana", Role: "approver", CreatedBy: "root", CreatedAt: s.now()}, {Name: "old", Role: "viewer", RevokedAt: s.now(), CreatedAt: s.now()}}
}

// start makes the run of a plan: record, then both others at once.
func (s *responseService) start(id respond.RunID, plan *respond.PlanRow, ends respond.RunState) *fakeRun {
	at := s.now().UTC()
	rec := func(name string, state playbook.State, change func(*playbook.Record)) map[string]playbook.Record {
		r := playbook.Record{Name: name, State: state, Started: at}
		if state.Ended() {
			r.Ended = at.Add(12 * time.Second)
		}
		if change != nil {
			change(&r)
		}
		return map[string]playbook.Record{name: r}
	}
	last := rec("snapshot/vol-0a1", playbook.Completed, func(r *playbook.Record) { r.Message = "snap-0d1" })
	if ends == respond.RunPartFailed {
		last = rec("snapshot/vol-0a1", playbook.Failed, func(r *playbook.Record) {
			r.Error = &playbook.Failure{Code: fault.Denied, Message: "AWS refused ec2:CreateSnapshot (UnauthorizedOperation)", Safe: "the instance is contained", Hint: "add ec2:CreateSnapshot to the act role"}
			r.Message = r.Error.Message
		})
	}
	plan.Run = id
	s.runs[id] = &fakeRun{ends: ends, states: []map[string]playbook.Record{
		rec("record", playbook.Running, nil), rec("record", playbook.Completed, nil),
		rec("snapshot/vol-0a1", playbook.Running, func(r *playbook.Record) {
			r.Progress = playbook.Progress{Done: 62, Unit: "percent", ShortestSeconds: 540, LongestSeconds: 1500}
		}),
		rec("isolate/eni-0c1", playbook.Completed, nil), last,
	}, row: respond.RunRow{ID: id, Plan: plan.ID, Incident: plan.Incident, Playbook: plan.Playbook, Target: plan.Target, Account: "111111111111", State: respond.RunRunning, CreatedAt: at, StartedAt: at}}
	return s.runs[id]
}

// look lets a run go on, and returns what changed after a version.
func (s *responseService) look(id respond.RunID, after int64) (respond.RunRow, []playbook.Record, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[id]
	if !ok {
		return respond.RunRow{}, nil, 0, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	most := int64(len(r.states))
	if r.stays {
		most = 2
	}
	if r.version <= after && r.version < most && r.row.State == respond.RunRunning {
		r.version++
	}
	if r.version == int64(len(r.states)) && !r.row.State.Ended() {
		r.row.State, r.row.EndedAt, r.row.Contained = r.ends, s.now().UTC(), true
		r.row.StillOpen = []string{"the VPC resolver still answers"}
	}
	latest := map[string]playbook.Record{}
	for _, m := range r.states[max(0, min(after, r.version)):r.version] {
		maps.Copy(latest, m)
	}
	var out []playbook.Record
	for _, st := range planSteps() {
		if rec, ok := latest[st.ID]; ok {
			out = append(out, rec)
		}
	}
	return r.row, out, r.version, nil
}

func (s *responseService) Playbooks() []api.Playbook {
	return []api.Playbook{{Name: "ec2-contain", Version: 1, Summary: "isolate an instance and keep it"}, {Name: "forensics", Version: 2, Summary: "preserve an instance",
		Does: []string{"keep the console", "take snapshots"}, Guards: []string{"workstation"}, Never: []string{"stop the instance"}, Undo: "deletes the working copies",
		Calls: []api.PlaybookCalls{{Role: "read", Actions: []string{"ec2:DescribeInstances"}}, {Role: "act", Actions: []string{"ec2:CreateSnapshots", "ec2:LockSnapshot"}}}}}
}

func (s *responseService) detail(row *respond.PlanRow) (api.PlanDetail, error) {
	h := api.PlanDetail{Row: *row, Canonical: string(row.Bytes)}
	p, err := planOf(row)
	h.Plan = p
	return h, err
}

func (s *responseService) CreatePlan(_ context.Context, q api.PlanRequest, who string) (api.PlanDetail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case q.Incident != 7:
		return api.PlanDetail{}, fmt.Errorf("incident %s: %w", q.Incident, store.ErrNotFound)
	case q.Playbook == "sealed":
		return s.detail(s.plans["pln_refused"])
	case q.Playbook == "authorized": // a rule approved it beforehand
		row := s.put("pln_authorized", nil)
		row.State, row.Approvals = respond.PlanApproved, []respond.Approval{{Who: "rule", Rule: "night", At: s.now(), Reason: "nobody is awake"}}
		s.start("run_authorized", row, respond.RunCompleted)
		return s.detail(row)
	}
	return s.detail(s.put("pln_new", func(p *respond.Plan) { p.Requester, p.DryRun = who, q.DryRun }))
}

func (s *responseService) decide(id respond.PlanID, do func(row *respond.PlanRow) error) (api.PlanDetail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.plans[id]
	if !ok {
		return api.PlanDetail{}, fmt.Errorf("plan %s: %w", id, store.ErrNotFound)
	}
	if err := do(row); err != nil {
		return api.PlanDetail{}, err
	}
	return s.detail(row)
}

func (s *responseService) ApprovePlan(_ context.Context, id respond.PlanID, digest, reason string, by api.Approver) (api.PlanDetail, error) {
	return s.decide(id, func(row *respond.PlanRow) error {
		ok, err := row.Approve(respond.Approval{Who: by.Name, How: by.How, Own: by.Own, Reason: reason, Digest: digest}, respond.Rules{}, s.now())
		if ok {
			s.start("run_one", row, respond.RunCompleted)
		}
		return err
	})
}

func (s *responseService) RejectPlan(_ context.Context, id respond.PlanID, why, who string) (api.PlanDetail, error) {
	return s.decide(id, func(row *respond.PlanRow) error { return row.Reject(who, why, s.now()) })
}

func (s *responseService) AbortRun(_ context.Context, id respond.RunID, why, who string) (respond.RunRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[id]
	switch {
	case !ok:
		return respond.RunRow{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	case r.row.State.Ended():
		return respond.RunRow{}, fault.New(fault.Conflict, string(id)+" has ended: it is "+string(r.row.State), "guardroom run undo "+string(id))
	}
	r.row.AbortedBy, r.row.AbortWhy = who, why
	return r.row, nil
}

func (s *responseService) UndoRun(_ context.Context, id respond.RunID, who string) (api.PlanDetail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.runs[id]; !ok {
		return api.PlanDetail{}, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return s.detail(s.put("pln_undo", func(p *respond.Plan) { p.UndoOf, p.Requester = id, who }))
}

func (s *responseService) Switch(context.Context) (api.Switch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off, nil
}

func (s *responseService) SetSwitch(_ context.Context, off bool, why, who string) (api.Switch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = api.Switch{Off: off, Who: who, Why: why, At: s.now()}
	return s.off, nil
}

func (s *responseService) VerifyEvidence(_ context.Context, n incident.Number, _ string) (evidence.Report, error) {
	r := evidence.Report{Incident: n.String(), Manifests: 1, Items: []evidence.Checked{{ID: "record/before.json", How: "hashed again", SHA256: "aa11", Good: true}, {ID: "workstation", How: "not checked: it is a tool and no evidence"}}, Problems: []evidence.Problem{}}
	if n == 8 { // of which somebody changed an object and a block
		r.Items[0].Good = false
		r.Problems = []evidence.Problem{{What: "record/before.json", Why: "its bytes have another hash"}, {What: "block 7 of snap-0d1", Why: "it has another hash"}}
	}
	return r, nil
}

func (s *responseService) ExportEvidence(_ context.Context, n incident.Number, w io.Writer, _ string) error {
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: "objects/manifest.json", Mode: 0o600, Size: 2}); err != nil {
		return err
	}
	if _, err := io.WriteString(t, "{}"); err != nil {
		return err
	}
	switch n {
	case 8:
		return errors.Join(t.Flush(), errors.New("the bucket is gone"))
	case 9:
		if err := t.WriteHeader(&tar.Header{Name: "../outside.json", Mode: 0o600, Size: 0}); err != nil {
			return err
		}
	}
	return t.Close()
}

func (s *responseService) CreateToken(_ context.Context, name string, role api.Role, expires time.Time, who string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.tokens, func(t store.Token) bool { return t.Name == name && t.Good(s.now()) }) {
		return "", fault.New(fault.Conflict, name+" has a token already", "guardroom token revoke "+name)
	}
	s.tokens = append(s.tokens, store.Token{Name: name, Role: string(role), CreatedBy: who, CreatedAt: s.now(), ExpiresAt: expires})
	return "grt_shown_once", nil
}

func (s *responseService) RevokeToken(_ context.Context, name, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.tokens, func(t store.Token) bool { return t.Name == name })
	if at < 0 {
		return fmt.Errorf("token: %w", store.ErrNotFound)
	}
	s.tokens[at].RevokedAt = s.now()
	return nil
}
