package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// Calls of EC2 that can be tried.
const (
	CallTags         = "EC2.CreateTags"
	CallInterface    = "EC2.ModifyNetworkInterfaceAttribute"
	CallAttribute    = "EC2.ModifyInstanceAttribute"
	CallMetadata     = "EC2.ModifyInstanceMetadataOptions"
	CallDisassociate = "EC2.DisassociateAddress"
	CallGroup        = "EC2.CreateSecurityGroup"
	CallACL          = "EC2.CreateNetworkAcl"
	CallTie          = "EC2.ReplaceNetworkAclAssociation"
	CallEntry        = "EC2.CreateNetworkAclEntry"
	CallSnapshots    = "EC2.CreateSnapshots"
	CallSnapshot     = "EC2.CreateSnapshot"
	CallShare        = "EC2.ModifySnapshotAttribute"
	CallShareImage   = "EC2.ModifyImageAttribute"
	CallRun          = "EC2.RunInstances"
	CallVolume       = "EC2.CreateVolume"
)

// Trial is one dry run. What it asks for is what is so already, or what can be
// taken away again: AWS carries none out, doubles of it may.
type Trial struct {
	Call string `json:"call"`
	// Role and Account are those of the step that will make the call.
	Role    awscalls.Role `json:"role"`
	Account string        `json:"account"`
	// Input is that of the SDK, without what is not set.
	Input json.RawMessage `json:"input"`
}

// Try is a trial of a call with an input, a pointer to that of the SDK, as a role
// in an account. It panics where the input is no JSON: inputs of ours are.
func Try(role awscalls.Role, account, call string, input any) Trial {
	var v any
	d := json.NewDecoder(strings.NewReader(MustJSON(input)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic("kit: an input of " + call + " is no JSON: " + err.Error())
	}
	return Trial{Call: call, Role: role, Account: account, Input: json.RawMessage(MustJSON(lean(v)))}
}

// lean is v without what is not set.
func lean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil || value == "" {
				delete(v, key)
				continue
			}
			v[key] = lean(value)
		}
	case []any:
		for i := range v {
			v[i] = lean(v[i])
		}
	}
	return v
}

// back takes away again what a trial made that was carried out.
type back func(ctx context.Context, c awscalls.EC2) error

// dryRun is how one call is tried.
type dryRun struct {
	// do makes the call. Where it was carried out all the same, undo takes away
	// what it made; nil: it asked for what was so already.
	do func(ctx context.Context, c awscalls.EC2, input json.RawMessage) (undo back, err error)
	// sweeps is the call of that.
	sweeps string
}

// try is a dry run by one method of the SDK; dry is its flag.
func try[I, O any](call func(awscalls.EC2, context.Context, *I, ...func(*ec2.Options)) (*O, error), dry func(*I) **bool) dryRun {
	return trySwept(call, dry, "", func(*I, *O) back { return nil })
}

func trySwept[I, O any](call func(awscalls.EC2, context.Context, *I, ...func(*ec2.Options)) (*O, error), dry func(*I) **bool, sweeps string, undo func(*I, *O) back) dryRun {
	return dryRun{sweeps: sweeps, do: func(ctx context.Context, c awscalls.EC2, input json.RawMessage) (back, error) {
		in := new(I)
		if err := json.Unmarshal(input, in); err != nil {
			return nil, fmt.Errorf("read the input of a dry run: %w", err)
		}
		*dry(in) = aws.Bool(true)
		out, err := call(c, ctx, in)
		if err != nil {
			return nil, err
		}
		return undo(in, out), nil
	}}
}

