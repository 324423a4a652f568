package jira

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// metaAge is how long what the project demands counts as known.
const metaAge = time.Hour

// choice is one of the values that a field takes.
type choice struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (c choice) label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Value
}

// field is what the create metadata says of one field.
type field struct {
	ID         string   `json:"fieldId"`
	Key        string   `json:"key"`
	Name       string   `json:"name"`
	Required   bool     `json:"required"`
	HasDefault bool     `json:"hasDefaultValue"`
	Allowed    []choice `json:"allowedValues"`
}

// meta is the project and the type of issue, as Jira knows them.
type meta struct {
	ProjectID, ProjectKey, ProjectName string
	TypeID, TypeName                   string
	Fields                             []field
	// Blind says that Jira does not tell what the project demands: names are
	// sent as they are configured, and what is refused is left out.
	Blind bool
	at    time.Time
}

// project names the project in a creation.
func (m *meta) project() map[string]string {
	if m.ProjectID != "" {
		return map[string]string{"id": m.ProjectID}
	}
	return map[string]string{"key": m.ProjectKey}
}

// issueType names the type of issue in a creation.
func (m *meta) issueType() map[string]string {
	if m.TypeID != "" {
		return map[string]string{"id": m.TypeID}
	}
	return map[string]string{"name": m.TypeName}
}

// projectPath is the project in the path of a call.
func (m *meta) projectPath() string {
	if m.ProjectID != "" {
		return url.PathEscape(m.ProjectID)
	}
	return url.PathEscape(m.ProjectKey)
}

