package iam

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// user contains an IAM user.
type user struct{}

var _ respond.Playbook = user{}

func (user) Name() string { return "iam-user" }
func (user) Version() int { return 1 }
func (user) Summary() string {
	return "Deny an IAM user everything and make its access keys inactive."
}
func (user) Fits(t respond.Target) bool { return userType(t) == "iamuser" }

// userState is a user as AWS shows it.
type userState struct {
	Name     string            `json:"name"`
	ARN      string            `json:"arn"`
	ID       string            `json:"id"`
	Created  time.Time         `json:"created"`
	Boundary string            `json:"permissions_boundary,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Keys     []keyState        `json:"keys"`
	Inline   map[string]string `json:"inline_policies,omitempty"`
	Attached []string          `json:"attached_policies,omitempty"`
	Groups   []string          `json:"groups,omitempty"`
	MFA      []string          `json:"mfa_devices,omitempty"`
	Console  string            `json:"console"` // password, none, or not known
	// Gaps are what AWS did not let us read.
	Gaps []string `json:"gaps,omitempty"`
}

type keyState struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"last_used,omitzero"`
	Service string    `json:"service,omitempty"`
	Region  string    `json:"region,omitempty"`
}

// userWorld is what Draft works from.
type userWorld struct {
	userState
	callers []kit.Caller
}

func (user) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	name := cmp.Or(r.Target.Parts[respond.PartUserName], r.Target.Name)
	if !nameForm.MatchString(name) {
		return respond.World{}, badName("a user", name)
	}
	api, err := a.IAM(ctx, r.Place(awscalls.Read))
	if err != nil {
		return respond.World{}, respond.Explain(err, "ask AWS about user "+name, "nothing was changed")
	}
	u, err := describeUser(ctx, api, name)
	if err != nil {
		return respond.World{}, respond.Explain(err, "describe user "+name, "nothing was changed")
	}
	if kit.AccountOf(u.ARN) != r.Target.Account {
		return respond.World{}, foreign("user "+name, u.ARN, r.Target.Account)
	}
	if p := r.Target.Parts[respond.PartPrincipalID]; strings.HasPrefix(p, "AIDA") && p != u.ID && !u.hasKey(r.Target.Parts[respond.PartAccessKeyID]) {
		return respond.World{}, otherOne("user "+name, u.ID, p)
	}
	before, err := json.Marshal(u)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down user "+name, "nothing was changed", "")
	}
	return respond.World{Before: before, Facts: u.facts(), Watched: u.watched(), Value: userWorld{u, kit.Callers(ctx, a, r)}, Tags: []map[string]string{u.Tags}}, nil
}

// facts say who is meant. Everything else about the user may be in the hands of
// whoever is to be contained, who must not be able to hold a run up with it.
func (u userState) facts() []respond.Fact {
	var f kit.Facts
	f.Add("user", u.ARN)
	f.Add("user id", u.ID)
	return f
}

// watched is what the steps take as it is by then: the deny is unconditional, and
// every key that is active is made inactive.
func (u userState) watched() []respond.Fact {
	var f kit.Facts
	for _, k := range u.Keys {
		f.Add("access key "+k.ID, k.Status)
	}
	for _, n := range slices.Sorted(maps.Keys(u.Inline)) {
		f.Add("inline policy "+n, short(kit.Canonical(u.Inline[n])))
	}
	f.Add("attached policies", u.Attached...)
	f.Add("groups", u.Groups...)
	f.Add("MFA devices", u.MFA...)
	f.Add("console", u.Console)
	return f
}

