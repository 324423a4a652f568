package kit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// StepPreflight is the id of the step with the dry runs of a plan, and
// StagePreflight its stage.
const (
	StepPreflight  = "preflight"
	StagePreflight = "preflight"
)

// Rehearsal is what the step with the dry runs works from.
type Rehearsal struct {
	Trials []Trial `json:"trials"`
	// Untried are the other changes of the plan.
	Untried []Untried `json:"untried,omitempty"`
}

// Untried is a change that cannot be tried before the plan is carried out.
type Untried struct {
	Call string        `json:"call"`
	Role awscalls.Role `json:"role"`
	Why  string        `json:"why"`
}

// Why a change is not tried.
const (
	whyLater  = "nothing is there yet to try it on"
	whyNoFlag = "AWS has no dry run of it"
	whyOther  = "no call of EC2"
)

// Preflight says what the dry runs of a playbook are for.
type Preflight struct {
	// Name is that of the action.
	Name string
	// Calls are those that it tries, by the role that tries them.
	Calls map[awscalls.Role][]string
	// Vital are the calls of the act role without which nothing is done: where all
	// of them are refused the step fails, and Lost says what cannot be done then:
	// "nothing can be isolated". Rest goes on where others are refused: "isolation".
	Vital      []string
	Lost, Rest string
}

// Action is the action with the dry runs. It fails only where nothing can be done
// without what is refused; no step may need it, all that change something come
// after it.
func (p Preflight) Action() respond.Action {
	calls := map[awscalls.Role][]string{}
	for role, list := range p.Calls {
		calls[role] = sweptBy(list)
	}
	return respond.Action{Name: p.Name, Options: playbook.Options{Timeout: 2 * time.Minute}, Do: Do(p.rehearse), Calls: calls}
}

// Step is the step with the dry runs. Rehearse fills in what it calls.
func (p Preflight) Step(after ...string) respond.Step {
	return respond.Step{ID: StepPreflight, Action: p.Name, Stage: StagePreflight, Role: awscalls.Act, Effect: respond.NoChange, After: after, Title: "ask AWS by dry runs whether each change is allowed"}
}

// Rehearse completes the step with the dry runs for a plan with these steps: more
// is tried, and what else the steps may change is listed as not to be tried. A plan
// without such a step stays as it is.
func Rehearse(steps []respond.Step, more ...Trial) error {
	i := slices.IndexFunc(steps, func(s respond.Step) bool { return s.ID == StepPreflight })
	if i < 0 {
		return nil
	}
	var r Rehearsal
	if err := json.Unmarshal(steps[i].Params, &r); err != nil {
		return fmt.Errorf("read the dry runs of the plan: %w", err)
	}
	r.Trials, r.Untried = append(r.Trials, more...), nil
	var calls []string
	for _, t := range r.Trials {
		calls = append(calls, t.Call)
	}
	for _, s := range steps {
		for _, call := range s.Calls {
			u := Untried{Call: call, Role: s.Role, Why: whyUntried(call)}
			if s.ID != StepPreflight && changing(call) && !r.tries(s, call) && !slices.Contains(r.Untried, u) {
				r.Untried = append(r.Untried, u)
			}
		}
	}
	slices.SortFunc(r.Untried, func(a, b Untried) int {
		return strings.Compare(a.Call+" "+string(a.Role), b.Call+" "+string(b.Role))
	})
	steps[i].Calls, steps[i].Params = sweptBy(calls), json.RawMessage(MustJSON(r))
	return nil
}

// tries reports whether a call of a step is tried, as who will make it.
func (r Rehearsal) tries(s respond.Step, call string) bool {
	return slices.ContainsFunc(r.Trials, func(t Trial) bool { return t.Call == call && t.Role == s.Role && t.Account == s.Account })
}

// changing reports whether a call changes something in the account beside the
// evidence bucket, by its name.
func changing(call string) bool {
	service, op, _ := strings.Cut(call, ".")
	return service != "S3" && !slices.ContainsFunc([]string{"Describe", "Get", "List", "Head"}, func(p string) bool { return strings.HasPrefix(op, p) })
}

func whyUntried(call string) string {
	switch {
	case !strings.HasPrefix(call, "EC2."):
		return whyOther
	case strings.HasSuffix(call, "IamInstanceProfile"):
		return whyNoFlag
	}
	return whyLater
}

// patience is how many times AWS is asked for an answer.
const patience = 3

