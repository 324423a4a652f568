package fakejira

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Issue is one issue as it is now.
type Issue struct {
	ID, Key, Project, Type string
	Summary                string
	// Description as Jira returns it: ADF as JSON, or wiki markup; empty when
	// there is none. Text is what of it can be read.
	Description, Text string
	Labels            []string
	Priority          string // name
	Status            string // name
	Resolution        string // name
	Fields            map[string]json.RawMessage
	Properties        map[string]json.RawMessage
	Comments          []Comment
	Writes            int // descriptions that were written by requests
	Created, Updated  time.Time
}

// Comment is one comment. Body is in the form of the dialect, Text can be read.
type Comment struct {
	ID, Author, Body, Text string
	At                     time.Time
}

type issue struct {
	Issue
	project   *Project
	typ       *IssueType
	status    *Status
	earlier   []string // keys before moves
	indexed   time.Time
	deletedAt time.Time
	normal    int // counts what normalising makes up
}

// Issues returns the issues that were not deleted, in the order in which they
// were created.
func (s *Server) Issues() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Issue
	for _, i := range s.issues {
		if i.deletedAt.IsZero() {
			out = append(out, i.copy())
		}
	}
	return out
}

// Issue returns the issue with that key or id, also by a key that it had before
// it was moved.
func (s *Server) Issue(key string) (Issue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key)
	if i == nil {
		return Issue{}, false
	}
	return i.copy(), true
}

func (i *issue) copy() Issue {
	c := i.Issue
	c.Labels, c.Comments = slices.Clone(i.Labels), slices.Clone(i.Comments)
	c.Fields, c.Properties = maps.Clone(i.Fields), maps.Clone(i.Properties)
	c.Status = i.status.Name
	return c
}

func (s *Server) find(key string) *issue {
	for _, i := range s.issues {
		if i.deletedAt.IsZero() && (i.ID == key || strings.EqualFold(i.Key, key) || slices.Contains(i.earlier, strings.ToUpper(key))) {
			return i
		}
	}
	return nil
}

// input is the body of a create or an edit.
type input struct {
	Fields     map[string]json.RawMessage `json:"fields"`
	Properties []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	} `json:"properties"`
	Transition struct {
		ID string `json:"id"`
	} `json:"transition"`
}

