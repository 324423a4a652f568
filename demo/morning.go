package demo

import "time"

// morning: the shop's cluster, and the theft from the data lake.
func morning(time.Time) []beat {
	thief := session(etl2)
	members := []member{
		{"keys", "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8}, {"look", "Discovery:S3/MaliciousIPCaller", 8},
		{"take", "Exfiltration:S3/AnomalousBehavior", 8}, {"quiet", "Stealth:S3/ServerAccessLoggingDisabled", 2}, {"blind", "Stealth:IAMUser/CloudTrailLoggingDisabled", 2},
	}
	return []beat{
		{at: "08:20", outage: &Outage{Vendor: "jira", Requests: 2}, caption: "Jira has too much to do for a moment and asks to come back later."},
		{at: "08:21", id: "anonymous", account: payments, typ: "Discovery:Kubernetes/SuccessfulAnonymousAccess", severity: 5, resource: cluster("system:anonymous", nil), action: kube("list", "/api/v1/pods", "pods", "", 200, stranger), count: 9,
			title:   "An anonymous user listed the pods of cluster shop.",
			caption: "Somebody without a name lists the pods of the shop's cluster. Slack is told at once, Jira when it is ready again. Nothing is lost, nothing is there twice."},
		{at: "08:27", id: "privileged", account: payments, typ: "PrivilegeEscalation:Kubernetes/PrivilegedContainer", severity: 5, source: byTopic,
			resource: cluster("deployer", workload("default", "deployments", "debug-shell", "registry.example/debug:latest", true)), action: kube("create", "/apis/apps/v1/namespaces/default/deployments", "deployments", "default", 201, stranger), count: 1,
			title: "A privileged container was started in cluster shop.", caption: "The stranger starts a privileged container and runs commands in a system pod."},
		{at: "08:33", id: "exec", account: payments, typ: "Execution:Kubernetes/ExecInKubeSystemPod", severity: 5,
			resource: cluster("deployer", workload("kube-system", "pods", "coredns-5d78", "registry.example/coredns:1.11", false)), action: kube("create", "/api/v1/namespaces/kube-system/pods/coredns-5d78/exec", "pods", "kube-system", 101, stranger), count: 2,
			title: "A command was run inside a system pod of cluster shop."},
		{at: "09:10", id: "travel", account: lake, typ: "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B", severity: 5, resource: key(user(mei)), action: call("ConsoleLogin", "signin.amazonaws.com", traveller, "Mozilla/5.0 (X11; Linux x86_64)", "", nil), count: 1,
			title:   "The user mei has signed in from several places in the world at once.",
			caption: "Mei signs in from Porto. Unusual,"},
		{at: "09:14", act: by(mei, Close, "travel", "that is me, at a conference", "benign"), caption: "but she is at a conference there, and says so."},
		{at: "09:30", id: "keys", account: lake, typ: "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", severity: 8, count: 3,
			resource: withInstance(key(thief), etl2), action: call("ListBuckets", "s3.amazonaws.com", intruder, awsCLI, "", nil),
			title:   "Keys that belong to etl-2 are used from 203.0.113.50.",
			caption: "The address of this morning again, now in the data lake, with keys stolen from etl-2. The incidents are linked by their common actor."},
		{at: "09:36", id: "look", account: lake, typ: "Discovery:S3/MaliciousIPCaller", severity: 8, resource: bucket("lake-raw", thief, false), action: call("ListObjectsV2", "s3.amazonaws.com", intruder, awsCLI, "", object{"AWS::S3::Bucket": "lake-raw"}), count: 18,
			tweak: threatList("ProofPoint", "scanner"), title: "A known malicious address listed objects of lake-raw."},
		{at: "09:40", id: "travel", account: lake, typ: "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B", severity: 5, resource: key(user(mei)), action: call("ConsoleLogin", "signin.amazonaws.com", traveller, "Mozilla/5.0 (X11; Linux x86_64)", "", nil), count: 2,
			title:   "The user mei has signed in from several places in the world at once.",
			caption: "Mei signs in once more. Her verdict was benign and it got no worse: the incident stays closed."},
		{at: "09:52", id: "take", account: lake, typ: "Exfiltration:S3/AnomalousBehavior", severity: 8, resource: bucket("lake-customers", thief, false), action: call("GetObject", "s3.amazonaws.com", intruder, awsCLI, "", object{"AWS::S3::Bucket": "lake-customers"}), count: 412,
			tweak: anomaly("GetObject", intruder.org, awsCLI, "PutObject", "HeadObject"), title: "Objects of lake-customers are read in an unusual way.", caption: "Customer data is read in bulk,"},
		{at: "10:03", id: "quiet", account: lake, typ: "Stealth:S3/ServerAccessLoggingDisabled", severity: 2, resource: bucket("lake-raw", thief, false), action: call("PutBucketLogging", "s3.amazonaws.com", intruder, awsCLI, "", object{"AWS::S3::Bucket": "lake-raw"}), count: 1,
			title: "The access log of lake-raw was switched off.", caption: "and the traces are to be wiped."},
		{at: "10:06", id: "blind", account: lake, typ: "Stealth:IAMUser/CloudTrailLoggingDisabled", severity: 2, resource: key(thief), action: call("StopLogging", "cloudtrail.amazonaws.com", intruder, awsCLI, "AccessDenied", nil), count: 1,
			title: "Somebody tried to stop a CloudTrail trail."},
		{at: "10:20", id: "attack-s3", account: lake, typ: "AttackSequence:S3/CompromisedData", severity: 9.5, resource: object{"resourceType": "AttackSequence"}, count: 1,
			tweak: sequence("attack-s3", lake, "Keys of etl-2 were used from outside to list and copy buckets, and to switch logs off.", members, thief, intruder, []object{hitKey(lake, thief), hitBucket(lake, "lake-raw"), hitBucket(lake, "lake-customers"), hitInstance(etl2)},
				indicator("ATTACK_TACTIC", "Tactics", "Discovery", "Exfiltration", "Defense Evasion"), indicator("HIGH_RISK_API", "Calls", "s3:GetObject", "cloudtrail:StopLogging"), indicator("MALICIOUS_IP", "Known address", intruder.ip)),
			title:   "Data of lake-customers may have been stolen with the keys of etl-2.",
			caption: "One attack again, this time on the data. Its incidents become one."},
		{at: "10:22", act: by(mei, Acknowledge, "attack-s3", "", ""), caption: "Mei takes it: the lake is hers."},
		{at: "10:40", id: "take", account: lake, typ: "Exfiltration:S3/AnomalousBehavior", severity: 8, resource: bucket("lake-customers", thief, false), action: call("GetObject", "s3.amazonaws.com", intruder, awsCLI, "AccessDenied", object{"AWS::S3::Bucket": "lake-customers"}), count: 455,
			tweak: anomaly("GetObject", intruder.org, awsCLI, "PutObject", "HeadObject"), title: "Objects of lake-customers are read in an unusual way.", caption: "A new revision of the theft: it goes to the incident that took over its finding. The calls are refused now."},
		{at: "10:50", id: "mention", account: lake, typ: "Policy:S3/BucketAnonymousAccessGranted", severity: 8, resource: bucket("<!channel>", user("etl-deploy"), true), action: call("PutBucketPolicy", "s3.amazonaws.com", stranger, awsCLI, "", object{"AWS::S3::Bucket": "<!channel>"}), count: 1,
			title:   "The bucket <!channel> was opened to everybody.",
			caption: "Somebody names a bucket <!channel> to wake up the whole company. In Slack it is a name, not a mention."},
		{at: "10:58", id: "bidi", account: payments, typ: "Recon:IAMUser/TorIPCaller", severity: 5, resource: key(user("reporting")), action: call("GetAccountSummary", "iam.amazonaws.com", tor, "invoice\u202efdp.exe aws-cli/2.1", "", nil), count: 2,
			title:   "GetAccountSummary was called from the Tor network by invoice\u202efdp.exe.",
			caption: "Somebody on the Tor network sends a user agent with a hidden character that turns text around. It is written out."},
		{at: "11:05", id: "drawn", account: sandbox, typ: "Impact:EC2/AbusedDomainRequest.Reputation", severity: 5, resource: drawn.resource(), action: dns("files.abused.example", "abused.example"), count: 4, tweak: acts,
			title: "An instance is asking for an often abused domain.", caption: "The name of another host tries to clear your screen and to say that all is well."},
	}
}

// withInstance adds an instance as context, as GuardDuty does for its keys.
func withInstance(resource object, h host) object {
	resource["instanceDetails"] = h.details()
	return resource
}
