package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const detector = "12abc34d567e8fa901bc2d34e56789f0"

func findingID(name string) string {
	h := sha256.Sum256([]byte(name))
	return hex.EncodeToString(h[:16])
}

func arn(account, name string) string {
	return "arn:aws:guardduty:" + region + ":" + account + ":detector/" + detector + "/finding/" + findingID(name)
}

func (b beat) finding(created, updated time.Time) object {
	stamp := func(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
	f := object{"schemaVersion": "2.0", "accountId": b.account, "region": region, "partition": "aws",
		"id": findingID(b.id), "arn": arn(b.account, b.id), "type": b.typ, "severity": b.severity,
		"title": b.typ, "description": "A finding of the demo.", "createdAt": stamp(created), "updatedAt": stamp(updated),
		"resource": b.resource, "service": object{"serviceName": "guardduty", "detectorId": detector, "archived": false,
			"count": max(b.count, 1), "eventFirstSeen": stamp(created), "eventLastSeen": stamp(updated), "action": b.action}}
	if b.tweak != nil {
		b.tweak(f)
	}
	return f
}

func instance(id, name string) object {
	return object{"resourceType": "Instance", "instanceDetails": object{"instanceId": id, "instanceType": "m6i.large",
		"tags": []object{{"key": "Name", "value": name}}}}
}

func key(user string) object {
	return object{"resourceType": "AccessKey", "accessKeyDetails": object{"accessKeyId": "AKIAIOSFODNN7EXAMPLE",
		"principalId": "AIDADEMO" + user, "userName": user, "userType": "IAMUser"}}
}

func bucket(name string) object {
	r := key("etl")
	r["resourceType"] = "S3Bucket"
	r["s3BucketDetails"] = []object{{"name": name, "arn": "arn:aws:s3:::" + name, "type": "Destination"}}
	return r
}

func cluster() object {
	return object{"resourceType": "EKSCluster",
		"eksClusterDetails": object{"name": "shop", "arn": "arn:aws:eks:" + region + ":" + payments + ":cluster/shop"},
		"kubernetesDetails": object{"kubernetesUserDetails": object{"username": "system:anonymous"}}}
}

func database() object {
	return object{"resourceType": "RDSDBInstance", "rdsDbInstanceDetails": object{"dbInstanceIdentifier": "orders", "engine": "postgres",
		"dbInstanceArn": "arn:aws:rds:" + region + ":" + lake + ":db:orders"}, "rdsDbUserDetails": object{"user": "report"}}
}

func function() object {
	return object{"resourceType": "Lambda", "lambdaDetails": object{"functionName": "resize",
		"functionArn": "arn:aws:lambda:" + region + ":" + sandbox + ":function:resize"}}
}

func remote(ip string) object {
	return object{"ipAddressV4": ip, "country": object{"countryName": "Nowhere"}}
}

func network(ip string, port int) object {
	return object{"actionType": "NETWORK_CONNECTION", "networkConnectionAction": object{"connectionDirection": "INBOUND",
		"protocol": "TCP", "blocked": false, "localPortDetails": object{"port": port}, "remoteIpDetails": remote(ip)}}
}

func probe(ip string) object {
	return object{"actionType": "PORT_PROBE", "portProbeAction": object{"blocked": false,
		"portProbeDetails": []object{{"localPortDetails": object{"port": 22}, "remoteIpDetails": remote(ip)}}}}
}

func dns(domain string) object {
	return object{"actionType": "DNS_REQUEST", "dnsRequestAction": object{"domain": domain, "protocol": "UDP", "blocked": false}}
}

func call(api, service, ip string) object {
	return object{"actionType": "AWS_API_CALL", "awsApiCallAction": object{"api": api, "serviceName": service,
		"callerType": "Remote IP", "remoteIpDetails": remote(ip)}}
}

func kube(uri, ip string) object {
	return object{"actionType": "KUBERNETES_API_CALL", "kubernetesApiCallAction": object{"requestUri": uri, "verb": "get",
		"statusCode": 200, "sourceIPs": []string{ip}, "remoteIpDetails": remote(ip)}}
}

func login(ip string) object {
	return object{"actionType": "RDS_LOGIN_ATTEMPT", "rdsLoginAttemptAction": object{"remoteIpDetails": remote(ip)}}
}
