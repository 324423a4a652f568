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
)

// A project numbers its issues one after another, and an issue can be read by its
// number as soon as it exists: the search lags behind, reading does not. So once
// the index has had its time and still knows nothing, the numbers that an attempt
// can have got are read one by one. If none of them is our issue, there is none.

const (
	// numberGap is how many numbers in a row must be free for the end: some are
	// lost to creations that failed, to deletions and to issues that moved away.
	numberGap = 10
	// mostNumbers is how many are read before a person has to look instead.
	mostNumbers = 200
	// clocksDiffer is how far Jira's clock may be from ours.
	clocksDiffer = 10 * time.Minute
)

// number splits the key of an issue.
func number(key string) (prefix string, n int, ok bool) {
	i := strings.LastIndexByte(key, '-')
	if i < 1 {
		return "", 0, false
	}
	n, err := strconv.Atoi(key[i+1:])
	return key[:i+1], n, err == nil && n > 0
}

// newer returns the later of two keys of one project.
func newer(a, b string) string {
	p, n, ok := number(a)
	q, m, too := number(b)
	if !too || ok && p == q && n >= m {
		return a
	}
	return b
}

// sawKey remembers the latest issue that was made here.
func (n *Notifier) sawKey(key string) {
	for {
		old := n.latest.Load()
		next := key
		if old != nil {
			next = newer(*old, key)
		}
		if n.latest.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (n *Notifier) latestKey() string {
	if key := n.latest.Load(); key != nil {
		return *key
	}
	return ""
}

// numbers is how far the issues of a project were read: those from Low to High.
type numbers struct {
	Prefix string `json:"prefix"`
	Low    int    `json:"low"`
	High   int    `json:"high"`
	Free   int    `json:"free,omitempty"` // so many in a row up to High do not exist
	Past   bool   `json:"past,omitempty"` // those below Low are older than the attempt
}

// byNumber reads the issues that the attempt may have made. decided says that
// all of them were read: where found is empty then, the attempt made none. A
// failure leaves what was read, so that the next call goes on from there.
func (w *work) byNumber(ctx context.Context) (found []hit, decided bool, err error) {
	a := w.state.Attempt
	after, lowest, _ := number(a.After) // made before the attempt, so ours is higher
	if a.Numbers == nil {
		top := newer(a.After, w.latestKey())
		if top == "" {
			if top, err = w.anyKey(ctx); err != nil {
				return nil, false, err
			}
		}
		prefix, n, ok := number(top)
		if !ok {
			return nil, false, nil // nothing says where the numbers of the project are
		}
		a.Numbers = &numbers{Prefix: prefix, Low: n + 1, High: n}
	}
	r := a.Numbers
	if r.Prefix != after {
		lowest = 0
	}
	begun := *r
	defer func() {
		if err == nil {
			return
		}
		if e := asAPI(err); e != nil && e.fault.After == 0 && *r != begun {
			e.fault.After = w.scale(time.Second) // it gets on: no reason to wait ever longer
		}
		err = firstOf(w.keep(), err)
	}()
	for r.Free < numberGap || r.Low > lowest+1 && !r.Past {
		if r.High-r.Low >= mostNumbers {
			return nil, false, nil
		}
		up := r.Free < numberGap
		next := r.Low - 1
		if up {
			next = r.High + 1
		}
		i, sure, err := w.numbered(ctx, fmt.Sprint(r.Prefix, next))
		switch {
		case err != nil || !sure:
			return nil, false, err
		case i != nil && w.isOurs(i):
			return []hit{{ID: i.ID, Key: i.Key}}, true, nil
		}
		if !up {
			r.Low = next
			r.Past = i != nil && !i.created().IsZero() && i.created().Before(a.At.Add(-clocksDiffer))
			continue
		}
		if r.High, r.Free = next, r.Free+1; i != nil {
			r.Free = 0
		}
	}
	return nil, true, nil
}

// numbered reads an issue; nil: there is none. It is not sure where the issue may
// exist and is kept from us.
func (w *work) numbered(ctx context.Context, key string) (i *shown, sure bool, err error) {
	i, err = w.read(ctx, key)
	if errors.Is(err, errGone) {
		return nil, true, nil
	}
	if e := asAPI(err); e != nil && !e.cut {
		switch e.status {
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
			return nil, false, nil
		}
	}
	return i, err == nil, err
}

// isOurs reports whether the issue is that of the attempt.
func (w *work) isOurs(i *shown) bool {
	if w.state.knewBefore(i.ID) {
		return false
	}
	if slices.Contains(w.state.Dropped, "labels") {
		return i.Fields.Summary == w.state.Attempt.Content.Summary
	}
	return i.has(idLabel(w.v))
}

// anyKey is the latest issue of the project that the search knows. It may lag
// and may not be sorted: any key says where to look.
func (w *work) anyKey(ctx context.Context) (string, error) {
	m, err := w.metadata(ctx, nil)
	if err != nil {
		return "", err
	}
	project := cmp.Or(m.ProjectKey, m.ProjectID, w.cfg.Project)
	var answer struct {
		Issues []hit `json:"issues"`
	}
	err = w.client.call(ctx, "look for the latest issue", http.MethodPost, w.searchPath(),
		map[string]any{"jql": "project = " + quote(project) + " ORDER BY created DESC", "fields": []string{"summary", "created"}, "maxResults": 50}, &answer)
	if e := asAPI(err); e != nil && e.status == http.StatusBadRequest {
		return "", nil
	}
	top := ""
	for _, h := range answer.Issues {
		top = newer(top, h.Key)
	}
	return top, err
}
