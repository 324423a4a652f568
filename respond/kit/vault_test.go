package kit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const anybody = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-evidence/*"}]}`

// lookedAt looks at a bucket as an operator may have set it up.
func lookedAt(t *testing.T, o sim.Options, b sim.Bucket, change func(e *sim.Editor, p *respond.Policy)) kit.Vault {
	t.Helper()
	o.Clock = playbook.NewVirtual(kittest.Start)
	w, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := respond.DefaultPolicy()
	p.Evidence.Bucket, p.Evidence.Region = "acme-evidence", kittest.Region
	err = w.Edit(func(e *sim.Editor) {
		if b.Name != "" {
			e.AddBucket(kittest.Account, b)
		}
		if change != nil {
			change(e, &p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return kit.LookAtVault(t.Context(), w.AWS(), p, kit.HomeOf(p, awscalls.Place{Account: kittest.Account, Region: "us-west-2", Incident: "INC-42"}))
}

func good() sim.Bucket {
	return sim.Bucket{Name: "acme-evidence", Region: kittest.Region, ObjectLock: true, RetentionMode: "GOVERNANCE", RetentionDays: 7}
}

func TestALookAtTheEvidenceBucketSaysWhatItIsLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		bucket sim.Bucket
		change func(e *sim.Editor, p *respond.Policy)
		answer respond.Answer
		why    []string
		hint   string
		bad    bool
	}{
		{name: "all is well", bucket: good(), answer: respond.Pass,
			why: []string{"s3://acme-evidence is there in " + kittest.Region + ", versioned, Object Lock is on, by default governance for 7 days"}},
		{name: "its lock has no default", bucket: sim.Bucket{Name: "acme-evidence", Region: kittest.Region, ObjectLock: true}, answer: respond.Pass, why: []string{"Object Lock is on, with no default"}},
		{name: "it is not there", answer: respond.Warn, why: []string{"s3://acme-evidence: it is not there"}, hint: "respond.evidence.url", bad: true},
		{name: "it is elsewhere", bucket: sim.Bucket{Name: "acme-evidence", Region: "eu-west-3", ObjectLock: true}, answer: respond.Warn,
			why: []string{"it is in eu-west-3, and runs write to " + kittest.Region}, hint: "respond.evidence.region: eu-west-3", bad: true},
		{name: "it locks nothing", bucket: sim.Bucket{Name: "acme-evidence", Region: kittest.Region, Versioning: "Enabled"}, answer: respond.Warn, why: []string{"sealed evidence is not locked"}, hint: "respond.evidence.lock: none"},
		{name: "it locks nothing, and need not", bucket: sim.Bucket{Name: "acme-evidence", Region: kittest.Region, Versioning: "Enabled"}, answer: respond.Pass,
			change: func(_ *sim.Editor, p *respond.Policy) { p.Evidence.LockMode = "none" }, why: []string{"no Object Lock, as respond.evidence.lock says"}},
		{name: "it is not versioned", bucket: sim.Bucket{Name: "acme-evidence", Region: kittest.Region}, answer: respond.Warn, why: []string{"it is not versioned", "sealed evidence is not locked"}, bad: true},
		{name: "its policy is public", bucket: good(), answer: respond.Warn, change: func(e *sim.Editor, _ *respond.Policy) { e.Bucket("acme-evidence").Policy = anybody },
			why: []string{"it is public by its policy"}, hint: "block public access", bad: true},
		{name: "its ACL is public", bucket: good(), answer: respond.Warn, change: func(e *sim.Editor, _ *respond.Policy) { e.Bucket("acme-evidence").PublicACL = []string{"READ"} },
			why: []string{"it is public by its ACL"}, bad: true},
		{name: "what is public is blocked", bucket: good(), answer: respond.Pass, change: func(e *sim.Editor, _ *respond.Policy) {
			b := e.Bucket("acme-evidence")
			b.Policy, b.PublicACL, b.Block = anybody, []string{"READ"}, &sim.PublicBlock{IgnoreACLs: true, RestrictBucket: true}
		}, why: []string{"is there"}},
		{name: "its key is not there", bucket: good(), answer: respond.Warn, change: func(_ *sim.Editor, p *respond.Policy) { p.Evidence.KMSKey = "alias/evidence" },
			why: []string{"its key alias/evidence is not there"}, hint: "respond.evidence.kms_key", bad: true},
		{name: "its key is switched off", bucket: good(), answer: respond.Warn, change: func(e *sim.Editor, p *respond.Policy) {
			p.Evidence.KMSKey = e.AddKMSKey(kittest.Account, kittest.Region, sim.KMSKey{Disabled: true}).ARN
		}, why: []string{"is Disabled: nothing can be written"}, bad: true},
		{name: "its key is well", bucket: good(), answer: respond.Pass, change: func(e *sim.Editor, p *respond.Policy) {
			p.Evidence.KMSKey = e.AddKMSKey(kittest.Account, kittest.Region, sim.KMSKey{}).ARN
		}, why: []string{"its key is enabled"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := lookedAt(t, sim.Options{}, c.bucket, c.change)
			g := v.Guard()
			if g.Name != respond.GuardEvidence || g.Answer != c.answer || !strings.Contains(g.Hint, c.hint) || (g.Answer == respond.Warn) != (g.Hint != "") {
				t.Errorf("%+v", g)
			}
			for _, want := range c.why {
				if !strings.Contains(g.Why, want) {
					t.Errorf("%q is not in %q", want, g.Why)
				}
			}
			bad := false
			for _, x := range v.Troubles {
				bad = bad || x.Bad
			}
			if bad != c.bad {
				t.Errorf("%+v", v.Troubles)
			}
		})
	}
}

func TestWhatTheReaderMayNotAskOfTheEvidenceBucketIsOneLine(t *testing.T) {
	t.Parallel()
	deny := map[awscalls.Role][]string{awscalls.Read: {"s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketAcl"}}
	g := lookedAt(t, sim.Options{Deny: deny}, good(), nil).Guard()
	if g.Answer != respond.Warn || strings.Count(g.Why, "is not known") != 1 || strings.Contains(g.Why, "versioned") {
		t.Errorf("%+v", g)
	}
	for _, call := range []string{"S3.GetBucketLocation", "S3.GetObjectLockConfiguration", "S3.GetBucketAcl"} {
		if !strings.Contains(g.Why, call) {
			t.Errorf("%s is not in %q", call, g.Why)
		}
	}
}

func TestTheEvidenceBucketIsLookedAtWhereItsEvidenceIsKept(t *testing.T) {
	t.Parallel()
	p := respond.DefaultPolicy()
	p.Forensics.Account = "444455556666"
	got := kit.HomeOf(p, awscalls.Place{Account: kittest.Account, Region: "eu-west-3", Role: awscalls.Act, Incident: "INC-42"})
	if want := (awscalls.Place{Account: "444455556666", Region: "eu-west-3", Role: awscalls.Read, Incident: "INC-42"}); got != want {
		t.Errorf("%+v", got)
	}
}

// deaf is an AWS that answers nothing about buckets before the caller gives up,
// and then takes no notice of that.
type deaf struct {
	awscalls.AWS
	until chan struct{}
}

func (d deaf) S3(context.Context, awscalls.Place) (awscalls.S3, error) {
	<-d.until
	return nil, errors.New("too late")
}

func TestALookAtTheEvidenceBucketEndsByItself(t *testing.T) {
	t.Parallel()
	d := deaf{until: make(chan struct{})}
	defer close(d.until)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := respond.DefaultPolicy()
	p.Evidence.Bucket = "acme-evidence"
	if g := kit.LookAtVault(ctx, d, p, awscalls.Place{}).Guard(); g.Answer != respond.Warn || !strings.Contains(g.Why, "AWS did not say") {
		t.Errorf("%+v", g)
	}
	if kit.VaultLimit > 5*time.Second {
		t.Error("people wait for a plan")
	}
}

func TestAnOutageOfTheEvidenceBucketIsNoPermission(t *testing.T) {
	t.Parallel()
	down := &smithy.GenericAPIError{Code: "ServiceUnavailable", Message: "try again", Fault: smithy.FaultServer}
	hook := func(p sim.Phase, c sim.Call) error {
		if p == sim.Before && c.Service == "S3" {
			return down
		}
		return nil
	}
	g := lookedAt(t, sim.Options{Hook: hook}, good(), nil).Guard()
	if g.Answer != respond.Warn || !strings.Contains(g.Why, "where it is is not known") || strings.Contains(g.Hint, "role") {
		t.Errorf("%+v", g)
	}
}
