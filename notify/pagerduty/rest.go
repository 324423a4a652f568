package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// rest is mode incidents: https://developer.pagerduty.com/api-reference/
//
// The vendor refuses a second open incident with the same incident_key on one
// service, so that creating again after an unknown outcome is safe as well.
type rest struct {
	client  *client
	base    string
	token   string
	from    string
	service string
	now     func() time.Time
	prio    *priorities

	mu       sync.Mutex
	warnings []string
}

func newRest(cfg Config, c *client, now func() time.Time) *rest {
	r := &rest{client: c, base: restBase(cfg.PagerDuty), token: cfg.APIToken.Reveal(), from: cfg.From, service: cfg.ServiceID, now: now}
	r.prio = newPriorities(cfg.Priorities, now, cfg.TimeScale, r.listPriorities)
	return r
}

// pdIncident is what we read of an incident.
type pdIncident struct {
	ID        string    `json:"id"`
	Number    int       `json:"incident_number"`
	Status    string    `json:"status"`
	URL       string    `json:"html_url"`
	CreatedAt time.Time `json:"created_at"`
}

func (p pdIncident) open() bool { return p.Status == "triggered" || p.Status == "acknowledged" }

// become writes what is known of p into a.
func (p pdIncident) become(a alert) alert {
	a.ID, a.Number, a.URL = p.ID, p.Number, webLink(p.URL)
	if p.Number > 0 {
		a.Label = "#" + strconv.Itoa(p.Number)
	} else {
		a.Label = escape.CutEnd(escape.Visible(p.ID), 40)
	}
	// An acknowledgement there is a person's; our own stage says what we sent.
	a.Stage = stageTriggered
	if p.Status == "resolved" {
		a.Stage = stageEnded
	}
	return a
}

type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type incidentFields struct {
	Type     string        `json:"type"`
	Title    string        `json:"title,omitempty"`
	Service  *reference    `json:"service,omitempty"`
	Urgency  string        `json:"urgency,omitempty"`
	Priority *reference    `json:"priority,omitempty"`
	Key      string        `json:"incident_key,omitempty"`
	Status   string        `json:"status,omitempty"`
	Body     *incidentBody `json:"body,omitempty"`
}

type incidentBody struct {
	Type    string `json:"type"`
	Details string `json:"details"`
}

// fields are what a creation and an update have in common.
func (r *rest) fields(ctx context.Context, m content) incidentFields {
	f := incidentFields{Type: "incident", Title: escape.CutEnd(m.title, maxTitle), Urgency: urgencyOf(m)}
	id, warning := r.prio.of(ctx, m.band)
	if id != "" {
		f.Priority = &reference{ID: id, Type: "priority_reference"}
	}
	if warning != "" {
		r.mu.Lock()
		r.warnings = append(r.warnings, warning)
		r.mu.Unlock()
	}
	return f
}

// urgencyOf is high from High upward.
func urgencyOf(m content) string {
	if m.severity == "critical" || m.severity == "error" {
		return "high"
	}
	return "low"
}

func (r *rest) open(ctx context.Context, key string, m content, a alert, repeated bool) (alert, error) {
	if repeated {
		found, err := r.find(ctx, key, a)
		if err != nil {
			return a, err
		}
		if found != nil {
			return found.become(a), nil
		}
	}
	f := r.fields(ctx, m)
	f.Service, f.Key = &reference{ID: r.service, Type: "service_reference"}, key
	f.Body = &incidentBody{Type: "incident_body", Details: m.prose()}
	var made struct {
		Incident pdIncident `json:"incident"`
	}
	ans, err := r.write(ctx, http.MethodPost, "/incidents", map[string]any{"incident": f})
	if err != nil {
		return a, err
	}
	switch {
	case ans.status == http.StatusCreated || ans.status == http.StatusOK:
		if err := ans.read(&made); err != nil || made.Incident.ID == "" {
			return a, unreadable("create the incident", err)
		}
		return made.Incident.become(a), nil
	case ans.status == http.StatusBadRequest:
		// Possibly the second open incident with this key: then it is ours.
		found, err := r.find(ctx, key, alert{})
		if err != nil {
			return a, err
		}
		if found != nil && found.open() {
			return found.become(a), nil
		}
	}
	return a, r.client.failure(ans, "create the incident")
}

