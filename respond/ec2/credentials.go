package ec2

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type revokeParams struct {
	Instance string `json:"instance"`
	Role     string `json:"role"` // its name, as the profile has it
	RoleID   string `json:"role_id"`
	Policy   string `json:"policy"`
}

// denyDocument denies everything to the sessions of one instance. It has no
// date: credentials that the instance fetches anew die too.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func denyDocument(roleID, instance string) string {
	type statement struct {
		Sid       string                       `json:"Sid"`
		Effect    string                       `json:"Effect"`
		Action    string                       `json:"Action"`
		Resource  string                       `json:"Resource"`
		Condition map[string]map[string]string `json:"Condition"`
	}
	return kit.MustJSON(struct {
		Version   string      `json:"Version"`
		Statement []statement `json:"Statement"`
	}{"2012-10-17", []statement{{"GuardroomRevoke", "Deny", "*", "*", map[string]map[string]string{"StringEquals": {"aws:userid": roleID + ":" + instance}}}}})
}

// rolePolicy is the inline policy of a role.
func rolePolicy(x *respond.Exec, p revokeParams) kit.Setting[kit.Document] {
	return kit.Setting[kit.Document]{
		What: "the policy " + p.Policy + " of role " + p.Role,
		Look: func(ctx context.Context) (kit.Document, error) {
			c, err := x.AWS.IAM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
			if err != nil {
				return kit.None(), err
			}
			return readRolePolicy(ctx, c, p)
		},
		Put: func(ctx context.Context, v kit.Document) error {
			c, err := x.AWS.IAM(ctx, x.Place())
			if err != nil {
				return err
			}
			if !v.Absent {
				_, err = c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &p.Role, PolicyName: &p.Policy, PolicyDocument: &v.Text})
				return err
			}
			_, err = c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &p.Role, PolicyName: &p.Policy})
			if respond.Gone(err) {
				return nil
			}
			return err
		},
		Same: kit.SameDocument,
	}
}

func readRolePolicy(ctx context.Context, c awscalls.IAM, p revokeParams) (kit.Document, error) {
	out, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &p.Role, PolicyName: &p.Policy})
	if respond.Gone(err) {
		return kit.None(), nil
	}
	if err != nil {
		return kit.None(), err
	}
	return kit.Text(kit.Decoded(str(out.PolicyDocument))), nil
}

// revokeSessions denies everything to the sessions of this instance, and to no
// other holder of the role.
func revokeSessions(x *respond.Exec) (playbook.Outcome, error) {
	var p revokeParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	changed, err := kit.Set(x, rolePolicy(x, p), func(kit.Document) (kit.Document, error) {
		return kit.Text(denyDocument(p.RoleID, p.Instance)), nil
	})
	if err != nil && !respond.Transient(err) && !ends(err) && !errors.Is(err, playbook.ErrAborted) {
		why := "sessions of " + p.Instance + " go on"
		if respond.DeniedByAWS(err) {
			why += " (iam:PutRolePolicy is not allowed)"
		}
		if err := stillOpen(x, respond.Verdict{What: "role " + p.Role, Word: respond.Partly(why)}.String()); err != nil {
			return playbook.Outcome{}, err
		}
	}
	switch {
	case respond.Is(err, "UnmodifiableEntity"):
		return playbook.Outcome{}, conflict("role "+p.Role+" belongs to AWS and takes no policy", "its sessions live on", "end the sessions by the service that owns the role")
	case respond.Is(err, "LimitExceeded"):
		return playbook.Outcome{}, conflict("role "+p.Role+" has no room for another inline policy", "its sessions live on", "attach a managed policy with the same statement by hand, or make room")
	case err != nil:
		return playbook.Outcome{}, err
	case !changed:
		return done("its sessions were denied before; undo leaves that")
	}
	return done("the sessions of " + p.Instance + " are denied everything; AWS needs up to some minutes")
}

func restoreRolePolicy(x *respond.Exec) (playbook.Outcome, error) {
	var b kit.Back[revokeParams, kit.Document]
	if err := x.Params(&b); err != nil {
		return playbook.Outcome{}, err
	}
	return orGone(kit.Restore(x, rolePolicy(x, b.Of), b.Before, b.After))
}

