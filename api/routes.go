package api

import (
	"net/http"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
)

// Operation is one call of the API: what it is for, who may make it, what goes
// in and what comes out. The reference, the OpenAPI document and the checks of
// who may what are all made from this table.
type Operation struct {
	Method, Path, Summary string
	// Role is the least that the caller needs.
	Role Role
	// Query are the parameters beside those of the path.
	Query []Param
	// Verbs are what {verb} may be.
	Verbs []string
	// Body is a value of the type that the JSON of the request has; nil: none.
	Body any
	// BodyType is the media type of a body that is no JSON.
	BodyType string
	// Answer is a value of the type that the answer has; nil: bytes of Type.
	Answer any
	// Type is the media type of the answer; empty: application/json. One object
	// of Answer's type a line where it is application/x-ndjson.
	Type string

	do func(http.ResponseWriter, *http.Request) error
}

// Param is a query parameter.
type Param struct {
	Name string
	// Kind is text, list, number, time or flag.
	Kind string
	// Values are the words that it may be; none: any.
	Values []string
	Help   string
}

const (
	ndjson = "application/x-ndjson"
	tar    = "application/x-tar"
)

func text(name, help string) Param   { return Param{Name: name, Kind: "text", Help: help} }
func whole(name, help string) Param  { return Param{Name: name, Kind: "number", Help: help} }
func moment(name, help string) Param { return Param{Name: name, Kind: "time", Help: help} }
func flag(name, help string) Param   { return Param{Name: name, Kind: "flag", Help: help} }

func oneOf[T ~string](name, help string, values []T) Param {
	return Param{Name: name, Kind: "text", Help: help, Values: words(values)}
}

func someOf[T ~string](name, help string, values []T) Param {
	return Param{Name: name, Kind: "list", Help: help, Values: words(values)}
}

