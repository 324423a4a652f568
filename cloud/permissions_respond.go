package cloud

import (
	"slices"
	"strconv"
	"strings"
)

// need is what one step of responses needs, as lines that differ in their calls
// and identities only.
type need struct {
	step     string
	as       []string
	calls    []string
	extra    []string // actions that AWS asks for beside the calls
	without  []string // actions of the calls that are not needed
	resource string   // in words; empty: *
	arns     []string
	limits   []Condition
	when     string // empty: respond
	why      string
}

func (n need) lines() []Permission {
	var out []Permission
	resource, when := n.resource, n.when
	if resource == "" {
		resource = "*"
	}
	if when == "" {
		when = "respond"
	}
	for _, as := range n.as {
		p := Permission{Step: n.step, As: as, Resource: resource, ARNs: n.arns, If: n.limits, When: when, Why: n.why}
		for _, c := range n.calls {
			for _, a := range actionsOf(c) {
				if slices.Contains(n.without, a) {
					continue
				}
				p.Call, p.Action = c, a
				out = append(out, p)
			}
		}
		for _, a := range n.extra {
			p.Call, p.Action = "", a
			out = append(out, p)
		}
	}
	return out
}

// prefixes are what IAM calls the services of awscalls.
var prefixes = map[string]string{"EC2": "ec2", "AutoScaling": "autoscaling", "ELB": "elasticloadbalancing", "ELBv2": "elasticloadbalancing",
	"IAM": "iam", "STS": "sts", "SSM": "ssm", "S3": "s3", "KMS": "kms", "EBS": "ebs", "Lambda": "lambda", "RDS": "rds", "WAF": "wafv2", "CloudTrail": "cloudtrail", "Logs": "logs"}

// renamed are the calls whose actions have other names:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var renamed = map[string][]string{
	"S3.GetPublicAccessBlock":       {"s3:GetBucketPublicAccessBlock"},
	"S3.PutPublicAccessBlock":       {"s3:PutBucketPublicAccessBlock"},
	"S3.DeletePublicAccessBlock":    {"s3:PutBucketPublicAccessBlock"},
	"S3.GetObjectLockConfiguration": {"s3:GetBucketObjectLockConfiguration"},
	"S3.HeadObject":                 {"s3:GetObject", "s3:GetObjectVersion"},
	"S3.GetObject":                  {"s3:GetObject", "s3:GetObjectVersion"},
	"S3.GetObjectTagging":           {"s3:GetObjectTagging", "s3:GetObjectVersionTagging"},
	"S3.PutObjectTagging":           {"s3:PutObjectTagging", "s3:PutObjectVersionTagging"},
	"S3.ListObjectsV2":              {"s3:ListBucket"},
	"S3.CreateMultipartUpload":      {"s3:PutObject"},
	"S3.UploadPart":                 {"s3:PutObject"},
	"S3.CompleteMultipartUpload":    {"s3:PutObject"},
	"S3.ListParts":                  {"s3:ListMultipartUploadParts"},
}

func actionsOf(call string) []string {
	if a, ok := renamed[call]; ok {
		return a
	}
	service, operation, _ := strings.Cut(call, ".")
	return []string{prefixes[service] + ":" + operation}
}

func of(service string, operations ...string) []string {
	out := make([]string, len(operations))
	for i, o := range operations {
		out[i] = service + "." + o
	}
	return out
}

// lockDuration is the condition whose value an installation chooses.
const lockDuration = "ec2:SnapshotLockDuration"

