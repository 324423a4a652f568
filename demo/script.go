package demo

import "time"

func archived(f object) { f["service"].(object)["archived"] = true }
func sample(f object)   { f["service"].(object)["additionalInfo"] = object{"sample": true} }

// older makes a revision of five minutes after the finding was created.
func older(f object) {
	created, err := time.Parse(time.RFC3339, f["createdAt"].(string))
	if err != nil {
		panic(err) // written by beat.finding in this layout
	}
	f["updatedAt"] = created.Add(5 * time.Minute).Format("2006-01-02T15:04:05.000Z")
}

// script is the story in order of time.
func script() []beat {
	web, batch := instance("i-0a1b2c3d4e5f60001", "web-1"), instance("i-0a1b2c3d4e5f60002", "batch-1")
	return []beat{
		{1, "scan-1", sandbox, "Recon:EC2/PortProbeUnprotectedPort", 2, batch, probe(scanner), 1, "Our own scanner; a rule keeps it quiet", nil},
		{10, "ssh-web", payments, "UnauthorizedAccess:EC2/SSHBruteForce", 2, web, network(intruder, 22), 5, "Somebody guesses SSH passwords", nil},
		{20, "ssh-web", payments, "UnauthorizedAccess:EC2/SSHBruteForce", 5, web, network(intruder, 22), 40, "The count grows and severity rises", nil},
		{25, "rdp-web", payments, "UnauthorizedAccess:EC2/RDPBruteForce", 2, web, network(intruder, 3389), 3, "", nil},
		{30, "ssh-web", payments, "UnauthorizedAccess:EC2/SSHBruteForce", 2, web, network(intruder, 22), 12, "An older revision arrives late", older},
		{40, "coin", payments, "CryptoCurrency:EC2/BitcoinTool.B!DNS", 8, web, dns("pool.example.com"), 1, "The instance looks up a mining pool", nil},
		{41, "coin-ip", payments, "CryptoCurrency:EC2/BitcoinTool.B", 8, web, network("203.0.113.9", 3333), 1, "Same family, same instance: one incident", nil},
		{60, "list", lake, "Discovery:S3/MaliciousIPCaller", 8, bucket("lake-raw"), call("ListObjects", "s3.amazonaws.com", intruder), 2, "The same actor in another account", nil},
		{70, "inject", lake, "Policy:S3/BucketAnonymousAccessGranted", 8, bucket("<!channel>"), call("PutBucketPolicy", "s3.amazonaws.com", "192.0.2.8"), 1, "A bucket name that tries to mention everybody", nil},
		{90, "anon", payments, "Discovery:Kubernetes/SuccessfulAnonymousAccess", 5, cluster(), kube("/api/v1/pods", "192.0.2.9"), 1, "", nil},
		{100, "rds", lake, "CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin", 8, database(), login("192.0.2.10"), 1, "", nil},
		{110, "fn", sandbox, "Backdoor:Lambda/C&CActivity.B", 8, function(), network("203.0.113.12", 443), 1, "", nil},
		{120, "iam", sandbox, "Stealth:IAMUser/CloudTrailLoggingDisabled", 2, key("dev"), call("StopLogging", "cloudtrail.amazonaws.com", "192.0.2.11"), 1, "", nil},
		{130, "test", sandbox, "Trojan:EC2/DropPoint", 5, batch, network("192.0.2.12", 80), 1, "A sample finding", sample},
		{140, "done", sandbox, "Recon:EC2/Portscan", 5, batch, network("192.0.2.13", 80), 1, "An archived finding", archived},
	}
}
