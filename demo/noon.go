package demo

import "time"

// noon: databases and backups, and what is no finding at all.
func noon(start time.Time) []beat {
	at := func(s string) time.Time { return start.Add(clock(s)) }
	noSeverity := envelope(901, at("12:02"), sandbox, "GuardDuty Finding", object{"schemaVersion": "2.0", "accountId": sandbox, "region": region, "id": FindingID("no-severity"),
		"arn": findingARN(sandbox, "no-severity"), "type": "Recon:EC2/Portscan", "title": "A finding without a severity.", "createdAt": stamp(at("12:00")), "updatedAt": stamp(at("12:00"))})
	archiving := envelope(902, at("12:05"), payments, "AWS API Call via CloudTrail", object{"eventSource": "guardduty.amazonaws.com", "eventName": "ArchiveFindings", "awsRegion": region,
		"userIdentity": object{"type": "IAMUser", "userName": ana}, "requestParameters": object{"detectorId": detector, "findingIds": []string{FindingID("pentest")}}})
	clean := envelope(903, at("12:06"), lake, "GuardDuty Malware Protection Object Scan Result", object{"schemaVersion": "1.0", "scanStatus": "COMPLETED", "resourceType": "S3_OBJECT",
		"s3ObjectDetails": object{"bucketName": "lake-upload", "objectKey": "holiday.jpg"}, "scanResultDetails": object{"scanResultStatus": "NO_THREATS_FOUND", "threats": nil}})
	return []beat{
		{at: "11:20", id: "db-in", account: lake, typ: "CredentialAccess:RDS/AnomalousBehavior.SuccessfulLogin", severity: 8, resource: database("reports", "report"), action: login(mailbox, "report", 41, 1), count: 1,
			title:   "An unusual login to database reports was successful.",
			caption: "Somebody logs in to a database of the lake after 41 failures."},
		{at: "11:24", id: "db-tor", account: lake, typ: "CredentialAccess:RDS/TorIPCaller.FailedLogin", severity: 5, resource: database("reports", "admin"), action: login(tor, "admin", 12, 0), count: 12,
			title: "Logins to database reports failed, from the Tor network."},
		{at: "11:28", id: "db-look", account: lake, typ: "Discovery:RDS/MaliciousIPCaller", severity: 5, resource: limitless("ledger", "audit"), action: login(stranger, "audit", 0, 0), count: 2,
			title: "A known malicious address reached for the database ledger."},
		{at: "11:40", id: "upload", account: lake, typ: "Object:S3/MaliciousFile", severity: 8, resource: bucket("lake-upload", nil, false, stored("lake-upload", "incoming/invoice\u202efdp.exe")), count: 1,
			tweak: objects("Windows.Dropper.Example", "arn:aws:s3:::lake-upload/incoming/invoice\u202efdp.exe", "incoming/invoice\u202efdp.exe"), title: "An uploaded object is malicious.", caption: "A customer uploads an invoice. With the same trick its name seems to end in pdf; it is a program."},
		{at: "11:46", id: "old-snap", account: sandbox, typ: "Execution:EC2/MaliciousFile!Snapshot", severity: 5, resource: snapshot(sandbox, "lab"), count: 1, tweak: objects("Linux.Rootkit.Example", arn("ec2", sandbox, "snapshot/snap-"+digest("snap/lab", 17)), "/usr/lib/.hide/mod.ko"),
			title: "A snapshot holds a malicious file.", caption: "Old disks and backups are scanned as well, and hold something older."},
		{at: "11:47", id: "old-image", account: sandbox, typ: "Execution:EC2/MaliciousFile!AMI", severity: 5, resource: image(sandbox, "builder"), count: 1, tweak: objects("Linux.Rootkit.Example", arn("ec2", sandbox, "image/ami-"+digest("ami/builder", 17)), "/usr/lib/.hide/mod.ko"),
			title: "A machine image holds a malicious file."},
		{at: "11:48", id: "old-backup", account: lake, typ: "Execution:EC2/MaliciousFile!RecoveryPoint", severity: 5, resource: recoveryPoint(lake, "nightly"), count: 1, tweak: objects("Linux.Rootkit.Example", arn("backup", lake, "recovery-point:"+digest("backup/nightly", 32)), "/usr/lib/.hide/mod.ko"),
			title: "A backup holds a malicious file."},

		{at: "12:00", raw: []byte(`{"version":"0","detail-type":"GuardDuty Finding","source":"aws.guardduty","detail":{"schemaVersion":"2.0","id":"`), caption: "A message breaks off in the middle, another has no severity. Both are kept where people can look."},
		{at: "12:02", raw: noSeverity},
		{at: "12:05", raw: archiving, caption: "Somebody archives a finding in the console, and a clean file is scanned. Those are no findings: counted, not posted."},
		{at: "12:06", raw: clean},
		{at: "12:15", id: "future", account: lake, typ: "Impact:QuantumLedger/HistoryRewritten.Silent", severity: 8.5, resource: unheardOf("ledger-7"), count: 1,
			action:  object{"actionType": "LEDGER_REWRITE", "ledgerRewriteAction": object{"blocks": 3}},
			title:   "The history of ledger-7 was rewritten.",
			caption: "A finding of a type that nobody has heard of yet. It is read all the same, and pages, because it is High."},
		{at: "12:30", id: "sample", account: sandbox, typ: "Trojan:EC2/DropPoint!DNS", severity: 5, resource: lab.resource(), action: dns("drop.sample.example", "sample.example"), count: 1, tweak: also(acts, sample),
			title: "A sample: lab-0 asks for a known drop point.", caption: "Somebody presses \"generate sample findings\". Listed; nobody is disturbed."},
		{at: "12:35", id: "archived", account: sandbox, typ: "Impact:EC2/SuspiciousDomainRequest.Reputation", severity: 2, resource: lab.resource(), action: dns("odd.example", "odd.example"), count: 1, tweak: also(acts, archived),
			title: "lab-0 asks for a suspicious domain.", caption: "A finding that was archived in GuardDuty opens nothing."},
	}
}
