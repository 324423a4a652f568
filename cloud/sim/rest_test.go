package sim

import (
	"context"
	"testing"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const (
	attacked = "111111111111"
	forensic = "222222222222"
	home     = "eu-central-1"
)

var restStart = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// restWorld is a world with a clock that the test moves.
type restWorld struct {
	*World
	t     *testing.T
	clock *playbook.Virtual
}

func newRest(t *testing.T, o Options, build ...func(e *Editor)) *restWorld {
	t.Helper()
	clock := playbook.NewVirtual(restStart)
	o.Clock = clock
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &restWorld{World: w, t: t, clock: clock}
	for _, f := range build {
		r.edit(f)
	}
	return r
}

func (w *restWorld) edit(f func(e *Editor)) {
	w.t.Helper()
	if err := w.Edit(f); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets time pass.
func (w *restWorld) pass(d time.Duration) {
	w.t.Helper()
	if err := w.clock.Sleep(context.Background(), d, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *restWorld) in(role awscalls.Role, account, region string) client {
	return w.clientFor(awscalls.Place{Account: account, Region: region, Role: role, Incident: "INC-1"})
}

func (w *restWorld) act() client { return w.in(awscalls.Act, attacked, home) }

// wantCode fails the test when an error has another code; an empty one means none.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if code == "" && err != nil || code != "" && codeOf(err) != code {
		t.Errorf("the error is %v, want code %q", err, code)
	}
}

// val is the value of a call; an error fails the test.
func val[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