// find looks for the incident with our key: an open one, else one that was
// created since the attempt for a began and has ended since.
func (r *rest) find(ctx context.Context, key string, a alert) (*pdIncident, error) {
	q := url.Values{"incident_key": {key}, "service_ids[]": {r.service}, "date_range": {"all"},
		"sort_by": {"created_at:desc"}, "limit": {"25"}}
	var list struct {
		Incidents []pdIncident `json:"incidents"`
	}
	if err := r.get(ctx, "/incidents?"+q.Encode(), "look for the incident", &list); err != nil {
		return nil, err
	}
	for _, in := range list.Incidents {
		if in.open() && in.ID != "" {
			return &in, nil
		}
	}
	for _, in := range list.Incidents {
		// The vendor's clock may be behind ours by a little.
		if !a.BegunAt.IsZero() && in.ID != "" && in.Number > a.Earlier && in.CreatedAt.After(a.BegunAt.Add(-time.Minute)) {
			return &in, nil
		}
	}
	return nil, nil
}

func (r *rest) refresh(ctx context.Context, _ string, m content, a alert) (alert, error) {
	f := r.fields(ctx, m)
	after, err := r.put(ctx, a, f, "update the incident")
	return after, err
}

func (r *rest) acknowledge(ctx context.Context, _ string, a alert) (alert, error) {
	after, err := r.put(ctx, a, incidentFields{Type: "incident", Status: "acknowledged"}, "acknowledge the incident")
	if err == nil && after.Stage == stageTriggered {
		after.Stage = stageAcknowledged
	}
	return after, err
}

func (r *rest) resolve(ctx context.Context, key string, a alert) (alert, error) {
	if a.ID == "" { // begun, and never heard of again
		found, err := r.find(ctx, key, a)
		if err != nil {
			return a, err
		}
		if found == nil {
			a.Stage = stageResolved
			return a, nil
		}
		a = found.become(a)
	}
	if a.Stage != stageEnded {
		after, err := r.put(ctx, a, incidentFields{Type: "incident", Status: "resolved"}, "resolve the incident")
		if err != nil {
			return a, err
		}
		a = after
	}
	a.Stage = stageResolved
	return a, nil
}

// put changes an incident. One that a person has resolved cannot be changed any
// more: that is an answer, not a failure.
func (r *rest) put(ctx context.Context, a alert, f incidentFields, what string) (alert, error) {
	path := "/incidents/" + url.PathEscape(a.ID)
	ans, err := r.write(ctx, http.MethodPut, path, map[string]any{"incident": f})
	if err != nil {
		return a, err
	}
	var got struct {
		Incident pdIncident `json:"incident"`
	}
	switch ans.status {
	case http.StatusOK:
		if err := ans.read(&got); err != nil || got.Incident.ID == "" {
			return a, unreadable(what, err)
		}
		after := got.Incident.become(a)
		if after.Stage != stageEnded {
			after.Stage = a.Stage
		}
		return after, nil
	case http.StatusBadRequest:
		if err := r.get(ctx, path, what, &got); err != nil {
			return a, err
		}
		if got.Incident.Status == "resolved" {
			a.Stage = stageEnded
			return a, nil
		}
	}
	return a, r.client.failure(ans, what)
}

// takeWarnings returns the warnings since the last call.
func (r *rest) takeWarnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.warnings
	r.warnings = nil
	return w
}

func (r *rest) header(write bool) http.Header {
	h := http.Header{}
	h.Set("Authorization", "Token token="+r.token)
	h.Set("Accept", "application/vnd.pagerduty+json;version=2")
	if write {
		h.Set("From", r.from)
	}
	return h
}

func (r *rest) write(ctx context.Context, method, path string, v any) (*answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return r.client.call(ctx, method, r.base+path, r.header(true), body)
}

// get reads path into v; any status but 200 is an error.
func (r *rest) get(ctx context.Context, path, what string, v any) error {
	ans, err := r.client.call(ctx, http.MethodGet, r.base+path, r.header(false), nil)
	if err != nil {
		return err
	}
	if ans.status != http.StatusOK {
		return r.client.failure(ans, what)
	}
	if err := ans.read(v); err != nil {
		return unreadable(what, err)
	}
	return nil
}

func (a *answer) read(v any) error {
	if a.err != nil {
		return a.err
	}
	return json.Unmarshal(a.body, v)
}

// unreadable is a success whose body is broken: it is looked for next time.
func unreadable(what string, err error) *notify.Error {
	return &notify.Error{Class: notify.Retry, Reason: "unknown_outcome",
		Message: fmt.Sprintf("PagerDuty's answer to %s did not arrive whole", what),
		Safe:    "it was probably done; the incident is looked for before anything is sent again",
		Err:     errors.Join(err)}
}
