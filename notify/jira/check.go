package jira

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// Check implements notify.Notifier. It reads the account, the project, what the
// project demands of a new issue, and the names that the configuration uses.
func (n *Notifier) Check(ctx context.Context) []notify.Finding {
	var me struct {
		DisplayName string `json:"displayName"`
	}
	if err := n.client.call(ctx, "read the own account", http.MethodGet, "/myself", nil, &me); err != nil {
		hint := notify.AsError(err).Hint
		if e := asAPI(err); e != nil && e.status == http.StatusNotFound {
			hint = "api_url leads to no Jira of this kind; check it and api"
		}
		return []notify.Finding{{What: "credential", Message: notify.AsError(err).Error(), Hint: hint}}
	}
	out := []notify.Finding{{OK: true, What: "credential", Message: "jira knows it as " + visibleKey(me.DisplayName)}}
	what := "project " + escape.Visible(n.cfg.Project) + ", issue type " + escape.Visible(n.cfg.IssueType)
	m, err := n.metadata(ctx, n.cached(ctx))
	if err != nil {
		e := notify.AsError(err)
		return append(out, notify.Finding{What: what, Message: e.Error(), Hint: e.Hint})
	}
	out = append(out, notify.Finding{OK: true, What: what,
		Message: fmt.Sprintf("found: %s (%s), %s", visibleKey(m.ProjectName), visibleKey(m.ProjectKey), visibleKey(m.TypeName))})
	return append(out, n.checkFields(m), n.checkPriorities(m), n.checkTransitions(ctx, m))
}

// cached returns the metadata in use, so that a check reads it anew.
func (n *Notifier) cached(ctx context.Context) *meta {
	select {
	case <-n.meta.turn:
	case <-ctx.Done():
		return nil
	}
	defer func() { n.meta.turn <- struct{}{} }()
	return n.meta.m
}

// checkFields names every required field that nobody gives.
func (n *Notifier) checkFields(m *meta) notify.Finding {
	f := notify.Finding{What: "required fields"}
	given := []string{"project", "issuetype", "summary", "description", "labels", "reporter"}
	if id, _ := n.priority(&message.View{Band: finding.High}, m); id != "" {
		given = append(given, "priority")
	}
	var missing []string
	for _, d := range m.Fields {
		_, configured := n.cfg.Fields[d.ID]
		if !d.Required || d.HasDefault || configured || slices.Contains(given, d.ID) {
			continue
		}
		words := visibleKey(d.ID) + " (" + visibleKey(d.Name) + ")"
		if len(d.Allowed) > 0 {
			words += ", one of: " + allowedNames(d.Allowed)
		}
		missing = append(missing, words)
	}
	if len(missing) > 0 {
		f.Message = "the project demands fields that are not configured: " + strings.Join(missing, "; ")
		f.Hint = "give them under fields of this destination"
		return f
	}
	if m.Blind {
		f.OK, f.Message = true, "jira does not tell them; a creation will"
		return f
	}
	for _, d := range []string{"description", "labels"} {
		if _, ok := m.field(d); !ok {
			f.Message, f.Hint = "the field "+d+" is not on the create screen", "put it on the screen of the issue type"
			return f
		}
	}
	f.OK, f.Message = true, "all are given"
	return f
}

func (n *Notifier) checkPriorities(m *meta) notify.Finding {
	f := notify.Finding{What: "priorities"}
	var missing []string
	for b := finding.Informational; b <= finding.Critical; b++ {
		if _, problem := n.priority(&message.View{Band: b}, m); problem != "" {
			missing = append(missing, fmt.Sprintf("%s for %s", escape.Visible(n.priorityName(b)), b))
		}
	}
	if len(missing) > 0 {
		f.Message = "the project has no priority " + strings.Join(missing, ", ") + "; issues are created without"
		f.Hint = "set priorities to names that the project has"
		if p, ok := m.field("priority"); ok {
			f.Hint += ": " + allowedNames(p.Allowed)
		}
		return f
	}
	f.OK, f.Message = true, "the project has all of them"
	return f
}

