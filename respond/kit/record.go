package kit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// Do is the common shape of what a step does: read its parameters, then act.
func Do[P any](f func(x *respond.Exec, p P) (playbook.Outcome, error)) func(*respond.Exec) (playbook.Outcome, error) {
	return func(x *respond.Exec) (playbook.Outcome, error) {
		var p P
		if err := x.Params(&p); err != nil {
			return playbook.Outcome{}, err
		}
		return f(x, p)
	}
}

// Check is the common shape of a look at what a step verified.
func Check[P any](f func(x *respond.Exec, p P) ([]string, error)) func(*respond.Exec) ([]string, error) {
	return func(x *respond.Exec) ([]string, error) {
		var p P
		if err := x.Params(&p); err != nil {
			return nil, err
		}
		return f(x, p)
	}
}

// Account describes something for the evidence.
type Account[S any] struct {
	// What it is: user ada. File is the last word of its key.
	What, File string
	Kind       evidence.Kind
	Source     string // ARN
	How        string // the calls
	Look       func(ctx context.Context) (S, error)
	// Gaps are what could not be read; nil: nothing.
	Gaps func(S) []string
}

// Record writes down what something is before anything changes it: in the record
// of the step, then in the evidence bucket. It returns what was written down
// first, also after a crash.
func Record[S any](x *respond.Exec, a Account[S]) (S, error) {
	s, err := respond.Once(x, respond.SavedBefore, func() (s S, err error) {
		err = x.Look(func(ctx context.Context) error {
			s, err = a.Look(ctx)
			return err
		})
		return s, err
	})
	if err != nil {
		return s, err
	}
	if a.Gaps != nil {
		for _, g := range a.Gaps(s) {
			if err := x.Lack(a.What+": "+g, "AWS did not let it be read"); err != nil {
				return s, err
			}
		}
	}
	doc, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, playbook.Permanent(fmt.Errorf("write down %s: %w", a.What, err))
	}
	return s, KeepJSON(x, a.File, a.Kind, a.What+" as it was", a.Source, a.How, doc)
}
