package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// Name is what plans and routes call the playbook.
const Name = "ec2-contain"

// Playbook returns the playbook that contains an instance.
func Playbook() respond.Playbook { return contain{} }

type contain struct{}

var _ respond.Playbook = contain{}

// Name implements respond.Playbook.
func (contain) Name() string { return Name }

// Version implements respond.Playbook.
func (contain) Version() int { return 1 }

// Summary implements respond.Playbook.
func (contain) Summary() string {
	return "contain an EC2 instance: keep it alive, take it out of service, cut every network interface and its credentials off, and prove it"
}

// Fits implements respond.Playbook.
func (contain) Fits(t respond.Target) bool {
	return t.Kind == finding.KindInstance && instancePattern.MatchString(t.ID)
}

// Described is what Describe finds and Draft works from.
type Described struct {
	World *World
	// Callers are guardroom's own identities in the account.
	Callers []kit.Caller
}

// Describe implements respond.Playbook.
func (contain) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	w, err := Describe(ctx, a, r.Place(awscalls.Read), r.Target.ID)
	if err != nil {
		return respond.World{}, err
	}
	raw, err := json.Marshal(w)
	if err != nil {
		return respond.World{}, fmt.Errorf("write the before-image of %s: %w", w.InstanceID, err)
	}
	out := respond.World{Before: raw, Facts: Facts(w), Watched: around(w), Value: Described{World: w, Callers: kit.Callers(ctx, a, r)}, Unanswered: w.Unanswered, Tags: []map[string]string{w.Tags}}
	if w.Profile != nil {
		out.WorksAs = w.Profile.RoleARN
	}
	return out, nil
}

// Draft implements respond.Playbook.
func (contain) Draft(w respond.World, r respond.Request) (respond.Draft, error) {
	d, ok := w.Value.(Described)
	if !ok || d.World == nil {
		return respond.Draft{}, fmt.Errorf("the world of %s is %T", Name, w.Value)
	}
	return draft(d, r, nil), nil
}

// Facts are what must still be so when a run about the instance starts. None of
// them changes by itself.
func Facts(w *World) []respond.Fact {
	var f kit.Facts
	f.Add("state", w.State)
	f.Add("launch time", w.LaunchTime.UTC().Format("2006-01-02T15:04:05Z"))
	for _, n := range w.Interfaces {
		f.Add("groups of "+n.ID, n.Groups...)
		if n.Manager != "" {
			f.Add("manager of "+n.ID, n.Manager)
		}
	}
	if w.Profile != nil {
		f.Add("instance profile", w.Profile.ARN)
		f.Add("role", w.Profile.RoleID)
	}
	if w.Scaling != nil {
		f.Add("Auto Scaling group", w.Scaling.Group)
	}
	return f
}

// around is what stands around the instance and holds no isolation up: whoever
// acts on it may be able to change it by its role. Every interface is cut off
// whatever is registered, attached or associated by then.
func around(w *World) []respond.Fact {
	var f kit.Facts
	for _, n := range w.Interfaces {
		if n.PublicIPv4 != "" && n.Automatic {
			f.Add("public address of "+n.ID, n.PublicIPv4)
		}
	}
	var volumes []string
	for _, v := range w.Volumes {
		volumes = append(volumes, v.ID)
	}
	slices.Sort(volumes)
	f.Add("volumes", volumes...)
	for _, a := range w.Addresses {
		f.Add("address "+a.PublicIP, a.Interface)
	}
	for _, t := range w.Targets {
		f.Add(fmt.Sprintf("target group %s, %s port %d", t.Name, t.ID, t.Port), "registered")
	}
	for _, c := range w.Classic {
		f.Add("load balancer "+c.Name, "registered")
	}
	return f
}