// absent reports that there is no such call: old versions, proxies and stand-ins
// lack the metadata.
func absent(err error) bool {
	e := asAPI(err)
	return e != nil && (e.status == http.StatusNotFound || e.status == http.StatusMethodNotAllowed || e.status == http.StatusNotImplemented)
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func (m *meta) field(id string) (field, bool) {
	for _, f := range m.Fields {
		if f.ID == id {
			return f, true
		}
	}
	return field{}, false
}

// metaCache keeps the metadata; one reader at a time fills it. turn holds one
// token.
type metaCache struct {
	turn chan struct{}
	m    *meta
}

func newMetaCache() *metaCache {
	c := &metaCache{turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// metadata returns what the project demands, from the cache unless it is old or
// stale is what the caller found to be wrong.
func (n *Notifier) metadata(ctx context.Context, stale *meta) (*meta, error) {
	select {
	case <-n.meta.turn:
	case <-ctx.Done():
		return nil, &notify.Error{Class: notify.Retry, Reason: "timeout", Message: "read the project: it takes too long", Safe: "nothing was sent", Err: ctx.Err()}
	}
	defer func() { n.meta.turn <- struct{}{} }()
	if m := n.meta.m; m != nil && m != stale && n.now().Sub(m.at) < n.scale(metaAge) {
		return m, nil
	}
	n.meta.m = nil
	m, err := n.readMeta(ctx)
	if err != nil {
		return nil, err
	}
	n.meta.m = m
	return m, nil
}

func (n *Notifier) readMeta(ctx context.Context) (*meta, error) {
	m := &meta{at: n.now()}
	if err := n.readProject(ctx, m); err != nil {
		return nil, err
	}
	if err := n.readType(ctx, m); err != nil {
		return nil, err
	}
	if m.TypeID == "" {
		return m, nil
	}
	var err error
	m.Fields, err = pages[field](ctx, n.client, "read the fields of the issue type",
		"/issue/createmeta/"+m.projectPath()+"/issuetypes/"+url.PathEscape(m.TypeID), "fields")
	if absent(err) {
		m.Blind, err = true, nil
	}
	for i, f := range m.Fields {
		if f.ID == "" {
			m.Fields[i].ID = f.Key
		}
	}
	return m, err
}

type project struct {
	ID   string `json:"id"`
	Key  string `json:"key"`
	Name string `json:"name"`
}

// readProject finds the project by key or id, else by name.
func (n *Notifier) readProject(ctx context.Context, m *meta) error {
	want := strings.TrimSpace(n.cfg.Project)
	var p project
	err := n.client.call(ctx, "read the project", http.MethodGet, "/project/"+url.PathEscape(want), nil, &p)
	if e := asAPI(err); e != nil && (e.status == http.StatusNotFound || e.status == http.StatusBadRequest) {
		found, searchErr := n.projectByName(ctx, want)
		if absent(searchErr) {
			// Neither call is there; a project that is missing is told by the
			// creation.
			m.Blind, m.ProjectKey = true, want
			if digits.MatchString(want) {
				m.ProjectID, m.ProjectKey = want, ""
			}
			return nil
		}
		if searchErr != nil {
			return searchErr
		}
		if found == nil {
			e.fault.Class, e.fault.Reason = notify.Park, "not_found"
			e.fault.Message = fmt.Sprintf("there is no project %q (%d)", escape.Visible(want), e.status)
			e.fault.Safe = "nothing was created"
			e.fault.Hint = "set project to a key, an id or a name; or the account may not see it"
			return err
		}
		p, err = *found, nil
	}
	if err != nil {
		return err
	}
	m.ProjectID, m.ProjectKey, m.ProjectName = p.ID, p.Key, p.Name
	return nil
}

func (n *Notifier) projectByName(ctx context.Context, name string) (*project, error) {
	var list []project
	var err error
	if n.cloud {
		list, err = pages[project](ctx, n.client, "look for the project", "/project/search?query="+url.QueryEscape(name), "values")
	} else {
		err = n.client.call(ctx, "list the projects", http.MethodGet, "/project", nil, &list)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if strings.EqualFold(p.Name, name) || strings.EqualFold(p.Key, name) {
			return &p, nil
		}
	}
	return nil, nil
}

// readType finds the type of issue by id or name.
func (n *Notifier) readType(ctx context.Context, m *meta) error {
	want := strings.TrimSpace(n.cfg.IssueType)
	type issueType struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	types, err := pages[issueType](ctx, n.client, "read the issue types", "/issue/createmeta/"+m.projectPath()+"/issuetypes", "issueTypes")
	if absent(err) {
		m.Blind, m.TypeName = true, want
		if digits.MatchString(want) {
			m.TypeID, m.TypeName = want, ""
		}
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, t := range types {
		if t.ID == want || strings.EqualFold(t.Name, want) {
			m.TypeID, m.TypeName = t.ID, t.Name
			return nil
		}
		names = append(names, t.Name)
	}
	return &notify.Error{Class: notify.Park, Reason: "not_found", Safe: "nothing was created",
		Message: fmt.Sprintf("the project %s has no issue type %q that the account may create", escape.Visible(m.ProjectKey), escape.Visible(want)),
		Hint:    "set issue_type to one of: " + escape.CutEnd(escape.Visible(strings.Join(names, ", ")), 300)}
}

// pages reads every page of a list. Cloud calls the list by key, Data Center by
// values; its end is told by isLast or total.
func pages[T any](ctx context.Context, c *client, what, path, key string) ([]T, error) {
	const most = 40 // pages
	var all []T
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for range most {
		var page map[string]json.RawMessage
		if err := c.call(ctx, what, http.MethodGet, fmt.Sprintf("%s%sstartAt=%d&maxResults=100", path, sep, len(all)), nil, &page); err != nil {
			return nil, err
		}
		raw, ok := page[key]
		if !ok {
			raw = page["values"]
		}
		var some []T
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &some); err != nil {
				return nil, &notify.Error{Class: notify.Retry, Reason: "server_error", Message: what + ": jira's answer cannot be read", Err: err}
			}
		}
		all = append(all, some...)
		var last bool
		total := -1
		_ = json.Unmarshal(page["isLast"], &last)
		_ = json.Unmarshal(page["total"], &total)
		if len(some) == 0 || last || total >= 0 && len(all) >= total {
			return all, nil
		}
	}
	return all, nil
}
