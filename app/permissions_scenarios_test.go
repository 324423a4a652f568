package app

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

const (
	hit      = kittest.Account
	here     = kittest.Region
	labs     = "444455556666"
	partner  = "222233334444"
	suspect  = "i-0123456789abcdef0"
	ipSet    = "0c3f1c55-0000-4000-8000-000000000001"
	openSite = `{"Version":"2012-10-17","Statement":[{"Sid":"Site","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::payments/*"}]}`
)

func keyARN(account, id string) string { return "arn:aws:kms:" + here + ":" + account + ":key/" + id }

// evidenceIn puts the evidence bucket into an account.
func evidenceIn(e *sim.Editor, b *kittest.Bench, account string) {
	e.AddBucket(account, sim.Bucket{Name: kittest.Evidence, Region: here, ObjectLock: true})
	b.Policy.Evidence.Bucket, b.Policy.Evidence.Region = kittest.Evidence, here
}

// target names what a scenario responds to.
func target(b *kittest.Bench, k finding.ResourceKind, id string, parts map[string]string) {
	b.Target = respond.Target{Kind: k, ID: id, Account: hit, Region: here, Parts: parts}
}

// attacked is an instance with all that may stand around one: two interfaces, in
// a public and a private subnet, an Elastic IP, three volumes of which one is
// under the key of AWS, a role that others hold, a group that scales, target
// groups, a classic load balancer, and an open shell.
func attacked(e *sim.Editor, b *kittest.Bench) {
	vpc := e.AddVPC(hit, here, sim.VPCSpec{})
	public := e.AddSubnet(hit, here, sim.SubnetSpec{VPC: vpc, AZ: "a"})
	private := e.AddSubnet(hit, here, sim.SubnetSpec{VPC: vpc, AZ: "a", Route: "nat"})
	e.AddRole(hit, sim.Role{Name: "payments-role", Path: "/app/", ID: "AROAPAYMENTS00000001"})
	profile := e.AddInstanceProfile(hit, sim.InstanceProfile{Name: "web-profile", Path: "/web/", Role: "payments-role"})
	id := e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect, Type: "m5.large", Subnet: public, Profile: profile.ARN, ElasticIP: true, Shutdown: "terminate", Console: "login:",
		Tags: map[string]string{"Name": "web-1"}, Interfaces: []sim.InterfaceSpec{{ElasticIP: true}, {Subnet: private}},
		Volumes: []sim.VolumeSpec{{GiB: 1}, {GiB: 1, Encrypted: true}, {GiB: 1, Key: keyARN(hit, "own")}}})
	e.AddKMSKey(hit, here, sim.KMSKey{ID: "own"})
	group := e.AddTargetGroup(hit, here, sim.TargetGroupSpec{Name: "payments", VPC: vpc, Targets: []string{}})
	e.AddAutoScalingGroup(hit, here, sim.AutoScalingGroupSpec{Name: "payments-asg", Min: 1, Max: 3, ELB: true, Targets: []string{group}, Subnets: []string{public},
		Instances: []string{id, e.AddInstance(hit, here, sim.InstanceSpec{Subnet: public})}})
	e.AddTargetGroup(hit, here, sim.TargetGroupSpec{Name: "by-hand", VPC: vpc, Targets: []string{id}})
	e.AddClassicELB(hit, here, sim.ClassicELBSpec{Name: "old-lb", VPC: vpc, Instances: []string{id}})
	e.SetAgent(hit, here, sim.SSMAgent{Instance: id})
	e.AddSSMSession(hit, here, sim.ShellSession{Instance: id, Owner: "arn:aws:iam::" + hit + ":user/mallory"})
	b.Type = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
	target(b, finding.KindInstance, id, nil)
}

