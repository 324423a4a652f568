package forensics_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const transferARN = "arn:aws:kms:" + region + ":" + victim + ":key/transfer"

// grants are those of the transfer key.
func (b *bench) grants() []string {
	b.t.Helper()
	var list []string
	if err := b.world.Edit(func(e *sim.Editor) {
		for _, g := range e.KMSKey(victim, region, "transfer").Grants {
			list = append(list, g.Name)
		}
	}); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// underAnAlias is a transfer key that is configured as it is in many accounts.
func underAnAlias(_ *sim.Options, p *respond.Policy, e *edits) {
	p.Forensics.TransferKey = "alias/guardroom-transfer"
	e.then = append(e.then, func(e *sim.Editor, _ []string) {
		e.AddKMSKey(victim, region, sim.KMSKey{ID: "transfer", Alias: "alias/guardroom-transfer"})
	})
}

func TestATransferKeyByItsAliasIsGrantedAndRetiredByTheARNThatAWSShows(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey, underAnAlias)
	records := b.run()
	b.completed(records)
	made := b.calls("KMS.CreateGrant")
	if len(made) == 0 {
		t.Fatal("no grant was asked for")
	}
	for _, c := range made {
		in := c.Input.(*kms.CreateGrantInput)
		if aws.ToString(in.KeyId) != transferARN {
			t.Errorf("the grant is of %s", aws.ToString(in.KeyId))
		}
		// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html
		for _, need := range []string{"DescribeKey", "CreateGrant", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Decrypt"} {
			if !slices.ContainsFunc(in.Operations, func(o kmstypes.GrantOperation) bool { return string(o) == need }) {
				t.Errorf("the grant lacks %s", need)
			}
		}
	}
	if m := records["share/"+b.volumes[0]].Message; !strings.Contains(m, "with a grant for its key") {
		t.Errorf("it says %q", m)
	}
	if left := b.grants(); len(left) != 0 {
		t.Errorf("grants are left: %q", left)
	}
}

func TestAGrantWhoseAnswerWasLostBeforeAnAbortIsRetired(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	b.draft()
	lost := 0
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if lost == 0 && phase == sim.After && c.String() == "KMS.CreateGrant" {
			lost++
			b.journal.Send(playbook.AbortTopic, nil)
			return refusal("InternalError") // it was made, and nobody heard
		}
		return nil
	}
	records := b.run()
	if lost == 0 || records["share/"+b.volumes[0]].State != playbook.Skipped {
		t.Fatalf("the share is %s", records["share/"+b.volumes[0]].State)
	}
	b.sweep()
	if left := b.grants(); len(left) != 0 {
		t.Errorf("the forensic account keeps the key by %q", left)
	}
	if left := b.owed.left(); len(left) != 0 {
		t.Errorf("owed: %q", left)
	}
}

func TestACrashAfterAGrantIsMadeLeavesNoGrantOnceSwept(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	b.draft()
	b.life.script = func(phase sim.Phase, c sim.Call) error {
		if phase == sim.After && c.String() == "KMS.CreateGrant" {
			b.life.dead = true
		}
		return nil
	}
	if _, err := b.execute(); err == nil {
		t.Fatal("the process did not die")
	}
	b.life.dead, b.life.script = false, nil
	if len(b.grants()) != 1 {
		t.Fatalf("grants: %q", b.grants())
	}
	b.sweep()
	if left := b.grants(); len(left) != 0 {
		t.Errorf("the forensic account keeps the key by %q", left)
	}
}

func TestWhoActsAsAUserMayRetireTheGrant(t *testing.T) {
	t.Parallel()
	b := newBench(t, quick, toLab, awsKey)
	user := "arn:aws:iam::" + victim + ":user/guardroom"
	b.draft()
	b.aws = asUser{b.world.AWS(), user}
	b.completed(b.run())
	for _, c := range b.calls("KMS.CreateGrant") {
		if got := aws.ToString(c.Input.(*kms.CreateGrantInput).RetiringPrincipal); got != user {
			t.Errorf("who may retire it is %q", got)
		}
	}
}

// asUser is AWS for who has the keys of a user, and assumes no role.
type asUser struct {
	awscalls.AWS
	arn string
}

func (a asUser) STS(context.Context, awscalls.Place) (awscalls.STS, error) { return a, nil }

func (a asUser) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: aws.String(victim), Arn: aws.String(a.arn)}, nil
}

func TestACopyThatFailsBecauseTheGrantIsYoungIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		copies  int // that fail
		state   playbook.State
		attempt int
	}{{"once", 1, playbook.Completed, 2}, {"for ever", 99, playbook.Failed, 4}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, quick, toLab, awsKey)
			b.draft()
			source, n := "", 0
			b.life.script = func(phase sim.Phase, call sim.Call) error {
				in, ok := call.Input.(*ec2.CopySnapshotInput)
				if !ok || phase != sim.Before {
					return nil
				}
				if call.Place.Account == victim { // the copy under the transfer key is what is shared
					return nil
				}
				if b.rekeyed(in) && n < c.copies {
					source, n = *in.SourceSnapshotId, n+1
					in.KmsKeyId = aws.String("arn:aws:kms:" + region + ":" + lab + ":key/none") // the copy ends in an error
				}
				return nil
			}
			records := b.run()
			r := records["copy/"+b.volumes[0]]
			made := 0
			for _, call := range b.calls("EC2.CopySnapshot") {
				if aws.ToString(call.Input.(*ec2.CopySnapshotInput).SourceSnapshotId) == source {
					made++
				}
			}
			if source == "" || r.State != c.state || made != c.attempt {
				t.Fatalf("%d copies of %q, the step is %s: %s", made, source, r.State, r.Message)
			}
			if why := b.gap(records, "of "+source); why == "" {
				t.Error("the copy that failed is no gap")
			}
			if len(b.grants()) != 0 || len(b.owed.left()) != 0 {
				t.Errorf("grants %q, owed %q", b.grants(), b.owed.left())
			}
		})
	}
}

// rekeyed reports whether a copy is of the snapshot under the transfer key. It is
// asked within a call, so it goes by the description alone.
func (b *bench) rekeyed(in *ec2.CopySnapshotInput) bool {
	return strings.Contains(aws.ToString(in.Description), b.volumes[0])
}
