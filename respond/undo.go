package respond

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
)

// UndoPlan drafts the plan that takes back what a run did, in the order of the
// actions' ranks: what lets the least out comes first. It is made from what the
// run recorded and from nothing else. ID, Requester, Approvals and the times are
// for the caller to fill in.
func UndoPlan(p *Plan, run RunID, records map[string]playbook.Record, actions Actions) (*Plan, error) {
	u := &Plan{Schema: SchemaVersion, Incident: p.Incident, Playbook: p.Playbook, Version: p.Version, Target: p.Target, Parts: p.Parts,
		Steps: []Step{}, WillNot: []string{}, AlsoHits: []string{}, Irreversible: []string{}, Facts: []Fact{}, BeforeSHA256: p.BeforeSHA256,
		UndoOf: run, Simulated: p.Simulated, Undo: "contain it again: guardroom plan create --incident " + p.Incident.String() + " --playbook " + p.Playbook}
	type ranked struct {
		rank  int
		needs []string // actions
		part  string
		steps []Step
	}
	type undone struct{ part, action string }
	var list []ranked
	restores := map[undone][]string{} // the ids of the steps that undo it
	for _, s := range slices.Backward(p.Steps) {
		rec, begun := records[s.ID]
		a, known := actions[s.Action]
		switch {
		case !begun || rec.State == playbook.Waiting:
			continue
		case !known:
			return nil, fault.New(fault.Internal, fmt.Sprintf("step %s did %s, which this guardroom does not know", s.ID, s.Action), "undo it with the version that did it")
		case a.Undo == nil:
			if s.Effect == Irreversible && rec.State == playbook.Completed {
				u.WillNot = append(u.WillNot, "take back: "+s.Title)
			}
			continue
		}
		steps, err := a.Undo(s, rec)
		if err != nil {
			return nil, fmt.Errorf("undo step %s: %w", s.ID, err)
		}
		for i := range steps {
			id := steps[i].ID
			if id == "" {
				id = s.ID
			}
			if len(steps) > 1 && steps[i].ID == "" {
				id = fmt.Sprintf("%s/%d", id, i+1)
			}
			steps[i].ID, steps[i].Part = "undo/"+strings.TrimPrefix(id, "undo/"), ""
			if steps[i].Account == "" {
				steps[i].Account, steps[i].Region = s.Account, s.Region
			}
			if steps[i].Role == "" {
				steps[i].Role = s.Role
			}
			if steps[i].Stage == "" {
				steps[i].Stage = s.Stage
			}
			if steps[i].Effect == "" {
				steps[i].Effect = Reversible
			}
		}
		if len(steps) > 0 {
			list = append(list, ranked{a.UndoRank, a.UndoNeeds, s.Part, steps})
			key := undone{s.Part, s.Action}
			for _, st := range steps {
				restores[key] = append(restores[key], st.ID)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return a.rank - b.rank })
	// Everything of one rank runs side by side, after all of the ranks before.
	var before, same []string
	for i, r := range list {
		if i > 0 && list[i-1].rank != r.rank {
			before = same
			same = nil
		}
		var inner []string
		for _, s := range r.steps {
			s.After = slices.Concat(s.After, before, inner)
			for _, action := range r.needs {
				s.Needs = append(s.Needs, restores[undone{r.part, action}]...)
			}
			inner = append(inner, s.ID) // those of one step in their order
			u.Steps = append(u.Steps, s)
		}
		same = append(same, inner...)
	}
	if len(u.Steps) == 0 {
		return nil, fault.New(fault.Conflict, fmt.Sprintf("run %s changed nothing that can be taken back", run), "guardroom run show "+string(run))
	}
	if len(p.Irreversible) > 0 {
		for _, line := range p.Irreversible {
			u.WillNot = append(u.WillNot, "bring back: "+line)
		}
	}
	u.WillNot = append(u.WillNot, "delete snapshots or any other sealed evidence", "overwrite what somebody else changed since: such a step stops and says so")
	u.ShortestSeconds, u.LongestSeconds = 5, 600
	return u, nil
}
