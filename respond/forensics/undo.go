package forensics

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// What is undone first: volumes are detached before they are deleted, and the
// workstation goes last. Snapshots, copies, locks and objects are never undone.
const (
	rankDetach    = 40
	rankDelete    = 41
	rankTerminate = 42
)

// workingParams name a working copy and whose it must be.
type workingParams struct {
	Volume      string `json:"volume,omitempty"`
	Workstation string `json:"workstation"`
	// Lost is the step that asked for it and heard no answer: whether there is
	// one, and which, its tags say.
	Lost string `json:"lost,omitempty"`
	Run  string `json:"run"` // whose tag it must carry
	// Item is the id that what was made has as evidence of its run.
	Item string `json:"item,omitempty"`
}

func undoStep(s respond.Step, id, action, title string, effect respond.Effect, p workingParams, calls ...string) []respond.Step {
	return []respond.Step{{ID: id, Action: action, Stage: stageOf(id), Title: title, Calls: calls, Role: s.Role, Account: s.Account, Region: s.Region, Effect: effect, Params: raw(p)}}
}

// undoAttach detaches the evidence volume again.
func undoAttach(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var p volumeParams
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of step %s: %w", s.ID, err)
	}
	var id string
	if !rec.Load(savedVolume, &id) {
		return nil, nil
	}
	return undoStep(s, of("detach", id), actDetach, fmt.Sprintf("detach %s, the working copy of %s, from the workstation", id, p.Volume.ID), respond.Reversible,
		workingParams{Volume: id, Item: strings.Replace(s.ID, of(stageAttach, p.Volume.ID), of(stageVolume, p.Volume.ID), 1)}, "EC2.DetachVolume"), nil
}

// undoVolume deletes the working copy; the snapshot that it was made from stays.
func undoVolume(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var p volumeParams
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of step %s: %w", s.ID, err)
	}
	var id string
	var asked bool
	switch {
	case rec.Load(savedVolume, &id):
	case rec.Load(savedAsked, &asked):
		return undoStep(s, of("delete", p.Volume.ID), actDelete, "look for a working copy of "+p.Volume.ID+", which was asked for without an answer, and delete it; its snapshot stays", respond.Irreversible,
			workingParams{Lost: s.ID, Item: s.ID}, "EC2.DetachVolume", "EC2.DeleteVolume"), nil
	default:
		return nil, nil
	}
	return undoStep(s, of("delete", id), actDelete, fmt.Sprintf("delete %s, the working copy of %s; its snapshot stays", id, p.Volume.ID), respond.Irreversible,
		workingParams{Volume: id, Item: s.ID}, "EC2.DetachVolume", "EC2.DeleteVolume"), nil
}

// undoLaunch terminates our workstation.
func undoLaunch(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var m machine
	var try int
	switch {
	case rec.Load(savedMachine, &m):
	case rec.Load(savedTry, &try):
		return undoStep(s, of("terminate", "lost"), actTerminate, "look for a workstation, which was asked for without an answer, and terminate it", respond.Irreversible,
			workingParams{Lost: s.ID, Item: s.ID}, "EC2.ModifyInstanceAttribute", "EC2.TerminateInstances"), nil
	default:
		return nil, nil
	}
	return undoStep(s, of("terminate", m.ID), actTerminate, "terminate the workstation "+m.ID, respond.Irreversible,
		workingParams{Workstation: m.ID, Item: s.ID}, "EC2.ModifyInstanceAttribute", "EC2.TerminateInstances"), nil
}

// release carries out the three kinds of undo by the same code as the clean-up
// after the retention of working copies.
func release(x *respond.Exec, action string, what func(ctx context.Context, c awscalls.EC2, p workingParams) (done bool, err error), text string) (playbook.Outcome, error) {
	var p workingParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	p.Run = string(x.Plan.UndoOf)
	if p.Lost != "" {
		if err := find(x, &p); err != nil {
			return playbook.Outcome{}, err
		}
		if p.Volume+p.Workstation == "" {
			return playbook.Outcome{Message: "nothing was made"}, nil
		}
	}
	err := x.Poll(func() (bool, error) {
		var done bool
		err := x.Change(func(ctx context.Context) error {
			c, err := x.AWS.EC2(ctx, x.Place())
			if err != nil {
				return err
			}
			done, err = what(ctx, c, p)
			return err
		})
		return done, err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	item := x.Def.ID
	if p.Item != "" {
		item = p.Run + "/" + p.Item // as a manifest names what another run made
	}
	return playbook.Outcome{Message: text}, x.Custody(action, item, p.Volume+p.Workstation, "", "undo of "+p.Run)
}

// find looks by its tags for what a step asked for and heard no answer of.
func find(x *respond.Exec, p *workingParams) error {
	by := []types.Filter{{Name: aws.String("tag:" + respond.TagRun), Values: []string{p.Run}}, {Name: aws.String("tag:" + respond.TagStep), Values: []string{p.Lost}}}
	return x.Look(func(ctx context.Context) error {
		c, err := x.AWS.EC2(ctx, x.Place())
		if err != nil {
			return err
		}
		p.Volume, p.Workstation = "", ""
		if x.Def.Action == actDelete {
			out, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: by})
			if err == nil && len(out.Volumes) > 0 {
				p.Volume = aws.ToString(out.Volumes[0].VolumeId)
			}
			return err
		}
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: append(by, types.Filter{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}})})
		if err != nil {
			return err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				p.Workstation = aws.ToString(i.InstanceId)
			}
		}
		return nil
	})
}

