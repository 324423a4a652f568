package cloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Region is where all cases play.
const Region = "eu-central-1"

// Backend is one AWS to hold the contract against.
type Backend struct {
	// Name is Sim or Moto, as in Known.
	Name string
	// Start gives a case a world of its own in an account of its own.
	Start func(t *testing.T, account string) (awscalls.AWS, Scenery)
}

// World is what a case works with. Its checks compare with what AWS documents.
type World struct {
	*testing.T
	Scenery
	Account string

	aws     awscalls.AWS
	backend string
	name    string

	mu   sync.Mutex
	used map[string]bool
}

// Case is one part of the contract.
type Case struct {
	Name string
	Run  func(w *World)
}

// Run holds a backend against the contract, the cases side by side.
func Run(t *testing.T, b Backend) {
	for i, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			account := fmt.Sprintf("%012d", 400_000_000_000+i*1000)
			w := &World{T: t, Account: account, backend: b.Name, name: c.Name, used: map[string]bool{}}
			w.aws, w.Scenery = b.Start(t, account)
			c.Run(w)
			w.unused()
		})
	}
}

// Other is a second account of the case.
func (w *World) Other() string { return w.Account[:11] + "7" }

// unused fails when a line of Known was not asked for.
func (w *World) unused() {
	if w.Failed() {
		return
	}
	for _, k := range Known {
		if _, differs := k.on(w.backend); differs && k.Case == w.name && !w.used[k.Check] {
			w.Errorf("the list of known differences names %q, which this case does not check", k.Check)
		}
	}
}

// Is compares what was seen with what AWS documents.
func (w *World) Is(check string, got, documented any) {
	w.Helper()
	w.mu.Lock()
	w.used[check] = true
	w.mu.Unlock()
	if problem := verdict(Known, w.backend, w.name, check, text(got), text(documented)); problem != "" {
		w.Error(problem)
	}
}

// verdict is what is wrong with an answer; empty: nothing.
func verdict(known []Difference, backend, name, check, have, want string) string {
	i := slices.IndexFunc(known, func(k Difference) bool { return k.Case == name && k.Check == check })
	if i < 0 {
		if have != want {
			return fmt.Sprintf("%s: %s; AWS: %s", check, have, want)
		}
		return ""
	}
	k := known[i]
	here, differs := k.on(backend)
	switch {
	case k.AWS != want:
		return fmt.Sprintf("%s: the list of known differences says that AWS documents %s; the case says %s", check, k.AWS, want)
	case !differs && have != want:
		return fmt.Sprintf("%s: %s; AWS: %s", check, have, want)
	case differs && have == want:
		return fmt.Sprintf("%s: %s as AWS does: take it out of the list of known differences", check, have)
	case differs && have != here:
		return fmt.Sprintf("%s: %s; the list of known differences says %s", check, have, here)
	}
	return ""
}

// Code compares the error of a call with the code that AWS documents; empty is
// success.
func (w *World) Code(check string, err error, documented string) {
	w.Helper()
	w.Is(check, code(err), documented)
}

// code is the error code of AWS; an error without one is told as it is.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

// text is a value as the list of known differences has it: a text as it is,
// everything else as JSON.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// Until lets time pass until f reports true.
func (w *World) Until(what string, f func() bool) {
	w.Helper()
	for range 500 {
		if f() {
			return
		}
		w.Move(10 * time.Second)
	}
	w.Fatalf("%s does not come about", what)
}

// place is where a case calls; forensic work is in the other account.
func (w *World) place(account string) awscalls.Place {
	role := awscalls.Act
	if account != w.Account {
		role = awscalls.Forensics
	}
	return awscalls.Place{Account: account, Region: Region, Role: role, Incident: "INC-1"}
}

// use gives the client of a service, in the account of the case or another.
func use[C any](w *World, from func(context.Context, awscalls.Place) (C, error), account ...string) C {
	w.Helper()
	c, err := from(w.Context(), w.place(append(account, w.Account)[0]))
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// EC2 is the client of EC2; account is another account than that of the case.
func (w *World) EC2(account ...string) awscalls.EC2 { return use(w, w.aws.EC2, account...) }

// got fails the case on an error, where nothing can go on without the answer.
func got[O any](w *World, what string) func(O, error) O {
	return func(out O, err error) O {
		w.Helper()
		if err != nil {
			w.Fatalf("%s: %v", what, err)
		}
		return out
	}
}
