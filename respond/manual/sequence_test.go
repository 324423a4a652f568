package manual_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/kit/kittest"
	"github.com/guardroom/guardroom/respond/lambda"
	"github.com/guardroom/guardroom/respond/manual"
	"github.com/guardroom/guardroom/respond/s3"
	"github.com/guardroom/guardroom/respond/sharing"
)

// attack is a user, a role, a function, a bucket and a cluster that one sequence
// names.
func attack(t testing.TB) *kittest.Bench {
	t.Helper()
	fetch := func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("code")), nil
	}
	parts := slices.Concat(iam.Playbooks(), s3.Playbooks(), []respond.Playbook{lambda.Playbook()}, sharing.Playbooks(), []respond.Playbook{manual.Playbook()})
	b := kittest.New(t, respond.Sequence{Parts: parts}, slices.Concat(iam.Actions(), s3.Actions(), lambda.Actions(fetch), sharing.Actions()), nil, func(e *sim.Editor) {
		e.AddUser(kittest.Account, sim.User{Name: "ada", ID: "AIDAADA"})
		e.AddAccessKey(kittest.Account, "ada", sim.AccessKey{ID: "AKIAADAAAAAAAAAAAAA1", Active: true})
		e.AddRole(kittest.Account, sim.Role{Name: "app", ID: "AROAAPP"})
		e.AddRole(kittest.Account, sim.Role{Name: "break-glass"})
		e.AddFunction(kittest.Account, kittest.Region, sim.Function{Name: "resize", Code: []byte("code")})
		e.AddBucket(kittest.Account, sim.Bucket{Name: "payments", Region: kittest.Region})
		e.AddBucket(kittest.Account, sim.Bucket{Name: kittest.Evidence, Region: kittest.Region, ObjectLock: true})
	})
	b.Policy.Evidence.Bucket = kittest.Evidence
	b.Policy.BreakGlass = []string{"arn:aws:iam::" + kittest.Account + ":role/break-glass"}
	target := func(k finding.ResourceKind, id string, parts map[string]string) respond.Target {
		return respond.Target{Kind: k, ID: id, Account: kittest.Account, Region: kittest.Region, Parts: parts}
	}
	b.Type = "AttackSequence:S3/CompromisedData"
	b.Target = target(finding.KindS3Bucket, "payments", nil)
	b.Others = []respond.Target{
		target(finding.KindLambda, "resize", nil),
		target(finding.KindAccessKey, "ada", map[string]string{"user_name": "ada", "user_type": "IAMUser", "principal_id": "AIDAADA"}),
		target(finding.KindAccessKey, "app", map[string]string{"user_name": "app", "user_type": "AssumedRole", "principal_id": "AROAAPP"}),
		target(finding.KindEKSCluster, "prod", nil),
	}
	return b
}

func TestASequenceIsContainedInOnePlanCredentialsFirst(t *testing.T) {
	t.Parallel()
	b := attack(t)
	p, records := b.Contain()
	if _, contained, _ := b.Result(p, records); !contained {
		t.Fatal("not contained")
	}
	if !kittest.Has(p.Manual, "prod") {
		t.Fatal("the cluster has no manual steps")
	}
	order := map[string]int{"IAM": 0, "Lambda": 1, "S3": 2}
	last := 0
	for _, c := range b.World.Calls() {
		if c.Place.Role != "act" || c.Service == "STS" || strings.HasSuffix(c.Operation, "RolePolicy") { // the role's second deny comes two minutes later
			continue
		}
		if order[c.Service] < last {
			t.Fatalf("%s came after a later stage", c)
		}
		last = order[c.Service]
	}
	if last != 2 {
		t.Fatal("the bucket was not reached")
	}
}

// Versioning is what cannot be switched off again.
func TestUndoOfASequenceGivesTheSameWorldButForTheVersioning(t *testing.T) {
	t.Parallel()
	b := attack(t)
	before := b.Dump()
	p, records := b.Contain()
	b.Undo(p, records)
	_ = b.World.Edit(func(e *sim.Editor) {
		if k := e.Bucket("payments"); k.Versioning != "Suspended" {
			t.Errorf("versioning is %q", k.Versioning)
		} else {
			k.Versioning = ""
		}
	})
	if diff := cmp.Diff(before, b.Dump()); diff != "" {
		t.Fatal(diff)
	}
	if !kittest.Has(p.Irreversible, "payments stays versioned") {
		t.Fatalf("%v", p.Irreversible)
	}
}

func TestOnePartThatFailsLeavesTheOthers(t *testing.T) {
	t.Parallel()
	b := attack(t)
	p := b.Plan()
	b.Deny("act", "iam:PutUserPolicy")
	records, err := b.Execute(kittest.Run, p, b.Journal)
	if err != nil {
		t.Fatal(err)
	}
	state, contained, _ := b.Result(p, records)
	failed := 0
	for _, r := range records {
		if r.State == playbook.Failed {
			failed++
		}
	}
	_ = b.World.Edit(func(e *sim.Editor) {
		if e.Bucket("payments").Block == nil || e.Function(kittest.Account, kittest.Region, "resize").Reserved == nil {
			t.Error("a denied call about the user stopped the data from being contained")
		}
	})
	if state != respond.RunPartFailed || contained || failed == 0 {
		t.Fatalf("%s, contained %t, %d failed", state, contained, failed)
	}
}

// A run describes the world of its plan again and compares. What was left out of
// the plan is no part of it: neither its being there nor its change stops the run.
func TestASequenceWithARefusedPartIsTheSameWorldWhenItRuns(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]int{"none is refused": -1, "the leading one is": 0, "one in the middle is": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := attack(t)
			kept := 1 + len(b.Others)
			never := map[string]string{respond.TagNever: "true"}
			edit := func(e *sim.Editor) {}
			switch refused {
			case 0:
				edit = func(e *sim.Editor) {
					e.AddBucket(kittest.Account, sim.Bucket{Name: "payments", Region: kittest.Region, Tags: never})
				}
			case 3:
				edit = func(e *sim.Editor) {
					e.AddRole(kittest.Account, sim.Role{Name: "app", ID: "AROAAPP", Tags: never})
				}
			}
			if refused >= 0 {
				kept--
			}
			if err := b.World.Edit(edit); err != nil {
				t.Fatal(err)
			}
			d := b.Draft()
			if len(d.Parts) != kept {
				t.Fatalf("%d parts, want %d: %v", len(d.Parts), kept, d.Manual)
			}
			b.Target, b.Others = d.Target, nil
			for _, p := range d.Parts {
				if p.Key() != d.Target.Key() {
					b.Others = append(b.Others, p)
				}
			}
			w, err := b.Describe()
			if err != nil {
				t.Fatal(err)
			}
			if respond.WorldDigest(d.World.Facts) != respond.WorldDigest(w.Facts) {
				t.Errorf("it differs: %v", respond.Differences(d.World.Facts, w.Facts))
			}
		})
	}
}
