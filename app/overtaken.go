package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/store"
)

// changed describes the world again, before the first change of a run, and says
// in what it differs from the one that was approved, and which guards refuse it by
// now: a colleague may have forbidden it since. since is what is different and
// stops nothing, see respond.World.Watched.
func (r *runs) changed(c playbook.Context, plan *respond.Plan) (list, since []string, err error) {
	if plan.UndoOf != "" {
		return nil, nil, nil // its steps compare by themselves
	}
	rec, err := c.Step(stepWorld, playbook.Options{Timeout: 10 * time.Minute, Transient: respond.Transient}, func(s playbook.Step) (playbook.Outcome, error) {
		p, err := r.playbook(plan.Playbook)
		if err != nil {
			return playbook.Outcome{}, playbook.Permanent(err)
		}
		if p.Version() != plan.Version {
			return playbook.Outcome{}, s.Save("differences", []string{fmt.Sprintf("playbook %s was version %d and is %d", p.Name(), plan.Version, p.Version())})
		}
		// While responses are switched off the world may change: look afterwards.
		if err := s.Change(func(context.Context) error { return nil }); err != nil {
			return playbook.Outcome{}, err
		}
		var w respond.World
		var refused []respond.Guard
		err = s.Look(func(short context.Context) (err error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(short), describeLimit)
			defer cancel()
			i, err := r.store.GetIncident(ctx, plan.Incident)
			if err != nil {
				return err
			}
			req := respond.Request{Incident: i, Finding: plan.Finding, Target: plan.Target, Policy: r.policy.For(plan), Requester: plan.Requester, Now: plan.CreatedAt}
			for _, t := range plan.Parts {
				if t.Key() != plan.Target.Key() {
					req.Others = append(req.Others, t)
				}
			}
			f, confirmed, err := r.ofPlan(ctx, i, plan)
			if err != nil {
				return err
			}
			q := safety.Question{Incident: i, Finding: f, Confirmed: confirmed, Never: r.never, Own: r.own(ctx)}
			if len(q.Never) > 0 {
				q.Env = r.triager.Env(ctx, f)
			}
			req.Type, req.Role, req.Forbids = f.Type.Name, f.Role, forbids(q)
			if w, err = p.Describe(ctx, r.aws, req); err != nil {
				return err
			}
			refused, err = refusals(p, w, req, q)
			return err
		})
		if err != nil {
			return playbook.Outcome{}, respond.Explain(err, "look at the resource again", "nothing was changed")
		}
		if respond.WorldDigest(some(w.Facts)) == respond.WorldDigest(plan.Facts) && len(refused) == 0 {
			return r.since(s, plan, w)
		}
		if sure := certain(refused); len(w.Unanswered) > 0 && len(sure) > 0 {
			// Whatever AWS answers to the rest, it stays refused. What differs beside
			// that is not known.
			return playbook.Outcome{State: playbook.Completed, Message: "it is refused by now"}, s.Save("differences", wordsOf(sure))
		}
		if len(w.Unanswered) > 0 {
			return playbook.Outcome{}, fault.New(fault.Unavailable, "AWS did not answer "+joinShort(w.Unanswered)+", so the resource cannot be compared", "it is asked again")
		}
		return playbook.Outcome{State: playbook.Completed, Message: "the world has changed"}, s.Save("differences", append(wordsOf(refused), respond.Differences(plan.Facts, w.Facts)...))
	})
	if err != nil {
		return nil, nil, err
	}
	rec.Load("differences", &list)
	rec.Load("since", &since)
	if rec.State == playbook.Failed {
		list = []string{rec.Message}
	}
	return list, since, nil
}

// since says what is different of what the plan saw and does not hang on.
func (r *runs) since(s playbook.Step, plan *respond.Plan, w respond.World) (playbook.Outcome, error) {
	out := playbook.Outcome{Message: "the world is what was approved"}
	if len(plan.Watched) == 0 {
		return out, nil
	}
	list := respond.Differences(plan.Watched, w.Watched)
	if len(list) == 0 {
		return out, nil
	}
	out.Message = "what the plan hangs on is as it was approved; " + sinceWords(list)
	return out, s.Save("since", list)
}

// mostSince and longestSince bound what is told of it: the record has all of it.
const mostSince, longestSince = 6, 160

// sinceWords are for people.
func sinceWords(list []string) string {
	words := make([]string, 0, mostSince)
	for _, d := range list[:min(len(list), mostSince)] {
		if r := []rune(d); len(r) > longestSince {
			d = string(r[:longestSince]) + "…"
		}
		words = append(words, d)
	}
	said := "since the plan was made: " + strings.Join(words, "; ")
	if more := len(list) - len(words); more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}

// refusals are the guards that refuse now what they let pass when the plan was
// made: a plan that one refuses is never approved.
func refusals(p respond.Playbook, w respond.World, req respond.Request, q safety.Question) (list []respond.Guard, err error) {
	draft, err := drafted(p, w, req)
	if err != nil {
		return nil, err
	}
	guards := slices.Concat(draft.Guards, draft.Refused)
	if q.Confirmed {
		// Else whoever may write to a queue could stop what was approved.
		guards = append([]respond.Guard{safety.Archived(q)}, guards...)
	}
	for _, g := range guards {
		if g.Answer == respond.Refuse {
			list = append(list, g)
		}
	}
	return list, nil
}

// certain are the refusals that do not depend on what could not be read.
func certain(list []respond.Guard) []respond.Guard {
	return slices.DeleteFunc(slices.Clone(list), func(g respond.Guard) bool { return g.Unsure })
}

func wordsOf(list []respond.Guard) []string {
	out := make([]string, 0, len(list))
	for _, g := range list {
		out = append(out, g.Name+": "+g.Why)
	}
	return out
}

// changedWorld ends a run before its first change. Its plan needs to be made
// again, and approved again.
func (r *runs) changedWorld(ctx context.Context, run respond.RunRow, differences []string) error {
	err := r.store.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.LockPlan(ctx, run.Plan)
		if err != nil || row.State == respond.PlanChanged {
			return err
		}
		row.Change(differences, tx.Now())
		return r.ended(ctx, tx, row, incident.Guardroom)
	})
	if err != nil {
		return err
	}
	return r.finish(ctx, run, nil, respond.RunFailed, false, nil, "nothing was changed; what was approved is not what is there now: "+joinShort(differences))
}

// again makes the plan anew that the world has overtaken, so that whoever approved
// it sees the new one and the difference, and needs only to decide. It waits for
// its approval as any other.
func (r *runs) again(ctx context.Context, plan *respond.Plan) {
	ask := api.PlanRequest{Incident: plan.Incident, Playbook: plan.Playbook, Resource: plan.Target.ID}
	if len(plan.Parts) > 0 {
		ask.Resource = ""
	}
	ctx = api.WithIdentity(ctx, api.Identity{Name: plan.Requester, Own: plan.Proven})
	if _, err := r.create(ctx, ask, plan.Requester, false); err != nil {
		r.log.Warn("the plan could not be made anew; a person can", "incident", plan.Incident.String(), "plan", string(plan.ID), "error", err)
	}
}

func joinShort(list []string) string {
	s := ""
	for i, d := range list {
		if i == 3 {
			return fmt.Sprintf("%s and %d more", s, len(list)-i)
		}
		if i > 0 {
			s += "; "
		}
		s += d
	}
	return s
}
