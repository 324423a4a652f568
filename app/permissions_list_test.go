package app

import (
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// scenarios are every response that guardroom has, each where it makes the calls
// that it can make, the small ones first.
func scenarios() []scenario {
	const (
		snapshot = "snap-0123456789abcdef0"
		image    = "ami-0123456789abcdef0"
		rds      = "arn:aws:rds:" + here + ":" + hit + ":"
	)
	three := int32(3)
	return []scenario{
		{name: "a user", playbook: "iam-user", build: func(e *sim.Editor, b *kittest.Bench) {
			people(e, b)
			target(b, finding.KindAccessKey, "ada", user())
		}},
		{name: "a session of a role", playbook: "iam-role", build: func(e *sim.Editor, b *kittest.Bench) {
			people(e, b)
			target(b, finding.KindAccessKey, "payments", assumed(":i-0aaaaaaaaaaaaaaa1"))
		}},
		{name: "all sessions of a role", playbook: "iam-role", build: func(e *sim.Editor, b *kittest.Bench) {
			people(e, b)
			b.Policy.WholeRole = true
			target(b, finding.KindAccessKey, "payments", assumed(""))
		}},
		{name: "the root of an account", playbook: "iam-root", build: func(e *sim.Editor, b *kittest.Bench) {
			people(e, b)
			target(b, finding.KindAccessKey, hit, map[string]string{respond.PartUserType: "Root", respond.PartPrincipalID: hit})
		}},
		{name: "a bucket", playbook: "s3-bucket", build: site},
		{name: "a bucket without a policy", playbook: "s3-bucket", build: func(e *sim.Editor, b *kittest.Bench) {
			site(e, b)
			e.Bucket("payments").Policy, e.Bucket("payments").Block = "", nil
			b.Type = "AttackSequence:S3/CompromisedData"
		}},
		{name: "a public bucket", playbook: "s3-public", build: site},
		{name: "an object", playbook: "s3-object", build: func(e *sim.Editor, b *kittest.Bench) {
			site(e, b)
			e.Bucket("payments").Versioning = "Enabled"
			bad := e.PutObject("payments", "index.html", sim.Object{Body: []byte("bad"), Tags: map[string]string{"team": "web"}})
			b.Type = "Object:S3/MaliciousFile"
			target(b, finding.KindS3Object, "payments/index.html", map[string]string{respond.PartObjectKey: "index.html", respond.PartObjectVer: bad.Version})
		}},
		{name: "an object without versions", playbook: "s3-object", build: func(e *sim.Editor, b *kittest.Bench) {
			site(e, b)
			b.Type = "Object:S3/MaliciousFile"
			target(b, finding.KindS3Object, "payments/index.html", map[string]string{respond.PartObjectKey: "index.html"})
		}},
		{name: "a function", playbook: "lambda-function", build: func(e *sim.Editor, b *kittest.Bench) { resize(e, b, nil) }},
		{name: "a function with a reservation", playbook: "lambda-function", build: func(e *sim.Editor, b *kittest.Bench) { resize(e, b, &three) }},
		{name: "a function with provisioned concurrency", playbook: "lambda-function", build: func(e *sim.Editor, b *kittest.Bench) {
			resize(e, b, &three)
			f := e.Function(hit, here, "resize")
			f.Versions, f.Aliases = []string{"1"}, map[string]string{"live": "1"}
			e.Provision(hit, here, "resize", "live", 2)
		}},
		{name: "a shared snapshot", playbook: "ebs-snapshot", build: func(e *sim.Editor, b *kittest.Bench) {
			shared(e, b, finding.KindEBSSnapshot, snapshot, "")
			e.AddSnapshot(hit, here, sim.SnapshotSpec{ID: snapshot, Shares: []string{partner}, Public: true})
		}},
		{name: "a shared image", playbook: "ec2-image", build: func(e *sim.Editor, b *kittest.Bench) {
			shared(e, b, finding.KindImage, image, "")
			e.AddImage(hit, here, sim.ImageSpec{ID: image, Shares: []string{partner}, Public: true})
		}},
		{name: "a shared database snapshot", playbook: "rds-snapshot", build: func(e *sim.Editor, b *kittest.Bench) {
			shared(e, b, finding.KindOther, "nightly", rds+"snapshot:nightly")
			e.AddDBSnapshot(hit, here, sim.DBSnapshot{ID: "nightly", Shares: []string{partner, "all"}})
		}},
		{name: "a shared cluster snapshot", playbook: "rds-cluster-snapshot", build: func(e *sim.Editor, b *kittest.Bench) {
			shared(e, b, finding.KindOther, "weekly", rds+"cluster-snapshot:weekly")
			e.AddDBClusterSnapshot(hit, here, sim.DBSnapshot{ID: "weekly", Shares: []string{partner, "all"}})
		}},
		{name: "a network actor, in an IP set", playbook: "block-actor", late: 25 * time.Hour, build: func(e *sim.Editor, b *kittest.Bench) {
			evidenceIn(e, b, hit)
			e.AddIPSet(hit, here, sim.IPSet{Name: "blocked", ID: ipSet, Scope: "REGIONAL", Version: "IPV4", Addresses: []string{}})
			b.Policy.IPSet = respond.IPSet{Name: "blocked", ID: ipSet, Scope: "REGIONAL"}
			target(b, finding.KindS3Bucket, "payments", map[string]string{respond.PartRemoteIPs: "203.0.113.7"})
		}},
		{name: "a network actor, in a network ACL", playbook: "block-actor", late: 25 * time.Hour, build: func(e *sim.Editor, b *kittest.Bench) {
			evidenceIn(e, b, hit)
			e.AddVPC(hit, here, sim.VPCSpec{})
			e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect})
			target(b, finding.KindInstance, suspect, map[string]string{respond.PartRemoteIPs: "203.0.113.7"})
		}},
		{name: "what nobody responds to", playbook: "manual", build: func(_ *sim.Editor, b *kittest.Bench) { target(b, finding.KindEKSCluster, "prod", nil) }},
		{name: "a sequence", playbook: "sequence", build: func(e *sim.Editor, b *kittest.Bench) {
			people(e, b)
			e.AddFunction(hit, here, sim.Function{Name: "resize", Code: []byte("the code")})
			b.Type = "AttackSequence:IAM/CompromisedCredentials"
			target(b, finding.KindLambda, "resize", nil)
			b.Others = []respond.Target{{Kind: finding.KindAccessKey, ID: "ada", Account: hit, Region: here, Parts: user()}}
		}},
		{name: "an instance that a flow log sees", playbook: "ec2-contain", proves: true, build: func(e *sim.Editor, b *kittest.Bench) {
			e.AddFlowLog(hit, here, seen(e, b), "flows")
		}},
		{name: "an instance that a flow log in a bucket sees", playbook: "ec2-contain", proves: true, build: func(e *sim.Editor, b *kittest.Bench) {
			id := e.AddFlowLogOf(hit, here, sim.FlowLogSpec{Resource: seen(e, b), Bucket: "arn:aws:s3:::traffic"})
			e.AddBucket(hit, sim.Bucket{Name: "traffic", Region: here})
			folder := "AWSLogs/" + hit + "/vpcflowlogs/" + here + "/" + kittest.Start.Format("2006/01/02/")
			e.PutObject("traffic", folder+hit+"_vpcflowlogs_"+here+"_"+id+kittest.Start.Format("_20060102T1504Z")+"_0a1b.log.gz", sim.Object{Body: []byte("no records")})
		}},
		{name: "an instance, contained", playbook: "ec2-contain", build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			evidenceIn(e, b, hit)
		}},
		{name: "an instance, contained, in standby", playbook: "ec2-contain", build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			evidenceIn(e, b, hit)
			b.Policy.OutOfService = "standby"
		}},
		{name: "an instance whose group cannot let it go", playbook: "ec2-contain", trouble: always("AutoScaling.DetachInstances", refuse("AccessDenied")), partly: true, build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			evidenceIn(e, b, hit)
		}},
		{name: "a protected member of a full group", playbook: "ec2-contain", trouble: meddle, build: func(e *sim.Editor, b *kittest.Bench) {
			subnet := e.AddSubnet(hit, here, sim.SubnetSpec{})
			e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect, Subnet: subnet})
			e.AddAutoScalingGroup(hit, here, sim.AutoScalingGroupSpec{Name: "full", Min: 2, Max: 2, Protected: true, Subnets: []string{subnet}, Instances: []string{suspect, e.AddInstance(hit, here, sim.InstanceSpec{Subnet: subnet})}})
			evidenceIn(e, b, hit)
			b.Type = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
			target(b, finding.KindInstance, suspect, nil)
		}},
		{name: "the evidence of an instance, cleaned up", playbook: "forensics", keep: true, build: simple},
		{name: "the evidence of an instance, volume by volume", playbook: "forensics", trouble: always("EC2.CreateSnapshots", refuse("UnsupportedOperation")), build: simple},
		{name: "memory of an agent that is silent", playbook: "forensics", partly: true, build: func(e *sim.Editor, b *kittest.Bench) {
			simple(e, b)
			e.SetAgent(hit, here, sim.SSMAgent{Instance: suspect})
			readable(e, b, sim.AgentAnswer{Takes: 5 * time.Hour})
		}},
		{name: "a command whose answer was lost", playbook: "forensics", trouble: once(sim.After, "SSM.SendCommand", refuse("InternalServerError")), build: func(e *sim.Editor, b *kittest.Bench) {
			simple(e, b)
			e.SetAgent(hit, here, sim.SSMAgent{Instance: suspect})
			readable(e, b, memory())
		}},
		{name: "a process that ends while a snapshot is shared", playbook: "forensics", crash: func(c sim.Call) bool { return callOf(c) == "EC2.ModifySnapshotAttribute" }, partly: true, late: 7 * time.Hour, build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			laboratory(e, b, labs)
		}},
		{name: "a process that ends while a group is open", playbook: "ec2-contain", crash: func(c sim.Call) bool { return callOf(c) == "EC2.ModifyNetworkInterfaceAttribute" }, partly: true, late: time.Hour, build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			evidenceIn(e, b, hit)
		}},
		{name: "the evidence of an instance, hashed, with its memory", playbook: "forensics", build: func(e *sim.Editor, b *kittest.Bench) {
			simple(e, b)
			b.Policy.Forensics.Hash = "auto"
			e.SetAgent(hit, here, sim.SSMAgent{Instance: suspect})
			readable(e, b, memory())
		}},
		{name: "the evidence of an instance, in a forensic account", playbook: "forensics", build: func(e *sim.Editor, b *kittest.Bench) {
			e.AddVPC(hit, here, sim.VPCSpec{})
			e.AddKMSKey(hit, here, sim.KMSKey{ID: "own"})
			e.AddInstance(hit, here, sim.InstanceSpec{ID: suspect, Type: "t3.micro", Volumes: []sim.VolumeSpec{{GiB: 1, Encrypted: true}, {GiB: 1, Key: keyARN(hit, "own")}}})
			target(b, finding.KindInstance, suspect, nil)
			laboratory(e, b, labs)
			b.Policy.Forensics.Hash = "never"
		}},
		{name: "an instance, everything, with a forensic account", playbook: "ec2-respond", build: func(e *sim.Editor, b *kittest.Bench) {
			attacked(e, b)
			laboratory(e, b, labs)
			readable(e, b, memory())
		}},
	}
}
