package sharing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type book struct{ kind }

var _ respond.Playbook = book{}

// Playbooks are ebs-snapshot, ec2-image, rds-snapshot and rds-cluster-snapshot.
func Playbooks() []respond.Playbook {
	var out []respond.Playbook
	for _, k := range kinds() {
		out = append(out, book{k})
	}
	return out
}

// Actions are what their steps do.
func Actions() []respond.Action {
	var out []respond.Action
	for _, k := range kinds() {
		out = append(out, k.record(), k.remove(), k.addBack(), k.verify())
		if k.trial != nil {
			out = append(out, k.preflight().Action())
		}
	}
	return out
}

// Closings is empty: nothing here is opened that must be closed.
func Closings() []respond.Closing { return nil }

func (b book) Name() string               { return b.name }
func (b book) Version() int               { return 1 }
func (b book) Summary() string            { return b.summary }
func (b book) Fits(t respond.Target) bool { return b.id(t) != "" }

func (b book) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	id := b.id(r.Target)
	if id == "" {
		return respond.World{}, fault.New(fault.Usage, fmt.Sprintf("%q is no id of a %s", r.Target.ID, b.noun), "look at the finding: guardroom incident show")
	}
	t, err := b.describe(ctx, a, r.Place(awscalls.Read), id)
	if err != nil {
		return respond.World{}, respond.Explain(err, "describe "+b.noun+" "+id+" in "+r.Target.Region, "nothing was changed")
	}
	if t.Owner != r.Target.Account {
		return respond.World{}, fault.New(fault.Denied, b.noun+" "+id+" belongs to account "+t.Owner+", not to "+r.Target.Account+" that the finding names", "its owner decides with whom it is shared")
	}
	before, err := json.Marshal(t)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down "+b.noun+" "+id, "nothing was changed", "")
	}
	var f kit.Facts
	f.Add(b.noun, t.ARN)
	f.Add("shared with", words(t.Shares)...)
	return respond.World{Before: before, Facts: f, Value: t, Tags: []map[string]string{t.Tags}}, nil
}

type params struct {
	ID  string `json:"id"`
	ARN string `json:"arn"`
	// Remove are the shares that are taken away; Keep one that stays.
	Remove []share `json:"remove"`
	Keep   []share `json:"keep,omitempty"`
}

func (b book) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	s, ok := w.Value.(thing)
	if !ok {
		return respond.Draft{}, fault.New(fault.Internal, "the description is not one of a "+b.noun, "")
	}
	t := r.Target
	t.ARN, t.Name = s.ARN, s.Name
	d := kit.NewDraft(t, Actions())
	d.Guarded(kit.NeverTouch(s.Tags))
	p := params{ID: s.ID, ARN: s.ARN}
	if own := share(account + r.Policy.Forensics.Account); r.Policy.Forensics.Account != "" && slices.Contains(s.Shares, own) {
		p.Keep = []share{own}
		d.WillNot = append(d.WillNot, "the share with the forensic account "+r.Policy.Forensics.Account+" stays")
	}
	p.Remove = minus(s.Shares, p.Keep)
	after := []string{d.Add(respond.Step{ID: "record/" + s.ID, Action: b.action("record"), Stage: "record", Title: "write down with whom " + b.noun + " " + s.ID + " is shared", Effect: respond.NoChange}, p)}
	if len(p.Remove) > 0 {
		if b.trial != nil {
			after = append(after, d.Add(b.preflight().Step(after...), b.trials(s)))
		}
		after = append(after, d.Add(respond.Step{ID: "contain/" + s.ID, Action: b.action("remove-shares"), Stage: "contain", Effect: respond.Reversible, Contains: true, After: after,
			Title: b.noun + " " + s.ID + ": shared with " + kit.Join(words(p.Remove)) + " -> nobody"}, p))
	} else {
		d.Guard("already contained", respond.Warn, b.noun+" "+s.ID+" is shared with nobody", "")
	}
	d.Add(respond.Step{ID: "verify/" + s.ID, Action: b.action("verify"), Stage: "verify", Title: "read the shares of " + s.ID + " back", Effect: respond.NoChange, Contains: true, After: after}, p)
	if err := kit.Rehearse(d.Steps); err != nil {
		return respond.Draft{}, fault.Wrap(fault.Internal, err, "draft the dry runs for "+s.ID, "nothing was changed", "")
	}
	b.words(d, s, p)
	d.ShortestSeconds, d.LongestSeconds = 3, 120
	return d.Draft, nil
}

// preflight asks AWS whether shares may be taken away.
func (k kind) preflight() kit.Preflight {
	return kit.Preflight{Name: "preflight." + k.service, Calls: map[awscalls.Role][]string{awscalls.Act: {k.modify}}, Vital: []string{k.modify}, Lost: "no share can be taken away", Rest: "the rest"}
}

// trials try the change with the owner itself, with whom nothing need be shared.
func (b book) trials(s thing) kit.Rehearsal {
	if slices.Contains(s.Shares, share(account+s.Owner)) {
		return kit.Rehearsal{} // who takes no notice of the dry run would take it away
	}
	return kit.Rehearsal{Trials: []kit.Trial{kit.Try(awscalls.Act, s.Owner, b.modify, b.trial(s.ID, s.Owner))}}
}

func (b book) words(d *kit.Draft, s thing, p params) {
	for _, x := range p.Remove {
		d.AlsoHits = append(d.AlsoHits, x.String()+" can not use "+s.ID+" any more")
	}
	if len(s.Backed) > 0 {
		d.Manual = append(d.Manual, "The snapshots of the image have shares of their own: "+kit.Join(s.Backed)+". Make a plan with ebs-snapshot for each.",
			"Launch templates and Auto Scaling groups may name the image still: look for "+s.ID+" in them.")
	}
	d.WillNot = append(d.WillNot, "nothing is deleted", "copies, volumes and databases that others made from it are out of reach")
	d.Manual = append(d.Manual, "Look in CloudTrail for use of "+s.ID+" by other accounts: SharedSnapshotCopyInitiated, SharedSnapshotVolumeCreated, CopyDBSnapshot.")
	if s.Key != "" {
		d.Manual = append(d.Manual, "It is encrypted with "+s.Key+": take the other accounts out of the policy and the grants of that key too.")
	}
	d.Undo = "adds back exactly the shares that were removed, where nobody was added since"
	if slices.Contains(p.Remove, everybody) {
		d.Undo += "; that with everybody needs a right that guardroom's role lacks as a rule, and is for people then"
	}
}