// seen is an instance in a subnet, whose id it returns.
func seen(e *sim.Editor, b *kittest.Bench) string {
	subnet := e.AddSubnet(hit, here, sim.SubnetSpec{})
	e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect, Subnet: subnet})
	evidenceIn(e, b, hit)
	b.Type = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
	target(b, finding.KindInstance, suspect, nil)
	return subnet
}

// laboratory is what a workstation needs, in an account.
func laboratory(e *sim.Editor, b *kittest.Bench, account string) {
	vpc := e.AddVPC(account, here, sim.VPCSpec{ID: "vpc-lab"})
	e.AddSubnet(account, here, sim.SubnetSpec{ID: "subnet-lab", VPC: vpc, AZ: "b", Route: "none"})
	e.AddSecurityGroup(account, here, sim.SecurityGroupSpec{ID: "sg-lab", VPC: vpc, Name: "lab"})
	image := e.AddImage(account, here, sim.ImageSpec{Owner: "amazon", Name: "al2023"})
	e.AddParameter(account, here, sim.Parameter{Name: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Value: image})
	evidenceIn(e, b, account)
	f := &b.Policy.Forensics
	f.Subnets, f.SecurityGroups = []string{"subnet-lab"}, []string{"sg-lab"}
	if account != hit {
		e.AddKMSKey(account, here, sim.KMSKey{ID: "evidence"})
		e.AddKMSKey(hit, here, sim.KMSKey{ID: "transfer"})
		f.Account, f.Key, f.TransferKey = account, keyARN(account, "evidence"), keyARN(hit, "transfer")
	}
}

// readable lets the memory of the instance be read by an agent that answers so.
func readable(e *sim.Editor, b *kittest.Bench, answer sim.AgentAnswer) {
	tool := []byte("avml")
	e.PutObject(kittest.Evidence, "tools/avml-x86_64", sim.Object{Body: tool})
	e.AddDocument(hit, here, sim.Document{Name: "guardroom-memory", Hash: strings.Repeat("d", 64), Limit: 6 * time.Hour,
		Parameters: []string{"Tool", "ToolSHA256", "Parts", "PartBytes"}, Answer: answer})
	f := &b.Policy.Forensics
	f.MemoryDocument, f.MemoryDocVersion, f.MemoryDocHash = "guardroom-memory", "1", strings.Repeat("d", 64)
	f.MemoryTool = map[string]string{"x86_64": "tools/avml-x86_64"}
	f.MemoryToolSHA256 = map[string]string{"x86_64": evidence.Digest(tool)}
}

// memory is what a good agent sends.
func memory() sim.AgentAnswer {
	body := []byte("all that was in memory")
	return sim.AgentAnswer{Takes: 2 * time.Minute, Upload: body, Output: `{"sha256":"` + evidence.Digest(body) + `","bytes":22,"kernel":"Linux 6.1"}`}
}

// simple is an instance with one small volume, and a workstation beside it.
func simple(e *sim.Editor, b *kittest.Bench) {
	e.AddVPC(hit, here, sim.VPCSpec{})
	e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect, Type: "t3.micro", Volumes: []sim.VolumeSpec{{GiB: 1}}})
	target(b, finding.KindInstance, suspect, nil)
	laboratory(e, b, hit)
	b.Policy.Forensics.Hash = "never"
}

// people are a user with two keys and a role that instances share.
func people(e *sim.Editor, b *kittest.Bench) {
	e.AddUser(hit, sim.User{Name: "ada", ID: "AIDAADA", Password: true, MFA: []string{"arn:aws:iam::" + hit + ":mfa/ada"}, Groups: []string{"developers"}})
	e.AddAccessKey(hit, "ada", sim.AccessKey{ID: "AKIAADAAAAAAAAAAAAA1", Active: true, Used: kittest.Start, Service: "s3", Region: here})
	e.AddAccessKey(hit, "ada", sim.AccessKey{ID: "AKIAADAAAAAAAAAAAAA2"})
	e.PutUserPolicy(hit, "ada", "own", `{"Version":"2012-10-17","Statement":[]}`)
	e.AddRole(hit, sim.Role{Name: "payments", Path: "/app/", ID: "AROAPAYMENTS"})
	e.AddInstanceProfile(hit, sim.InstanceProfile{Name: "web-profile", Role: "payments"})
	e.PutRolePolicy(hit, "payments", "own", `{"Version":"2012-10-17","Statement":[]}`)
	evidenceIn(e, b, hit)
}

