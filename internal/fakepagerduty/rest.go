package fakepagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Incident is one incident of the REST API.
type Incident struct {
	ID         string
	Number     int
	Status     Status
	Title      string
	ServiceID  string
	Urgency    string
	PriorityID string
	Key        string // incident_key
	Details    string // body.details
	Notes      []string
	CreatedAt  time.Time
}

// Incidents returns all incidents in the order in which they were created.
func (s *Server) Incidents() []Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Incident, len(s.incidents))
	for i, in := range s.incidents {
		out[i] = *in
		out[i].Notes = slices.Clone(in.Notes)
	}
	return out
}

// SetIncident is a person changing an incident in PagerDuty itself. It reports
// whether there is one with that id.
func (s *Server) SetIncident(id string, status Status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.incident(id)
	if in != nil {
		in.Status = status
	}
	return in != nil
}

// rest is the REST API: https://developer.pagerduty.com/api-reference/
func (s *Server) rest(r *http.Request, body []byte) *answer {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token token=")
	if !ok || !slices.Contains(s.opts.Tokens, token) {
		return s.refuse(http.StatusUnauthorized, "no valid token for %s", r.URL.Path)
	}
	write := r.Method != http.MethodGet
	if write {
		if from := r.Header.Get("From"); !slices.Contains(s.opts.Users, from) {
			return s.refuse(http.StatusBadRequest, "From %q is not a user of the account", from)
		}
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return s.refuse(http.StatusUnsupportedMediaType, "content type is not application/json")
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch route := r.Method + " " + parts[0]; {
	case route == "POST incidents" && len(parts) == 1:
		return s.create(body)
	case route == "GET incidents" && len(parts) == 1:
		return s.list(r)
	case parts[0] == "incidents" && len(parts) >= 2:
		return s.one(r.Method, parts[1], strings.Join(parts[2:], "/"), body)
	case route == "GET priorities" && len(parts) == 1:
		return reply(http.StatusOK, map[string]any{"priorities": s.opts.Priorities, "more": false}, "")
	case route == "GET users" && len(parts) == 1:
		return s.users(r.URL.Query().Get("query"))
	case route == "GET services" && len(parts) == 2 && slices.Contains(s.opts.Services, parts[1]):
		return reply(http.StatusOK, map[string]any{"service": map[string]string{
			"id": parts[1], "type": "service", "name": "Security", "status": "active"}}, "")
	case route == "GET services" && len(parts) == 2:
		return failure(http.StatusNotFound, 2100, "Not Found")
	}
	return s.refuse(http.StatusNotFound, "no such call: %s %s", r.Method, r.URL.Path)
}

type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type incidentBody struct {
	Incident *struct {
		Type     string     `json:"type"`
		Title    string     `json:"title"`
		Service  *reference `json:"service"`
		Urgency  string     `json:"urgency"`
		Priority *reference `json:"priority"`
		Key      string     `json:"incident_key"`
		Status   string     `json:"status"`
		Body     *struct {
			Type    string `json:"type"`
			Details string `json:"details"`
		} `json:"body"`
	} `json:"incident"`
}

func (s *Server) create(body []byte) *answer {
	var b incidentBody
	if err := json.Unmarshal(body, &b); err != nil || b.Incident == nil {
		return s.refuse(http.StatusBadRequest, "incident is missing or malformed: %v", err)
	}
	in := b.Incident
	switch {
	case in.Type != "incident":
		return s.refuse(http.StatusBadRequest, "type must be incident")
	case strings.TrimSpace(in.Title) == "":
		return s.refuse(http.StatusBadRequest, "title cannot be empty")
	case in.Service == nil || in.Service.Type != "service_reference" || !slices.Contains(s.opts.Services, in.Service.ID):
		return s.refuse(http.StatusBadRequest, "service is not known")
	case in.Urgency != "" && in.Urgency != "high" && in.Urgency != "low":
		return s.refuse(http.StatusBadRequest, "urgency must be high or low")
	case in.Body != nil && in.Body.Type != "incident_body":
		return s.refuse(http.StatusBadRequest, "body type must be incident_body")
	}
	if a := s.checkPriority(in.Priority); a != nil {
		return a
	}
	if in.Key != "" && s.openIncident(in.Service.ID, in.Key) != nil {
		// No violation: after an unknown outcome it is a way to find out.
		return failure(http.StatusBadRequest, 2001, "Arguments Caused Error",
			"Open incident with matching dedup key already exists on this service")
	}
	n := len(s.incidents) + 1
	made := &Incident{ID: fmt.Sprintf("Q%07d", n), Number: n, Status: Triggered, Title: in.Title, ServiceID: in.Service.ID,
		Urgency: in.Urgency, Key: in.Key, CreatedAt: s.opts.Now().UTC()}
	if made.Key == "" {
		made.Key = fmt.Sprintf("generated-%d", n)
	}
	if in.Priority != nil {
		made.PriorityID = in.Priority.ID
	}
	if in.Body != nil {
		made.Details = in.Body.Details
	}
	s.incidents = append(s.incidents, made)
	return reply(http.StatusCreated, map[string]any{"incident": s.view(made)}, "created")
}

func (s *Server) checkPriority(p *reference) *answer {
	if p == nil {
		return nil
	}
	known := slices.ContainsFunc(s.opts.Priorities, func(q Priority) bool { return q.ID == p.ID })
	if p.Type != "priority_reference" || !known {
		return s.refuse(http.StatusBadRequest, "priority %q is not known", p.ID)
	}
	return nil
}

func (s *Server) list(r *http.Request) *answer {
	q := r.URL.Query()
	out := []any{}
	for _, in := range slices.Backward(s.incidents) { // newest first
		if key := q.Get("incident_key"); key != "" && in.Key != key {
			continue
		}
		if want := q["statuses[]"]; len(want) > 0 && !slices.Contains(want, string(in.Status)) {
			continue
		}
		if want := q["service_ids[]"]; len(want) > 0 && !slices.Contains(want, in.ServiceID) {
			continue
		}
		out = append(out, s.view(in))
	}
	return reply(http.StatusOK, map[string]any{"incidents": out, "limit": 25, "offset": 0, "more": false}, "")
}

// one is everything below /incidents/{id}.
func (s *Server) one(method, id, rest string, body []byte) *answer {
	in := s.incident(id)
	if in == nil {
		return failure(http.StatusNotFound, 2100, "Not Found")
	}
	switch method + " " + rest {
	case "GET ":
		return reply(http.StatusOK, map[string]any{"incident": s.view(in)}, "")
	case "PUT ":
		return s.update(in, body)
	case "GET notes":
		notes := []any{}
		for i, n := range in.Notes {
			notes = append(notes, map[string]any{"id": fmt.Sprintf("N%s%d", in.ID, i), "content": n})
		}
		return reply(http.StatusOK, map[string]any{"notes": notes}, "")
	case "POST notes":
		return s.note(in, body)
	}
	return s.refuse(http.StatusNotFound, "no such call: %s incidents/…/%s", method, rest)
}

func (s *Server) update(in *Incident, body []byte) *answer {
	var b incidentBody
	if err := json.Unmarshal(body, &b); err != nil || b.Incident == nil {
		return s.refuse(http.StatusBadRequest, "incident is missing or malformed: %v", err)
	}
	u := b.Incident
	if u.Type != "incident" && u.Type != "incident_reference" {
		return s.refuse(http.StatusBadRequest, "type must be incident or incident_reference")
	}
	if in.Status == Resolved {
		// No violation: a person may have resolved it a moment ago.
		return failure(http.StatusBadRequest, 2001, "Invalid Input Provided", "Incident Already Resolved")
	}
	if a := s.checkPriority(u.Priority); a != nil {
		return a
	}
	switch u.Status {
	case "", "acknowledged", "resolved":
	default:
		return s.refuse(http.StatusBadRequest, "status must be acknowledged or resolved")
	}
	if u.Urgency != "" && u.Urgency != "high" && u.Urgency != "low" {
		return s.refuse(http.StatusBadRequest, "urgency must be high or low")
	}
	if u.Status != "" {
		in.Status = Status(u.Status)
	}
	if u.Title != "" {
		in.Title = u.Title
	}
	if u.Urgency != "" {
		in.Urgency = u.Urgency
	}
	if u.Priority != nil {
		in.PriorityID = u.Priority.ID
	}
	return reply(http.StatusOK, map[string]any{"incident": s.view(in)}, "updated "+string(in.Status))
}

func (s *Server) note(in *Incident, body []byte) *answer {
	var b struct {
		Note struct {
			Content string `json:"content"`
		} `json:"note"`
	}
	if err := json.Unmarshal(body, &b); err != nil || strings.TrimSpace(b.Note.Content) == "" {
		return s.refuse(http.StatusBadRequest, "note content is missing")
	}
	in.Notes = append(in.Notes, b.Note.Content)
	return reply(http.StatusCreated, map[string]any{"note": map[string]string{"content": b.Note.Content}}, "noted")
}

func (s *Server) users(query string) *answer {
	out := []any{}
	for i, mail := range s.opts.Users {
		if strings.Contains(strings.ToLower(mail), strings.ToLower(query)) {
			out = append(out, map[string]string{"id": fmt.Sprintf("PUSR%03d", i), "type": "user", "email": mail})
		}
	}
	return reply(http.StatusOK, map[string]any{"users": out, "more": false}, "")
}

func (s *Server) view(in *Incident) map[string]any {
	v := map[string]any{
		"id": in.ID, "type": "incident", "incident_number": in.Number, "status": in.Status, "title": in.Title,
		"urgency": in.Urgency, "incident_key": in.Key, "created_at": in.CreatedAt.Format(time.RFC3339),
		"html_url": s.URL() + "/i/" + in.ID,
		"service":  reference{ID: in.ServiceID, Type: "service_reference"},
	}
	if in.PriorityID != "" {
		v["priority"] = reference{ID: in.PriorityID, Type: "priority"}
	}
	return v
}

func (s *Server) incident(id string) *Incident {
	for _, in := range s.incidents {
		if in.ID == id {
			return in
		}
	}
	return nil
}

func (s *Server) openIncident(service, key string) *Incident {
	for _, in := range s.incidents {
		if in.ServiceID == service && in.Key == key && in.Status != Resolved {
			return in
		}
	}
	return nil
}