// checkTransitions compares the configured names with the workflow, as far as
// one issue of the type shows it.
func (n *Notifier) checkTransitions(ctx context.Context, m *meta) notify.Finding {
	f := notify.Finding{OK: true, What: "transitions"}
	if n.cfg.CloseTransition == "" && n.cfg.ReopenTransition == "" {
		f.Message = "none are configured; the status of issues is left alone"
		return f
	}
	seen, err := n.workflow(ctx, m)
	if err != nil {
		return notify.Finding{What: f.What, Message: notify.AsError(err).Error(), Hint: notify.AsError(err).Hint}
	}
	if len(seen) == 0 {
		f.Message = "the project has no issue of this type yet to compare the names with"
		return f
	}
	var missing []string
	for _, name := range []string{n.cfg.CloseTransition, n.cfg.ReopenTransition} {
		if name != "" && !slices.ContainsFunc(seen, func(s string) bool { return strings.EqualFold(s, name) }) {
			missing = append(missing, fmt.Sprintf("%q", escape.Visible(name)))
		}
	}
	if len(missing) > 0 {
		f.OK = false
		f.Message = "no issue that was looked at has a transition or status " + strings.Join(missing, " or ")
		f.Hint = "seen are: " + escape.CutEnd(escape.Visible(strings.Join(seen, ", ")), 300)
		return f
	}
	f.Message = "the workflow has them"
	return f
}

// workflow returns the names of transitions and statuses of a few issues.
func (n *Notifier) workflow(ctx context.Context, m *meta) ([]string, error) {
	var answer struct {
		Issues []hit `json:"issues"`
	}
	jql := fmt.Sprintf("project = %s AND issuetype = %s ORDER BY created DESC", quote(cmp.Or(m.ProjectKey, m.ProjectID)), quote(cmp.Or(m.TypeID, m.TypeName)))
	if err := n.client.call(ctx, "search for an issue", http.MethodPost, n.searchPath(), map[string]any{"jql": jql, "fields": []string{"status"}, "maxResults": 5}, &answer); err != nil {
		return nil, err
	}
	var names []string
	add := func(s string) {
		if s != "" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	for _, h := range answer.Issues {
		var list struct {
			Transitions []transition `json:"transitions"`
		}
		err := n.client.call(ctx, "read the transitions", http.MethodGet, "/issue/"+url.PathEscape(h.ID)+"/transitions", nil, &list)
		if e := asAPI(err); e != nil && e.status == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		i, err := n.read(ctx, h.ID)
		if err != nil {
			continue
		}
		add(i.Fields.Status.Name)
		for _, t := range list.Transitions {
			add(t.Name)
			add(t.To.Name)
		}
	}
	return names, nil
}

// Test creates a real issue that says it is a test, and closes it, or deletes
// it where no transition is configured for closing.
func (n *Notifier) Test(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	v := message.BuildTest(n.cfg.Destination, n.now())
	w := &work{Notifier: n, v: v, state: state{Version: stateVersion, Site: n.site}, parent: ctx,
		save: func(context.Context, any) error { return nil }}
	if err := w.create(ctx); err != nil {
		return "", err
	}
	key, where := w.state.Issue.Key, n.browse(ctx, w.state.Issue.Key)
	made := fmt.Sprintf("issue %s %q was created (%s)", key, summary(v), where)
	if warnings := w.state.warnings(); len(warnings) > 0 {
		made += "; " + strings.Join(warnings, "; ")
	}
	if n.cfg.CloseTransition == "" {
		err := n.client.call(ctx, "delete the test issue", http.MethodDelete, "/issue/"+url.PathEscape(w.state.Issue.ID), nil, nil)
		if err == nil {
			return made + " and deleted again; nothing is left to be seen", nil
		}
		return made + "; it stays open, close it by hand", nil
	}
	i, err := n.read(ctx, w.state.Issue.ID)
	if err != nil {
		return "", fmt.Errorf("%s, and then: %w", made, err)
	}
	closed := *v
	closed.State = incident.Closed
	w.v = &closed
	if err := w.lifecycle(ctx, i); err != nil {
		return "", fmt.Errorf("%s, and then: %w", made, err)
	}
	if problem := w.state.Warnings["transition"]; problem != "" {
		return made + "; it stays open: " + problem, nil
	}
	return made + " and closed: look at it there", nil
}
