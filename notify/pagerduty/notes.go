package pagerduty

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/notify"
)

// notes writes what happened since the last note to the incident of mode
// incidents. A note has no key of its own, so one that was begun before is
// looked for first.
func (n *Notifier) notes(ctx context.Context, req notify.Request, s *state) error {
	if s.Main.ID == "" {
		return nil
	}
	path := "/incidents/" + url.PathEscape(s.Main.ID) + "/notes"
	for _, e := range req.View.Events {
		if e.Seq <= s.NotedSeq || !noted(e) {
			continue
		}
		content := noteText(e, req.View.Number)
		there := false
		if s.NoteBegun == e.Seq {
			var err error
			if there, err = n.rest.hasNote(ctx, path, content); err != nil {
				return err
			}
		}
		if !there {
			s.NoteBegun = e.Seq
			if err := req.Save(ctx, *s); err != nil {
				return err
			}
			if err := n.rest.addNote(ctx, path, content); err != nil {
				return err
			}
		}
		s.NotedSeq, s.NoteBegun = e.Seq, 0
		if err := req.Save(ctx, *s); err != nil {
			return err
		}
	}
	return nil
}

func (r *rest) addNote(ctx context.Context, path, content string) error {
	ans, err := r.write(ctx, http.MethodPost, path, map[string]any{"note": map[string]string{"content": content}})
	if err != nil {
		return err
	}
	if ans.status == http.StatusCreated || ans.status == http.StatusOK {
		return nil // the note's id is of no use to us, so half an answer is enough
	}
	return r.client.failure(ans, "add a note")
}

func (r *rest) hasNote(ctx context.Context, path, content string) (bool, error) {
	var list struct {
		Notes []struct {
			Content string `json:"content"`
		} `json:"notes"`
	}
	if err := r.get(ctx, path, "read the notes", &list); err != nil {
		return false, err
	}
	same := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return slices.ContainsFunc(list.Notes, func(n struct {
		Content string `json:"content"`
	}) bool {
		return same(n.Content) == same(content)
	}), nil
}
