package ec2

import (
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// preflight asks AWS, call by call, whether the act role would be allowed. It fails
// only where isolation itself is not allowed: a missing permission for a tag must
// not stop that. A plan that preserves evidence besides has its calls tried with it.
func preflight() kit.Preflight {
	return kit.Preflight{Name: actPreflight, Vital: []string{kit.CallInterface}, Lost: "nothing can be isolated", Rest: "isolation",
		Calls: map[awscalls.Role][]string{
			awscalls.Act: {kit.CallInterface, kit.CallAttribute, kit.CallTags, kit.CallDisassociate, kit.CallGroup, kit.CallACL, kit.CallTie, kit.CallEntry, kit.CallMetadata,
				kit.CallSnapshots, kit.CallSnapshot},
			awscalls.Forensics: {kit.CallRun, kit.CallVolume}}}
}

// trials are the dry runs of the changes that the plan is going to make. What they
// ask for is what is so already, wherever the call allows that: an endpoint that
// takes no notice of DryRun then changes nothing.
func (b *drafting) trials() []kit.Trial {
	w := b.w
	inc := b.r.Incident.Number.String()
	run := map[string]string{respond.TagRun: inc}
	var out []kit.Trial
	add := func(call string, in any) { out = append(out, kit.Try(awscalls.Act, b.Target.Account, call, in)) }
	for _, n := range b.ours() {
		add(kit.CallInterface, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &n.ID, SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(n.SourceDestCheck)}})
	}
	if w.Lifecycle != "spot" {
		add(kit.CallAttribute, attributeInput(attributeParams{Instance: w.InstanceID, Attribute: attrTermination}, strconv.FormatBool(w.Attributes.DisableTermination)))
	}
	add(kit.CallTags, &ec2.CreateTagsInput{Resources: []string{w.InstanceID}, Tags: tagList(map[string]string{respond.TagIncident: inc})})
	for _, a := range w.Addresses {
		if b.takes(a) {
			add(kit.CallDisassociate, &ec2.DisassociateAddressInput{AssociationId: aws.String(a.Association)})
		}
	}
	for _, vpc := range b.vpcs(false) {
		add(kit.CallGroup, &ec2.CreateSecurityGroupInput{VpcId: aws.String(vpc), GroupName: aws.String(convertName + "-dry-run"), Description: aws.String("Never made."),
			TagSpecifications: tagSpecs(types.ResourceTypeSecurityGroup, run, "")})
	}
	for _, s := range w.Subnets {
		switch {
		case b.whyACL(s) == "" || s.ACL == "":
		case b.alone(s):
			add(kit.CallACL, &ec2.CreateNetworkAclInput{VpcId: aws.String(s.VPC), TagSpecifications: tagSpecs(types.ResourceTypeNetworkAcl, run, "")})
			add(kit.CallTie, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: aws.String(s.Association), NetworkAclId: aws.String(s.ACL)})
		}
	}
	for _, at := range b.places() {
		v4 := slices.DeleteFunc(slices.Concat(at.blocks, at.remotes), isV6)
		if taken, ok := b.entryOf(at.acl); ok && len(v4) > 0 {
			// The number is taken: nothing can come of it, even where it is no dry run.
			add(kit.CallEntry, &ec2.CreateNetworkAclEntryInput{NetworkAclId: aws.String(at.acl), RuleNumber: aws.Int32(taken.Number), Egress: aws.Bool(taken.Egress),
				Protocol: aws.String("-1"), RuleAction: types.RuleActionDeny, CidrBlock: aws.String(v4[0])})
		}
	}
	if w.Metadata.Endpoint != "" && w.Metadata.Endpoint != "disabled" {
		add(kit.CallMetadata, w.Metadata.input(w.InstanceID))
	}
	return out
}
