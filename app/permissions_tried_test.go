package app

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Every call of EC2 by which a plan may change something is tried as the role that
// will make it, before the first change, or the plan says why it is not.
func TestEveryChangeOfEC2InAPlanIsTriedOrThePlanSaysWhyNot(t *testing.T) {
	t.Parallel()
	good, err := played()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			out := good[s.name]
			if out.plan == nil {
				t.Fatal("there is no plan")
			}
			changes, named := map[string]bool{}, map[string]bool{}
			var r kit.Rehearsal
			steps := 0
			for _, step := range out.plan.Steps {
				if step.Stage != kit.StagePreflight {
					for _, call := range step.Calls {
						if strings.HasPrefix(call, "EC2.") && !looks.MatchString(call) {
							changes[string(step.Role)+" "+call] = true
						}
					}
					continue
				}
				steps++
				if err := json.Unmarshal(step.Params, &r); err != nil {
					t.Fatal(err)
				}
			}
			for _, trial := range r.Trials {
				named[string(trial.Role)+" "+trial.Call] = true
			}
			for _, u := range r.Untried {
				if u.Why == "" {
					t.Errorf("nothing says why %s is not tried", u.Call)
				}
				if strings.HasPrefix(u.Call, "EC2.") {
					named[string(u.Role)+" "+u.Call] = true
				}
			}
			if diff := gocmp.Diff(changes, named); diff != "" {
				t.Errorf("what the steps may call differs from what is tried or named (-steps +named):\n%s", diff)
			}
			if want := min(1, len(changes)); steps != want {
				t.Errorf("%d steps with dry runs, want %d", steps, want)
			}
			triedFirst(t, out, r, s.trouble != nil)
		})
	}
}

// triedFirst holds that each dry run of a plan was made, and before any change of
// EC2 was. In trouble, it may have had another answer.
func triedFirst(t *testing.T, out *told, r kit.Rehearsal, trouble bool) {
	t.Helper()
	var tried []string
	for _, c := range out.calls {
		call := string(c.Place.Role) + " " + callOf(c)
		switch {
		case c.DryRun():
			tried = append(tried, call)
			if !trouble && !respond.Is(c.Err, "DryRunOperation") {
				t.Errorf("the dry run of %s was answered with %v", call, c.Err)
			}
			continue
		case c.Service != "EC2" || looks.MatchString(callOf(c)) || c.Place.Role == awscalls.Read:
			continue
		}
		for _, trial := range r.Trials {
			if k := string(trial.Role) + " " + trial.Call; !slices.Contains(tried, k) {
				t.Errorf("%s was made before %s was tried", call, k)
			}
		}
		return
	}
	for _, trial := range r.Trials {
		if k := string(trial.Role) + " " + trial.Call; !slices.Contains(tried, k) {
			t.Errorf("%s was never tried", k)
		}
	}
}
