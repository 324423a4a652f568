package iam

import (
	"context"
	"encoding/json"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// root is the root user of an account. IAM cannot deny it, and its temporary
// credentials cannot be changed: only people can act.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html
type root struct{}

var _ respond.Playbook = root{}

func (root) Name() string { return "iam-root" }
func (root) Version() int { return 1 }
func (root) Summary() string {
	return "Say what people must do about the root user of an account; guardroom changes nothing."
}
func (root) Fits(t respond.Target) bool { return userType(t) == "root" }

// Describe asks AWS nothing: there is nothing about root that it would show.
func (root) Describe(_ context.Context, _ awscalls.AWS, r respond.Request) (respond.World, error) {
	var f kit.Facts
	f.Add("root user of", r.Target.Account)
	before, err := json.Marshal(f)
	return respond.World{Before: before, Facts: f}, err
}

func (root) Draft(_ respond.World, r respond.Request) (respond.Draft, error) {
	account := r.Target.Account
	d := kit.NewDraft(r.Target, nil)
	d.Guard("root", respond.Warn, "no policy of IAM binds root, so guardroom cannot contain it", "call the owner of account "+account+" now")
	key := "its access keys"
	if id := r.Target.Parts[respond.PartAccessKeyID]; id != "" {
		key = "its access keys, " + id + " among them"
	}
	d.Manual = []string{
		"Call the owner of account " + account + ". This cannot wait, and nobody else can sign in as root.",
		"The owner signs in as root, changes the password, replaces the MFA device, and checks the e-mail address and the alternate contacts of the account.",
		"Delete " + key + ": Security credentials, Access keys. A deleted key cannot be made again.",
		"In the management account of the organisation: attach a service control policy that denies everything to account " + account + " but your break-glass role, or remove the root credentials centrally (IAM, Root access management). Neither works for the management account itself.",
		"Look in CloudTrail, in every region, for userIdentity.type = Root since " + since(r) + ": new users, keys, roles, trust policies, instances, changes of billing.",
		"Open a case with AWS Support as an account compromise.",
	}
	d.WillNot = []string{"guardroom changes nothing for root"}
	d.Undo = "nothing is changed"
	return d.Draft, nil
}