// ARNs of the policies, and the names that they rely on.
const (
	anyInstance  = "arn:aws:ec2:*:*:instance/*"
	anyInterface = "arn:aws:ec2:*:*:network-interface/*"
	anyGroup     = "arn:aws:ec2:*:*:security-group/*"
	anyVPC       = "arn:aws:ec2:*:*:vpc/*"
	anySubnet    = "arn:aws:ec2:*:*:subnet/*"
	anyACL       = "arn:aws:ec2:*:*:network-acl/*"
	anyVolume    = "arn:aws:ec2:*:*:volume/*"
	anySnapshot  = "arn:aws:ec2:*::snapshot/*"
	anyImage     = "arn:aws:ec2:*::image/*"
	anyRole      = "arn:aws:iam::*:role/*"
	anyUser      = "arn:aws:iam::*:user/*"
	anyKey       = "arn:aws:kms:*:*:key/*"
	anyBucket    = "arn:aws:s3:::*"
	anyObject    = "arn:aws:s3:::*/*"
	anyFunction  = "arn:aws:lambda:*:*:function:*"
	anySet       = "arn:aws:wafv2:*:*:*/ipset/*/*"

	// ForensicAccount, EvidenceBucket and their like stand in policies for what
	// an installation must fill in.
	ForensicAccount = "FORENSIC-ACCOUNT"
	EvidenceBucket  = "EVIDENCE-BUCKET"
	WorkstationRole = "WORKSTATION-ROLE"
	MemoryDocument  = "MEMORY-DOCUMENT"
	ImageParameter  = "IMAGE-PARAMETER"

	// LockDays is for how many days evidence may be locked where nothing else is said.
	LockDays = 365
)

var (
	// made and ours: the request, or the resource, carries the tag of a run.
	made = []Condition{{"Null", "aws:RequestTag/guardroom:run", []string{"false"}}}
	ours = []Condition{{"Null", "aws:ResourceTag/guardroom:run", []string{"false"}}}
	// copied: as made, for calls that are about a source as well, whose request
	// has no tags.
	copied = []Condition{{"StringLikeIfExists", "aws:RequestTag/guardroom:run", []string{"run_*"}}}
	// foreign: the resource does not.
	foreign = []Condition{{"Null", "aws:ResourceTag/guardroom:run", []string{"true"}}}
	// ourTags: nothing but our own tags, and those by name. ForAllValues is true where
	// there is no key, and DeleteTags without keys takes all tags away.
	ourTags = []Condition{{"ForAllValues:StringLike", "aws:TagKeys", []string{"guardroom:*"}}, tagged}
	tagged  = Condition{"Null", "aws:TagKeys", []string{"false"}}
	// within the services that read and write disks for us.
	viaEC2    = Condition{"StringLike", "kms:ViaService", []string{"ec2.*.amazonaws.com", "ebs.*.amazonaws.com"}}
	forAWS    = Condition{"Bool", "kms:GrantIsForAWSResource", []string{"true"}}
	forEC2    = []Condition{{"StringEquals", "iam:PassedToService", []string{"ec2.amazonaws.com"}}}
	lockLimit = []Condition{{"NumericLessThanEquals", lockDuration, []string{strconv.Itoa(LockDays)}}}
	// known: a snapshot that others made, which we marked with the incident.
	known = []Condition{{"Null", "aws:ResourceTag/guardroom:incident", []string{"false"}}}
)

// responding is what responses need. The order of the steps is that of a response.
func responding() []Permission {
	var out []Permission
	for _, list := range [][]need{looking(), containing(), credentials(), preserving(), others(), examining()} {
		for _, n := range list {
			out = append(out, n.lines()...)
		}
	}
	return out
}

var (
	reads  = []string{AsReader}
	acts   = []string{AsActor}
	exams  = []string{AsExaminer}
	actsEx = []string{AsActor, AsExaminer}
)