// profileNow is the profile that the instance holds; nil: none.
func profileNow(x *respond.Exec, instance string) (*Profile, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (*Profile, error) {
		return currentProfile(ctx, c, instance)
	})
}

type profileParams struct {
	Instance string `json:"instance"`
	ARN      string `json:"arn"`
}

// disassociateProfile takes the profile off, so that no new credentials come. It
// ends no session.
func disassociateProfile(x *respond.Exec) (playbook.Outcome, error) {
	var p profileParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (*Profile, error) { return profileNow(x, p.Instance) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	if before == nil {
		return done(p.Instance + " had no profile already; undo leaves it so")
	}
	now, err := profileNow(x, p.Instance)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case now == nil:
		return done("the profile is off")
	case now.ARN != before.ARN:
		return playbook.Outcome{}, kit.Changed("the profile of " + p.Instance)
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.DisassociateIamInstanceProfile(ctx, &ec2.DisassociateIamInstanceProfileInput{AssociationId: &now.Association})
		return err
	})
	if err != nil && !respond.Is(err, "NoSuchAssociation", "InvalidAssociationID.NotFound") {
		return playbook.Outcome{}, err
	}
	ok, err := seen(x, func() (bool, error) {
		n, err := profileNow(x, p.Instance)
		return n == nil, err
	})
	if err == nil && !ok {
		err = unseen(x, "the profile is off")
	}
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done("the profile is off; sessions that it gave out are denied, not ended")
}

func undoProfile(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[profileParams](s)
	var before *Profile
	if err != nil || !rec.Load(respond.SavedBefore, &before) || before == nil {
		return nil, err
	}
	p.ARN = before.ARN
	return restore(s, actReprofile, p.Instance+": no profile -> "+before.Name, p)
}

func associateProfile(x *respond.Exec) (playbook.Outcome, error) {
	var p profileParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := profileNow(x, p.Instance)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case now != nil && now.ARN == p.ARN:
		return done("it has its profile")
	case now != nil:
		return playbook.Outcome{}, kit.Changed("the profile of " + p.Instance + ", now " + now.Name + ",")
	}
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &p.Instance, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: &p.ARN}})
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done("it has its profile")
}

// metadataNow are the options of the metadata service.
func metadataNow(x *respond.Exec, instance string) (Metadata, error) {
	return see(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) (Metadata, error) { return oneMetadata(ctx, c, instance) })
}

func oneMetadata(ctx context.Context, c awscalls.EC2, instance string) (Metadata, error) {
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{instance}})
	if err != nil {
		return Metadata{}, err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if str(i.InstanceId) == instance {
				return readMetadata(i.MetadataOptions), nil
			}
		}
	}
	return Metadata{}, errNoInstance
}

// disableMetadata switches the metadata service off, through which the instance
// fetches credentials.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html
func disableMetadata(x *respond.Exec) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	before, err := respond.Once(x, respond.SavedBefore, func() (Metadata, error) { return metadataNow(x, p.Instance) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	if before.Endpoint == string(types.InstanceMetadataEndpointStateDisabled) {
		return done("it was disabled before; undo leaves it so")
	}
	now, err := metadataNow(x, p.Instance)
	if err != nil {
		return playbook.Outcome{}, err
	}
	if now.Endpoint != string(types.InstanceMetadataEndpointStateDisabled) {
		err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
			_, err := c.ModifyInstanceMetadataOptions(ctx, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &p.Instance, HttpEndpoint: types.InstanceMetadataEndpointStateDisabled})
			return err
		})
		if err != nil {
			return playbook.Outcome{}, err
		}
	}
	message := "disabled" + applied(x, p.Instance, string(types.InstanceMetadataEndpointStateDisabled))
	var after Metadata
	if !x.Load(respond.SavedAfter, &after) {
		if after, err = metadataNow(x, p.Instance); err == nil {
			err = x.Save(respond.SavedAfter, after)
		}
		if err != nil {
			return playbook.Outcome{}, err
		}
	}
	return done(message)
}

