package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/file"
	"github.com/guardroom/guardroom/store"
	"github.com/guardroom/guardroom/triage"
)

// Status is the answer of GET /v1/status.
type Status struct {
	Version    string                           `json:"version"`
	Store      string                           `json:"store"`
	Delivering bool                             `json:"delivering"`
	Incidents  map[incident.State]int           `json:"incidents"`
	Deliveries map[string]map[notify.Status]int `json:"deliveries"`
	Sources    []store.Source                   `json:"sources"`
	Workers    []store.Worker                   `json:"workers"`
	Ignored    []store.Ignored                  `json:"ignored"`
	Notices    []store.Notice                   `json:"notices"`
	AuditHead  audit.Head                       `json:"audit_head"`
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) (err error) {
	ctx, rd := r.Context(), h.s.Reader()
	s := Status{Version: h.s.Version(), Store: rd.Place(), Delivering: h.s.Delivering()}
	if s.Incidents, err = rd.CountIncidents(ctx); err != nil {
		return err
	}
	if s.Deliveries, err = rd.CountDeliveries(ctx); err != nil {
		return err
	}
	if s.Sources, err = rd.Sources(ctx); err != nil {
		return err
	}
	if s.Workers, err = rd.Workers(ctx); err != nil {
		return err
	}
	if s.Ignored, err = rd.IgnoredEvents(ctx); err != nil {
		return err
	}
	if s.Notices, err = rd.OpenNotices(ctx); err != nil {
		return err
	}
	if s.AuditHead, err = rd.AuditHead(ctx); err != nil {
		return err
	}
	return answer(w, s)
}

// What lists can be narrowed to. A misspelt word must not look like an empty list.
var (
	states     = []incident.State{incident.Open, incident.Acknowledged, incident.Contained, incident.Closed}
	severities = []string{"informational", "low", "medium", "high", "critical"}
	standings  = []notify.Status{notify.Pending, notify.Delivered, notify.Parked, notify.Unknown, notify.Paused, notify.Digested, notify.Dropped}
)

// IncidentList is the answer of GET /v1/incidents.
type IncidentList struct {
	Incidents []*incident.Incident `json:"incidents"`
}

func (h *handler) incidents(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	f := store.IncidentFilter{Account: p.text("account"), Region: p.text("region"), Owner: p.text("owner"),
		Since: p.time("since"), Before: incident.Number(p.number("before")), Limit: int(p.number("limit"))}
	for _, s := range p.list("state") {
		if !slices.Contains(states, incident.State(s)) {
			return fault.New(fault.Usage, fmt.Sprintf("%q is not a state", s), "use open, acknowledged, contained or closed")
		}
		f.States = append(f.States, incident.State(s))
	}
	if s := p.text("min_severity"); s != "" {
		b, ok := finding.ParseBand(s)
		if !ok {
			return fault.New(fault.Usage, fmt.Sprintf("%q is not a severity", s), "use informational, low, medium, high or critical")
		}
		f.MinSeverity = map[finding.Band]float64{finding.Low: 1, finding.Medium: 4, finding.High: 7, finding.Critical: 9}[b]
	}
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().Incidents(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, IncidentList{Incidents: list})
}

// IncidentDetail is the answer of GET /v1/incidents/{n}.
type IncidentDetail struct {
	Incident   *incident.Incident `json:"incident"`
	Timeline   []incident.Entry   `json:"timeline"`
	Findings   []store.Finding    `json:"findings"`
	Deliveries []notify.Delivery  `json:"deliveries"`
}

func (h *handler) incident(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	rd, ctx := h.s.Reader(), r.Context()
	var out IncidentDetail
	if out.Incident, err = rd.GetIncident(ctx, n); err != nil {
		return missing(err, n.String(), "guardroom incident list")
	}
	if out.Timeline, err = rd.Timeline(ctx, n, 500); err != nil {
		return err
	}
	if out.Findings, err = rd.Findings(ctx, store.FindingFilter{Incident: n, Limit: 200}); err != nil {
		return err
	}
	if out.Deliveries, err = rd.Deliveries(ctx, store.DeliveryFilter{Subject: string(out.Incident.ID), Limit: 100}); err != nil {
		return err
	}
	return answer(w, out)
}

// IncidentCommand is the body of POST /v1/incidents/{n}/{verb}.
type IncidentCommand struct {
	Owner   string `json:"owner,omitempty"`   // assign
	Text    string `json:"text,omitempty"`    // note; close: the closing note; reopen, merge: why
	Verdict string `json:"verdict,omitempty"` // close
	Into    string `json:"into,omitempty"`    // merge: INC-42
}

