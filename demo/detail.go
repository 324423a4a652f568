package demo

import (
	"encoding/json"
	"time"
)

// process is service.runtimeDetails: a process, who started it, and what it
// touched.
func process(name, path string, at time.Time, context object) func(object) {
	start := float64(at.UnixMilli()) / 1000
	p := object{"name": name, "executablePath": path, "executableSha256": digest("sha/"+name, 64), "pid": 4711, "namespacePid": 4711, "pwd": "/tmp",
		"startTime": start, "uuid": digest("uuid/"+name, 32), "parentUuid": digest("uuid/sh", 32), "user": "www-data", "userId": 33, "euid": 33,
		"lineage": []object{
			{"name": "sh", "executablePath": "/usr/bin/dash", "pid": 4700, "namespacePid": 4700, "uuid": digest("uuid/sh", 32), "parentUuid": digest("uuid/sshd", 32), "startTime": start - 12, "userId": 33, "euid": 33},
			{"name": "sshd", "executablePath": "/usr/sbin/sshd", "pid": 812, "namespacePid": 812, "uuid": digest("uuid/sshd", 32), "startTime": start - 40, "userId": 0, "euid": 0}}}
	return func(f object) {
		s := f["service"].(object)
		s["featureName"] = "RuntimeMonitoring"
		s["runtimeDetails"] = object{"process": p, "context": context}
	}
}

// scan is a malware scan of volumes that an earlier finding started.
func scan(trigger string, h host, threat, path string, at time.Time) func(object) {
	done := float64(at.UnixMilli()) / 1000
	return func(f object) {
		s := f["service"].(object)
		s["featureName"] = "EbsVolumeScan"
		s["ebsVolumeScanDetails"] = object{"scanId": digest("scan/"+path, 32), "scanStartedAt": done - 900, "scanCompletedAt": done, "scanType": "GUARDDUTY_INITIATED",
			"triggerFindingId": FindingID(trigger), "sources": []string{"Bitdefender"},
			"scanDetections": object{"scannedItemCount": object{"files": 181204, "totalGb": 41, "volumes": 1}, "threatsDetectedItemCount": object{"files": 1},
				"highestSeverityThreatDetails": object{"severity": "HIGH", "threatName": threat, "count": 1},
				"threatDetectedByName": object{"itemCount": 1, "uniqueThreatNameCount": 1, "shortened": false, "threatNames": []object{{"name": threat, "severity": "HIGH", "itemCount": 1,
					"filePaths": []object{{"filePath": path, "fileName": path[lastSlash(path):], "hash": digest("hash/"+path, 64), "volumeArn": h.volumeARN()}}}}}}}
	}
}

// objects is a malware scan of stored objects or backups.
func objects(threat, resource, path string) func(object) {
	return func(f object) {
		s := f["service"].(object)
		s["featureName"] = "MalwareProtection"
		s["malwareScanDetails"] = object{"scanId": digest("scan/"+path, 32), "scanType": "GUARDDUTY_INITIATED", "scanCategory": "FULL_SCAN",
			"scanConfiguration": object{"triggerType": "GUARDDUTY"}, "uniqueThreatCount": 1,
			"threats": []object{{"name": threat, "source": "Bitdefender", "count": 1, "hash": digest("hash/"+path, 64),
				"itemDetails": []object{{"resourceArn": resource, "itemPath": path, "hash": digest("hash/"+path, 64), "additionalInfo": object{"deviceName": "/dev/xvda"}}}}}}
	}
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i + 1
		}
	}
	return 0
}

// anomaly says what is unusual about a call, and what is usual.
func anomaly(api, asn, agent string, usual ...string) func(object) {
	seen := func(kind string, text ...string) object {
		return object{"profileType": "FREQUENCY", "profileSubtype": kind, "observations": object{"text": text}}
	}
	return func(f object) {
		f["service"].(object)["detection"] = object{"anomaly": object{
			"profiles": object{"account": object{"api": []object{seen("FREQUENT", usual...), seen("RARE", api)}, "asnOrg": []object{seen("FREQUENT", "Office Example")}}},
			"unusual": object{"behavior": object{"account": object{"api": seen("UNSEEN", api), "asnOrg": seen("UNSEEN", asn)},
				"userIdentity": object{"userAgent": seen("UNSEEN", agent)}}}}}
	}
}

