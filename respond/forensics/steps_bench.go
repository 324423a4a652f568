package forensics

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// bench are the workstation and the volumes on it.
func (b *drafting) bench() {
	if len(b.w.Volumes) == 0 {
		return
	}
	if b.w.Bench.Problem != "" {
		b.gap("workstation", b.w.Bench.Problem)
		b.d.Guards = append(b.d.Guards, respond.Guard{Name: "workstation", Answer: respond.Warn, Why: "there will be none: " + b.w.Bench.Problem, Hint: "evidence is preserved all the same; mend it and make a plan for what is missing"})
		return
	}
	f := b.r.Policy.Forensics
	var subnets []Subnet
	for _, s := range b.w.Bench.Subnets {
		if s.Problem == "" {
			subnets = append(subnets, s)
			continue
		}
		b.d.WillNot = append(b.d.WillNot, "no workstation in "+s.ID+": it "+s.Problem)
	}
	img := b.w.Bench.Image
	b.add(respond.Step{ID: StepWorkstation, Action: actWorkstation, Role: awscalls.Forensics, Effect: respond.Creates, After: b.h.AfterAll,
		Title: fmt.Sprintf("start a workstation from %s (%s) in a private subnet of account %s", img.ID, clean(img.Name), b.home)},
		machineParams{Image: f.Image, Found: img, Types: f.Types, Subnets: subnets, SecurityGroups: f.SecurityGroups, Profile: f.Profile, Key: f.Key})
	b.add(respond.Step{ID: StepReady, Action: actReady, Role: awscalls.Forensics, Effect: respond.NoChange, Needs: []string{StepWorkstation},
		Title: "wait until the workstation has booted and passed its checks"}, snapshotParams{From: StepWorkstation})
	n := len(b.w.Volumes)
	for i, v := range b.w.Volumes {
		from := b.kept(v)
		if from == "" {
			b.gap("evidence volume of "+v.ID, "its snapshot cannot leave account "+b.w.Account)
			continue
		}
		p := volumeParams{Volume: v, From: from, Key: f.Key, Index: i, Of: n}
		b.add(respond.Step{ID: of(stageVolume, v.ID), Action: actVolume, Role: awscalls.Forensics, Effect: respond.Creates, Needs: []string{from, StepWorkstation},
			Title: fmt.Sprintf("%s: make an evidence volume from its snapshot, where the workstation is", v.ID)}, p)
		switch {
		case len(b.w.Codes) > 0 && v.Device == b.w.Root:
			why := "it carries the marketplace product code " + clean(strings.Join(b.w.Codes, ", ")) + ", and such a volume attaches only to an instance that is stopped"
			b.gap("evidence volume of "+v.ID+" on the workstation", why)
			b.d.Manual = append(b.d.Manual, "stop the workstation, attach the evidence volume of "+v.ID+" by hand, and start it: "+why)
		case i >= len(deviceNames):
			b.gap("evidence volume of "+v.ID+" on the workstation", fmt.Sprintf("at most %d are attached at once; attach it by hand when another one is done with", len(deviceNames)))
		default:
			b.add(respond.Step{ID: of(stageAttach, v.ID), Action: actAttach, Role: awscalls.Forensics, Effect: respond.Reversible,
				Needs: []string{of(stageVolume, v.ID), StepReady}, Title: fmt.Sprintf("%s: attach its evidence volume to the workstation", v.ID)}, p)
		}
	}
}

// kept is the step that has the snapshot of a volume in the account that keeps
// the evidence; empty where there is none.
func (b *drafting) kept(v Volume) string {
	if !b.away {
		return of(stageSnapshot, v.ID)
	}
	if s, ok := stepOf(b.d.Steps, of(stageCopy, v.ID)); ok {
		return s.ID
	}
	return ""
}
