package cloudtest

// Names of the backends in Difference.
const (
	Sim  = "sim"
	Moto = "moto"
)

// Difference is one point in which a backend is not as AWS documents it.
type Difference struct {
	Case, Check string
	// AWS is what AWS documents, as the case has it.
	AWS string
	// Sim and Moto are what the backend answers; Same: what AWS documents.
	Sim, Moto string
	// Source is where AWS documents it, or why it is this way here.
	Source string
}

// Same says that a backend does what AWS documents.
const Same = "<same>"

func (d Difference) on(backend string) (answer string, differs bool) {
	answer = d.Moto
	if backend == Sim {
		answer = d.Sim
	}
	return answer, answer != Same
}

// Known are all points in which the backends are not as AWS documents.
var Known = []Difference{
	{Case: "lines of a log", Check: "what it accepted", AWS: "true", Sim: Same, Moto: "false",
		Source: "CloudWatch Logs API, FilterLogEvents, logStreamNamePrefix; moto reads every stream"},
	{Case: "keys", Check: "the same name, the same grant", AWS: "true", Sim: Same, Moto: "false",
		Source: "KMS API, CreateGrant, Name: an identical request with a name is idempotent"},
	{Case: "settings of a bucket", Check: "a public policy while it is blocked", AWS: "AccessDenied", Sim: Same, Moto: "",
		Source: "S3 user guide, block public access, BlockPublicPolicy; moto stores the block and does not enforce it"},
	{Case: "settings of a bucket", Check: "it is public", AWS: "true", Sim: Same, Moto: "false",
		Source: "S3 user guide, the meaning of public; moto answers a constant"},
	{Case: "a security group is made and emptied", Check: "take them away again", AWS: "InvalidSecurityGroupRuleId.NotFound", Sim: Same, Moto: "InvalidPermission.NotFound",
		Source: "EC2 API, error codes; respond.Gone takes both"},
	{Case: "a security group is made and emptied", Check: "in no VPC", AWS: "InvalidVpcID.NotFound", Sim: Same, Moto: "",
		Source: "EC2 API, error codes; moto does not look at the VPC"},
	{Case: "a network ACL", Check: "both directions deny at the end, IPv6 too", AWS: "4", Sim: Same, Moto: "0",
		Source: "VPC user guide, custom network ACLs: the last rule, 32767 and 32768 for IPv6, denies; compare entries by number"},
	{Case: "a network ACL", Check: "it is gone", AWS: "InvalidNetworkAclID.NotFound", Sim: Same, Moto: "InvalidRouteTableID.NotFound",
		Source: "EC2 API, error codes; respond.Gone takes both"},
	{Case: "provisioned concurrency", Check: "list it", AWS: "", Sim: Same, Moto: "no answer of AWS",
		Source: "Lambda API, provisioned concurrency; moto does not have these calls"},
	{Case: "provisioned concurrency", Check: "for what is not published", AWS: "InvalidParameterValueException", Sim: Same, Moto: "no answer of AWS",
		Source: "Lambda API, provisioned concurrency; moto does not have these calls"},
	{Case: "provisioned concurrency", Check: "for no alias", AWS: "ResourceNotFoundException", Sim: Same, Moto: "no answer of AWS",
		Source: "Lambda API, provisioned concurrency; moto does not have these calls"},
	{Case: "provisioned concurrency", Check: "of no alias", AWS: "ResourceNotFoundException", Sim: Same, Moto: "no answer of AWS",
		Source: "Lambda API, provisioned concurrency; moto does not have these calls"},
}
