package fakejira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// query is the body of both searches.
type query struct {
	JQL             string          `json:"jql"`
	Fields          json.RawMessage `json:"fields"`
	MaxResults      int             `json:"maxResults"`
	NextPageToken   string          `json:"nextPageToken"`
	ReconcileIssues []int64         `json:"reconcileIssues"`
	StartAt         int             `json:"startAt"`
}

// searchCall is POST /search/jql on Cloud and POST /search on Data Center; each
// knows only its own.
func (s *Server) searchCall(r *http.Request, parts []string, body []byte) *answer {
	jql := len(parts) == 2 && parts[1] == "jql"
	switch {
	case s.opts.Dialect == Cloud && len(parts) == 1:
		return s.refuse(http.StatusGone, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")
	case r.Method != http.MethodPost, s.opts.Dialect == Cloud && !jql, s.opts.Dialect == DataCenter && len(parts) != 1:
		return s.refuse(http.StatusNotFound, "nothing answers %s %s", r.Method, r.URL.Path)
	}
	var q query
	if err := json.Unmarshal(body, &q); err != nil {
		return s.refuse(http.StatusBadRequest, "Can not deserialize: %v", err)
	}
	match, err := parseJQL(q.JQL)
	if err != nil {
		return s.refuse(http.StatusBadRequest, "Error in the JQL Query: %v", err)
	}
	var found []map[string]any
	for _, i := range s.issues {
		if s.inIndex(i, q.ReconcileIssues) && match(i) {
			found = append(found, s.show(i, "summary,status,labels,created,updated,project"))
		}
	}
	if found == nil {
		found = []map[string]any{}
	}
	if q.MaxResults <= 0 || q.MaxResults > 100 {
		q.MaxResults = 50
	}
	total := len(found)
	found = found[:min(total, q.MaxResults)]
	if s.opts.Dialect == DataCenter {
		return reply(http.StatusOK, map[string]any{"startAt": 0, "maxResults": q.MaxResults, "total": total, "issues": found}, "")
	}
	out := map[string]any{"issues": found, "isLast": total <= q.MaxResults}
	if total > q.MaxResults {
		out["nextPageToken"] = "more"
	}
	return reply(http.StatusOK, out, "")
}

// inIndex says whether the search knows the issue by now. A fresh one is not
// known until the lag is over, a deleted one is known for as long after.
func (s *Server) inIndex(i *issue, reconcile []int64) bool {
	for _, id := range reconcile {
		if fmt.Sprint(id) == i.ID {
			return i.deletedAt.IsZero()
		}
	}
	now := s.opts.Now()
	if !i.deletedAt.IsZero() && !now.Before(i.deletedAt.Add(s.opts.scale(s.opts.IndexLag))) {
		return false
	}
	return !now.Before(i.indexed)
}

// SetIndexLag changes the lag of the search for issues to come.
func (s *Server) SetIndexLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.IndexLag = lag
}

var (
	orderBy = regexp.MustCompile(`(?i)\s+ORDER\s+BY\s+.*$`)
	and     = regexp.MustCompile(`(?i)\s+AND\s+`)
	clause  = regexp.MustCompile(`^(\w+)\s*(=|~)\s*("(?:[^"\\]|\\.)*"|[\w()]+)$`)
)

// parseJQL knows the few clauses that are used here, joined by AND.
func parseJQL(jql string) (func(*issue) bool, error) {
	jql = orderBy.ReplaceAllString(jql, "")
	if strings.TrimSpace(jql) == "" {
		return nil, fmt.Errorf("unbounded queries are not allowed here")
	}
	var tests []func(*issue) bool
	for _, part := range and.Split(jql, -1) {
		m := clause.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, fmt.Errorf("cannot read %q", part)
		}
		value := m[3]
		if strings.HasPrefix(value, `"`) {
			value = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(value[1 : len(value)-1])
		}
		switch strings.ToLower(m[1]) + m[2] {
		case "labels=":
			tests = append(tests, func(i *issue) bool { return slices.Contains(i.Labels, value) })
		case "project=":
			tests = append(tests, func(i *issue) bool {
				return strings.EqualFold(i.project.Key, value) || i.project.ID == value || i.project.Name == value
			})
		case "issuetype=":
			tests = append(tests, func(i *issue) bool { return i.typ.ID == value || strings.EqualFold(i.typ.Name, value) })
		case "summary~":
			tests = append(tests, func(i *issue) bool {
				return strings.Contains(strings.ToLower(i.Summary), strings.ToLower(strings.Trim(value, `"`)))
			})
		case "creator=":
			tests = append(tests, func(*issue) bool { return value == "currentUser()" })
		default:
			return nil, fmt.Errorf("field %q does not exist or does not support %q", m[1], m[2])
		}
	}
	return func(i *issue) bool {
		for _, t := range tests {
			if !t(i) {
				return false
			}
		}
		return true
	}, nil
}
