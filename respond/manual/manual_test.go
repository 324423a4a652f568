package manual_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/lambda"
	"github.com/guardroom/guardroom/respond/manual"
	"github.com/guardroom/guardroom/respond/s3"
	"github.com/guardroom/guardroom/respond/sharing"
)

// kinds are all kinds of resources that a finding may name, with an id and the
// playbook that is preferred for it.
var kinds = []struct {
	kind  finding.ResourceKind
	id    string
	parts map[string]string
	want  string
}{
	{finding.KindInstance, "i-0123456789abcdef0", nil, "ec2-contain"},
	{finding.KindAccessKey, "ada", map[string]string{"user_type": "IAMUser"}, "iam-user"},
	{finding.KindAccessKey, "app", map[string]string{"user_type": "AssumedRole"}, "iam-role"},
	{finding.KindAccessKey, "Root", map[string]string{"user_type": "Root"}, "iam-root"},
	{finding.KindAccessKey, "bob", map[string]string{"user_type": "FederatedUser"}, "manual"},
	{finding.KindS3Bucket, "payments", nil, "s3-bucket"},
	{finding.KindS3Object, "payments/x", nil, "s3-object"},
	{finding.KindLambda, "resize", nil, "lambda-function"},
	{finding.KindEBSSnapshot, "snap-0123456789abcdef0", nil, "ebs-snapshot"},
	{finding.KindImage, "ami-0123456789abcdef0", nil, "ec2-image"},
	{finding.KindEKSCluster, "prod", nil, "manual"},
	{finding.KindWorkload, "shop/deployments/cart", nil, "manual"},
	{finding.KindECSCluster, "prod", nil, "manual"},
	{finding.KindECSTask, "0123456789abcdef0123456789abcdef", nil, "manual"},
	{finding.KindContainer, "c1", nil, "manual"},
	{finding.KindDBInstance, "orders", nil, "manual"},
	{finding.KindLimitlessDB, "orders", nil, "manual"},
	{finding.KindEBSVolume, "vol-0123456789abcdef0", nil, "manual"},
	{finding.KindRecoveryPoint, "r1", nil, "manual"},
	{finding.KindUnknown, "x", nil, "manual"},
	{finding.KindOther, "x", nil, "manual"},
}

// A condition that is always true hid a whole branch, and a list of three kinds
// left the others without any answer.
func TestDefect15And59EachResourceReachesItsOwnPlaybookOrAStatedNotifyOnly(t *testing.T) {
	t.Parallel()
	all := slices.Concat([]respond.Playbook{ec2.Playbook()}, iam.Playbooks(), s3.Playbooks(), []respond.Playbook{lambda.Playbook()}, sharing.Playbooks(), []respond.Playbook{block.Playbook(), manual.Playbook()})
	for _, k := range kinds {
		target := respond.Target{Kind: k.kind, ID: k.id, Account: kittest.Account, Region: kittest.Region, Parts: k.parts}
		i := slices.IndexFunc(all, func(p respond.Playbook) bool { return p.Fits(target) })
		if i < 0 || all[i].Name() != k.want {
			t.Errorf("%s %s: playbook %d, want %s", k.kind, k.id, i, k.want)
		}
	}
}

func draft(t testing.TB, target respond.Target) (respond.Draft, *kittest.Bench) {
	t.Helper()
	b := kittest.New(t, manual.Playbook(), manual.Actions(), manual.Closings(), func(*sim.Editor) {})
	b.Target = target
	b.Target.Account, b.Target.Region = kittest.Account, kittest.Region
	return b.Draft(), b
}

func TestEveryKindHasStepsForPeopleAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		d, b := draft(t, respond.Target{Kind: k.kind, ID: k.id, Parts: k.parts})
		if len(d.Manual) < 4 || len(d.Steps) != 0 || len(b.World.Calls()) != 0 {
			t.Errorf("%s: %d manual steps, %d steps, %d calls", k.kind, len(d.Manual), len(d.Steps), len(b.World.Calls()))
		}
		if g := kittest.Guard(t, d, "notify only"); g.Answer != respond.Warn {
			t.Errorf("%s: %+v", k.kind, g)
		}
	}
}

func TestTheManualStepsHoldTheRightNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target respond.Target
		want   []string
	}{
		{respond.Target{Kind: finding.KindEKSCluster, ID: "prod"}, []string{"aws eks list-access-entries --cluster-name prod --region eu-west-1", "aws-auth"}},
		{respond.Target{Kind: finding.KindWorkload, ID: "shop/deployments/cart", Parts: map[string]string{"cluster": "prod"}}, []string{"kubectl get deployment -n shop cart -o yaml", "of the cluster prod", "kubectl cordon"}},
		{respond.Target{Kind: finding.KindECSTask, ID: "t", Parts: map[string]string{"cluster": "prod", "task_arn": "arn:aws:ecs:eu-west-1:111122223333:task/prod/abc"}}, []string{"describe-tasks --cluster prod --region eu-west-1 --tasks arn:aws:ecs:eu-west-1:111122223333:task/prod/abc", "DRAINING"}},
		{respond.Target{Kind: finding.KindDBInstance, ID: "orders"}, []string{"--db-instance-identifier orders --region eu-west-1", "guardroom-orders", "Do not stop"}},
		{respond.Target{Kind: finding.KindLimitlessDB, ID: "orders"}, []string{"describe-db-shard-groups --db-shard-group-identifier orders --region eu-west-1", "create-db-cluster-snapshot --db-cluster-identifier CLUSTER", "Do not stop"}},
		{respond.Target{Kind: finding.KindEBSVolume, ID: "vol-0123456789abcdef0"}, []string{"--volume-ids vol-0123456789abcdef0"}},
		{respond.Target{Kind: finding.KindRecoveryPoint, ID: "r", ARN: "arn:aws:backup:eu-west-1:111122223333:recovery-point:1"}, []string{"do not delete it: arn:aws:backup:eu-west-1:111122223333:recovery-point:1"}},
		{respond.Target{Kind: finding.KindAccessKey, ID: "bob", Parts: map[string]string{"user_type": "FederatedUser", "user_name": "bob"}}, []string{"bob", "GetFederationToken"}},
	} {
		d, _ := draft(t, c.target)
		for _, w := range c.want {
			if !kittest.Has(d.Manual, w) {
				t.Errorf("%s: %q is not in\n%s", c.target.Kind, w, strings.Join(d.Manual, "\n"))
			}
		}
	}
}

// Whoever writes names into a finding must not write into a command that people
// paste.
func TestNamesThatAreNoneNeverReachACommand(t *testing.T) {
	t.Parallel()
	risky := regexp.MustCompile("[;|&$`<>\\\\\n\r\x00\x1b]")
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching("[a-z0-9/:;|&$`<>\\\\\n\x1b '\"(){}*-]{0,30}")
		k := rapid.SampledFrom(kinds).Draw(rt, "kind").kind
		parts := map[string]string{}
		for _, p := range []string{respond.PartCluster, respond.PartNamespace, respond.PartTaskARN, respond.PartUserName, respond.PartAccessKeyID} {
			parts[p] = text.Draw(rt, p)
		}
		target := respond.Target{Kind: k, ID: text.Draw(rt, "id"), ARN: text.Draw(rt, "arn"), Parts: parts}
		clean := respond.Target{Kind: k, ID: "x"}
		d, _ := draft(t, target)
		plain, _ := draft(t, clean)
		for i, line := range d.Manual {
			if k == finding.KindUnknown || k == finding.KindOther || k == finding.KindInstance || strings.HasPrefix(string(k), "s3") || k == finding.KindLambda || k == finding.KindImage || k == finding.KindEBSSnapshot {
				if strings.ContainsAny(line, "\n\r\x00\x1b") {
					rt.Fatalf("%q", line) // a quoted name, in no command
				}
				continue
			}
			if got, want := len(risky.FindAllString(line, -1)), len(risky.FindAllString(plain.Manual[i], -1)); got != want {
				rt.Fatalf("%q has %d such characters, and a harmless one %d", line, got, want)
			}
		}
	})
}
