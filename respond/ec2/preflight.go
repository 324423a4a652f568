package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type preflightParams struct {
	Instance  string          `json:"instance"`
	Incident  string          `json:"incident,omitempty"`
	Trials    []trial         `json:"trials"`
	Untried   []string        `json:"untried"` // calls that have no dry run, or are about something that is made later
	Metadata  Metadata        `json:"metadata"`
	Attribute attributeParams `json:"attribute,omitzero"`
	Value     string          `json:"value,omitempty"` // of the attribute now
}

// trial is one dry run. What it asks for is what is so already, wherever the call
// allows that: an endpoint that takes no notice of DryRun then changes nothing.
type trial struct {
	Call string `json:"call"`
	// ID is what it is about.
	ID string `json:"id"`
	// Other is a second id that the call needs, and On a flag as it is now.
	Other string `json:"other,omitempty"`
	On    bool   `json:"on,omitempty"`
	// Number is that of an entry of a network ACL, for the direction On.
	Number int32 `json:"number,omitempty"`
}

// Calls that are tried.
const (
	callIsolate      = "EC2.ModifyNetworkInterfaceAttribute"
	callAttribute    = "EC2.ModifyInstanceAttribute"
	callTags         = "EC2.CreateTags"
	callDisassociate = "EC2.DisassociateAddress"
	callGroup        = "EC2.CreateSecurityGroup"
	callACL          = "EC2.CreateNetworkAcl"
	callTie          = "EC2.ReplaceNetworkAclAssociation"
	callEntry        = "EC2.CreateNetworkAclEntry"
	callMetadata     = "EC2.ModifyInstanceMetadataOptions"
	callSnapshots    = "EC2.CreateSnapshots"
)

// tried are the calls that a trial is known for.
func tried() []string {
	return []string{callIsolate, callAttribute, callTags, callDisassociate, callGroup, callACL, callTie, callEntry, callMetadata, callSnapshots}
}

// swept are the calls that take away again what an endpoint made that takes no
// notice of DryRun. AWS has no such endpoint, doubles of it have.
func swept() []string {
	return []string{"EC2.DeleteSecurityGroup", "EC2.DeleteNetworkAcl", "EC2.DeleteNetworkAclEntry"}
}

// Rehearse completes the dry runs of a containment for a plan with further steps:
// the one call for snapshots is tried too, where a step makes it in the account of
// the instance, and what else the steps may change is listed as not to be tried.
func Rehearse(steps []respond.Step) error {
	i := slices.IndexFunc(steps, func(s respond.Step) bool { return s.ID == StepPreflight })
	if i < 0 {
		return nil
	}
	p, err := paramsOf[preflightParams](steps[i])
	if err != nil {
		return fmt.Errorf("read the dry runs of the plan: %w", err)
	}
	known := func(call string) bool {
		return slices.ContainsFunc(p.Trials, func(t trial) bool { return t.Call == call })
	}
	p.Untried = nil
	for _, s := range steps {
		for _, call := range s.Calls {
			if s.ID != StepPreflight && call == callSnapshots && s.Account == steps[i].Account && !known(call) {
				p.Trials = append(p.Trials, trial{Call: call, ID: p.Instance, Other: p.Incident})
			}
		}
	}
	for _, s := range steps {
		for _, call := range s.Calls {
			if s.ID != StepPreflight && changing(call) && !known(call) {
				p.Untried = join(p.Untried, call)
			}
		}
	}
	steps[i].Params = json.RawMessage(kit.MustJSON(p))
	return nil
}

// changing reports whether a call changes something in the account beside the
// evidence bucket, by its name.
func changing(call string) bool {
	service, op, _ := strings.Cut(call, ".")
	return service != "S3" && !slices.ContainsFunc([]string{"Describe", "Get", "List", "Head"}, func(p string) bool { return strings.HasPrefix(op, p) })
}

// patience is how many times AWS is asked for an answer.
const patience = 3

// vital are the calls without which nothing is isolated.
func vital() []string { return []string{callIsolate} }