func words[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func (h *handler) routes() []Operation {
	limit, since := whole("limit", "at most so many"), moment("since", "not older than this")
	page := []Param{limit, moment("after_at", "the time of the last element that was seen"), text("after_id", "its id")}
	get, post := http.MethodGet, http.MethodPost
	list := []Operation{
		{Method: get, Path: "/v1/status", Summary: "version, counts, sources, workers, notices", Role: Viewer, Answer: Status{}, do: h.status},
		{Method: get, Path: "/v1/incidents", Summary: "list incidents, newest first", Role: Viewer, Answer: IncidentList{}, do: h.incidents,
			Query: []Param{someOf("state", "only in these states", states), oneOf("min_severity", "at least so severe", severities),
				text("account", "account id"), text("region", "region"), text("owner", "who works on it"), since, whole("before", "below this number"), limit}},
		{Method: get, Path: "/v1/incidents/{n}", Summary: "one incident with timeline, findings and deliveries", Role: Viewer, Answer: IncidentDetail{}, do: h.incident},
		{Method: post, Path: "/v1/incidents/{n}/{verb}", Summary: "ack, assign, note, merge, close, reopen", Role: ResponderRole,
			Verbs: []string{"ack", "assign", "note", "merge", "close", "reopen"}, Body: IncidentCommand{}, Answer: incident.Incident{}, do: h.incidentVerb},
		{Method: get, Path: "/v1/findings", Summary: "list findings, newest received first", Role: Viewer, Answer: FindingList{}, do: h.findings,
			Query: append([]Param{text("account", "account id"), text("region", "region"), text("type", "finding type"), text("decision", "what triage decided"),
				text("incident", "of this incident, as INC-42"), since}, page...)},
		{Method: get, Path: "/v1/findings/{id}", Summary: "one finding with its revisions", Role: Viewer, Answer: FindingDetail{}, do: h.finding},
		{Method: get, Path: "/v1/findings/{id}/explain", Summary: "why it was suppressed, merged and routed", Role: Viewer, Answer: Explanation{}, do: h.explain},
		{Method: get, Path: "/v1/findings/{id}/raw", Summary: "the newest revision as received", Role: Viewer, Answer: object{}, do: h.raw},
		{Method: get, Path: "/v1/revisions", Summary: "stream revisions since a time, with their raw form", Role: Viewer, Query: []Param{since}, Answer: RawRevision{}, Type: ndjson, do: h.revisions},
		{Method: post, Path: "/v1/import", Summary: "take findings in any wrapping", Role: ResponderRole, BodyType: "application/octet-stream", Answer: source.Receipt{}, do: h.importFindings,
			Query: []Param{text("position", "the name of the file, for messages"), whole("line", "the number of its first line"),
				flag("as_history", "record them and announce nothing"), flag("samples", "show sample findings as well")}},
		{Method: get, Path: "/v1/rejected", Summary: "list rejected inputs", Role: Viewer, Query: []Param{text("before", "below this id"), limit}, Answer: RejectedList{}, do: h.rejected},
		{Method: get, Path: "/v1/rejected/{id}", Summary: "one rejected input with its body", Role: Viewer, Answer: RejectedDetail{}, do: h.rejectedOne},
		{Method: get, Path: "/v1/deliveries", Summary: "list deliveries", Role: Viewer, Answer: DeliveryList{}, do: h.deliveries,
			Query: append([]Param{text("destination", "to this destination"), someOf("status", "only with these statuses", standings),
				text("incident", "of this incident, as INC-42"), flag("behind", "only those that do not show the newest revision")}, page...)},
		{Method: get, Path: "/v1/deliveries/unfinished", Summary: "how many deliveries are under way and how many wait for a person", Role: Viewer, Answer: Unfinished{}, do: h.unfinished},
		{Method: get, Path: "/v1/deliveries/{id}", Summary: "one delivery", Role: Viewer, Answer: notify.Delivery{}, do: h.delivery},
		{Method: post, Path: "/v1/deliveries/retry", Summary: "free every delivery to a destination that is parked, or has the given statuses", Role: ResponderRole,
			Body: RetryAll{}, Answer: Told{}, do: h.retryAll},
		{Method: post, Path: "/v1/deliveries/{id}/{verb}", Summary: "retry, drop", Role: ResponderRole, Verbs: []string{"retry", "drop"}, Body: Why{}, Answer: notify.Delivery{}, do: h.deliveryVerb},
		{Method: get, Path: "/v1/destinations", Summary: "list destinations", Role: Viewer, Answer: DestinationList{}, do: h.destinations},
		{Method: post, Path: "/v1/destinations/{name}/{verb}", Summary: "test, pause, resume", Role: ResponderRole, Verbs: []string{"test", "pause", "resume"}, Body: Why{}, Answer: Told{}, do: h.destinationVerb},
		{Method: get, Path: "/v1/rules", Summary: "suppressions and routes with their use", Role: Viewer, Answer: Rules{}, do: h.rules},
		{Method: get, Path: "/v1/audit", Summary: "stream audit records", Role: Viewer, Answer: audit.Record{}, Type: ndjson, do: h.audit,
			Query: []Param{whole("after", "above this number"), whole("tail", "only so many from the end"), limit}},
		{Method: post, Path: "/v1/audit/verify", Summary: "check the audit chain", Role: Viewer, Answer: audit.Report{}, do: h.verify},
		{Method: post, Path: "/v1/store/backup", Summary: "copy the live store to a file", Role: Admin, Body: BackupCommand{}, Answer: Told{}, do: h.backup},
		{Method: post, Path: "/v1/store/prune", Summary: "remove what is older than the retention", Role: Admin, Answer: Told{}, do: h.prune},
		{Method: get, Path: "/v1/doctor", Summary: "check the parts from inside the process", Role: Viewer, Answer: CheckList{}, do: h.doctor},
		{Method: get, Path: "/v1/openapi.json", Summary: "this API as an OpenAPI 3.1 document", Role: Viewer, Answer: object{}, do: h.openapi},
	}
	return append(list, h.responseRoutes(limit)...)
}

// responseRoutes are the calls about plans, runs, evidence and tokens.
func (h *handler) responseRoutes(limit Param) []Operation {
	get, post := http.MethodGet, http.MethodPost
	of := text("incident", "of this incident, as INC-42")
	return []Operation{
		{Method: get, Path: "/v1/playbooks", Summary: "list what can be planned", Role: Viewer, Answer: PlaybookList{}, do: h.playbooks},
		{Method: get, Path: "/v1/plans", Summary: "list plans, newest first", Role: Viewer, Answer: PlanList{}, do: h.plans,
			Query: []Param{of, someOf("state", "only in these states", planStates), text("before", "below this id"), limit}},
		{Method: post, Path: "/v1/plans", Summary: "describe the live resource and make a plan", Role: ResponderRole, Body: PlanRequest{}, Answer: PlanDetail{}, do: h.createPlan},
		{Method: get, Path: "/v1/plans/{id}", Summary: "one plan, its canonical bytes and what was decided", Role: Viewer, Answer: PlanDetail{}, do: h.plan},
		{Method: post, Path: "/v1/plans/{id}/approve", Summary: "approve exactly this plan; the last approval that is needed starts its run", Role: ApproverRole,
			Body: Approve{}, Answer: PlanDetail{}, do: h.approvePlan},
		{Method: post, Path: "/v1/plans/{id}/reject", Summary: "end a plan that waits", Role: ApproverRole, Body: Reason{}, Answer: PlanDetail{}, do: h.rejectPlan},
		{Method: get, Path: "/v1/runs", Summary: "list runs, newest first", Role: Viewer, Answer: RunList{}, do: h.runs,
			Query: []Param{of, someOf("state", "only in these states", runStates), text("before", "below this id"), limit}},
		{Method: get, Path: "/v1/runs/{id}", Summary: "one run with its plan and its steps", Role: Viewer, Answer: RunDetail{}, do: h.run},
		{Method: get, Path: "/v1/runs/{id}/events", Summary: "wait until a run differs from a version, at most a few seconds", Role: Viewer, Answer: RunEvent{}, do: h.runEvents,
			Query: []Param{text("since", "the version that the caller has"), whole("wait", "how many seconds to wait for another one, at most 4")}},
		{Method: post, Path: "/v1/runs/{id}/abort", Summary: "stop a run before its next change; what is contained stays so", Role: ResponderRole, Body: Reason{}, Answer: respond.RunRow{}, do: h.abortRun},
		{Method: post, Path: "/v1/runs/{id}/undo", Summary: "make the plan that undoes a run", Role: ResponderRole, Answer: PlanDetail{}, do: h.undoRun},
		{Method: get, Path: "/v1/respond", Summary: "whether responses are switched off", Role: Viewer, Answer: Switch{}, do: h.respond},
		{Method: post, Path: "/v1/respond/off", Summary: "stop every response at once", Role: ApproverRole, Body: Reason{}, Answer: Switch{}, do: h.respondOff},
		{Method: post, Path: "/v1/respond/on", Summary: "let responses go on", Role: Admin, Body: Reason{}, Answer: Switch{}, do: h.respondOn},
		{Method: get, Path: "/v1/incidents/{n}/evidence", Summary: "items, gaps, chain of custody and manifests", Role: Viewer, Answer: EvidenceDetail{}, do: h.evidence},
		{Method: post, Path: "/v1/incidents/{n}/evidence/verify", Summary: "compute the hashes again from what is stored", Role: ResponderRole, Answer: evidence.Report{}, do: h.verifyEvidence},
		{Method: post, Path: "/v1/incidents/{n}/evidence/export", Summary: "manifest, objects and custody as a tar archive", Role: ResponderRole, Type: tar, do: h.exportEvidence},
		{Method: get, Path: "/v1/tokens", Summary: "list personal tokens, without their secrets", Role: Admin, Answer: TokenList{}, do: h.tokens},
		{Method: post, Path: "/v1/tokens", Summary: "make a personal token; its secret is shown once", Role: Admin, Body: TokenRequest{}, Answer: NewToken{}, do: h.createToken},
		{Method: post, Path: "/v1/tokens/{name}/revoke", Summary: "end a personal token at once", Role: Admin, Answer: Told{}, do: h.revokeToken},
	}
}

// Operations lists the calls, for the generated reference.
func Operations() []Operation { return (&handler{}).routes() }