func (h *handler) incidentVerb(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	var c IncidentCommand
	if err := read(r, &c); err != nil {
		return err
	}
	if err := readable(c.Text); err != nil {
		return err
	}
	who, ctx, do := identity(r), r.Context(), h.s.Commands()
	var i *incident.Incident
	switch verb := r.PathValue("verb"); verb {
	case "ack":
		i, err = do.Acknowledge(ctx, n, who)
	case "assign":
		i, err = do.Assign(ctx, n, c.Owner, who)
	case "note":
		i, err = do.Note(ctx, n, c.Text, who)
	case "close":
		var v incident.Verdict
		if v, err = incident.ParseVerdict(c.Verdict); err != nil {
			return fault.New(fault.Usage, err.Error(), "")
		}
		i, err = do.CloseIncident(ctx, n, v, c.Text, who)
	case "reopen":
		i, err = do.Reopen(ctx, n, c.Text, who)
	case "merge":
		into, perr := incident.ParseNumber(c.Into)
		if perr != nil {
			return fault.New(fault.Usage, perr.Error(), "guardroom incident list")
		}
		i, err = do.Merge(ctx, n, into, c.Text, who)
	default:
		return fault.New(fault.NotFound, fmt.Sprintf("an incident cannot be told to %q", verb), "use ack, assign, note, merge, close or reopen")
	}
	if err != nil {
		return err
	}
	return answer(w, i)
}

// FindingList is the answer of GET /v1/findings.
type FindingList struct {
	Findings []store.Finding `json:"findings"`
}

func (h *handler) findings(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	f := store.FindingFilter{Account: p.text("account"), Region: p.text("region"), Type: p.text("type"), Decision: p.text("decision"),
		Since: p.time("since"), Limit: int(p.number("limit")), After: store.Cursor{At: p.time("after_at"), ID: p.text("after_id")}}
	if s := p.text("incident"); s != "" {
		n, err := incident.ParseNumber(s)
		if err != nil {
			return fault.New(fault.Usage, err.Error(), "")
		}
		f.Incident = n
	}
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().Findings(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, FindingList{Findings: list})
}

// FindingDetail is the answer of GET /v1/findings/{id}.
type FindingDetail struct {
	Finding   store.Finding    `json:"finding"`
	Revisions []store.Revision `json:"revisions"`
}

func (h *handler) findingOf(r *http.Request) (FindingDetail, error) {
	id := finding.ID(r.PathValue("id"))
	f, ok, err := h.s.Reader().GetFinding(r.Context(), id)
	if err != nil {
		return FindingDetail{}, err
	}
	if !ok {
		return FindingDetail{}, fault.New(fault.NotFound, "there is no finding "+string(id), "guardroom finding list")
	}
	revisions, err := h.s.Reader().Revisions(r.Context(), id, 100)
	return FindingDetail{Finding: f, Revisions: revisions}, err
}

func (h *handler) finding(w http.ResponseWriter, r *http.Request) error {
	d, err := h.findingOf(r)
	if err != nil {
		return err
	}
	return answer(w, d)
}

func (h *handler) raw(w http.ResponseWriter, r *http.Request) error {
	d, err := h.findingOf(r)
	if err != nil {
		return err
	}
	var raw []byte
	if len(d.Revisions) > 0 {
		if raw, err = store.Unpack(d.Revisions[0].Raw); err != nil {
			return err
		}
	}
	if len(raw) == 0 {
		return fault.New(fault.NotFound, "the raw form of this finding is gone", "it was older than the retention")
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(raw)
	return err
}

// Explanation is the answer of GET /v1/findings/{id}/explain.
type Explanation struct {
	Finding store.Finding `json:"finding"`
	Steps   []triage.Step `json:"steps"`
}

func (h *handler) explain(w http.ResponseWriter, r *http.Request) error {
	d, err := h.findingOf(r)
	if err != nil {
		return err
	}
	steps, err := h.s.Explain(r.Context(), d.Finding.ID)
	if err != nil {
		return err
	}
	return answer(w, Explanation{Finding: d.Finding, Steps: steps})
}

// RawRevision is one line of GET /v1/revisions.
type RawRevision struct {
	store.Revision
	Raw json.RawMessage `json:"raw"`
}

func (h *handler) revisions(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	since := p.time("since")
	if p.err != nil {
		return p.err
	}
	return h.stream(w, func(send func(any) bool) error {
		var failed error
		err := h.s.Reader().RevisionsSince(r.Context(), since, func(rev store.Revision) bool {
			raw, err := store.Unpack(rev.Raw)
			if err != nil {
				failed = err
				return false
			}
			return send(RawRevision{Revision: rev, Raw: raw})
		})
		if failed != nil {
			return failed
		}
		return err
	})
}

// stream writes NDJSON. An error after the first line becomes a last line with
// the error in it, because the status is out already.
func (h *handler) stream(w http.ResponseWriter, produce func(send func(any) bool) error) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	sent := false
	err := produce(func(v any) bool {
		sent = true
		return enc.Encode(v) == nil
	})
	if err != nil && sent {
		return enc.Encode(NewFailure(err))
	}
	return err
}

