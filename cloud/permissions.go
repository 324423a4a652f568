package cloud

import (
	"slices"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Identity words of Permission.As.
const (
	// AsService is the identity that guardroom runs with.
	AsService = "service"
	// AsReader is the role read that it assumes in each account; without a read
	// role it is the same as AsService.
	AsReader = "reader"
	// AsActor is the role act in the attacked account.
	AsActor = "actor"
	// AsExaminer is the role forensics in the account that evidence is kept and
	// examined in.
	AsExaminer = "examiner"
)

// RoleOf is the role of responses that an identity is; empty for the service.
func RoleOf(as string) awscalls.Role {
	return map[string]awscalls.Role{AsReader: awscalls.Read, AsActor: awscalls.Act, AsExaminer: awscalls.Forensics}[as]
}

// Permission is one action of IAM that guardroom needs, and why.
type Permission struct {
	// Step of guardroom that needs it, in the words of the configuration.
	Step string
	// As is the identity that needs it: AsService, AsReader, AsActor or AsExaminer.
	As string
	// Call is what guardroom calls, Service.Operation; empty where AWS needs
	// the action beside a call.
	Call string
	// Action is what IAM calls it.
	Action string
	// Resource in an ARN's words.
	Resource string
	// ARNs are patterns of the resources for a policy; none: all.
	ARNs []string
	// If limits it further.
	If []Condition
	// When says under which configuration it is needed.
	When string
	Why  string
}

// Condition is one of an IAM policy.
type Condition struct {
	Operator, Key string
	Values        []string
}

// Permissions is everything that guardroom may do in AWS, in the order of the
// documentation. A test holds it against the calls in the source: a call that
// does not stand here, and a line that nobody calls, fail.
func Permissions() []Permission { return slices.Concat(basics(), responding()) }

// basics is what findings need on their way to people.
func basics() []Permission {
	const (
		always    = "sources.guardduty"
		queue     = "sources.sqs"
		objects   = "sources.s3, or queues that tell of export objects"
		detector  = "arn:aws:guardduty:*:*:detector/*"
		queueARN  = "the queue"
		bucketARN = "the bucket"
	)
	return []Permission{
		{Step: "credentials", As: AsService, Call: "STS.GetCallerIdentity", Action: "sts:GetCallerIdentity", Resource: "*", When: "guardroom doctor", Why: "to say whose credentials these are, and to compare the clock; AWS allows it to everyone"},
		{Step: "accounts", As: AsService, Call: "STS.AssumeRole", Action: "sts:AssumeRole", Resource: "the roles of guardroom in each account", When: "aws.read_role, respond.act_role, respond.forensics_role or sources.guardduty[].role", Why: "to read in the configured accounts, and to respond there"},
		{Step: "accounts", As: AsService, Action: "sts:SetSourceIdentity", Resource: "the roles of guardroom in each account", When: "respond.act_role or respond.forensics_role", Why: "so that CloudTrail shows for which incident a call was made"},

		{Step: "poll GuardDuty", As: AsReader, Call: "GuardDuty.ListDetectors", Action: "guardduty:ListDetectors", Resource: "*", When: always, Why: "to find the detector of a region, and whether there is one"},
		{Step: "poll GuardDuty", As: AsReader, Call: "GuardDuty.ListFindings", Action: "guardduty:ListFindings", Resource: detector, When: always, Why: "to find what changed since the last look"},
		{Step: "poll GuardDuty", As: AsReader, Call: "GuardDuty.GetFindings", Action: "guardduty:GetFindings", Resource: detector, When: always, Why: "to read findings, and those of open incidents again"},
		{Step: "check GuardDuty", As: AsReader, Call: "GuardDuty.GetDetector", Action: "guardduty:GetDetector", Resource: detector, When: "guardroom doctor", Why: "to see that the detector is enabled, and how often it publishes"},
		{Step: "archive", As: AsReader, Call: "GuardDuty.ArchiveFindings", Action: "guardduty:ArchiveFindings", Resource: detector, When: "incidents.archive_on_close", Why: "to archive the findings of a closed incident; an administrator account does it for its members"},

		{Step: "read a queue", As: AsService, Call: "SQS.ReceiveMessage", Action: "sqs:ReceiveMessage", Resource: queueARN, When: queue, Why: "to take messages"},
		{Step: "read a queue", As: AsService, Call: "SQS.DeleteMessageBatch", Action: "sqs:DeleteMessage", Resource: queueARN, When: queue, Why: "to acknowledge what is committed"},
		{Step: "read a queue", As: AsService, Call: "SQS.ChangeMessageVisibilityBatch", Action: "sqs:ChangeMessageVisibility", Resource: queueARN, When: queue, Why: "to keep messages while working on them, and to hand them back"},
		{Step: "check a queue", As: AsService, Call: "SQS.GetQueueAttributes", Action: "sqs:GetQueueAttributes", Resource: queueARN, When: "guardroom doctor", Why: "to see that the queue can be reached, and how much waits in it"},
		{Step: "read a queue", As: AsService, Action: "kms:Decrypt", Resource: "the key of the queue", When: "the queue is encrypted with a key of yours", Why: "AWS asks for it beside sqs:ReceiveMessage"},

		{Step: "read export objects", As: AsService, Call: "S3.GetObject", Action: "s3:GetObject", Resource: "the objects below the prefix", When: objects, Why: "to read findings that GuardDuty exported"},
		{Step: "read export objects", As: AsService, Call: "S3.ListObjectsV2", Action: "s3:ListBucket", Resource: bucketARN, When: "sources.s3", Why: "to find new objects"},
		{Step: "read export objects", As: AsService, Action: "kms:Decrypt", Resource: "the key of the export", When: objects, Why: "GuardDuty encrypts its exports with a key of yours; without this the objects are listed and cannot be read"},

		{Step: "keep the audit head", As: AsService, Call: "S3.PutObject", Action: "s3:PutObject", Resource: "the objects below the prefix", When: "audit.head.s3", Why: "to write the head of the chain outside the store, each under a name of its own"},
		{Step: "keep the audit head", As: AsService, Call: "S3.GetObject", Action: "s3:GetObject", Resource: "the objects below the prefix", When: "audit.head.s3", Why: "to compare a head that is there already"},
		{Step: "keep the audit head", As: AsService, Call: "S3.ListObjectsV2", Action: "s3:ListBucket", Resource: bucketARN, When: "audit.head.s3", Why: "to read the heads back for guardroom audit verify"},

		{Step: "secrets", As: AsService, Call: "SSM.GetParameter", Action: "ssm:GetParameter", Resource: "the parameter", When: "${ssm:…}", Why: "to read a secret when the configuration is loaded"},
		{Step: "secrets", As: AsService, Call: "SecretsManager.GetSecretValue", Action: "secretsmanager:GetSecretValue", Resource: "the secret", When: "${secretsmanager:…}", Why: "to read a secret when the configuration is loaded"},
		{Step: "secrets", As: AsService, Action: "kms:Decrypt", Resource: "the key of the parameter or secret", When: "it is encrypted with a key of yours", Why: "AWS asks for it beside the call"},

		{Step: "account names", As: AsService, Call: "Organizations.DescribeAccount", Action: "organizations:DescribeAccount", Resource: "*", When: "aws.organizations", Why: "to show accounts by name, and to know which are ours; works in the management account or for a delegated administrator"},
		{Step: "management account", As: AsService, Call: "Organizations.DescribeOrganization", Action: "organizations:DescribeOrganization", Resource: "*", When: "aws.organizations", Why: "to know the management account, in which nothing is ever responded to; every account of an organization may ask"},
		{Step: "instance tags", As: AsReader, Call: "EC2.DescribeTags", Action: "ec2:DescribeTags", Resource: "*", When: "aws.instance_tags", Why: "to route and show by the tags that an instance has now"},
	}
}