// looking changes nothing. The reader looks before each change and after it, also
// for steps of the actor.
func looking() []need {
	return []need{
		{step: "describe an instance", as: reads, calls: of("EC2", "DescribeInstances", "DescribeInstanceAttribute", "DescribeInstanceTypes", "DescribeVolumes", "DescribeSnapshots", "DescribeSubnets", "DescribeImages"),
			why: "to describe the live resource before a plan, before each change and after it"},
		{step: "describe an instance", as: reads, calls: of("EC2", "DescribeNetworkInterfaces", "DescribeAddresses", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeRouteTables", "DescribeNatGateways", "DescribeVpcEndpoints", "DescribeFlowLogs", "DescribeNetworkAcls", "DescribeIamInstanceProfileAssociations"),
			why: "to know every way into the instance and out of it"},
		{step: "describe an instance", as: reads, calls: slices.Concat(of("AutoScaling", "DescribeAutoScalingInstances", "DescribeAutoScalingGroups"), of("ELB", "DescribeLoadBalancers"), of("ELBv2", "DescribeTargetGroups", "DescribeTargetHealth")),
			why: "to know what the instance serves, and whether others are left to serve it"},
		{step: "describe an instance", as: reads, calls: of("SSM", "DescribeInstanceInformation", "DescribeSessions"), why: "to know whether the agent answers, and who has a shell open"},
		{step: "trail", as: reads, calls: of("CloudTrail", "LookupEvents"), why: "to keep what the instance, the user or the session did in the time around the finding"},
		{step: "describe keys", as: reads, calls: of("KMS", "DescribeKey"), resource: "the keys of disks", arns: []string{anyKey}, why: "to know which snapshots can be shared"},
		{step: "describe roles", as: reads, calls: of("IAM", "GetInstanceProfile", "GetRole", "ListInstanceProfilesForRole", "ListRolePolicies", "GetRolePolicy"),
			why: "to know who else uses the role, and what was there before"},
		{step: "describe users", as: reads, calls: of("IAM", "GetUser", "ListUserPolicies", "GetUserPolicy", "ListAttachedUserPolicies", "ListGroupsForUser", "ListAccessKeys", "GetAccessKeyLastUsed", "GetLoginProfile", "ListMFADevices"),
			why: "to know the keys and policies of the user before they are changed"},
		{step: "describe snapshots", as: reads, calls: of("EC2", "DescribeSnapshotAttribute", "DescribeLockedSnapshots"), why: "to know who may use a snapshot, and until when it is locked"},
		{step: "describe sharing", as: reads, calls: slices.Concat(of("EC2", "DescribeImageAttribute"), of("RDS", "DescribeDBSnapshots", "DescribeDBSnapshotAttributes", "DescribeDBClusterSnapshotAttributes")),
			why: "to know with whom images and database snapshots are shared"},
		{step: "describe buckets", as: reads, calls: of("S3", "GetBucketLocation", "GetBucketPolicy", "GetBucketPolicyStatus", "GetPublicAccessBlock", "GetBucketVersioning", "GetBucketAcl", "GetBucketOwnershipControls", "GetBucketTagging"),
			resource: "the bucket", arns: []string{anyBucket}, why: "to record what the bucket's doors were"},
		{step: "evidence bucket", as: reads, calls: of("S3", "GetObjectLockConfiguration"), resource: "the evidence bucket", arns: []string{anyBucket}, when: "respond.evidence.url",
			why: "to say before an approval whether the bucket locks what is kept; the rest of that look is allowed above"},
		{step: "describe objects", as: reads, calls: of("S3", "GetObjectTagging"), resource: "the object", arns: []string{anyObject}, why: "to name the version that is quarantined; what objects hold is never read"},
		{step: "describe functions", as: reads, calls: of("Lambda", "GetFunction", "GetFunctionConcurrency", "GetPolicy", "ListEventSourceMappings", "ListProvisionedConcurrencyConfigs"), why: "to keep the code, and to know what calls it and what is provisioned"},
		{step: "describe blocks", as: reads, calls: of("WAF", "GetIPSet"), resource: "the IP set of guardroom", arns: []string{anySet}, when: "respond.ip_set", why: "to add to the set and to take from it without losing others' entries"},
		{step: "console", as: reads, calls: of("EC2", "GetConsoleOutput", "GetConsoleScreenshot"), resource: "the instance", arns: []string{anyInstance}, why: "to keep what its screen shows, without touching it"},
		{step: "memory", as: reads, calls: of("SSM", "ListCommands", "GetCommandInvocation"), when: "respond.forensics.memory", why: "to follow the command, and not to send it twice"},
		{step: "prove", as: reads, calls: of("Logs", "FilterLogEvents"), resource: "log groups of flow logs", arns: []string{"arn:aws:logs:*:*:log-group:*"}, when: "flow logs in CloudWatch Logs", why: "to prove by flow records that nothing goes through what is isolated"},
		{step: "prove", as: reads, calls: of("S3", "ListObjectsV2"), resource: "buckets of flow logs", arns: []string{anyBucket}, when: "flow logs in S3", why: "to find the flow records of the time since the isolation"},
		{step: "prove", as: reads, calls: of("S3", "GetObject"), without: []string{"s3:GetObjectVersion"}, resource: "flow log files", arns: []string{"arn:aws:s3:::*/AWSLogs/*/vpcflowlogs/*", "arn:aws:s3:::*/AWSLogs/aws-account-id=*/aws-service=vpcflowlogs/*"}, when: "flow logs in S3", why: "to prove by flow records that nothing goes through what is isolated; where a key of yours encrypts them, it must let the reader decrypt by its own policy, or they cannot be read, and that is said"},
		{step: "preflight", as: []string{AsReader, AsActor, AsExaminer}, calls: of("STS", "GetCallerIdentity"), why: "to see in which account calls really end; AWS allows it to everyone"},
	}
}

// containing changes instances and what stands around them.
func containing() []need {
	return []need{
		{step: "mark", as: acts, calls: of("EC2", "CreateTags", "DeleteTags"), resource: "instances, interfaces and volumes; only tags that begin with guardroom:",
			arns: []string{anyInstance, anyInterface, anyVolume}, limits: ourTags, why: "to mark what is contained; not groups, ACLs and snapshots, which by their tag are ours alone"},
		{step: "protect", as: acts, calls: of("EC2", "ModifyInstanceAttribute"), resource: "the instance and its volumes", arns: []string{anyInstance, anyVolume}, why: "so that nothing is terminated or deleted while it is evidence"},
		{step: "out of service", as: acts, calls: of("AutoScaling", "DetachInstances", "AttachInstances", "EnterStandby", "ExitStandby", "SuspendProcesses", "ResumeProcesses", "SetInstanceProtection", "UpdateAutoScalingGroup", "TerminateInstanceInAutoScalingGroup"),
			resource: "the Auto Scaling group", arns: []string{"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*"}, why: "so that the group does not terminate the instance once it stops answering, and gets it back in an undo"},
		{step: "out of service", as: acts, calls: of("ELBv2", "DeregisterTargets", "RegisterTargets"), resource: "the target group", arns: []string{"arn:aws:elasticloadbalancing:*:*:targetgroup/*"}, why: "so that clients are served by others"},
		{step: "out of service", as: acts, calls: of("ELB", "DeregisterInstancesFromLoadBalancer", "RegisterInstancesWithLoadBalancer"), resource: "the classic load balancer", arns: []string{"arn:aws:elasticloadbalancing:*:*:loadbalancer/*"}, why: "so that clients are served by others"},
		{step: "doors", as: acts, calls: of("EC2", "DisassociateAddress", "AssociateAddress"), resource: "the Elastic IP and the interface", arns: []string{"arn:aws:ec2:*:*:elastic-ip/*", anyInterface, anyInstance}, why: "to take the public address away, and to give it back"},
		{step: "doors", as: acts, calls: of("SSM", "TerminateSession"), resource: "open sessions", arns: []string{"arn:aws:ssm:*:*:session/*"}, why: "to end shells that are open"},
		{step: "groups", as: acts, calls: of("EC2", "CreateSecurityGroup"), resource: "the VPC", arns: []string{anyVPC}, why: "to make the group that isolates"},
		{step: "groups", as: acts, calls: of("EC2", "CreateSecurityGroup"), resource: "groups that get the tag guardroom:run", arns: []string{anyGroup}, limits: made, why: "to make the group that isolates"},
		{step: "groups", as: acts, calls: of("EC2", "DeleteSecurityGroup", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
			resource: "groups with the tag guardroom:run", arns: []string{anyGroup}, limits: ours, why: "to write the rules of our own groups, and nobody else's"},
		{step: "isolate", as: acts, calls: of("EC2", "ModifyNetworkInterfaceAttribute"), resource: "interfaces, and the groups that they get", arns: []string{anyInterface, anyGroup, anyInstance},
			why: "to put the isolating group on each interface; an undo puts back those of before, so the groups cannot be limited to our own"},
		{step: "network ACL", as: acts, calls: of("EC2", "CreateNetworkAcl"), resource: "the VPC", arns: []string{anyVPC}, when: "respond.network_acl", why: "to cut connections that security groups let live"},
		{step: "network ACL", as: acts, calls: of("EC2", "CreateNetworkAcl"), resource: "ACLs that get the tag guardroom:run", arns: []string{anyACL}, limits: made, when: "respond.network_acl", why: "to cut connections that security groups let live"},
		{step: "network ACL", as: acts, calls: of("EC2", "CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclAssociation"), resource: "the ACL of the subnet", arns: []string{anyACL, anySubnet}, when: "respond.network_acl", why: "to add entries with reserved numbers, and to remove them"},
		{step: "network ACL", as: acts, calls: of("EC2", "DeleteNetworkAcl"), resource: "ACLs with the tag guardroom:run", arns: []string{anyACL}, limits: ours, when: "respond.network_acl", why: "to remove our own ACL again"},
		{step: "metadata", as: acts, calls: of("EC2", "ModifyInstanceMetadataOptions"), resource: "the instance", arns: []string{anyInstance}, why: "so that no new credentials come from the metadata service"},
	}
}

// credentials ends what was stolen.
func credentials() []need {
	return []need{
		{step: "profile", as: acts, calls: of("EC2", "AssociateIamInstanceProfile", "DisassociateIamInstanceProfile"), resource: "the instance", arns: []string{anyInstance}, why: "to take the role from the instance, and to give it back"},
		{step: "profile", as: acts, extra: []string{"iam:PassRole"}, resource: "roles, to EC2 only", arns: []string{anyRole}, limits: forEC2, why: "AWS asks for it beside ec2:AssociateIamInstanceProfile when an undo gives the recorded role back"},
		{step: "revoke", as: acts, calls: of("IAM", "PutRolePolicy", "DeleteRolePolicy"), resource: "roles, but not those of guardroom", arns: []string{anyRole}, why: "to deny the sessions that were stolen"},
		{step: "user", as: acts, calls: of("IAM", "PutUserPolicy", "DeleteUserPolicy", "UpdateAccessKey"), resource: "users", arns: []string{anyUser}, why: "to end the keys of the user, and to deny everything to it"},
	}
}

// preserving makes and locks snapshots in the attacked account, and shares them
// with the forensic one.
func preserving() []need {
	const forensic = "respond.forensics.account"
	return []need{
		{step: "snapshot", as: acts, calls: of("EC2", "CreateSnapshots", "CreateSnapshot"), resource: "the instance and its volumes", arns: []string{anyInstance, anyVolume}, why: "to preserve every disk in one call, or each by itself"},
		{step: "snapshot", as: acts, calls: of("EC2", "CreateSnapshots", "CreateSnapshot"), resource: "snapshots that get the tag guardroom:run", arns: []string{anySnapshot}, limits: made, why: "to preserve every disk in one call, or each by itself"},
		{step: "snapshot", as: actsEx, calls: of("EC2", "CopySnapshot"), resource: "snapshots, and copies that get the tag guardroom:run", arns: []string{anySnapshot}, limits: copied, why: "to encrypt anew what cannot be shared, and to copy into the forensic account"},
		{step: "older snapshots", as: acts, calls: of("EC2", "CreateTags"), resource: "snapshots; the tag guardroom:incident only", arns: []string{anySnapshot}, limits: []Condition{{"ForAllValues:StringEquals", "aws:TagKeys", []string{"guardroom:incident"}}, tagged},
			when: "respond.evidence.older_snapshots", why: "to mark snapshots that others made before they are locked"},
		{step: "older snapshots", as: acts, calls: of("EC2", "LockSnapshot"), resource: "snapshots with the tag guardroom:incident, for at most so many days", arns: []string{anySnapshot}, limits: slices.Concat(known, lockLimit), when: "respond.evidence.older_snapshots", why: "so that nobody deletes how the disks were before"},
		{step: "lock", as: actsEx, calls: of("EC2", "LockSnapshot"), resource: "snapshots with the tag guardroom:run, for at most so many days", arns: []string{anySnapshot}, limits: slices.Concat(ours, lockLimit), when: "respond.evidence.lock", why: "so that nobody deletes evidence; nothing here may unlock or delete"},
		{step: "mark", as: acts, extra: []string{"ec2:CreateTags"}, resource: "what the calls make that preserve and isolate", arns: []string{anySnapshot, anyGroup, anyACL},
			limits: []Condition{{"StringEquals", "ec2:CreateAction", []string{"CreateSnapshots", "CreateSnapshot", "CopySnapshot", "CreateSecurityGroup", "CreateNetworkAcl"}}}, why: "AWS asks for it beside calls that tag what they make"},
		{step: "share", as: acts, calls: of("EC2", "ModifySnapshotAttribute"), resource: "snapshots with the tag guardroom:run, with the forensic account only", arns: []string{anySnapshot},
			limits: slices.Concat(ours, []Condition{{"StringEqualsIfExists", "ec2:Add/userId", []string{ForensicAccount}}}), when: forensic, why: "to lend a snapshot for the time of its copy"},
		{step: "share", as: acts, calls: of("KMS", "CreateGrant"), resource: "the transfer key and the keys of disks, for the forensic account only", arns: []string{anyKey},
			limits: []Condition{{"StringEquals", "kms:GranteePrincipal", []string{"arn:aws:iam::" + ForensicAccount + ":root"}}, {"Null", "kms:GrantOperations", []string{"false"}},
				{"ForAllValues:StringEquals", "kms:GrantOperations", []string{"Decrypt", "DescribeKey", "ReEncryptFrom", "ReEncryptTo", "CreateGrant", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}}}, when: forensic, why: "to let the forensic account read the snapshot for the time of its copy"},
		{step: "share", as: acts, calls: of("KMS", "RetireGrant"), resource: "the transfer key and the keys of disks", arns: []string{anyKey}, when: forensic, why: "to end that"},
		{step: "share", as: actsEx, extra: []string{"kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext"}, resource: "the keys of disks, through EC2 only", arns: []string{anyKey}, limits: []Condition{viaEC2}, when: "encrypted disks", why: "AWS asks for it beside the copy of an encrypted snapshot"},
		{step: "share", as: actsEx, extra: []string{"kms:CreateGrant"}, resource: "the keys of disks, for EC2 only", arns: []string{anyKey}, limits: []Condition{viaEC2, forAWS}, when: "encrypted disks", why: "AWS asks for it beside the copy of an encrypted snapshot, and when an encrypted volume is attached"},
		{step: "compare", as: acts, calls: of("EBS", "ListSnapshotBlocks", "GetSnapshotBlock"), resource: "snapshots with the tag guardroom:run", arns: []string{anySnapshot}, limits: ours, when: forensic, why: "to compare a copy with its original, block by block"},
		{step: "memory", as: acts, calls: of("SSM", "SendCommand"), resource: "our document, on instances", arns: []string{anyInstance, "arn:aws:ssm:*:*:document/" + MemoryDocument}, when: "respond.forensics.memory", why: "to read the memory with the one document that is allowed"},
		{step: "memory", as: acts, calls: of("SSM", "CancelCommand"), when: "respond.forensics.memory", why: "to stop it"},
	}
}

// others are buckets, functions, databases, images and network actors.
func others() []need {
	return []need{
		{step: "bucket", as: acts, calls: of("S3", "PutPublicAccessBlock", "DeletePublicAccessBlock", "PutBucketPolicy", "DeleteBucketPolicy", "PutBucketVersioning"), resource: "buckets, but not that of the evidence", arns: []string{anyBucket}, why: "to close a bucket, and to restore its recorded policy"},
		{step: "object", as: acts, calls: of("S3", "PutObjectTagging"), resource: "the object", arns: []string{anyObject}, why: "to quarantine one version of an object"},
		{step: "function", as: acts, calls: of("Lambda", "PutFunctionConcurrency", "DeleteFunctionConcurrency"), resource: "the function", arns: []string{anyFunction}, why: "to stop a function, and to let it run again"},
		{step: "function", as: acts, calls: of("Lambda", "DeleteProvisionedConcurrencyConfig", "PutProvisionedConcurrencyConfig"), resource: "versions and aliases of the function", arns: []string{anyFunction}, why: "AWS stops no function that has provisioned concurrency; the undo asks for it again"},
		{step: "sharing", as: acts, calls: of("EC2", "ModifySnapshotAttribute"), resource: "snapshots without the tag guardroom:run; nothing is ever shared with everybody", arns: []string{anySnapshot}, limits: foreign, why: "to take a share away, and to give it back in an undo"},
		{step: "sharing", as: acts, calls: of("EC2", "ModifyImageAttribute"), resource: "images", arns: []string{anyImage}, why: "to take a share away, and to give it back in an undo"},
		{step: "sharing", as: acts, calls: of("RDS", "ModifyDBSnapshotAttribute"), resource: "database snapshots", arns: []string{"arn:aws:rds:*:*:snapshot:*"}, why: "to take a share away, and to give it back in an undo"},
		{step: "sharing", as: acts, calls: of("RDS", "ModifyDBClusterSnapshotAttribute"), resource: "cluster snapshots", arns: []string{"arn:aws:rds:*:*:cluster-snapshot:*"}, why: "to take a share away, and to give it back in an undo"},
		{step: "block", as: acts, calls: of("WAF", "UpdateIPSet"), resource: "the IP set of guardroom", arns: []string{anySet}, when: "respond.ip_set", why: "to block a network actor for a time"},
	}
}

// examining works in the forensic account.
func examining() []need {
	const bench = "respond.forensics"
	objects := "arn:aws:s3:::" + EvidenceBucket + "/*"
	return []need{
		{step: "examine", as: exams, calls: of("EC2", "DescribeInstances", "DescribeInstanceStatus", "DescribeVolumes", "DescribeSnapshots", "DescribeLockedSnapshots", "DescribeImages", "DescribeSubnets", "DescribeRouteTables"),
			why: "to find the place for a workstation, and to follow what is made there"},
		{step: "hash", as: exams, calls: of("EBS", "ListSnapshotBlocks", "GetSnapshotBlock"), resource: "snapshots with the tag guardroom:run", arns: []string{anySnapshot}, limits: ours, when: "respond.forensics.hash", why: "to compute the hash of every block"},
		{step: "prepare", as: exams, calls: of("EC2", "CreateVolume"), resource: "snapshots", arns: []string{anySnapshot}, when: bench, why: "to make evidence volumes"},
		{step: "prepare", as: exams, calls: of("EC2", "CreateVolume"), resource: "volumes that get the tag guardroom:run", arns: []string{anyVolume}, limits: made, when: bench, why: "to make evidence volumes"},
		{step: "prepare", as: exams, calls: of("EC2", "RunInstances"), resource: "the image, its snapshots, the subnet and the groups", arns: []string{anyImage, anySnapshot, anySubnet, anyGroup, anyInterface}, when: bench, why: "to start the workstation"},
		{step: "prepare", as: exams, calls: of("EC2", "RunInstances"), resource: "instances and volumes that get the tag guardroom:run", arns: []string{anyInstance, anyVolume}, limits: made, when: bench, why: "to start the workstation"},
		{step: "prepare", as: exams, calls: of("EC2", "AttachVolume", "DetachVolume", "DeleteVolume", "TerminateInstances", "ModifyInstanceAttribute"), resource: "volumes and workstations with the tag guardroom:run", arns: []string{anyInstance, anyVolume}, limits: ours, when: bench, why: "to attach evidence, and to clean working copies up when their time is over"},
		{step: "prepare", as: exams, extra: []string{"ec2:CreateTags"}, resource: "what RunInstances, CreateVolume and CopySnapshot make", arns: []string{anyInstance, anyVolume, anySnapshot, anyInterface}, limits: []Condition{{"StringEquals", "ec2:CreateAction", []string{"RunInstances", "CreateVolume", "CopySnapshot"}}}, when: bench, why: "AWS asks for it beside calls that tag what they make"},
		{step: "prepare", as: exams, extra: []string{"iam:PassRole"}, resource: "the role of the workstation, to EC2 only", arns: []string{"arn:aws:iam::*:role/" + WorkstationRole}, limits: forEC2, when: bench, why: "AWS asks for it beside ec2:RunInstances with a profile"},
		{step: "prepare", as: exams, calls: of("SSM", "GetParameter"), resource: "public parameters of images, and your own", arns: []string{"arn:aws:ssm:*::parameter/aws/service/*", "arn:aws:ssm:*:" + ForensicAccount + ":parameter/" + ImageParameter}, when: "respond.forensics.image", why: "to find the image of the workstation when it is started"},
		{step: "evidence", as: exams, calls: of("S3", "PutObject", "GetObject", "HeadObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts"), extra: []string{"s3:PutObjectRetention", "s3:GetObjectRetention"},
			resource: "objects of the evidence bucket", arns: []string{objects}, when: "respond.evidence.url", why: "to keep evidence and to read it again; nothing here may delete it"},
		{step: "evidence", as: exams, extra: []string{"kms:Decrypt", "kms:GenerateDataKey"}, resource: "the key of the evidence, through S3 only", arns: []string{anyKey}, limits: []Condition{{"StringLike", "kms:ViaService", []string{"s3.*.amazonaws.com"}}}, when: "respond.evidence.kms_key", why: "AWS asks for it beside the objects"},
	}
}