// maxImport bounds one import request; the command line sends larger inputs in
// pieces.
const maxImport = 1 << 30

func (h *handler) importFindings(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	line := int(p.number("line"))
	if p.err != nil {
		return p.err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxImport))
	if err != nil {
		return unreadable(err, "read the import", "split the file")
	}
	receipt, err := h.s.Take(r.Context(), source.Input{Source: file.Name, Body: body, Position: p.text("position"), FirstLine: line,
		ReceivedAt: time.Now().UTC(), AsHistory: p.flag("as_history"), ShowSamples: p.flag("samples")})
	if err != nil {
		return err
	}
	receipt.Incidents, receipt.References, receipt.Reasons = some(receipt.Incidents), some(receipt.References), some(receipt.Reasons)
	return answer(w, receipt)
}

// RejectedList is the answer of GET /v1/rejected.
type RejectedList struct {
	Rejected []store.Rejected `json:"rejected"`
}

func (h *handler) rejected(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	n := int(p.number("limit"))
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().RejectedInputs(r.Context(), p.text("before"), n)
	if err != nil {
		return err
	}
	return answer(w, RejectedList{Rejected: list})
}

// RejectedDetail is the answer of GET /v1/rejected/{id}.
type RejectedDetail struct {
	store.Rejected
	Body []byte `json:"body"` // base64
}

func (h *handler) rejectedOne(w http.ResponseWriter, r *http.Request) error {
	one, err := h.s.Reader().RejectedInput(r.Context(), r.PathValue("id"))
	if err != nil {
		return missing(err, "rejected input "+r.PathValue("id"), "guardroom finding rejected list")
	}
	return answer(w, RejectedDetail{Rejected: one, Body: one.Body})
}

// DeliveryList is the answer of GET /v1/deliveries.
type DeliveryList struct {
	Deliveries []notify.Delivery `json:"deliveries"`
}

func (h *handler) deliveries(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	f := store.DeliveryFilter{Destination: p.text("destination"), Behind: p.flag("behind"), Limit: int(p.number("limit")),
		After: store.Cursor{At: p.time("after_at"), ID: p.text("after_id")}}
	for _, s := range p.list("status") {
		if !slices.Contains(standings, notify.Status(s)) {
			return fault.New(fault.Usage, fmt.Sprintf("%q is not a status of deliveries", s), "use pending, delivered, parked, unknown, paused, digested or dropped")
		}
		f.Statuses = append(f.Statuses, notify.Status(s))
	}
	if s := p.text("incident"); s != "" {
		n, err := incident.ParseNumber(s)
		if err != nil {
			return fault.New(fault.Usage, err.Error(), "")
		}
		i, err := h.s.Reader().GetIncident(r.Context(), n)
		if err != nil {
			return missing(err, n.String(), "guardroom incident list")
		}
		f.Subject = string(i.ID)
	}
	if p.err != nil {
		return p.err
	}
	list, err := h.s.Reader().Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, DeliveryList{Deliveries: list})
}

// Unfinished is the answer of GET /v1/deliveries/unfinished.
type Unfinished struct {
	Armed int `json:"armed"` // under way or waiting for their time
	Stuck int `json:"stuck"` // parked, unknown or paused
}

func (h *handler) unfinished(w http.ResponseWriter, r *http.Request) (err error) {
	var u Unfinished
	if u.Armed, u.Stuck, err = h.s.Reader().Unfinished(r.Context()); err != nil {
		return err
	}
	return answer(w, u)
}

func (h *handler) delivery(w http.ResponseWriter, r *http.Request) error {
	d, err := h.s.Reader().GetDelivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return missing(err, "delivery "+r.PathValue("id"), "guardroom delivery list")
	}
	return answer(w, d)
}

// Why is the body of commands that want a reason.
type Why struct {
	Why string `json:"why,omitempty"`
}

func (h *handler) deliveryVerb(w http.ResponseWriter, r *http.Request) error {
	var c Why
	if err := read(r, &c); err != nil {
		return err
	}
	var d notify.Delivery
	var err error
	switch verb := r.PathValue("verb"); verb {
	case "retry":
		d, err = h.s.Commands().Retry(r.Context(), r.PathValue("id"), identity(r))
	case "drop":
		d, err = h.s.Commands().Drop(r.Context(), r.PathValue("id"), identity(r), c.Why)
	default:
		return fault.New(fault.NotFound, fmt.Sprintf("a delivery cannot be told to %q", verb), "use retry or drop")
	}
	if err != nil {
		return err
	}
	return answer(w, d)
}

// RetryAll is the body of POST /v1/deliveries/retry, whose answer is Told.
type RetryAll struct {
	Destination string          `json:"destination"`
	Status      []notify.Status `json:"status,omitempty"` // parked, unknown; none: parked
}