// describeUser reads a user. Only the user and its keys must be readable; what
// else is not becomes a gap.
func describeUser(ctx context.Context, api awscalls.IAM, name string) (userState, error) {
	out, err := api.GetUser(ctx, &iam.GetUserInput{UserName: &name})
	if err != nil {
		return userState{}, err
	}
	u := userState{Name: aws.ToString(out.User.UserName), ARN: aws.ToString(out.User.Arn), ID: aws.ToString(out.User.UserId),
		Created: aws.ToTime(out.User.CreateDate), Tags: map[string]string{}, Inline: map[string]string{}}
	if b := out.User.PermissionsBoundary; b != nil {
		u.Boundary = aws.ToString(b.PermissionsBoundaryArn)
	}
	for _, t := range out.User.Tags {
		u.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if u.Keys, err = keysOf(ctx, api, name); err != nil {
		return userState{}, err
	}
	for i := range u.Keys {
		k := &u.Keys[i]
		u.try("when key "+k.ID+" was used last", k.lastUsed(ctx, api))
	}
	u.try("the inline policies", u.readInline(ctx, api))
	u.try("the attached policies", u.readAttached(ctx, api))
	u.try("the groups", u.readGroups(ctx, api))
	u.try("the MFA devices", u.readMFA(ctx, api))
	u.try("whether it has a password", u.readConsole(ctx, api))
	return u, nil
}

func (u *userState) try(what string, err error) {
	if err != nil {
		u.Gaps = append(u.Gaps, what+": "+respond.Explain(err, "could not be read", "").Error())
	}
}

func keysOf(ctx context.Context, api awscalls.IAM, name string) ([]keyState, error) {
	keys := []keyState{}
	err := pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, k := range out.AccessKeyMetadata {
			keys = append(keys, keyState{ID: aws.ToString(k.AccessKeyId), Status: string(k.Status), Created: aws.ToTime(k.CreateDate)})
		}
		return out.Marker, out.IsTruncated, nil
	})
	slices.SortFunc(keys, func(a, b keyState) int { return cmp.Compare(a.ID, b.ID) })
	return keys, err
}

func (k *keyState) lastUsed(ctx context.Context, api awscalls.IAM) error {
	out, err := api.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &k.ID})
	if err != nil || out.AccessKeyLastUsed == nil {
		return err
	}
	k.Used = aws.ToTime(out.AccessKeyLastUsed.LastUsedDate)
	k.Service, k.Region = aws.ToString(out.AccessKeyLastUsed.ServiceName), aws.ToString(out.AccessKeyLastUsed.Region)
	return nil
}

func (u *userState) readInline(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: &u.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, n := range out.PolicyNames {
			d, err := userPolicy(ctx, api, u.Name, n)
			if err != nil {
				return nil, false, err
			}
			u.Inline[n] = d.Text
		}
		return out.Marker, out.IsTruncated, nil
	})
}

// userPolicy reads an inline policy; one that is not there is absent.
func userPolicy(ctx context.Context, api awscalls.IAM, user, name string) (kit.Document, error) {
	out, err := api.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: &user, PolicyName: &name})
	if respond.Is(err, "NoSuchEntity") {
		return kit.None(), nil
	}
	if err != nil {
		return kit.Document{}, err
	}
	return kit.Text(kit.Decoded(aws.ToString(out.PolicyDocument))), nil
}

func (u *userState) readAttached(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: &u.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, p := range out.AttachedPolicies {
			u.Attached = append(u.Attached, aws.ToString(p.PolicyArn))
		}
		slices.Sort(u.Attached)
		return out.Marker, out.IsTruncated, nil
	})
}

func (u *userState) readGroups(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: &u.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, g := range out.Groups {
			u.Groups = append(u.Groups, aws.ToString(g.GroupName))
		}
		slices.Sort(u.Groups)
		return out.Marker, out.IsTruncated, nil
	})
}

func (u *userState) readMFA(ctx context.Context, api awscalls.IAM) error {
	return pages(func(marker *string) (*string, bool, error) {
		out, err := api.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: &u.Name, Marker: marker})
		if err != nil {
			return nil, false, err
		}
		for _, d := range out.MFADevices {
			u.MFA = append(u.MFA, aws.ToString(d.SerialNumber))
		}
		slices.Sort(u.MFA)
		return out.Marker, out.IsTruncated, nil
	})
}

func (u *userState) readConsole(ctx context.Context, api awscalls.IAM) error {
	u.Console = "not known"
	_, err := api.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: &u.Name})
	switch {
	case respond.Is(err, "NoSuchEntity"):
		u.Console = "none"
	case err != nil:
		return err
	default:
		u.Console = "password"
	}
	return nil
}

// usedLately says by which services keys were used in the hour before now.
func (u userState) usedLately(now time.Time) []string {
	var out []string
	for _, k := range u.Keys {
		if !k.Used.IsZero() && now.Sub(k.Used) <= time.Hour {
			out = append(out, fmt.Sprintf("%s by %s in %s at %s", k.ID, k.Service, k.Region, k.Used.UTC().Format("15:04 UTC")))
		}
	}
	return out
}

// hasKey reports whether the user has the key: who has it is the one that the
// finding is about, whatever id it gives.
func (u userState) hasKey(id string) bool {
	return id != "" && slices.ContainsFunc(u.Keys, func(k keyState) bool { return k.ID == id })
}
