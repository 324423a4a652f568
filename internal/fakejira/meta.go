package fakejira

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

func (s *Server) project(keyOrID string) *Project {
	for i := range s.opts.Projects {
		if p := &s.opts.Projects[i]; p.ID == keyOrID || strings.EqualFold(p.Key, keyOrID) {
			return p
		}
	}
	return nil
}

func (s *Server) projectOf(raw json.RawMessage) *Project {
	var v struct{ ID, Key string }
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	if v.ID != "" {
		return s.project(v.ID)
	}
	return s.project(v.Key)
}

func (p *Project) typeOf(raw json.RawMessage) *IssueType {
	var v struct{ ID, Name string }
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	for i := range p.Types {
		if t := &p.Types[i]; v.ID != "" && t.ID == v.ID || v.ID == "" && t.Name == v.Name {
			return t
		}
	}
	return nil
}

func (t *IssueType) field(id string) *Field {
	for i := range t.Fields {
		if t.Fields[i].ID == id {
			return &t.Fields[i]
		}
	}
	return nil
}

func showProject(p *Project) map[string]any {
	return map[string]any{"id": p.ID, "key": p.Key, "name": p.Name}
}

// projects is GET /project/…: by key or id, and by name through the search of
// Cloud or the whole list of Data Center.
func (s *Server) projects(r *http.Request, parts []string) *answer {
	if r.Method != http.MethodGet || len(parts) > 2 {
		return s.refuse(http.StatusNotFound, "nothing answers %s %s", r.Method, r.URL.Path)
	}
	all := []map[string]any{}
	query := strings.ToLower(r.URL.Query().Get("query"))
	for i := range s.opts.Projects {
		p := &s.opts.Projects[i]
		if strings.Contains(strings.ToLower(p.Name+" "+p.Key), query) {
			all = append(all, showProject(p))
		}
	}
	switch {
	case len(parts) == 1 && s.opts.Dialect == DataCenter:
		return reply(http.StatusOK, all, "")
	case len(parts) == 1:
		return s.refuse(http.StatusGone, "the list of all projects was removed; search")
	case parts[1] == "search" && s.opts.Dialect == Cloud:
		return reply(http.StatusOK, map[string]any{"values": all, "isLast": true, "startAt": 0, "maxResults": 50, "total": len(all)}, "")
	}
	p := s.project(parts[1])
	if p == nil {
		return refusal(http.StatusNotFound, "No project could be found with key '"+parts[1]+"'.")
	}
	return reply(http.StatusOK, showProject(p), "")
}

// createMeta is GET /issue/createmeta/{project}/issuetypes[/{id}], in the shape
// of the dialect.
func (s *Server) createMeta(r *http.Request, parts []string) *answer {
	if len(parts) < 2 || parts[1] != "issuetypes" || len(parts) > 3 {
		return s.refuse(http.StatusNotFound, "the create metadata of everything at once was removed")
	}
	p := s.project(parts[0])
	if p == nil {
		return refusal(http.StatusNotFound, "No project could be found with key '"+parts[0]+"'.")
	}
	if len(parts) == 2 {
		types := []any{}
		for _, t := range p.Types {
			types = append(types, map[string]any{"id": t.ID, "name": t.Name, "subtask": false})
		}
		return s.page(r, "issueTypes", types)
	}
	for _, t := range p.Types {
		if t.ID == parts[2] {
			return s.page(r, "fields", s.fieldsOf(t))
		}
	}
	return refusal(http.StatusNotFound, "The issue type does not exist.")
}

func (s *Server) fieldsOf(t IssueType) []any {
	fields := []any{
		showField(Field{ID: "summary", Name: "Summary", Required: true}),
		showField(Field{ID: "issuetype", Name: "Issue Type", Required: true}),
		showField(Field{ID: "project", Name: "Project", Required: true}),
	}
	for _, f := range t.Fields {
		if f.ID == "priority" && f.Allowed == nil {
			f.Allowed = s.opts.Priorities
		}
		fields = append(fields, showField(f))
	}
	return fields
}

func showField(f Field) map[string]any {
	m := map[string]any{"fieldId": f.ID, "key": f.ID, "name": f.Name, "required": f.Required, "hasDefaultValue": f.HasDefault}
	if f.Allowed != nil {
		m["allowedValues"] = f.Allowed
	}
	return m
}

// page answers one page of at most five entries, so that a client
// that reads only the first is found out.
func (s *Server) page(r *http.Request, cloudKey string, all []any) *answer {
	start, _ := strconv.Atoi(r.URL.Query().Get("startAt"))
	most, err := strconv.Atoi(r.URL.Query().Get("maxResults"))
	if err != nil || most < 1 || most > 5 {
		most = 5
	}
	start = min(max(start, 0), len(all))
	end := min(start+most, len(all))
	out := map[string]any{"startAt": start, "maxResults": most, "total": len(all)}
	if s.opts.Dialect == Cloud {
		out[cloudKey] = all[start:end]
	} else {
		out["values"], out["isLast"] = all[start:end], end == len(all)
	}
	return reply(http.StatusOK, out, "")
}
