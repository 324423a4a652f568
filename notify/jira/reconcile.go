package jira

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// maxDuration of all calls of one Reconcile together.
const maxDuration = time.Minute

// work is one reconciliation: a view, the state that is kept, and the time that
// it has.
type work struct {
	*Notifier
	v     *message.View
	state state
	save  func(ctx context.Context, state any) error
	// parent lives longer than the calls: what was done is saved also when
	// their time is over.
	parent context.Context //nolint:containedctx // ends with the reconciliation
	before string          // the state as it was saved last
	// made: the issue was created a moment ago, so nobody else was there.
	made bool
}

// Reconcile implements notify.Notifier. Nothing that it does is done twice: what
// creates is saved as begun before, and looked for afterwards when its outcome
// is not known.
func (n *Notifier) Reconcile(ctx context.Context, req notify.Request) (notify.Outcome, error) {
	s, err := decodeState(req.State)
	if err != nil {
		return notify.Outcome{}, stateError(err)
	}
	w := &work{Notifier: n, v: req.View, state: s, save: req.Save, parent: ctx, before: mustEncode(s)}
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	quiet, err := w.run(ctx)
	if err != nil {
		return notify.Outcome{}, err
	}
	out := notify.Outcome{Reference: w.state.Issue.Key, Warnings: w.state.warnings(), Quiet: quiet}
	if out.Reference != "" {
		out.URL = n.browse(ctx, w.state.Issue.Key)
	}
	return out, nil
}

func mustEncode(s state) string {
	raw, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(raw)
}

// keep saves the state where it changed.
func (w *work) keep() error {
	now := mustEncode(w.state)
	if now == w.before {
		return nil
	}
	if err := w.save(w.parent, w.state); err != nil {
		return err
	}
	w.before = now
	return nil
}

// errGone says that the issue is not there any more.
var errGone = errors.New("the issue is gone")

// errAnew says that another issue is to be made.
var errAnew = errors.New("another issue is needed")

// run brings Jira up to the view. quiet says why nothing was to be done.
func (w *work) run(ctx context.Context) (quiet string, err error) {
	if err := w.checkSite(ctx); err != nil {
		return "", err
	}
	const most = 3 // issues in one run: the known one, one after a deletion, one after a reopening
	for range most {
		if w.state.Issue.ID == "" && w.state.Attempt != nil {
			if err := w.find(ctx); err != nil {
				return "", err
			}
		}
		if w.state.Issue.ID == "" {
			if why := w.needless(); why != "" {
				return why, w.keep()
			}
			if err := w.create(ctx); err != nil {
				return "", err
			}
		}
		err := w.update(ctx)
		switch {
		case errors.Is(err, errGone):
			if err := w.gone(ctx); err != nil {
				return "", err
			}
		case errors.Is(err, errAnew):
		case err != nil:
			return "", err
		default:
			return "", w.keep()
		}
	}
	return "", &notify.Error{Class: notify.Retry, Reason: "not_found", Message: "the issue disappears while it is worked on", Safe: "the incident is kept"}
}

// needless says why no issue is made.
func (w *work) needless() string {
	if w.v.State != incident.Closed {
		return ""
	}
	for _, e := range w.state.Earlier {
		if e.Why == whyGone {
			return "the issue was deleted, and the incident is closed"
		}
	}
	if w.v.Kind == message.KindIncident || w.v.Kind == "" {
		return "" // the record of an incident that was short
	}
	return "resolved before an issue was made"
}

// checkSite notices another address. An issue that is found there with our
// label is the same one: the site has merely another name.
func (w *work) checkSite(ctx context.Context) error {
	if w.state.Site == w.site {
		return nil
	}
	if w.state.Site != "" && w.state.Issue.ID != "" {
		i, err := w.read(ctx, w.state.Issue.ID)
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
		if err != nil || !i.has(idLabel(w.v)) {
			w.state.warn("site", "api_url leads to another site; "+visibleKey(w.state.Issue.Key)+" stays on the former one as it is")
			w.state.leave("")
			w.state.Earlier, w.state.Recreated = nil, 0
		}
	}
	w.state.Site = w.site // saved with what comes next
	return nil
}