func user() map[string]string {
	return map[string]string{respond.PartAccessKeyID: "AKIAADAAAAAAAAAAAAA1", respond.PartUserName: "ada", respond.PartUserType: "IAMUser", respond.PartPrincipalID: "AIDAADA"}
}

func assumed(session string) map[string]string {
	return map[string]string{respond.PartAccessKeyID: "ASIAAAAAAAAAAAAAAAA1", respond.PartUserName: "payments", respond.PartUserType: "AssumedRole", respond.PartPrincipalID: "AROAPAYMENTS" + session}
}

// site is a bucket that is open to everybody.
func site(e *sim.Editor, b *kittest.Bench) {
	for _, r := range []string{"break-glass", "guardroom-read", "guardroom-act", "guardroom-forensics"} {
		e.AddRole(hit, sim.Role{Name: r})
	}
	e.AddBucket(hit, sim.Bucket{Name: "payments", Region: here, Policy: openSite, PublicACL: []string{"READ"}, Block: &sim.PublicBlock{BlockACLs: true}})
	e.PutObject("payments", "index.html", sim.Object{Body: []byte("hello"), Tags: map[string]string{"team": "web"}})
	evidenceIn(e, b, hit)
	b.Policy.BreakGlass = []string{"arn:aws:iam::" + hit + ":role/break-glass"}
	b.Type = "Policy:S3/BucketAnonymousAccessGranted"
	target(b, finding.KindS3Bucket, "payments", nil)
}

func resize(e *sim.Editor, b *kittest.Bench, reserved *int32) {
	e.AddFunction(hit, here, sim.Function{Name: "resize", Code: []byte("the code"), Reserved: reserved})
	evidenceIn(e, b, hit)
	target(b, finding.KindLambda, "resize", nil)
}

func shared(e *sim.Editor, b *kittest.Bench, k finding.ResourceKind, id, arn string) {
	e.AllowPublicSharing(hit, here)
	evidenceIn(e, b, hit)
	target(b, k, id, nil)
	b.Target.ARN = arn
}

func refuse(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "as the test says", Fault: smithy.FaultClient}
}

// once answers an error to the first call of a kind, in one phase.
func once(phase sim.Phase, call string, err error) func(*sim.World) sim.Hook {
	return func(*sim.World) sim.Hook {
		done := false
		return func(p sim.Phase, c sim.Call) error {
			if done || p != phase || callOf(c) != call {
				return nil
			}
			done = true
			return err
		}
	}
}

// always answers an error to every call of a kind.
func always(call string, err error) func(*sim.World) sim.Hook {
	return func(*sim.World) sim.Hook {
		return func(p sim.Phase, c sim.Call) error {
			if p == sim.Before && callOf(c) == call {
				return err
			}
			return nil
		}
	}
}

// meddle adds a rule to a group of ours as soon as its rules are read, as a
// colleague may who takes it for his own.
func meddle(w *sim.World) sim.Hook {
	done := false
	return func(p sim.Phase, c sim.Call) error {
		in, ok := c.Input.(*ec2.DescribeSecurityGroupRulesInput)
		if done || !ok || p != sim.Before || len(in.Filters) != 1 || len(in.Filters[0].Values) != 1 {
			return nil
		}
		done = true
		return w.Edit(func(e *sim.Editor) { e.AddRule(hit, here, in.Filters[0].Values[0], sim.RuleSpec{CIDR: "0.0.0.0/0"}) })
	}
}
