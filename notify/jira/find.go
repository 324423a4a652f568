package jira

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/notify"
)

// looks are when the search is asked, as shares of the time that it may lag: at
// once, and after 5, 15 and 45 s more where that time is 65 s.
func looks(settle time.Duration) []time.Duration {
	return []time.Duration{0, settle * 5 / 65, settle * 20 / 65, settle}
}

// firstLook is not before the call itself can be over.
func (w *work) firstLook() time.Time {
	return w.state.Attempt.At.Add(max(w.scale(w.cfg.Timeout), min(w.cfg.Timeout, leastWait)))
}

// leastWait is what a network and a scheduler need, at any tempo: a look that
// comes too early makes work for a person.
const leastWait = 500 * time.Millisecond

// searchSettle is for how long the search may lag behind.
func (w *work) searchSettle() time.Duration {
	d := w.cfg.SearchSettle.Std()
	return max(w.scale(d), min(d, 2*leastWait))
}

// find looks for the issue that a begun attempt may have made. A search that
// finds nothing proves nothing: once its index has had time to catch up, the
// issues are read by their numbers. Where that does not decide it either, a person
// does, for an issue is never created blindly.
func (w *work) find(ctx context.Context) error {
	a := w.state.Attempt
	due := looks(w.searchSettle())
	since := w.now().Sub(w.firstLook())
	if wait := due[min(a.Looks, len(due)-1)] - since; wait > 0 && !a.Allowed {
		return w.later(wait, "unknown_outcome", "it is not known whether the issue was created; the search is asked again")
	}
	if a.Numbers != nil && !a.Allowed {
		return w.decide(ctx) // the search had its time
	}
	found, err := w.search(ctx)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return w.adoptOldest(found)
	}
	if a.Allowed {
		w.state.Attempt = nil
		return w.keep()
	}
	for a.Looks < len(due) && due[a.Looks] <= since {
		a.Looks++
	}
	if err := w.keep(); err != nil {
		return err
	}
	if a.Looks < len(due) {
		return w.later(due[a.Looks]-since, "unknown_outcome", "the issue that may have been created is not found yet; the search is asked again")
	}
	return w.decide(ctx)
}

// decide has the numbers of the project decide, or a person.
func (w *work) decide(ctx context.Context) error {
	a := w.state.Attempt
	found, decided, err := w.byNumber(ctx)
	switch {
	case err != nil:
		return err
	case len(found) > 0:
		return w.adoptOldest(found)
	case decided:
		w.state.Attempt = nil
		return w.keep()
	}
	return &notify.Error{Class: notify.Undecided, Reason: "unknown_outcome",
		Message: fmt.Sprintf("it is not known whether an issue was created at %s, and the search finds none", a.At.UTC().Format("15:04:05 UTC")),
		Safe:    "at most one issue exists; no second one was made",
		Hint:    fmt.Sprintf("look in jira for the label %s; if there is none: guardroom delivery retry %s", idLabel(w.v), w.v.Delivery)}
}

type hit struct {
	ID     string `json:"id"`
	Key    string `json:"key"`
	Fields struct {
		Summary string `json:"summary"`
		Created string `json:"created"`
	} `json:"fields"`
}

// search asks for issues of this incident and reads each that it names, for
// the index may know of issues that were deleted since. Issues that were left
// behind do not count.
func (w *work) search(ctx context.Context) ([]hit, error) {
	jql := "labels = " + quote(idLabel(w.v))
	byTitle := slices.Contains(w.state.Dropped, "labels")
	if byTitle {
		jql = "creator = currentUser() AND summary ~ " + quote(quote(w.byTitle()))
	}
	body := map[string]any{"jql": jql + " ORDER BY created ASC", "fields": []string{"summary", "created"}, "maxResults": 50}
	if w.cloud {
		if ids := w.knownIDs(); len(ids) > 0 {
			body["reconcileIssues"] = ids
		}
	}
	var answer struct {
		Issues []hit `json:"issues"`
	}
	if err := w.client.call(ctx, "search for the issue", http.MethodPost, w.searchPath(), body, &answer); err != nil {
		return nil, err
	}
	var found []hit
	for _, h := range answer.Issues {
		if w.state.knewBefore(h.ID) || byTitle && h.Fields.Summary != w.state.Attempt.Content.Summary {
			continue
		}
		i, err := w.read(ctx, h.ID)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		h.Key = i.Key
		found = append(found, h)
	}
	return found, nil
}

// searchPath is where the dialect is asked: Cloud removed the old search.
func (n *Notifier) searchPath() string {
	if n.cloud {
		return "/search/jql"
	}
	return "/search"
}

// byTitle is what is searched for where the project takes no labels.
func (w *work) byTitle() string {
	if w.v.Number != "" {
		return w.v.Number
	}
	return w.state.Attempt.Content.Summary
}

// knownIDs are issues of this incident that the search must be up to date for.
func (w *work) knownIDs() []int64 {
	var ids []int64
	for _, e := range w.state.Earlier {
		if id, err := strconv.ParseInt(e.ID, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids[max(0, len(ids)-50):]
}

// adoptOldest takes what was found; where there are several, it says so.
func (w *work) adoptOldest(found []hit) error {
	slices.SortFunc(found, func(a, b hit) int {
		x, _ := strconv.ParseInt(a.ID, 10, 64)
		y, _ := strconv.ParseInt(b.ID, 10, 64)
		return cmp.Compare(x, y)
	})
	if len(found) > 1 {
		var others []string
		for _, h := range found[1:] {
			others = append(others, visibleKey(h.Key))
		}
		w.state.warn("several", fmt.Sprintf("several issues exist for this incident; %s is kept up to date, close %s by hand", visibleKey(found[0].Key), strings.Join(others, ", ")))
	}
	return w.adopt(ref{ID: found[0].ID, Key: found[0].Key}, w.state.Attempt.Content)
}