// decode refuses keys that Jira does not know in this call.
func (s *Server) decode(body []byte, allowed ...string) (input, *answer) {
	var keys map[string]json.RawMessage
	var in input
	if err := json.Unmarshal(body, &keys); err != nil {
		return in, s.refuse(http.StatusBadRequest, "Can not deserialize: %v", err)
	}
	for k := range keys {
		if !slices.Contains(allowed, k) {
			return in, s.refuse(http.StatusBadRequest, "Unrecognized field %q", k)
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, s.refuse(http.StatusBadRequest, "Can not deserialize: %v", err)
	}
	return in, nil
}

// create is POST /issue.
func (s *Server) create(body []byte) *answer {
	allowed := []string{"fields", "update"}
	if s.opts.Dialect == Cloud {
		allowed = append(allowed, "properties")
	}
	in, refused := s.decode(body, allowed...)
	if refused != nil {
		return refused
	}
	p := s.projectOf(in.Fields["project"])
	if p == nil {
		return badFields(map[string]string{"project": "valid project is required"})
	}
	typ := p.typeOf(in.Fields["issuetype"])
	if typ == nil {
		return badFields(map[string]string{"issuetype": "Specify an issue type"})
	}
	i := &issue{project: p, typ: typ, status: &s.opts.Workflow.Statuses[0]}
	errors := map[string]string{}
	s.missing(in.Fields, typ.Fields, errors)
	if _, ok := in.Fields["summary"]; !ok {
		errors["summary"] = "You must specify a summary of the issue."
		s.violate("400: an issue without a summary")
	}
	delete(in.Fields, "project")
	delete(in.Fields, "issuetype")
	s.set(i, in.Fields, typ.Fields, false, errors)
	if len(errors) > 0 {
		return badFields(errors)
	}
	if i.Priority == "" && typ.field("priority") != nil && len(s.opts.Priorities) > 0 {
		i.Priority = s.opts.Priorities[len(s.opts.Priorities)/2].Name
	}
	i.Properties = map[string]json.RawMessage{}
	for _, prop := range in.Properties {
		if refused := s.putProperty(i, prop.Key, prop.Value); refused != nil {
			return refused
		}
	}
	now := s.opts.Now().UTC()
	s.lastID++
	i.ID, i.Project, i.Type = strconv.Itoa(s.lastID), p.Key, typ.Name
	i.Key = s.nextKey(p)
	i.Created, i.Updated = now, now
	i.indexed = now.Add(s.opts.scale(s.opts.IndexLag))
	s.issues = append(s.issues, i)
	return reply(http.StatusCreated, map[string]string{"id": i.ID, "key": i.Key, "self": s.URL() + "/rest/api/issue/" + i.ID}, "created "+i.Key)
}

func (s *Server) nextKey(p *Project) string {
	s.numbers[p.Key]++
	return fmt.Sprintf("%s-%d", p.Key, s.numbers[p.Key])
}

// missing adds the required fields that were not given.
func (s *Server) missing(given map[string]json.RawMessage, screen []Field, errors map[string]string) {
	for _, f := range screen {
		v := string(given[f.ID])
		if f.Required && !f.HasDefault && (v == "" || v == "null" || v == `""` || v == "[]") {
			errors[f.ID] = f.Name + " is required."
		}
	}
}

// set checks and sets fields. What is wrong is added to errors; the issue must
// not be used then.
func (s *Server) set(i *issue, fields map[string]json.RawMessage, screen []Field, edit bool, errors map[string]string) {
	for id, raw := range fields {
		var f *Field
		for n := range screen {
			if screen[n].ID == id {
				f = &screen[n]
			}
		}
		if id != "summary" && (f == nil || edit && f.NoEdit) {
			errors[id] = fmt.Sprintf("Field '%s' cannot be set. It is not on the appropriate screen, or unknown.", id)
			continue
		}
		if problem := s.setField(i, id, f, raw); problem != "" {
			errors[id] = problem
		}
	}
}

func (s *Server) setField(i *issue, id string, f *Field, raw json.RawMessage) string {
	switch id {
	case "summary":
		return s.setSummary(i, raw)
	case "description":
		body, text, problem := s.richText(i, raw)
		if problem == "" {
			i.Description, i.Text = body, text
			i.Writes++
		}
		return problem
	case "labels":
		return s.setLabels(i, raw)
	case "priority":
		v, ok := choose(s.opts.Priorities, raw)
		if !ok {
			return "The priority selected is invalid."
		}
		i.Priority = v.Name
		return ""
	}
	if f.Allowed != nil {
		if _, ok := choose(f.Allowed, raw); !ok {
			return fmt.Sprintf("Specify a valid value for %s", f.Name)
		}
	}
	if i.Fields == nil {
		i.Fields = map[string]json.RawMessage{}
	}
	i.Fields[id] = raw
	return ""
}

func (s *Server) setSummary(i *issue, raw json.RawMessage) string {
	var v string
	problem := ""
	switch err := json.Unmarshal(raw, &v); {
	case err != nil:
		problem = "Operation value must be a string"
	case strings.TrimSpace(v) == "":
		problem = "You must specify a summary of the issue."
	case strings.ContainsAny(v, "\r\n"):
		problem = "The summary is invalid because it contains newline characters."
	case utf8.RuneCountInString(v) > 255:
		problem = "Summary must be less than 255 characters."
	}
	if problem != "" {
		s.violate("400: summary: %s", problem)
		return problem
	}
	i.Summary = strings.TrimSpace(v)
	return ""
}

func (s *Server) setLabels(i *issue, raw json.RawMessage) string {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		s.violate("400: labels are no list of strings")
		return "data was not an array"
	}
	for _, l := range list {
		if l == "" || strings.ContainsAny(l, " \t\r\n") || len(l) > 255 {
			s.violate("400: label %q", l)
			return fmt.Sprintf("The label '%s' contains spaces which is invalid.", l)
		}
	}
	slices.Sort(list)
	i.Labels = slices.Compact(list)
	return ""
}

// richText checks a description or comment in the form of the dialect.
func (s *Server) richText(i *issue, raw json.RawMessage) (body, text, problem string) {
	const limit = 32767
	if s.opts.Dialect == DataCenter {
		if err := json.Unmarshal(raw, &text); err != nil {
			s.violate("400: rich text is no string in v2")
			return "", "", "Operation value must be a string"
		}
		if utf8.RuneCountInString(text) > limit {
			s.violate("400: %d characters of text", utf8.RuneCountInString(text))
			return "", "", "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
		}
		return normalWiki(text), text, ""
	}
	if len(raw) > limit {
		s.violate("400: a document of %d bytes", len(raw))
		return "", "", "CONTENT_LIMIT_EXCEEDED"
	}
	doc, err := parseADF(raw)
	if err != nil {
		s.violate("400: not a document of Atlassian's format: %v", err)
		return "", "", "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
	}
	i.normal++
	return normalADF(doc, i.normal), doc.text(), ""
}

// normalWiki is how Data Center returns wiki markup.
func normalWiki(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(strings.TrimRight(s, " \n"), "\n", "\r\n")
}

// choose finds one value by id, name or value; also as the only one of a list.
func choose(from []Value, raw json.RawMessage) (Value, bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, one := range list {
			if _, ok := choose(from, one); !ok {
				return Value{}, false
			}
		}
		return Value{}, len(list) > 0
	}
	var v struct{ ID, Name, Value string }
	if json.Unmarshal(raw, &v) != nil {
		return Value{}, false
	}
	for _, a := range from {
		if v.ID != "" && a.ID == v.ID || v.ID == "" && (a.Name == v.Name || a.Name == v.Value) {
			return a, true
		}
	}
	return Value{}, false
}

