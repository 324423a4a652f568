package demo

import (
	"fmt"
	"time"
)

// afternoon: containers, people, a worm in the lab, and the evening.
func afternoon(start time.Time) []beat {
	at := func(s string) time.Time { return start.Add(clock(s)) }
	shop, deploy := user("shop-api"), user("ci-deploy")
	members := []member{{"shop-enter", "InitialAccess:IAMUser/AnomalousBehavior", 5}, {"shop-rise", "PrivilegeEscalation:IAMUser/AnomalousBehavior", 5}, {"shop-stay", "Persistence:IAMUser/AnomalousBehavior", 5}}
	list := []beat{
		{at: "13:00", id: "shell", account: payments, typ: "Execution:Runtime/ReverseShell", severity: 8, resource: task("invoices", "registry.example/invoices:41", at("05:00")), count: 1,
			tweak: also(acts, process("bash", "/bin/bash", at("12:58"), object{"socketPath": "203.0.113.12:4444", "addressFamily": "AF_INET", "ianaProtocolNumber": 6})),
			title: "A shell of a container talks to 203.0.113.12.", caption: "Containers are not left out: a reverse shell in a task,"},
		{at: "13:04", id: "task-file", account: payments, typ: "Execution:ECS/SuspiciousFile", severity: 5, resource: task("invoices", "registry.example/invoices:41", at("05:00")), count: 1,
			tweak: scan("shell", batch1, "Shell.Agent.Example", "/var/tmp/a.sh", at("13:03")), title: "A suspicious file was found in a container of task invoices."},
		{at: "13:10", id: "container", account: payments, typ: "Execution:Container/MaliciousFile", severity: 8, resource: onHost("thumbs", "registry.example/thumbs:9", batch1), count: 1,
			tweak: scan("shell", batch1, "Linux.Backdoor.Example", "/app/lib/.so", at("13:09")), title: "A malicious file was found in the container thumbs.", caption: "malware in another."},
		{at: "13:20", id: "fn-c2", account: sandbox, typ: "Backdoor:Lambda/C&CActivity.B", severity: 8, resource: function("resize"), action: functionConnection(mailbox, 443), count: 7, tweak: acts,
			title: "The function resize talks to a command and control server.", caption: "A function of the sandbox calls home. The sandbox is ticketed, never paged: that is a route, one line of configuration."},
		{at: "13:24", id: "fn-tor", account: sandbox, typ: "UnauthorizedAccess:Lambda/TorClient", severity: 8, resource: function("resize"), action: functionConnection(tor, 9001), count: 2, tweak: acts,
			title: "The function resize connects to the Tor network."},
		{at: "13:40", id: "volume", account: payments, typ: "Behavior:EC2/TrafficVolumeUnusual", severity: 5, resource: batch1.resource(), action: outbound(partner, batch1, 443), count: 1, tweak: acts,
			title: "batch-1 sends an unusual amount of data.", caption: "batch-1 sends far more than usual:"},
		{at: "13:46", act: by(ana, Close, "volume", "the nightly export was moved to noon", "false positive"), caption: "the nightly export was moved. Ana closes it as a false positive."},
		{at: "14:00", id: "root", account: sandbox, typ: "Policy:IAMUser/RootCredentialUsage", severity: 2, resource: key(rootUser(sandbox)), action: byService("DescribeInstances", "ec2.amazonaws.com", "ec2.amazonaws.com"), count: 3,
			title: "The root user of the account was used.", caption: "The sandbox is used as root. Low, and only the sandbox: but nothing can contain the root user, so it pages, whatever the severity."},
		{at: "14:10", id: "block", account: sandbox, typ: "Policy:S3/BucketBlockPublicAccessDisabled", severity: 2, resource: openedBy(user(raj), "lab-site"), action: call("PutBucketPublicAccessBlock", "s3.amazonaws.com", office, "console.amazonaws.com", "", object{"AWS::S3::Bucket": "lab-site"}), count: 1, source: byPoll,
			title: "The block on public access was switched off for lab-site.", caption: "Raj opens a bucket of the sandbox for a web site. This one guardroom reads from GuardDuty's own API."},
		{at: "14:20", id: "leak", account: sandbox, typ: "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", severity: 5, resource: key(deploy), action: call("RunInstances", "ec2.amazonaws.com", mailbox, awsCLI, "AccessDenied", nil), count: 3, tweak: threatList("our-list", "leaked key hunters"),
			title: "RunInstances was called by ci-deploy from an address on your list.", caption: "A key of the sandbox has leaked."},
		{at: "14:25", act: by(ana, Assign, "leak", raj, ""), caption: "Ana gives it to Raj, whose sandbox it is."},
		{at: "14:40", act: by(raj, Close, "leak", "key deleted", "malicious"), caption: "Raj deletes the key and closes the incident."},
	}
	list = append(list, worm()...)
	return append(list,
		beat{at: "15:20", id: "leak", account: sandbox, typ: "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", severity: 5, resource: key(deploy), action: call("RunInstances", "ec2.amazonaws.com", mailbox, awsCLI, "", nil), count: 9, tweak: threatList("our-list", "leaked key hunters"),
			title: "RunInstances was called by ci-deploy from an address on your list.", caption: "The leaked key was not the only one: a new revision, and the closed incident opens again, loudly."},
		beat{at: "15:40", id: "shop-enter", account: payments, typ: "InitialAccess:IAMUser/AnomalousBehavior", severity: 5, resource: key(shop), action: call("GetCallerIdentity", "sts.amazonaws.com", tor, awsCLI, "", nil), count: 2, tweak: anomaly("GetCallerIdentity", tor.org, awsCLI, "PutItem", "GetItem"),
			title: "The user shop-api behaves in an unusual way.", caption: "The shop's own user does what it never did:"},
		beat{at: "15:46", id: "shop-rise", account: payments, typ: "PrivilegeEscalation:IAMUser/AnomalousBehavior", severity: 5, resource: key(shop), action: call("AttachUserPolicy", "iam.amazonaws.com", tor, awsCLI, "", nil), count: 1, tweak: anomaly("AttachUserPolicy", tor.org, awsCLI, "PutItem", "GetItem"),
			title: "The user shop-api gives itself more rights.", caption: "gives itself rights,"},
		beat{at: "15:51", id: "shop-stay", account: payments, typ: "Persistence:IAMUser/AnomalousBehavior", severity: 5, resource: key(shop), action: call("CreateAccessKey", "iam.amazonaws.com", tor, awsCLI, "", nil), count: 1, tweak: anomaly("CreateAccessKey", tor.org, awsCLI, "PutItem", "GetItem"),
			title: "The user shop-api makes another key.", caption: "and makes itself another key. Three findings, one incident,"},
		beat{at: "16:05", id: "attack-iam", account: payments, typ: "AttackSequence:IAM/CompromisedCredentials", severity: 9, resource: object{"resourceType": "AttackSequence"}, count: 1,
			tweak: sequence("attack-iam", payments, "The keys of shop-api were used from the Tor network to gain rights and to stay.", members, shop, tor, []object{hitKey(payments, shop)},
				indicator("TOR_IP", "Tor", tor.ip), indicator("HIGH_RISK_API", "Calls", "iam:AttachUserPolicy", "iam:CreateAccessKey")),
			title: "The keys of shop-api are in wrong hands.", caption: "and then GuardDuty's own word for it."},
		beat{at: "16:30", id: "block", account: sandbox, typ: "Policy:S3/BucketBlockPublicAccessDisabled", severity: 2, resource: openedBy(user(raj), "lab-site"), action: call("PutBucketPublicAccessBlock", "s3.amazonaws.com", office, "console.amazonaws.com", "", object{"AWS::S3::Bucket": "lab-site"}), count: 1, source: byPoll, tweak: archived,
			title: "The block on public access was switched off for lab-site.", caption: "Raj has archived his finding in the GuardDuty console. The incident closes by itself."},
		beat{at: "16:50", act: by(ana, Close, "attack-ec2", "rebuilt from a clean image, passwords off, keys only", "malicious"), caption: "web-1 is rebuilt. Ana closes the incident of the morning."},
		beat{at: "17:05", id: "batch-calls", account: payments, typ: "Backdoor:EC2/C&CActivity.B", severity: 8, resource: batch1.resource(), action: outbound(mailbox, batch1, 443), count: 3, tweak: acts, source: byPoll,
			title: "batch-1 is talking to a command and control server.", caption: "And batch-1, whose unusual traffic was closed as a false positive, talks to a command and control server."},
		beat{at: "17:06", act: by(ana, Acknowledge, "batch-calls", "", ""), caption: "Ana takes it. This one is read from GuardDuty itself, so guardroom may do more than tell."},
	)
}

