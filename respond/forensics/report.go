package forensics

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// report says in one line what was preserved and where it is, and records what
// the plan already knew could not be.
func report(x *respond.Exec) (playbook.Outcome, error) {
	var p reportParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	for _, g := range p.Gaps {
		if err := x.Lack(g.What, g.Why); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if err := lost(x, p.Instance); err != nil {
		return playbook.Outcome{}, err
	}
	items, gaps, _ := gather(x)
	// Steps side by side spoke of the same items; here is all that is known of each.
	if err := x.Preserve(items...); err != nil {
		return playbook.Outcome{}, err
	}
	text := summary(x, items, len(gaps))
	return playbook.Outcome{Message: text}, x.Save(savedReport, text)
}

// gather is all that the steps of the run preserved, lack and handled.
func gather(x *respond.Exec) (items []evidence.Item, gaps []evidence.Gap, custody []evidence.Custody) {
	return Collect(recordsOf(x))
}

// Collect puts together what the steps of a run preserved, lack and handled, in
// the order of the plan. Items and gaps that several steps spoke of are merged.
func Collect(records []playbook.Record) (items []evidence.Item, gaps []evidence.Gap, custody []evidence.Custody) {
	for _, rec := range records {
		i, g, c := respond.EvidenceOf(rec)
		items = evidence.MergeItems(items, i...)
		gaps = evidence.MergeGaps(gaps, g...)
		custody = append(custody, c...)
	}
	return items, gaps, custody
}

func summary(x *respond.Exec, items []evidence.Item, gaps int) string {
	n := map[evidence.Kind]int{}
	hashed := 0
	for _, i := range items {
		n[i.Kind]++
		if i.SHA256 != "" {
			hashed++
		}
	}
	var parts []string
	for _, k := range []evidence.Kind{evidence.Snapshot, evidence.Copy, evidence.Volume, evidence.Memory} {
		if n[k] > 0 {
			parts = append(parts, count(n[k], plain(k)))
		}
	}
	parts = append(parts, fmt.Sprintf("%d of %s hashed", hashed, count(len(items), "item")))
	var m machine
	if x.Output(StepWorkstation, savedMachine, &m) == nil {
		var devices []string
		for _, s := range x.Plan.Steps {
			var d string
			if id := localID(s); s.Part == x.Def.Part && stageOf(id) == stageAttach && x.Output(id, savedDevice, &d) == nil {
				devices = append(devices, d)
			}
		}
		parts = append(parts, fmt.Sprintf("workstation %s with %s", m.ID, listed(devices)))
	}
	if gaps > 0 {
		parts = append(parts, count(gaps, "gap")+" stated")
	}
	return strings.Join(parts, "; ")
}

func plain(k evidence.Kind) string {
	switch k {
	case evidence.Copy:
		return "copy"
	case evidence.Volume:
		return "working volume"
	case evidence.Memory:
		return "memory image"
	default:
		return string(k)
	}
}

func listed(list []string) string {
	if len(list) == 0 {
		return "no volume attached"
	}
	return strings.Join(list, ", ")
}
