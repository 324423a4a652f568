package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// opener is a method of awscalls.AWS that gives the client of a service.
type opener[C any] func(a awscalls.AWS, ctx context.Context, p awscalls.Place) (C, error) //nolint:revive // the form of a method expression

// see makes calls that change nothing, as the reader.
func see[C, T any](x *respond.Exec, open opener[C], f func(ctx context.Context, c C) (T, error)) (T, error) {
	var v T
	err := x.Look(func(ctx context.Context) error {
		c, err := open(x.AWS, ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
		if err != nil {
			return err
		}
		v, err = f(ctx, c)
		return err
	})
	return v, err
}

// acting is a call that changes something, for x.Change or x.Finish.
func acting[C any](x *respond.Exec, open opener[C], f func(ctx context.Context, c C) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		c, err := open(x.AWS, ctx, x.Place())
		if err != nil {
			return err
		}
		return f(ctx, c)
	}
}

// change makes a call that changes something.
func change[C any](x *respond.Exec, open opener[C], f func(ctx context.Context, c C) error) error {
	return x.Change(acting(x, open, f))
}

// finish makes a call that closes something.
func finish[C any](x *respond.Exec, open opener[C], f func(ctx context.Context, c C) error) error {
	return x.Finish(acting(x, open, f))
}

// looks is how often a change is asked for that AWS takes and does not show; each
// time it is looked for during seenWait.
const looks = 4

// seen looks until what was changed is seen, for half a minute. It reports false
// when it is not seen by then. An abort ends the wait: what was done is done.
func seen(x *respond.Exec, look func() (bool, error)) (bool, error) {
	end := x.Now().Add(seenWait)
	for {
		ok, err := look()
		if ok || err != nil {
			return ok, err
		}
		if !x.Now().Before(end) {
			return false, nil
		}
		if err := x.Sleep(time.Second); errors.Is(err, playbook.ErrAborted) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
}

// unseen is the error for a change that AWS took and does not show. It is asked
// again, but not for as long as through an outage: AWS answers, and what it has not
// shown after some half minutes it will not show.
func unseen(x *respond.Exec, what string) error {
	n := 0
	x.Load(savedUnseen, &n)
	if n++; n >= looks {
		return conflict("AWS took the change and does not show it: "+what, "nothing else was changed", "look at it in AWS, mend it there, and make a new plan for what is missing")
	}
	if err := x.Save(savedUnseen, n); err != nil {
		return err
	}
	f := fault.New(fault.Unavailable, "AWS took the change and does not show it: "+what, "it is asked again")
	f.Safe = "nothing else was changed"
	return f
}

// ends reports whether an error ends the going through and must not be dealt with.
func ends(err error) bool {
	return errors.Is(err, playbook.ErrStopped) || errors.Is(err, playbook.ErrFenced)
}

// fresh turns "does not exist" about something that was just made into an error
// that passes: what AWS made is not at once seen everywhere.
func fresh(x *respond.Exec, err error) error {
	if err != nil && respond.Gone(err) && x.Now().Sub(x.Started()) < time.Minute {
		// Not wrapped: the code of AWS says that it does not pass.
		f := fault.New(fault.Unavailable, "AWS does not know yet what it just made: "+err.Error(), "it is asked again")
		f.Safe = "nothing else was changed"
		return f
	}
	return err
}

// conflict is a permanent refusal with its reason.
func conflict(message, safe, hint string) error {
	f := fault.New(fault.Conflict, message, hint)
	f.Safe = safe
	return playbook.Permanent(f)
}

// done is an outcome with a message.
func done(message string) (playbook.Outcome, error) { return playbook.Outcome{Message: message}, nil }

// skipped is an outcome of a step that was not needed.
func skipped(message string) (playbook.Outcome, error) {
	return playbook.Outcome{State: playbook.Skipped, Message: message}, nil
}

// open adds to what could not be closed.
func stillOpen(x *respond.Exec, lines ...string) error {
	var have []string
	x.Load(respond.SavedStillOpen, &have)
	n := len(have)
	for _, l := range lines {
		if !slices.Contains(have, l) {
			have = append(have, l)
		}
	}
	if len(have) == n {
		return nil
	}
	return x.Save(respond.SavedStillOpen, have)
}

// restore is the step that undoes s, with parameters of its own.
func restore(s respond.Step, action, title string, params any) ([]respond.Step, error) {
	return []respond.Step{{
		ID: "undo/" + s.ID, Action: action, Stage: "restore", Title: title, Calls: callsOf(action), Part: s.Part,
		Role: awscalls.Act, Account: s.Account, Region: s.Region, Effect: respond.Reversible, Params: json.RawMessage(kit.MustJSON(params)),
	}}, nil
}

// nextOwed is the id of what a step is about to open. Each opening has its own:
// one that was closed stays closed.
func nextOwed(x *respond.Exec, what string) (string, error) {
	n := 0
	x.Load(savedOwed+what, &n)
	n++
	return owedID(x.RunID, x.Def.ID, what, n), x.Save(savedOwed+what, n)
}

func owedID(run respond.RunID, step, what string, n int) string {
	return fmt.Sprintf("%s/%s/%s/%d", run, step, what, n)
}

// settle says that all is closed that a step opened.
func settle(x *respond.Exec, run respond.RunID, rec playbook.Record, what string) error {
	n := 0
	rec.Load(savedOwed+what, &n)
	for i := 1; i <= n; i++ {
		if err := x.Finish(func(ctx context.Context) error { return x.Owed.Settle(ctx, owedID(run, rec.Name, what, i)) }); err != nil {
			return err
		}
	}
	return nil
}

// settleOwn says that all is closed that this step opened.
func settleOwn(x *respond.Exec, what string) error {
	n := 0
	x.Load(savedOwed+what, &n)
	for i := 1; i <= n; i++ {
		if err := x.Finish(func(ctx context.Context) error { return x.Owed.Settle(ctx, owedID(x.RunID, x.Def.ID, what, i)) }); err != nil {
			return err
		}
	}
	return nil
}

// sameSet compares two lists as sets.
func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}

// ended reports whether there is no instance to restore any more.
func ended(x *respond.Exec, instance string) (bool, error) {
	state, err := see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (string, error) {
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}})
		if err != nil {
			return "", err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				if str(i.InstanceId) == instance && i.State != nil {
					return string(i.State.Name), nil
				}
			}
		}
		return "terminated", nil
	})
	if respond.Gone(err) {
		return true, nil
	}
	return state == "terminated" || state == "shutting-down", err
}

// unlessEnded runs what restores something of an instance, while there is one.
// The id is read from the parameters by of.
func unlessEnded(of func(x *respond.Exec) (string, error), do func(x *respond.Exec) (playbook.Outcome, error)) func(x *respond.Exec) (playbook.Outcome, error) {
	return func(x *respond.Exec) (playbook.Outcome, error) {
		id, err := of(x)
		if err != nil {
			return playbook.Outcome{}, err
		}
		over, err := ended(x, id)
		switch {
		case err != nil:
			return playbook.Outcome{}, err
		case over:
			return skipped(id + " is ended: there is nothing to restore")
		}
		return do(x)
	}
}

// instanceOf reads the instance from the parameters, and inside from those of an
// undone setting.
func instanceOf(x *respond.Exec) (string, error) {
	var p instanceParams
	err := x.Params(&p)
	return p.Instance, err
}

func inside(x *respond.Exec) (string, error) {
	var p struct {
		Of instanceParams `json:"of"`
	}
	err := x.Params(&p)
	return p.Of.Instance, err
}