// preflight asks AWS, call by call, whether the act role would be allowed, and
// changes nothing. It fails only where isolation itself is not allowed: a missing
// permission for a tag must not stop that.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
func preflight(x *respond.Exec) (playbook.Outcome, error) {
	var p preflightParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	errs, made := make([]error, len(p.Trials)), make([]string, len(p.Trials))
	g := x.Group()
	for i, t := range p.Trials {
		g.Go(func() {
			errs[i] = x.Look(func(ctx context.Context) error {
				c, err := x.AWS.EC2(ctx, x.In(awscalls.Act, x.Def.Account, x.Def.Region))
				if err != nil {
					return err
				}
				made[i], err = t.try(ctx, c, p)
				return err
			})
			if errs[i] == nil {
				errs[i] = t.reverse(x, made[i])
			}
		})
	}
	g.Wait()
	var missing, odd []string
	var denied error
	for i, err := range errs {
		call := p.Trials[i].Call
		switch {
		case respond.Is(err, "DryRunOperation"), call == callEntry && respond.Is(err, codeEntryThere):
		case err != nil && ends(err):
			return playbook.Outcome{}, err
		case respond.DeniedByAWS(err):
			if !slices.Contains(missing, call) {
				missing = append(missing, call)
			}
			if slices.Contains(vital(), call) && denied == nil {
				denied = err
			}
		case err != nil && respond.Transient(err) && x.Attempt() < patience:
			return playbook.Outcome{}, err
		case err != nil && respond.Transient(err): // isolation must not fail for want of a rehearsal
			odd = append(odd, call+" was not answered")
		case err == nil:
			odd = append(odd, call+" took no notice of DryRun")
		default:
			odd = append(odd, call+" was answered with "+respond.Code(err))
		}
	}
	slices.Sort(missing)
	if err := x.Save(savedMissing, missing); err != nil {
		return playbook.Outcome{}, err
	}
	if denied != nil {
		return playbook.Outcome{}, playbook.Permanent(fault.Wrap(fault.Denied, respond.Worded(denied), "the act role may not call "+kit.Join(missing)+", so nothing can be isolated",
			"nothing was changed on the network; what needs none of it goes on", "compare the role with guardroom iam policy --role act"))
	}
	message := respond.Count(len(p.Trials)-len(odd), "call") + " would be allowed"
	if len(missing) > 0 {
		message = "the act role may not call " + kit.Join(missing) + "; isolation goes on"
	}
	if len(odd) > 0 {
		slices.Sort(odd)
		message += "; not known: " + strings.Join(slices.Compact(odd), ", ")
	}
	if len(p.Untried) > 0 {
		message += "; not to be tried: " + kit.Join(p.Untried)
	}
	return done(message)
}

// codeEntryThere is the answer to an entry whose number is taken.
const codeEntryThere = "NetworkAclEntryAlreadyExists"

// try makes the call. Where it is carried out all the same, made is the id of what
// it made.
func (t trial) try(ctx context.Context, c awscalls.EC2, p preflightParams) (made string, err error) {
	dry := aws.Bool(true)
	switch t.Call {
	case callIsolate:
		_, err = c.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{DryRun: dry, NetworkInterfaceId: &t.ID, SourceDestCheck: &types.AttributeBooleanValue{Value: &t.On}})
	case callAttribute:
		in := attributeInput(p.Attribute, p.Value)
		in.DryRun = dry
		_, err = c.ModifyInstanceAttribute(ctx, in)
	case callTags:
		_, err = c.CreateTags(ctx, &ec2.CreateTagsInput{DryRun: dry, Resources: []string{t.ID}, Tags: []types.Tag{{Key: aws.String(respond.TagIncident), Value: &t.Other}}})
	case callDisassociate:
		_, err = c.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{DryRun: dry, AssociationId: &t.ID})
	case callSnapshots:
		_, err = c.CreateSnapshots(ctx, &ec2.CreateSnapshotsInput{DryRun: dry, InstanceSpecification: &types.InstanceSpecification{InstanceId: &t.ID, ExcludeBootVolume: aws.Bool(false)}, Description: aws.String("Never made."),
			TagSpecifications: tagSpecs(types.ResourceTypeSnapshot, map[string]string{respond.TagRun: t.Other}, "")})
	case callGroup:
		var out *ec2.CreateSecurityGroupOutput
		out, err = c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{DryRun: dry, VpcId: &t.ID, GroupName: aws.String(convertName + "-dry-run"), Description: aws.String("Never made."),
			TagSpecifications: tagSpecs(types.ResourceTypeSecurityGroup, map[string]string{respond.TagRun: t.Other}, "")})
		if err == nil {
			made = str(out.GroupId)
		}
	case callACL:
		var out *ec2.CreateNetworkAclOutput
		out, err = c.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{DryRun: dry, VpcId: &t.ID, TagSpecifications: tagSpecs(types.ResourceTypeNetworkAcl, map[string]string{respond.TagRun: t.Other}, "")})
		if err == nil && out.NetworkAcl != nil {
			made = str(out.NetworkAcl.NetworkAclId)
		}
	case callTie:
		_, err = c.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{DryRun: dry, AssociationId: &t.ID, NetworkAclId: &t.Other})
	case callEntry:
		// The number is taken: nothing can come of it, even where it is no dry run.
		_, err = c.CreateNetworkAclEntry(ctx, &ec2.CreateNetworkAclEntryInput{DryRun: dry, NetworkAclId: &t.ID, RuleNumber: &t.Number, Egress: &t.On, Protocol: aws.String("-1"),
			RuleAction: types.RuleActionDeny, CidrBlock: &t.Other})
	case callMetadata:
		in := p.Metadata.input(t.ID)
		in.DryRun = dry
		_, err = c.ModifyInstanceMetadataOptions(ctx, in)
	default:
		err = fmt.Errorf("no trial is known for %s", t.Call)
	}
	return made, err
}

// reverse takes away what a trial made that was carried out: AWS does not, what
// stands in for it may. The other trials ask for what is so already.
func (t trial) reverse(x *respond.Exec, made string) error {
	var err error
	switch {
	case t.Call == callGroup && made != "":
		err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &made})
			return err
		})
	case t.Call == callACL && made != "":
		err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: &made})
			return err
		})
	case t.Call == callEntry:
		err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: &t.ID, RuleNumber: &t.Number, Egress: &t.On})
			return err
		})
	}
	return err
}
