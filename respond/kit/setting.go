package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Setting is one thing in AWS that is written as a whole: a policy, the status
// of a key, a number. T is its value, "absent" being one of them; it must
// survive JSON.
type Setting[T any] struct {
	// What it is, for people: "the policy of bucket payments".
	What string
	// Look reads it. It must not change anything.
	Look func(ctx context.Context) (T, error)
	// Put writes it, or deletes it where the value says absent.
	Put func(ctx context.Context, v T) error
	// Same compares two values by their meaning.
	Same func(a, b T) bool
}

// settle is how long a setting may take to be read as it was written.
const settle = time.Minute

// Set brings the setting to what want makes of it. What was there before is
// saved under respond.SavedBefore and what is set under respond.SavedAfter, both
// before the call. It may be repeated from its start at any time. A value that
// somebody else wrote in between is recorded anew, and want is asked again. Where
// it is already as wanted nothing is called, and changed is false.
func Set[T any](x *respond.Exec, s Setting[T], want func(before T) (T, error)) (changed bool, err error) {
	now, err := look(x, s)
	if err != nil {
		return false, err
	}
	var before, after T
	known := x.Load(respond.SavedBefore, &before) && x.Load(respond.SavedAfter, &after)
	if known && s.Same(now, after) {
		return !s.Same(before, after), nil
	}
	if !known || !s.Same(now, before) {
		if before, after, err = record(x, now, want); err != nil {
			return false, err
		}
	}
	if s.Same(before, after) {
		return false, nil
	}
	if err := x.Change(func(ctx context.Context) error { return s.Put(ctx, after) }); err != nil {
		return false, err
	}
	return true, await(x, s, after)
}

func record[T any](x *respond.Exec, now T, want func(T) (T, error)) (before, after T, err error) {
	if after, err = want(now); err != nil {
		return now, after, err
	}
	if err := x.Save(respond.SavedBefore, now); err != nil {
		return now, after, err
	}
	return now, after, x.Save(respond.SavedAfter, after)
}

// Restore brings the setting back to before, only where it is still as we left
// it (ours). It is content where it is as before already, and fails where it is
// neither: somebody changed it since, and a person must decide.
func Restore[T any](x *respond.Exec, s Setting[T], before, ours T) (playbook.Outcome, error) {
	now, err := look(x, s)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if s.Same(now, before) {
		return playbook.Outcome{Message: s.What + " is as it was before"}, nil
	}
	if !s.Same(now, ours) {
		return playbook.Outcome{}, Changed(s.What)
	}
	if err := x.Change(func(ctx context.Context) error { return s.Put(ctx, before) }); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: s.What + " is as it was before"}, await(x, s, before)
}

// Changed says that something is neither what it was nor what guardroom set.
func Changed(what string) error {
	f := fault.New(fault.Conflict, what+" is neither what it was before nor what guardroom set: somebody changed it since", "compare it with the before-image in guardroom run show, and decide by hand")
	f.Safe = "it was left as it is"
	return playbook.Permanent(f)
}

func look[T any](x *respond.Exec, s Setting[T]) (v T, err error) {
	err = x.Look(func(ctx context.Context) error {
		v, err = s.Look(ctx)
		return err
	})
	return v, err
}

// await looks again until the setting reads as it was written.
func await[T any](x *respond.Exec, s Setting[T], want T) error {
	return Until(x, settle, func() ([]string, error) {
		now, err := look(x, s)
		if err != nil || s.Same(now, want) {
			return nil, err
		}
		return []string{s.What + " does not read as it was written"}, nil
	})
}

// Until looks every few seconds until nothing is missing, or fails after d with
// what is.
func Until(x *respond.Exec, d time.Duration, look func() (missing []string, err error)) error {
	end := x.Now().Add(d)
	for {
		missing, err := look()
		if err != nil || len(missing) == 0 {
			return err
		}
		left := end.Sub(x.Now())
		if left <= 0 {
			f := fault.New(fault.Conflict, Join(missing), "look at it in AWS; make a new plan for what is missing")
			f.Safe = "what was done stays"
			return playbook.Permanent(f)
		}
		if err := x.Sleep(min(left, 5*time.Second)); err != nil {
			return err
		}
	}
}

// Back is what the undo of a setting works from: the parameters of the step, and
// what was before and after it.
type Back[P, T any] struct {
	Of     P `json:"of"`
	Before T `json:"before"`
	After  T `json:"after"`
}

// UndoSetting returns the undo of an action that used Set: one step with the
// action that restores, or none where nothing was changed.
func UndoSetting(undo respond.Action, title string) func(respond.Step, playbook.Record) ([]respond.Step, error) {
	return func(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
		before, after := rec.Saved[respond.SavedBefore], rec.Saved[respond.SavedAfter]
		if after == nil || string(before) == string(after) {
			return nil, nil
		}
		raw, err := json.Marshal(Back[json.RawMessage, json.RawMessage]{Of: s.Params, Before: before, After: after})
		if err != nil {
			return nil, fmt.Errorf("write the parameters of the undo of %s: %w", s.ID, err)
		}
		return []respond.Step{UndoStep(s, undo, title, raw)}, nil
	}
}

// UndoStep is the step that undoes s by another action. title says what that does,
// without naming what it does it to.
func UndoStep(s respond.Step, undo respond.Action, title string, params json.RawMessage) respond.Step {
	return respond.Step{
		ID: "undo/" + s.ID, Action: undo.Name, Stage: "restore", Title: backwards(s.Title, title), Calls: undo.Calls[awscalls.Act],
		Role: awscalls.Act, Account: s.Account, Region: s.Region, Effect: respond.Reversible, Params: params,
	}
}

// backwards is the title of the step that takes back one with the title did. A
// change from a to b becomes one from b to a; of anything else what it was done to
// is named before title.
func backwards(did, title string) string {
	change, to, ok := strings.Cut(did, " -> ")
	if at := strings.LastIndex(change, ": "); ok && at >= 0 {
		return change[:at] + ": " + to + " -> " + change[at+len(": "):]
	}
	subject, _, ok := strings.Cut(did, ": ")
	if !ok {
		return title
	}
	return subject + ": " + title
}
