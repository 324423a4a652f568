package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// spoken says which events are worth a comment: few, for each is a mail to all
// who watch the issue.
func spoken(e message.Event) bool {
	switch e.Kind {
	case incident.KindAcknowledged, incident.KindSeverityRaised, incident.KindContained, incident.KindReleased, incident.KindClosed,
		incident.KindPlanWaits, incident.KindPlanDecided, incident.KindEvidenceReady, incident.KindDrift, incident.KindProven,
		incident.KindNotContained, incident.KindRunLate, incident.KindLeftOpen, incident.KindClosedAgain:
		return true
	case incident.KindRunEnded:
		return e.Alerts // one that ended well stands in the description
	}
	return false
}

// errMuted says that Jira refuses comments for now.
var errMuted = errors.New("comments are refused")

// comments says what happened since the last comment, each event once. Where
// Jira refuses comments the issue itself is kept up to date all the same, and
// what there is to say is tried again with the next revision.
func (w *work) comments(ctx context.Context, _ *shown) error {
	err := w.speak(ctx)
	if errors.Is(err, errMuted) {
		return nil
	}
	if err == nil {
		w.state.clear("comment")
	}
	return err
}

func (w *work) speak(ctx context.Context) error {
	if w.state.People && !w.state.PeopleTold {
		text := message.Words("The description is yours now: it was edited, so guardroom does not rewrite it any more. What happens from now on stands in comments.")
		if err := w.comment(ctx, "description", text, ""); err != nil {
			return err
		}
		w.state.PeopleTold, w.state.Commenting = true, nil
		if err := w.keep(); err != nil {
			return err
		}
	}
	for _, e := range w.v.Events {
		if e.Seq <= w.state.Commented {
			continue
		}
		if spoken(e) {
			if err := w.comment(ctx, strconv.FormatInt(e.Seq, 10), e.Text, e.Kind); err != nil {
				return err
			}
		}
		w.state.Commented, w.state.Commenting = e.Seq, nil
		if err := w.keep(); err != nil {
			return err
		}
	}
	return nil
}

// comment adds one comment. That it begins is saved before; one whose outcome
// is not known is looked for by its marker first. The caller records in one save
// that it stands there and that it is not begun any more.
func (w *work) comment(ctx context.Context, name string, text message.Text, kind incident.Kind) error {
	marker := w.marker(name)
	path := "/issue/" + url.PathEscape(w.state.Issue.ID) + "/comment"
	if c := w.state.Commenting; c != nil && c.Marker == marker {
		if wait := c.At.Add(w.scale(w.cfg.Timeout)).Sub(w.now()); wait > 0 {
			return w.later(wait, "unknown_outcome", "it is not known whether a comment was added; it is looked for")
		}
		there, err := w.commented(ctx, path, marker)
		if err != nil {
			return err
		}
		if there {
			return nil
		}
	}
	w.state.Commenting = &commenting{At: w.now().UTC(), Marker: marker}
	if err := w.keep(); err != nil {
		return err
	}
	err := w.client.call(ctx, "add a comment", http.MethodPost, path, map[string]any{"body": w.commentBody(marker, text, kind)}, nil)
	e := asAPI(err)
	switch {
	case err == nil || e == nil:
		return err
	case e.unknown:
		e.fault.Class = notify.Retry
		e.fault.After, e.fault.Reason = max(e.fault.After, w.scale(w.cfg.Timeout)), "unknown_outcome"
		e.fault.Safe = "the comment may stand there; it is looked for before it is added again"
		return err
	case e.missing():
		return errGone
	case e.fault.Class == notify.Park:
		w.state.warn("comment", "jira refuses comments: "+visibleSentence(e.fault.Message))
		err = errMuted
	}
	w.state.Commenting = nil
	return firstOf(w.keep(), err)
}

// marker ends a comment, so that it can be found again. It names the entry of
// the timeline for people, too.
func (w *work) marker(name string) string {
	subject := w.v.Number
	if subject == "" {
		subject = idLabel(w.v)
	}
	return "(" + subject + "/" + name + ")"
}

// commented reads the issue's comments, the newest first, and reports whether
// one has the marker.
func (w *work) commented(ctx context.Context, path, marker string) (bool, error) {
	const most = 20 // pages of 100
	at := 0
	for range most {
		var page struct {
			Total    int `json:"total"`
			Comments []struct {
				Body json.RawMessage `json:"body"`
			} `json:"comments"`
		}
		if err := w.client.call(ctx, "read the comments", http.MethodGet, fmt.Sprintf("%s?startAt=%d&maxResults=100&orderBy=-created", path, at), nil, &page); err != nil {
			if asAPI(err).missing() {
				return false, errGone
			}
			return false, err
		}
		for _, c := range page.Comments {
			if w.holds(c.Body, marker) {
				return true, nil
			}
		}
		at += len(page.Comments)
		if len(page.Comments) == 0 || at >= page.Total {
			return false, nil
		}
	}
	return false, nil
}

func (w *work) holds(body json.RawMessage, marker string) bool {
	if !w.cloud {
		var s string
		return json.Unmarshal(body, &s) == nil && (strings.Contains(s, escapeWiki(marker)) || strings.Contains(s, marker))
	}
	var doc node
	if json.Unmarshal(body, &doc) != nil {
		return false
	}
	var b strings.Builder
	doc.writeText(&b)
	return strings.Contains(b.String(), marker)
}

// maxItemText is the longest piece of an item of evidence in a comment.
const maxItemText = 100

// commentBody is one sentence, the items where it is about evidence, and a link. Where the description is the
// people's, the state stands here.
func (w *work) commentBody(marker string, text message.Text, kind incident.Kind) any {
	const most = 2000
	items := []message.RunEvidence{}
	if kind == incident.KindEvidenceReady {
		items = evidence(w.v)
		items = items[:min(len(items), maxItems/2)]
	}
	merged := kind == incident.KindClosed && w.v.MergedInto != "" && webAddress(w.v.MergedLink)
	if w.cloud {
		return w.commentADF(marker, text, items, merged, most)
	}
	lines := []string{wiki(text, most)}
	for _, e := range items {
		lines = append(lines, "* "+wiki(e.Line(), maxItemText))
	}
	if w.state.People {
		lines = append(lines, escapeWiki(status(w.v)))
	}
	if merged {
		lines = append(lines, "See "+wikiLink(w.v.MergedInto, w.v.MergedLink))
	}
	last := escapeWiki(marker)
	if webAddress(w.v.Link) {
		last = wikiLink(openWords(w.v), w.v.Link) + " " + last
	}
	return strings.Join(append(lines, last), "\n")
}

func (w *work) commentADF(marker string, t message.Text, items []message.RunEvidence, merged bool, most int) node {
	doc := node{Type: "doc", Version: 1, Content: []node{paragraph(plain(t, most))}}
	add := func(n node) { doc.Content = append(doc.Content, n) }
	if len(items) > 0 {
		list := block("bulletList")
		for _, e := range items {
			list.Content = append(list.Content, block("listItem", paragraph(plain(e.Line(), maxItemText))))
		}
		add(list)
	}
	if w.state.People {
		add(paragraph(status(w.v)))
	}
	if merged {
		add(block("paragraph", text("See "), linked(w.v.MergedInto, w.v.MergedLink)))
	}
	last := block("paragraph", text(marker))
	if webAddress(w.v.Link) {
		last = block("paragraph", linked(openWords(w.v), w.v.Link), text(" "+marker))
	}
	add(last)
	return doc
}