// answers are what AWS said to the dry runs.
type answers struct {
	refused map[awscalls.Role][]string // calls
	closed  map[awscalls.Role]bool     // the role itself is not given to us
	vital   []string                   // the vital calls that were refused
	denied  error                      // the first answer of those
	odd     []string
}

// rehearse asks AWS, call by call, whether the roles would be allowed, and changes
// nothing.
func (p Preflight) rehearse(x *respond.Exec, r Rehearsal) (playbook.Outcome, error) {
	errs, notes := make([]error, len(r.Trials)), make([]string, len(r.Trials))
	g := x.Group()
	for i, t := range r.Trials {
		g.Go(func() { notes[i], errs[i] = t.rehearse(x) })
	}
	g.Wait()
	a := answers{refused: map[awscalls.Role][]string{}, closed: map[awscalls.Role]bool{}}
	for i, err := range errs {
		t := r.Trials[i]
		switch {
		case respond.Is(err, "DryRunOperation", codeEntryThere):
		case stops(err):
			return playbook.Outcome{}, err
		case respond.DeniedByAWS(err):
			a.deny(t, err, slices.Contains(p.Vital, t.Call))
		case err != nil && respond.Transient(err) && x.Attempt() < patience:
			return playbook.Outcome{}, err
		case err != nil && respond.Transient(err): // nothing must fail for want of a rehearsal
			a.odd = append(a.odd, t.Call+" was not answered")
		case err == nil:
			a.odd = append(a.odd, notes[i])
		default:
			a.odd = append(a.odd, t.Call+" was answered with "+respond.Code(err))
		}
	}
	return p.outcome(r, a)
}

// deny keeps a refusal.
func (a *answers) deny(t Trial, err error, vital bool) {
	if respond.Called(err) == "STS.AssumeRole" {
		a.closed[t.Role] = true
	} else if !slices.Contains(a.refused[t.Role], t.Call) {
		a.refused[t.Role] = append(a.refused[t.Role], t.Call)
	}
	if vital && t.Role == awscalls.Act {
		a.vital = append(a.vital, t.Call)
		if a.denied == nil {
			a.denied = err
		}
	}
}

// words say what was refused, and what to do about it; empty: nothing was.
func (a *answers) words() (refused, hint string) {
	var lines, hints []string
	for _, role := range []awscalls.Role{awscalls.Act, awscalls.Forensics} {
		calls := slices.Sorted(slices.Values(a.refused[role]))
		if len(calls) > 0 {
			lines = append(lines, "the "+string(role)+" role may not call "+Join(calls))
		}
		if a.closed[role] {
			lines = append(lines, "guardroom may not take on the "+string(role)+" role")
		}
		if len(calls) > 0 || a.closed[role] {
			hints = append(hints, "guardroom iam policy --role "+string(role))
		}
	}
	if len(lines) == 0 {
		return "", ""
	}
	return strings.Join(lines, ", and "), "compare the role with " + Join(hints)
}

// outcome is what people are told of the answers.
func (p Preflight) outcome(r Rehearsal, a answers) (playbook.Outcome, error) {
	refused, hint := a.words()
	if len(p.Vital) > 0 && !slices.ContainsFunc(p.Vital, func(call string) bool { return !slices.Contains(a.vital, call) }) {
		return playbook.Outcome{}, playbook.Permanent(fault.Wrap(fault.Denied, respond.Worded(a.denied), refused+", so "+p.Lost,
			"nothing was changed; what needs none of it goes on", hint))
	}
	message := respond.Count(len(r.Trials)-len(a.odd), "call") + " would be allowed"
	if refused != "" {
		message = refused + " (" + hint + "); " + p.Rest + " goes on"
	}
	if len(a.odd) > 0 {
		slices.Sort(a.odd)
		message += "; not known: " + strings.Join(slices.Compact(a.odd), ", ")
	}
	if len(r.Untried) > 0 {
		message += "; not to be tried: " + untried(r.Untried)
	}
	return playbook.Outcome{Message: message}, nil
}

// untried names each change once, by why it is not tried.
func untried(list []Untried) string {
	var out []string
	for _, why := range []string{whyLater, whyNoFlag, whyOther} {
		var names []string
		for _, u := range list {
			name := u.Call
			if u.Role == awscalls.Forensics {
				name += " of the forensics role"
			}
			if u.Why == why && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			out = append(out, Join(names)+" ("+why+")")
		}
	}
	return strings.Join(out, ", ")
}

// codeEntryThere is the answer to an entry whose number is taken, of who takes no
// notice of the dry run: nothing came of it.
const codeEntryThere = "NetworkAclEntryAlreadyExists"