// worm is a burst of findings in the training lab, in one export object.
func worm() []beat {
	list := []struct {
		typ      string
		severity float64
		title    string
		port     int
	}{
		{"Impact:EC2/PortSweep", 8, "sweeps a port of many hosts", 445}, {"Recon:EC2/Portscan", 5, "scans ports of another host", 8080},
		{"Trojan:EC2/DropPoint", 5, "talks to a known drop point", 80}, {"Trojan:EC2/BlackholeTraffic", 5, "talks to an address that swallows everything", 443},
		{"Backdoor:EC2/Spambot", 5, "sends mail to everybody", 25}, {"Backdoor:EC2/DenialOfService.Tcp", 8, "floods somebody", 443},
		{"Backdoor:EC2/DenialOfService.Udp", 8, "floods somebody with datagrams", 53}, {"Impact:EC2/WinRMBruteForce", 2, "guesses passwords of Windows hosts", 5985},
		{"UnauthorizedAccess:EC2/TorRelay", 8, "relays for the Tor network", 9001}, {"Behavior:EC2/NetworkPortUnusual", 5, "uses a port that it never used", 6667},
		{"DefenseEvasion:EC2/UnusualDNSResolver", 5, "asks a name server of its own", 53}, {"UnauthorizedAccess:EC2/RDPBruteForce", 2, "guesses passwords over RDP", 3389},
	}
	var out []beat
	for i, l := range list {
		h := host{account: sandbox, id: fmt.Sprintf("i-0a1b2c3d4e5f7%04d", i+1), name: fmt.Sprintf("lab-%d", i+1), kind: "t3.small", owner: "platform", private: fmt.Sprintf("10.30.2.%d", i+10), role: "lab"}
		b := beat{at: "15:00", id: "worm-" + h.name, account: sandbox, typ: l.typ, severity: l.severity, resource: h.resource(), action: outbound(crowd, h, l.port), count: 1 + i, tweak: acts, source: byExport,
			title: h.name + " " + l.title + "."}
		if i == 0 {
			b.caption = "A worm in the training lab: twelve findings in one object. The first five get a message each, one digest stands for the rest."
		}
		out = append(out, b)
	}
	return out
}

// openedBy is a user who changed a bucket: the type says S3, the resource is
// the key, and the bucket is its context.
func openedBy(who object, name string) object {
	r := bucket(name, who, true)
	r["resourceType"] = "AccessKey"
	return r
}