// threatList says on which list the other side stands.
func threatList(name string, threats ...string) func(object) {
	return func(f object) {
		s := f["service"].(object)
		s["evidence"] = object{"threatIntelligenceDetails": []object{{"threatListName": name, "threatNames": threats}}}
		s["additionalInfo"] = object{"threatListName": name, "type": "default", "value": `{"threatListName":"` + name + `"}`}
	}
}

// member is a finding that an attack sequence names.
type member struct {
	name, typ string
	severity  float64
}

// sequence is an attack sequence: signals, who, from where, what was hit.
func sequence(name, account, text string, members []member, who object, from remote, hit []object, indicators ...object) func(object) {
	return func(f object) {
		var signals []object
		for i, m := range members {
			signals = append(signals, object{"uid": findingARN(account, m.name), "type": "FINDING", "name": m.typ, "severity": m.severity, "count": 1 + i,
				"createdAt": f["createdAt"], "updatedAt": f["updatedAt"], "firstSeenAt": f["createdAt"], "lastSeenAt": f["updatedAt"],
				"actorIds": []string{"actor-1"}, "endpointIds": []string{"endpoint-1"}})
		}
		f["service"].(object)["featureName"] = "Correlation"
		f["service"].(object)["detection"] = object{"sequence": object{"uid": FindingID(name), "description": text, "additionalSequenceTypes": []string{},
			"sequenceIndicators": indicators, "signals": signals,
			"actors": []object{{"id": "actor-1", "user": object{"name": who["userName"], "type": who["userType"], "uid": who["principalId"], "credentialUid": who["accessKeyId"], "account": object{"uid": account}}}},
			"endpoints": []object{{"id": "endpoint-1", "ip": from.ip, "port": 443, "location": object{"city": from.city, "country": from.country, "latitude": from.lat, "longitude": from.lon},
				"autonomousSystem": object{"name": from.org, "number": json.Number(from.asn)}, "connection": object{"direction": "INBOUND"}}},
			"resources": hit}}
	}
}

func indicator(key, title string, values ...string) object {
	return object{"key": key, "title": title, "values": values}
}

func hitInstance(h host) object {
	return object{"uid": h.arn(), "name": h.name, "accountId": h.account, "region": region, "service": "ec2", "cloudPartition": "aws", "resourceType": "EC2_INSTANCE",
		"tags": []object{{"key": "Name", "value": h.name}}, "data": object{"ec2Instance": object{"instanceType": h.kind, "instanceState": "running", "availabilityZone": region + "a",
			"IamInstanceProfile": object{"arn": "arn:aws:iam::" + h.account + ":instance-profile/" + h.role, "id": "AIPA" + upper(digest("profile/"+h.role, 16))}}}}
}

func hitBucket(account, name string) object {
	return object{"uid": "arn:aws:s3:::" + name, "name": name, "accountId": account, "region": region, "service": "s3", "cloudPartition": "aws", "resourceType": "S3_BUCKET", "data": object{"s3Bucket": object{"ownerId": digest("owner/"+name, 64)}}}
}

func hitKey(account string, who object) object {
	return object{"uid": who["accessKeyId"], "name": who["userName"], "accountId": account, "region": region, "service": "iam", "cloudPartition": "aws", "resourceType": "ACCESS_KEY",
		"data": object{"accessKey": who}}
}

// also joins several additions to a finding.
func also(list ...func(object)) func(object) {
	return func(f object) {
		for _, add := range list {
			add(f)
		}
	}
}

func archived(f object) { f["service"].(object)["archived"] = true }

func sample(f object) {
	f["service"].(object)["additionalInfo"] = object{"sample": true, "type": "default", "value": `{"sample":true}`}
}

// acts says that our own resource does it.
func acts(f object) { f["service"].(object)["resourceRole"] = "ACTOR" }
