package respond

import (
	"context"
	"fmt"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Check looks again at what a run that has ended left, and says what is not so
// any more: it asks the Check of every action that has one, with the record of
// its step. Steps that did not complete are left out. It changes nothing and may
// be repeated; records are those of the run, by the ids of the plan's steps.
func Check(ctx context.Context, a awscalls.AWS, actions Actions, p *Plan, records map[string]playbook.Record) (drift []string, err error) {
	for _, s := range p.Steps {
		look, rec := actions[s.Action].Check, records[s.ID]
		if look == nil || rec.State != playbook.Completed {
			continue
		}
		missing, err := look(lookingAt(ctx, a, s, p, records, rec.Ended))
		if err != nil {
			return drift, Explain(err, "look again at "+s.ID, "nothing was changed")
		}
		drift = append(drift, missing...)
	}
	return drift, nil
}

// lookingAt is what a look works with, at a time.
func lookingAt(ctx context.Context, a awscalls.AWS, s Step, p *Plan, records map[string]playbook.Record, now time.Time) *Exec {
	return &Exec{Step: looking{ctx, records[s.ID], now}, Def: s, Plan: p, AWS: a, records: func(id string) (playbook.Record, bool) {
		r, ok := records[id]
		return r, ok
	}}
}

// looking is a step that only looks.
type looking struct {
	ctx context.Context //nolint:containedctx // it is the life of one look
	rec playbook.Record
	now time.Time
}

var _ playbook.Step = looking{}

func (l looking) Name() string                             { return l.rec.Name }
func (l looking) Now() time.Time                           { return l.now }
func (l looking) Started() time.Time                       { return l.rec.Started }
func (l looking) Spent() time.Duration                     { return 0 }
func (l looking) Aborted() (bool, error)                   { return false, nil }
func (l looking) Attempt() int                             { return l.rec.Attempt }
func (l looking) Load(key string, v any) bool              { return l.rec.Load(key, v) }
func (l looking) Save(string, any) error                   { return l.refuse() }
func (l looking) Look(f func(context.Context) error) error { return f(l.ctx) }
func (l looking) Change(func(context.Context) error) error { return l.refuse() }
func (l looking) Finish(func(context.Context) error) error { return l.refuse() }
func (l looking) Progress(playbook.Progress)               {}
func (l looking) Group() playbook.Group                    { return playbook.Real{}.Group() }

// Sleep waits, as between two tries while AWS throttles: that changes nothing.
func (l looking) Sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

func (l looking) refuse() error {
	return playbook.Permanent(fmt.Errorf("step %s is only looked at again", l.rec.Name))
}
