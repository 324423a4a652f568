package forensics

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// preflight asks AWS whether the calls of EC2 would be allowed that make something
// out of what is there. It fails only where no snapshot could be made at all. What
// is locked, shared, copied and attached does not exist yet, and the roles may do
// that only to what carries the tag of a run: of these no dry run tells anything.
func preflight() kit.Preflight {
	return kit.Preflight{Name: actPreflight, Vital: []string{kit.CallSnapshots, kit.CallSnapshot}, Lost: "no snapshot can be made", Rest: "the acquisition",
		Calls: map[awscalls.Role][]string{
			awscalls.Act:       {kit.CallSnapshots, kit.CallSnapshot, kit.CallTags},
			awscalls.Forensics: {kit.CallRun, kit.CallVolume}}}
}

// rehearsed puts the dry runs first, and all that changes something after them,
// whatever becomes of them. What only looks waits for nothing.
func (b *drafting) rehearsed() error {
	trials := Trials(b.d.Steps, b.r)
	if b.h.Rehearsed || len(trials) == 0 {
		return nil
	}
	for i := range b.d.Steps {
		s := &b.d.Steps[i]
		if s.Effect != respond.NoChange && s.Role != awscalls.Read && len(s.Needs) == 0 {
			s.After = append(slices.Clone(s.After), kit.StepPreflight)
		}
	}
	s := preflight().Step(b.h.AfterAll...)
	s.Account, s.Region, s.Params = b.w.Account, b.w.Region, raw(kit.Rehearsal{Trials: trials})
	b.d.Steps = slices.Insert(b.d.Steps, 0, s)
	b.ends = append(b.ends, s.ID)
	if err := kit.Rehearse(b.d.Steps); err != nil {
		return fmt.Errorf("draft the acquisition of %s: %w", b.w.Instance, err)
	}
	return nil
}

// Trials are the dry runs of what steps of an acquisition are going to change, for
// a plan that has dry runs besides.
func Trials(steps []respond.Step, r respond.Request) []kit.Trial {
	inc := r.Incident.Number.String()
	var out []kit.Trial
	volume := false
	for _, s := range steps {
		add := func(call string, in any) { out = append(out, kit.Try(s.Role, s.Account, call, in)) }
		switch s.Action {
		case actSnapshots:
			p := paramsOf[setParams](s)
			add(kit.CallSnapshots, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: aws.String(p.Instance), ExcludeBootVolume: aws.Bool(false)},
				Description: aws.String(neverMade), TagSpecifications: tryTags(inc, types.ResourceTypeSnapshot)})
			add(kit.CallSnapshot, &ec2.CreateSnapshotInput{VolumeId: aws.String(p.Volumes[0].ID), Description: aws.String(neverMade), TagSpecifications: tryTags(inc, types.ResourceTypeSnapshot)})
		case actOlder:
			p := paramsOf[olderParams](s)
			add(kit.CallTags, &ec2.CreateTagsInput{Resources: []string{p.Snapshots[0].ID}, Tags: []types.Tag{{Key: aws.String(respond.TagIncident), Value: aws.String(inc)}}})
		case actWorkstation:
			p := paramsOf[machineParams](s)
			if len(p.Types) == 0 || len(p.Subnets) == 0 {
				continue
			}
			in := launching(p, p.Found, p.Types[0], p.Subnets[0])
			in.TagSpecifications = tryTags(inc, types.ResourceTypeInstance, types.ResourceTypeVolume)
			add(kit.CallRun, in)
		case actVolume:
			if volume { // all are made alike
				continue
			}
			volume = true
			add(kit.CallVolume, emptyVolume(paramsOf[volumeParams](s), zoneOf(steps), inc))
		}
	}
	return out
}

const neverMade = "Never made."

// emptyVolume is as an evidence volume, but of no snapshot: that is made later.
func emptyVolume(p volumeParams, zone, inc string) *ec2.CreateVolumeInput {
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(zone), Size: aws.Int32(1), VolumeType: types.VolumeTypeGp3, Encrypted: aws.Bool(true), TagSpecifications: tryTags(inc, types.ResourceTypeVolume)}
	if p.Key != "" {
		in.KmsKeyId = aws.String(p.Key)
	}
	return in
}

// zoneOf is where the workstation is tried first.
func zoneOf(steps []respond.Step) string {
	s, ok := stepOf(steps, StepWorkstation)
	if !ok {
		return ""
	}
	for _, n := range paramsOf[machineParams](s).Subnets {
		return n.Zone
	}
	return ""
}

// tryTags are tags as what is made gets them: the roles may make nothing without.
func tryTags(inc string, kinds ...types.ResourceType) []types.TagSpecification {
	var out []types.TagSpecification
	for _, k := range kinds {
		out = append(out, types.TagSpecification{ResourceType: k, Tags: []types.Tag{{Key: aws.String(respond.TagIncident), Value: aws.String(inc)}, {Key: aws.String(respond.TagRun), Value: aws.String(inc)}}})
	}
	return out
}

// paramsOf are the parameters of a step that was drafted here.
func paramsOf[T any](s respond.Step) T {
	var v T
	if err := json.Unmarshal(s.Params, &v); err != nil {
		panic("forensics: parameters of ours are not read: " + err.Error())
	}
	return v
}