// one is everything under /issue/{key}.
func (s *Server) one(r *http.Request, key string, rest []string, body []byte) *answer {
	i := s.find(key)
	if i == nil {
		return refusal(http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
	}
	if r.Method != http.MethodGet {
		if a := s.limitWrites(i); a != nil {
			return a
		}
	}
	switch route := r.Method + " " + strings.Join(rest, "/"); {
	case route == "GET ":
		return reply(http.StatusOK, s.show(i, r.URL.Query().Get("fields")), "")
	case route == "PUT ":
		return s.edit(i, body)
	case route == "DELETE ":
		return s.deleteCall(i)
	case route == "GET comment":
		return s.listComments(i, r)
	case route == "POST comment":
		return s.comment(i, body)
	case route == "GET transitions":
		return s.listTransitions(i, r.URL.Query().Get("expand"))
	case route == "POST transitions":
		return s.transition(i, body)
	case len(rest) == 2 && rest[0] == "properties":
		return s.property(i, r.Method, rest[1], body)
	}
	return s.refuse(http.StatusNotFound, "nothing answers %s %s", r.Method, r.URL.Path)
}

// show is an issue in the form of an answer.
func (s *Server) show(i *issue, wanted string) map[string]any {
	var description any
	switch {
	case i.Description == "":
	case s.opts.Dialect == Cloud:
		description = json.RawMessage(i.Description)
	default:
		description = i.Description
	}
	const layout = "2006-01-02T15:04:05.000-0700"
	all := map[string]any{
		"summary": i.Summary, "description": description, "labels": list(i.Labels),
		"status":  map[string]any{"id": i.status.ID, "name": i.status.Name, "statusCategory": map[string]any{"key": i.status.Category}},
		"project": map[string]any{"id": i.project.ID, "key": i.project.Key, "name": i.project.Name},
		"created": i.Created.Format(layout), "updated": i.Updated.Format(layout),
		"issuetype": map[string]any{"id": i.typ.ID, "name": i.typ.Name}, "priority": nil, "resolution": nil,
	}
	if v, ok := named(s.opts.Priorities, i.Priority); ok {
		all["priority"] = v
	}
	if i.Resolution != "" {
		all["resolution"] = map[string]any{"name": i.Resolution}
	}
	fields := all
	if wanted != "" {
		fields = map[string]any{}
		for f := range strings.SplitSeq(wanted, ",") {
			if v, ok := all[f]; ok {
				fields[f] = v
			}
		}
	}
	return map[string]any{"id": i.ID, "key": i.Key, "self": s.URL() + "/rest/api/issue/" + i.ID, "fields": fields}
}

func named(from []Value, name string) (Value, bool) {
	for _, v := range from {
		if v.Name == name {
			return v, true
		}
	}
	return Value{}, false
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// edit is PUT /issue/{key}.
func (s *Server) edit(i *issue, body []byte) *answer {
	in, refused := s.decode(body, "fields", "update", "properties")
	if refused != nil {
		return refused
	}
	trial := *i
	errors := map[string]string{}
	s.set(&trial, in.Fields, i.typ.Fields, true, errors)
	if len(errors) > 0 {
		return badFields(errors)
	}
	*i = trial
	s.touch(i)
	return reply(http.StatusNoContent, nil, "edited "+i.Key)
}

func (s *Server) touch(i *issue) { i.Updated = s.opts.Now().UTC() }

func (s *Server) deleteCall(i *issue) *answer {
	if s.opts.NoDelete {
		return refusal(http.StatusForbidden, "You do not have permission to delete issues in this project.")
	}
	i.deletedAt = s.opts.Now()
	return reply(http.StatusNoContent, nil, "deleted "+i.Key)
}

// property is /issue/{key}/properties/{name}.
func (s *Server) property(i *issue, method, name string, body []byte) *answer {
	switch method {
	case http.MethodGet:
		v, ok := i.Properties[name]
		if !ok {
			return refusal(http.StatusNotFound, "The property "+name+" does not exist.")
		}
		return reply(http.StatusOK, map[string]any{"key": name, "value": v}, "")
	case http.MethodPut:
		if refused := s.putProperty(i, name, body); refused != nil {
			return refused
		}
		return reply(http.StatusOK, nil, "set a property of "+i.Key)
	}
	return s.refuse(http.StatusMethodNotAllowed, "%s on a property", method)
}

func (s *Server) putProperty(i *issue, name string, value json.RawMessage) *answer {
	if name == "" || len(name) > 255 || len(value) > 32768 || !json.Valid(value) {
		return s.refuse(http.StatusBadRequest, "property %q with %d bytes", name, len(value))
	}
	if i.Properties == nil {
		i.Properties = map[string]json.RawMessage{}
	}
	i.Properties[name] = slices.Clone(value)
	return nil
}