func undoDetach(x *respond.Exec) (playbook.Outcome, error) {
	return release(x, "detached", func(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
		return detachVolume(ctx, c, p)
	}, "it is detached")
}

func undoDelete(x *respond.Exec) (playbook.Outcome, error) {
	return release(x, "released", func(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
		return deleteVolume(ctx, c, p)
	}, "the working copy is deleted, the snapshot stays")
}

func undoTerminate(x *respond.Exec) (playbook.Outcome, error) {
	return release(x, "released", func(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
		return terminate(ctx, c, p)
	}, "the workstation is terminated")
}

// ourVolume looks at a volume; nil where it is gone. One without our tags is
// refused.
func ourVolume(ctx context.Context, c awscalls.EC2, p workingParams) (*types.Volume, error) {
	out, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{p.Volume}})
	if respond.Gone(err) {
		return nil, nil
	}
	if err != nil || len(out.Volumes) == 0 {
		return nil, err
	}
	v := out.Volumes[0]
	if v.State == types.VolumeStateDeleted || v.State == types.VolumeStateDeleting {
		return nil, nil
	}
	if tagOf(v.Tags, respond.TagRun) != p.Run {
		return nil, foreign("volume "+p.Volume, p.Run)
	}
	return &v, nil
}

func foreign(what, run string) error {
	f := fault.New(fault.Conflict, what+" does not carry the tag of "+run+" and is not touched", "look who changed its tags, and remove it by hand if it is yours")
	f.Safe = "it is as it was"
	return playbook.Permanent(f)
}

// detachVolume detaches our volume from our workstation. One that is attached to
// another instance is somebody's work and refused. It reports whether it is done.
func detachVolume(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
	v, err := ourVolume(ctx, c, p)
	if err != nil || v == nil {
		return err == nil, err
	}
	for _, a := range v.Attachments {
		switch {
		case a.State == types.VolumeAttachmentStateDetached:
			continue
		case a.State == types.VolumeAttachmentStateDetaching:
			return false, nil
		}
		instance := aws.ToString(a.InstanceId)
		i, err := describeOne(ctx, c, instance)
		if err != nil {
			return false, err
		}
		if i == nil || tagOf(i.Tags, respond.TagRun) != p.Run {
			f := fault.New(fault.Conflict, fmt.Sprintf("evidence volume %s is attached to %s, which is not our workstation", p.Volume, instance), "ask who works with it, detach it, and make the undo plan again")
			f.Safe = "it was not detached"
			return false, playbook.Permanent(f)
		}
		_, err = c.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: v.VolumeId, InstanceId: a.InstanceId, Device: a.Device})
		if err != nil && !respond.Is(err, "IncorrectState*") {
			return false, err
		}
		return false, nil // the next look says whether it is detached
	}
	return true, nil
}

// deleteVolume deletes our working copy, once it is detached.
func deleteVolume(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
	if done, err := detachVolume(ctx, c, p); err != nil || !done {
		return false, err
	}
	v, err := ourVolume(ctx, c, p)
	if err != nil || v == nil {
		return err == nil, err
	}
	_, err = c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
	if respond.Gone(err) {
		return true, nil
	}
	return false, err
}

// terminate clears the protection of our workstation and terminates it.
func terminate(ctx context.Context, c awscalls.EC2, p workingParams) (bool, error) {
	i, err := describeOne(ctx, c, p.Workstation)
	if err != nil || i == nil {
		return err == nil, err
	}
	switch {
	case i.State != nil && (i.State.Name == types.InstanceStateNameTerminated || i.State.Name == types.InstanceStateNameShuttingDown):
		return true, nil
	case tagOf(i.Tags, respond.TagRun) != p.Run || !strings.HasSuffix("/"+tagOf(i.Tags, respond.TagStep), "/"+StepWorkstation):
		return false, foreign("instance "+p.Workstation, p.Run)
	}
	if _, err := c.ModifyInstanceAttribute(ctx, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}}); err != nil {
		return false, err
	}
	_, err = c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{p.Workstation}})
	if respond.Gone(err) {
		return true, nil
	}
	return false, err
}

func describeOne(ctx context.Context, c awscalls.EC2, id string) (*types.Instance, error) {
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if respond.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			return &i, nil
		}
	}
	return nil, nil
}