func (h *handler) retryAll(w http.ResponseWriter, r *http.Request) error {
	var c RetryAll
	if err := read(r, &c); err != nil {
		return err
	}
	if c.Destination == "" {
		return fault.New(fault.Usage, "name a destination", "guardroom destination list")
	}
	n, err := h.s.Commands().RetryAll(r.Context(), c.Destination, c.Status, identity(r))
	if err != nil {
		return err
	}
	return answer(w, Told{Message: fmt.Sprintf("%d deliveries to %s are tried again", n, c.Destination), Count: n})
}

// DestinationList is the answer of GET /v1/destinations.
type DestinationList struct {
	Destinations []Destination `json:"destinations"`
}

func (h *handler) destinations(w http.ResponseWriter, r *http.Request) error {
	list, err := h.s.Destinations(r.Context())
	if err != nil {
		return err
	}
	return answer(w, DestinationList{Destinations: list})
}

// Told is the answer of commands that change many things, or none that has a form.
type Told struct {
	Message string `json:"message"`
	Count   int    `json:"count,omitempty"`
}

func (h *handler) destinationVerb(w http.ResponseWriter, r *http.Request) error {
	var c Why
	if err := read(r, &c); err != nil {
		return err
	}
	name, ctx := r.PathValue("name"), r.Context()
	var out Told
	var err error
	switch verb := r.PathValue("verb"); verb {
	case "test":
		out.Message, err = h.s.TestDestination(ctx, name)
	case "pause":
		err = h.s.Commands().Pause(ctx, name, identity(r), c.Why)
		out.Message = name + " is paused; what it should show is kept"
	case "resume":
		out.Count, err = h.s.Commands().Resume(ctx, name, identity(r))
		out.Message = fmt.Sprintf("%s goes on; %d deliveries waited for it", name, out.Count)
	default:
		return fault.New(fault.NotFound, fmt.Sprintf("a destination cannot be told to %q", verb), "use test, pause or resume")
	}
	if err != nil {
		return err
	}
	return answer(w, out)
}

// Rules is the answer of GET /v1/rules.
type Rules struct {
	Suppressions []Suppression `json:"suppressions"`
	Routes       []Route       `json:"routes"`
}

func (h *handler) rules(w http.ResponseWriter, r *http.Request) error {
	uses, err := h.s.Reader().RuleUses(r.Context())
	if err != nil {
		return err
	}
	out := Rules{Suppressions: h.s.Suppressions(), Routes: h.s.Routes()}
	for i := range out.Suppressions {
		u := uses[out.Suppressions[i].Name]
		out.Suppressions[i].Matches, out.Suppressions[i].LastMatch = u.Matches, u.LastMatch
	}
	return answer(w, out)
}

func (h *handler) audit(w http.ResponseWriter, r *http.Request) error {
	p := params{r: r}
	after, n := p.number("after"), int(p.number("limit"))
	if tail := p.number("tail"); tail > 0 {
		head, err := h.s.Reader().AuditHead(r.Context())
		if err != nil {
			return err
		}
		after = max(0, head.Seq-tail)
	}
	if p.err != nil {
		return p.err
	}
	return h.stream(w, func(send func(any) bool) error {
		return h.s.Reader().AuditRecords(r.Context(), after, n, func(rec audit.Record) bool { return send(rec) })
	})
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) error {
	unhurried(w)
	report, err := h.s.VerifyAudit(r.Context())
	if err != nil {
		return err
	}
	return answer(w, report)
}

// BackupCommand is the body of POST /v1/store/backup.
type BackupCommand struct {
	Path string `json:"path"` // absolute
}

func (h *handler) backup(w http.ResponseWriter, r *http.Request) error {
	var c BackupCommand
	if err := read(r, &c); err != nil {
		return err
	}
	if !identityOf(r).Local {
		return fault.New(fault.Denied, "a backup names a file on the service's machine and is not taken over the network", "run it there")
	}
	if c.Path == "" {
		return fault.New(fault.Usage, "the backup needs a file name", "")
	}
	if err := h.s.Reader().Backup(r.Context(), c.Path); err != nil {
		return err
	}
	return answer(w, Told{Message: "wrote " + c.Path})
}

func (h *handler) prune(w http.ResponseWriter, r *http.Request) error {
	n, err := h.s.Prune(r.Context())
	if err != nil {
		return err
	}
	return answer(w, Told{Message: fmt.Sprintf("removed %d", n), Count: n})
}

// CheckList is the answer of GET /v1/doctor.
type CheckList struct {
	Checks []Check `json:"checks"`
}

func (h *handler) doctor(w http.ResponseWriter, r *http.Request) error {
	return answer(w, CheckList{Checks: h.s.Doctor(r.Context())})
}