// gone makes ready for another issue after a deletion, once.
func (w *work) gone(ctx context.Context) error {
	// A wrong address, or a token that has expired for some of the site, says
	// 404 as well.
	if err := w.client.call(ctx, "read the own account", http.MethodGet, "/myself", nil, nil); err != nil {
		if e := asAPI(err); e != nil && e.status == http.StatusNotFound {
			e.fault.Class, e.fault.Reason, e.fault.Hint = notify.Pause, "not_found", "api_url leads to no Jira; check it"
		}
		return err
	}
	key := w.state.Issue.Key
	if w.state.Recreated > 0 && w.v.State != incident.Closed {
		return &notify.Error{Class: notify.Park, Reason: "not_found",
			Message: "the issue " + key + " is gone, and it was the second one (404)", Safe: "no third one was made",
			Hint: "if the account may still see the project, then: guardroom delivery retry"}
	}
	w.log.WarnContext(ctx, "the issue of an incident is gone", "destination", w.cfg.Destination, "delivery", w.v.Delivery, "issue", key)
	w.state.leave(whyGone)
	w.state.Recreated++
	w.state.warn("gone", "the issue "+key+" was deleted or cannot be seen by guardroom any more")
	return w.keep()
}

// follows are the earlier issues, for the text of this one.
func (w *work) follows(ctx context.Context) []follow {
	var out []follow
	for _, e := range w.state.Earlier {
		if e.Key != "" && e.Why != "" {
			out = append(out, follow{key: visibleKey(e.Key), url: w.browse(ctx, e.Key), reason: e.Why})
		}
	}
	return out[max(0, len(out)-5):]
}

// later is a failure that only says when to come again.
func (w *work) later(after time.Duration, reason, message string) error {
	return &notify.Error{Class: notify.Retry, After: max(after, time.Millisecond), Reason: reason, Message: message, Safe: "nothing is lost; it goes on by itself"}
}

// browse is where people see an issue. Tokens with scopes use an address that
// is not for people; the site says its own then.
func (n *Notifier) browse(ctx context.Context, key string) string {
	base := n.cfg.APIURL
	u, err := url.Parse(base)
	if err != nil || key == "" {
		return ""
	}
	if n.cloud && len(u.Path) > 1 && n.scoped(u) {
		if base = n.siteURL(ctx); base == "" {
			return ""
		}
	}
	return base + "/browse/" + url.PathEscape(key)
}

// lastSeq is the newest event of the timeline.
func lastSeq(v *message.View) int64 {
	var last int64
	for _, e := range v.Events {
		last = max(last, e.Seq)
	}
	return last
}

// shown is an issue as read.
type shown struct {
	ID     string `json:"id"`
	Key    string `json:"key"`
	Fields struct {
		Summary     string          `json:"summary"`
		Created     string          `json:"created"`
		Description json.RawMessage `json:"description"`
		Labels      []string        `json:"labels"`
		Priority    *choice         `json:"priority"`
		Status      struct {
			ID       string `json:"id"`
			Name     string `json:"name"`
			Category struct {
				Key string `json:"key"`
			} `json:"statusCategory"`
		} `json:"status"`
	} `json:"fields"`
}

// created is when Jira made the issue; the zero time where it does not say.
func (i *shown) created() time.Time {
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", i.Fields.Created)
	if err != nil {
		return time.Time{}
	}
	return at
}

func (i *shown) has(label string) bool {
	return slices.Contains(i.Fields.Labels, label)
}

// read reads an issue by id or key. errGone: there is none.
func (n *Notifier) read(ctx context.Context, id string) (*shown, error) {
	var i shown
	err := n.client.call(ctx, "read the issue", http.MethodGet,
		"/issue/"+url.PathEscape(id)+"?fields=summary,status,description,labels,priority,created,updated", nil, &i)
	if asAPI(err).missing() {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	if i.ID == "" {
		return nil, &notify.Error{Class: notify.Retry, Reason: "server_error", Message: "read the issue: jira's answer has no id"}
	}
	return &i, nil
}

func (n *Notifier) scoped(u *url.URL) bool {
	return u.Hostname() == "api.atlassian.com" || hasScopedPath(u.Path)
}

func hasScopedPath(path string) bool {
	return len(path) > len(scopedPath) && path[:len(scopedPath)] == scopedPath
}

// scopedPath begins the path of an address for tokens with scopes.
const scopedPath = "/ex/jira/"

// siteURL asks the site for its address, once.
func (n *Notifier) siteURL(ctx context.Context) string {
	if known := n.people.Load(); known != nil {
		return *known
	}
	var info struct {
		BaseURL string `json:"baseUrl"`
	}
	if err := n.client.call(ctx, "read the server's name", http.MethodGet, "/serverInfo", nil, &info); err != nil || !webAddress(info.BaseURL) {
		return ""
	}
	base := trimBase(info.BaseURL)
	n.people.Store(&base)
	return base
}

func visibleKey(key string) string { return escape.CutEnd(escape.Visible(key), 60) }