// applied waits until the options are in force; a stopped instance takes them
// when it starts.
func applied(x *respond.Exec, instance, endpoint string) string {
	ok, err := seen(x, func() (bool, error) {
		m, err := metadataNow(x, instance)
		return m.Endpoint == endpoint && m.State != string(types.InstanceMetadataOptionsStatePending), err
	})
	if err != nil || !ok {
		return "; AWS does not show it as applied yet"
	}
	return ""
}

type metadataParams struct {
	Instance string   `json:"instance"`
	Before   Metadata `json:"before"`
	// After are the options that AWS showed once it was off.
	After Metadata `json:"after,omitzero"`
}

func undoMetadata(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	p, err := paramsOf[metadataParams](s)
	if err != nil || !rec.Load(respond.SavedBefore, &p.Before) || p.Before.Endpoint == string(types.InstanceMetadataEndpointStateDisabled) {
		return nil, err
	}
	rec.Load(respond.SavedAfter, &p.After)
	return restore(s, actUnmetadata, p.Instance+": metadata service disabled -> "+p.Before.Endpoint, p)
}

// back are the options to restore: those of before, but for what somebody changed
// since the service was switched off.
func (p metadataParams) back(now Metadata) Metadata {
	m, left := p.Before, p.After
	if left.Endpoint == "" {
		left = p.Before
	}
	if now.Tokens != "" && now.Tokens != left.Tokens {
		m.Tokens = now.Tokens
	}
	if now.Tags != "" && now.Tags != left.Tags {
		m.Tags = now.Tags
	}
	if now.HopLimit > 0 && now.HopLimit != left.HopLimit {
		m.HopLimit = now.HopLimit
	}
	return m
}

// input asks for exactly these options, so that none is left to what AWS makes of
// one that is not named. A service that is off takes no others beside it.
func (m Metadata) input(instance string) *ec2.ModifyInstanceMetadataOptionsInput {
	in := &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &instance, HttpEndpoint: types.InstanceMetadataEndpointState(m.Endpoint)}
	if in.HttpEndpoint == types.InstanceMetadataEndpointStateDisabled {
		return in
	}
	in.HttpTokens, in.HttpProtocolIpv6, in.InstanceMetadataTags = types.HttpTokensState(m.Tokens), types.InstanceMetadataProtocolState(m.IPv6), types.InstanceMetadataTagsState(m.Tags)
	if m.HopLimit > 0 {
		in.HttpPutResponseHopLimit = aws.Int32(m.HopLimit)
	}
	return in
}

// enableMetadata switches the service on again, with the options that it had:
// where somebody made them stricter since, they stay so.
func enableMetadata(x *respond.Exec) (playbook.Outcome, error) {
	var p metadataParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	now, err := metadataNow(x, p.Instance)
	switch {
	case err != nil:
		return playbook.Outcome{}, err
	case now.Endpoint == p.Before.Endpoint:
		return done("the metadata service is " + now.Endpoint)
	}
	want := p.back(now)
	err = change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.ModifyInstanceMetadataOptions(ctx, want.input(p.Instance))
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	message := "the metadata service is " + p.Before.Endpoint + applied(x, p.Instance, p.Before.Endpoint)
	if want.Tokens != p.Before.Tokens || want.HopLimit != p.Before.HopLimit || want.Tags != p.Before.Tags {
		message += "; its other options were changed since and stay"
	}
	return done(message)
}

// endSessions ends the sessions of Session Manager that are open to the instance
// now. People open new ones where they are allowed to.
func endSessions(x *respond.Exec) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	var ended []string
	x.Load(respond.SavedBefore, &ended)
	list, err := see(x, awscalls.AWS.SSM, func(ctx context.Context, c awscalls.SSM) ([]string, error) {
		return openSessions(ctx, c, p.Instance)
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	for _, id := range list {
		err := change(x, awscalls.AWS.SSM, func(ctx context.Context, c awscalls.SSM) error {
			_, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: &id})
			return err
		})
		if err != nil && !respond.Is(err, "DoesNotExistException") {
			return playbook.Outcome{}, err
		}
		ended = append(ended, id)
		if err := x.Save(respond.SavedBefore, ended); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if len(ended) == 0 {
		return done("no session was open")
	}
	return done(respond.Count(len(ended), "session") + " ended")
}
