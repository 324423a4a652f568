package demo

import "time"

// earlyMorning: a server of the payments is broken into.
func earlyMorning(start time.Time) []beat {
	at := func(s string) time.Time { return start.Add(clock(s)) }
	members := []member{
		{"ssh-in", "UnauthorizedAccess:EC2/SSHBruteForce", 2}, {"ssh-out", "UnauthorizedAccess:EC2/SSHBruteForce", 8},
		{"c2", "Backdoor:EC2/C&CActivity.B!DNS", 8}, {"coin", "CryptoCurrency:EC2/BitcoinTool.B!DNS", 8},
		{"miner", "Impact:Runtime/CryptoMinerExecuted", 8}, {"hidden", "DefenseEvasion:Runtime/FilelessExecution", 5}, {"file", "Execution:EC2/MaliciousFile", 8},
	}
	return []beat{
		{at: "06:05", id: "scan-lab", account: sandbox, typ: "Recon:EC2/PortProbeUnprotectedPort", severity: 2, resource: lab.resource(), action: probe(scanner, lab, 22, 80, 443), count: 3,
			title:   "An unprotected port of lab-0 is being probed.",
			caption: "Our own scanner makes its weekly round. A rule with an owner, a reason and an end keeps that quiet."},
		{at: "06:07", id: "scan-win", account: sandbox, typ: "Recon:EC2/PortProbeUnprotectedPort", severity: 2, resource: win.resource(), action: probe(scanner, win, 3389), count: 1,
			title: "An unprotected port of build-win is being probed."},
		{at: "06:20", id: "pentest", account: sandbox, typ: "PenTest:IAMUser/KaliLinux", severity: 5, resource: key(user("tester")), action: call("ListUsers", "iam.amazonaws.com", tester, "aws-cli/2.15.1 kali", "", nil), count: 4,
			title:   "The API ListUsers was called from a computer that runs Kali Linux.",
			caption: "The rule for last month's penetration test has ended, so the testers show up again."},
		{at: "06:40", id: "ssh-in", account: payments, typ: "UnauthorizedAccess:EC2/SSHBruteForce", severity: 2, resource: web1.resource(), action: inbound(intruder, web1, 22), count: 12,
			title:   "203.0.113.50 is guessing SSH passwords of web-1.",
			caption: "A stranger guesses SSH passwords on web-1. That happens all day: Low, one line in Slack, no ticket, no page."},
		{at: "06:55", id: "ssh-in", account: payments, typ: "UnauthorizedAccess:EC2/SSHBruteForce", severity: 2, resource: web1.resource(), action: inbound(intruder, web1, 22), count: 240,
			title:   "203.0.113.50 is guessing SSH passwords of web-1.",
			caption: "The guessing goes on. The message is edited in place; nobody is called.",
			twice:   "The queue delivers that event a second time. Nothing changes."},
		{at: "07:05", id: "ssh-in", account: payments, typ: "UnauthorizedAccess:EC2/SSHBruteForce", severity: 2, resource: web1.resource(), action: inbound(intruder, web1, 22), count: 60, revised: "06:47",
			title: "203.0.113.50 is guessing SSH passwords of web-1.", caption: "An older revision comes late. It is kept, and changes nothing newer."},
		{at: "07:10", id: "ssh-out", account: payments, typ: "UnauthorizedAccess:EC2/SSHBruteForce", severity: 8, resource: web1.resource(), action: outbound(victim, web1, 22), count: 31, tweak: acts,
			title:   "web-1 is guessing SSH passwords of 192.0.2.201.",
			caption: "Now web-1 itself guesses passwords of others: somebody got in. Same family, same host, so the same incident, and its severity rises."},
		{at: "07:12", act: by(ana, Acknowledge, "ssh-in", "", ""), caption: "Ana, on call, takes it. Every channel says so."},
		{at: "07:18", id: "c2", account: payments, typ: "Backdoor:EC2/C&CActivity.B!DNS", severity: 8, resource: web1.resource(), action: dns("update.c2.example", "c2.example"), count: 2, source: byTopic, tweak: also(acts, threatList("ProofPoint", "c2.example")),
			title:   "web-1 is asking for the name of a command and control server.",
			caption: "web-1 asks for the name of a command and control server,"},
		{at: "07:20", id: "c2-ip", account: payments, typ: "Backdoor:EC2/C&CActivity.B", severity: 8, resource: web1.resource(), action: outbound(mailbox, web1, 443), count: 1, tweak: acts,
			title: "web-1 is talking to a command and control server.", caption: "and then talks to it. Two findings, one incident."},
		{at: "07:26", id: "coin", account: payments, typ: "CryptoCurrency:EC2/BitcoinTool.B!DNS", severity: 8, resource: web1.resource(), action: dns("pool.mining.example", "mining.example"), count: 6, tweak: acts,
			title: "web-1 is asking for the name of a mining pool.", caption: "It starts to mine."},
		{at: "07:30", id: "miner", account: payments, typ: "Impact:Runtime/CryptoMinerExecuted", severity: 8, resource: web1.resource(), count: 1,
			tweak: also(acts, process("xmrig", "/tmp/.x/xmrig", at("07:28"), object{"threatFilePath": "/tmp/.x/xmrig", "commandLineExample": "/tmp/.x/xmrig -o pool.mining.example:3333"})),
			title: "A cryptocurrency miner was started on web-1."},
		{at: "07:33", id: "hidden", account: payments, typ: "DefenseEvasion:Runtime/FilelessExecution", severity: 5, resource: web1.resource(), count: 1,
			tweak: also(acts, process("kworkerd", "memfd:kworkerd", at("07:31"), object{"memoryRegions": []string{"7f0a10000000-7f0a10021000"}, "ldPreloadValue": "/tmp/.x/hide.so"})),
			title: "A process on web-1 runs from memory, without a file."},
		{at: "07:50", id: "file", account: payments, typ: "Execution:EC2/MaliciousFile", severity: 8, resource: web1.scanned(), count: 1, tweak: scan("coin", web1, "Linux.CoinMiner.Example", "/tmp/.x/xmrig", at("07:49")),
			title: "A malicious file was found on a volume of web-1.", caption: "GuardDuty scans its disk and finds the file."},
		{at: "08:05", id: "attack-ec2", account: payments, typ: "AttackSequence:EC2/CompromisedInstanceGroup", severity: 9.2, resource: object{"resourceType": "AttackSequence"}, count: 1,
			tweak: sequence("attack-ec2", payments, "Passwords were guessed until one fit; then a backdoor, a miner and malware followed on web-1.", members, session(web1), intruder, []object{hitInstance(web1)},
				indicator("ATTACK_TACTIC", "Tactics", "Initial Access", "Command and Control", "Impact"), indicator("CRYPTOMINING_DOMAIN", "Mining pool", "pool.mining.example"), indicator("MALICIOUS_IP", "Known address", intruder.ip)),
			title:   "web-1 was broken into and is being used.",
			caption: "GuardDuty sees one attack behind all of it. Six incidents become one: they close as merged, everywhere, and one Critical incident is left."},
		{at: "08:08", act: by(ana, Acknowledge, "attack-ec2", "", ""), caption: "Ana takes that one too,"},
		{at: "08:15", act: by(ana, Note, "attack-ec2", "web-1 is out of the load balancer, its disk is kept", ""), caption: "works on it, and leaves a note."},
	}
}