// dryRuns are the calls that can be tried, by their names.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
func dryRuns() map[string]dryRun {
	return map[string]dryRun{
		CallTags:         try(awscalls.EC2.CreateTags, func(in *ec2.CreateTagsInput) **bool { return &in.DryRun }),
		CallInterface:    try(awscalls.EC2.ModifyNetworkInterfaceAttribute, func(in *ec2.ModifyNetworkInterfaceAttributeInput) **bool { return &in.DryRun }),
		CallAttribute:    try(awscalls.EC2.ModifyInstanceAttribute, func(in *ec2.ModifyInstanceAttributeInput) **bool { return &in.DryRun }),
		CallMetadata:     try(awscalls.EC2.ModifyInstanceMetadataOptions, func(in *ec2.ModifyInstanceMetadataOptionsInput) **bool { return &in.DryRun }),
		CallDisassociate: try(awscalls.EC2.DisassociateAddress, func(in *ec2.DisassociateAddressInput) **bool { return &in.DryRun }),
		CallTie:          try(awscalls.EC2.ReplaceNetworkAclAssociation, func(in *ec2.ReplaceNetworkAclAssociationInput) **bool { return &in.DryRun }),
		CallShare:        try(awscalls.EC2.ModifySnapshotAttribute, func(in *ec2.ModifySnapshotAttributeInput) **bool { return &in.DryRun }),
		CallShareImage:   try(awscalls.EC2.ModifyImageAttribute, func(in *ec2.ModifyImageAttributeInput) **bool { return &in.DryRun }),
		// Nothing here may delete a snapshot: the doubles in use heed the flag of these.
		CallSnapshots: try(awscalls.EC2.CreateSnapshots, func(in *ec2.CreateSnapshotsInput) **bool { return &in.DryRun }),
		CallSnapshot:  try(awscalls.EC2.CreateSnapshot, func(in *ec2.CreateSnapshotInput) **bool { return &in.DryRun }),
		CallGroup: trySwept(awscalls.EC2.CreateSecurityGroup, func(in *ec2.CreateSecurityGroupInput) **bool { return &in.DryRun }, "EC2.DeleteSecurityGroup",
			func(_ *ec2.CreateSecurityGroupInput, out *ec2.CreateSecurityGroupOutput) back {
				return func(ctx context.Context, c awscalls.EC2) error {
					_, err := c.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: out.GroupId})
					return err
				}
			}),
		CallACL: trySwept(awscalls.EC2.CreateNetworkAcl, func(in *ec2.CreateNetworkAclInput) **bool { return &in.DryRun }, "EC2.DeleteNetworkAcl",
			func(_ *ec2.CreateNetworkAclInput, out *ec2.CreateNetworkAclOutput) back {
				return func(ctx context.Context, c awscalls.EC2) error {
					if out.NetworkAcl == nil {
						return nil
					}
					_, err := c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: out.NetworkAcl.NetworkAclId})
					return err
				}
			}),
		CallEntry: trySwept(awscalls.EC2.CreateNetworkAclEntry, func(in *ec2.CreateNetworkAclEntryInput) **bool { return &in.DryRun }, "EC2.DeleteNetworkAclEntry",
			func(in *ec2.CreateNetworkAclEntryInput, _ *ec2.CreateNetworkAclEntryOutput) back {
				return func(ctx context.Context, c awscalls.EC2) error {
					_, err := c.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: in.NetworkAclId, RuleNumber: in.RuleNumber, Egress: in.Egress})
					return err
				}
			}),
		CallRun: trySwept(awscalls.EC2.RunInstances, func(in *ec2.RunInstancesInput) **bool { return &in.DryRun }, "EC2.TerminateInstances",
			func(_ *ec2.RunInstancesInput, out *ec2.RunInstancesOutput) back {
				return func(ctx context.Context, c awscalls.EC2) error {
					var ids []string
					for _, i := range out.Instances {
						ids = append(ids, aws.ToString(i.InstanceId))
					}
					if len(ids) == 0 {
						return nil
					}
					_, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
					return err
				}
			}),
		CallVolume: trySwept(awscalls.EC2.CreateVolume, func(in *ec2.CreateVolumeInput) **bool { return &in.DryRun }, "EC2.DeleteVolume",
			func(_ *ec2.CreateVolumeInput, out *ec2.CreateVolumeOutput) back {
				return func(ctx context.Context, c awscalls.EC2) error {
					_, err := c.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: out.VolumeId})
					return err
				}
			}),
	}
}

// rehearse makes the dry run. An error is the answer to it, DryRunOperation where
// the call is allowed. Where it was carried out all the same, what it made is taken
// away, and note says so.
func (t Trial) rehearse(x *respond.Exec) (note string, err error) {
	run, known := dryRuns()[t.Call]
	if !known {
		return "", fmt.Errorf("no trial is known for %s", t.Call)
	}
	with := func(f func(ctx context.Context, c awscalls.EC2) error) func(context.Context) error {
		return func(ctx context.Context) error {
			c, err := x.AWS.EC2(ctx, x.In(t.Role, t.Account, x.Def.Region))
			if err != nil {
				return err
			}
			return f(ctx, c)
		}
	}
	var undo back
	err = x.Look(with(func(ctx context.Context, c awscalls.EC2) (err error) {
		undo, err = run.do(ctx, c, t.Input)
		return err
	}))
	if err != nil {
		return "", err
	}
	note = t.Call + " took no notice of DryRun"
	if undo == nil {
		return note, nil
	}
	err = x.Finish(with(undo))
	for n := 1; n < removals && err != nil && respond.Transient(err); n++ { // what is being made cannot be taken away yet
		if err := x.Sleep(removalPause); err != nil {
			return "", err
		}
		err = x.Finish(with(undo))
	}
	if err != nil && !stops(err) {
		return note + ", and what it made is left: " + respond.Reason(err), nil
	}
	return note, err
}

// removals is how often what a trial made is tried to be taken away, and
// removalPause the time between.
const (
	removals     = 6
	removalPause = 5 * time.Second
)

// stops reports whether an error ends the run's work here and is no answer of AWS.
func stops(err error) bool {
	return errors.Is(err, playbook.ErrStopped) || errors.Is(err, playbook.ErrFenced)
}

// sweptBy are the calls, and those that take away again what their trials made.
func sweptBy(calls []string) []string {
	out := slices.Clone(calls)
	for _, call := range calls {
		if s := dryRuns()[call].sweeps; s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
