package demo

import "time"

// object is a JSON object in the wire's own spelling.
type object = map[string]any

// host is an instance of the story.
type host struct {
	account, id, name, kind, platform, owner, private, public, role string
}

func (h host) arn() string       { return arn("ec2", h.account, "instance/"+h.id) }
func (h host) volumeARN() string { return arn("ec2", h.account, "volume/vol-"+digest(h.id, 17)) }

// details is resource.instanceDetails with everything that GuardDuty gives.
func (h host) details() object {
	n := digest("net/"+h.id, 17)
	ni := object{"networkInterfaceId": "eni-" + n, "vpcId": "vpc-" + digest("vpc/"+h.account, 17), "subnetId": "subnet-" + n,
		"privateIpAddress": h.private, "privateDnsName": "ip-" + h.id[2:] + "." + region + ".compute.internal", "ipv6Addresses": []string{},
		"privateIpAddresses": []object{{"privateIpAddress": h.private, "privateDnsName": "ip-" + h.id[2:] + "." + region + ".compute.internal"}},
		"securityGroups":     []object{{"groupId": "sg-" + digest("sg/"+h.role, 17), "groupName": h.role}}}
	if h.public != "" {
		ni["publicIp"], ni["publicDnsName"] = h.public, "ec2-"+h.id[2:]+".compute.example"
	}
	d := object{"instanceId": h.id, "instanceType": h.kind, "instanceState": "running", "availabilityZone": region + "a",
		"launchTime": "2026-03-02T07:15:00Z", "imageId": "ami-" + digest("ami/"+h.role, 17), "imageDescription": "golden image for " + h.role,
		"iamInstanceProfile": object{"arn": "arn:aws:iam::" + h.account + ":instance-profile/" + h.role, "id": "AIPA" + upper(digest("profile/"+h.role, 16))},
		"productCodes":       []object{}, "networkInterfaces": []object{ni},
		"tags": []object{{"key": "Name", "value": h.name}, {"key": "owner", "value": h.owner}}}
	if h.platform != "" {
		d["platform"] = h.platform
	}
	return d
}

func (h host) resource() object {
	return object{"resourceType": "Instance", "instanceDetails": h.details()}
}

// scanned is the instance with the volumes that a malware scan looked at.
func (h host) scanned() object {
	r := h.resource()
	r["ebsVolumeDetails"] = volumes(h)
	return r
}

func volumes(h host) object {
	return object{"skippedVolumeDetails": nil, "scannedVolumeDetails": []object{{"volumeArn": h.volumeARN(), "volumeType": "gp3",
		"deviceName": "/dev/xvda", "volumeSizeInGB": 100, "encryptionType": "EBS_KMS",
		"kmsKeyArn": arn("kms", h.account, "key/"+digest("kms/"+h.account, 8)), "snapshotArn": arn("ec2", h.account, "snapshot/snap-"+digest("snap/"+h.id, 17))}}}
}

func user(name string) object {
	return object{"accessKeyId": "AKIA" + upper(digest("key/"+name, 16)), "principalId": "AIDA" + upper(digest("user/"+name, 16)),
		"userName": name, "userType": "IAMUser"}
}

// session is a role that an instance has taken on.
func session(h host) object {
	return object{"accessKeyId": "ASIA" + upper(digest("session/"+h.id, 16)), "principalId": "AROA" + upper(digest("role/"+h.role, 16)) + ":" + h.id,
		"userName": h.role, "userType": "AssumedRole"}
}

func rootUser(account string) object {
	return object{"accessKeyId": "", "principalId": account, "userName": "Root", "userType": "Root"}
}

func key(details object) object {
	return object{"resourceType": "AccessKey", "accessKeyDetails": details}
}

// bucket is a bucket with who touched it and how public it is.
func bucket(name string, who object, public bool, objects ...object) object {
	word := "NOT_PUBLIC"
	if public {
		word = "PUBLIC"
	}
	blocked := object{"blockPublicAcls": !public, "blockPublicPolicy": !public, "ignorePublicAcls": !public, "restrictPublicBuckets": !public}
	b := object{"name": name, "arn": "arn:aws:s3:::" + name, "type": "Destination", "createdAt": 1690000000.5,
		"owner": object{"id": digest("owner/"+name, 64)}, "tags": []object{{"key": "data-class", "value": "confidential"}},
		"defaultServerSideEncryption": object{"encryptionType": "aws:kms", "kmsMasterKeyArn": arn("kms", lake, "key/"+digest("kms/lake", 8))},
		"publicAccess": object{"effectivePermission": word, "permissionConfiguration": object{
			"accountLevelPermissions": object{"blockPublicAccess": object{"blockPublicAcls": false, "blockPublicPolicy": false, "ignorePublicAcls": false, "restrictPublicBuckets": false}},
			"bucketLevelPermissions": object{"blockPublicAccess": blocked,
				"accessControlList": object{"allowsPublicReadAccess": false, "allowsPublicWriteAccess": false},
				"bucketPolicy":      object{"allowsPublicReadAccess": public, "allowsPublicWriteAccess": false}}}}}
	r := object{"resourceType": "S3Bucket", "s3BucketDetails": []object{b}}
	if who != nil {
		r["accessKeyDetails"] = who
	}
	if len(objects) > 0 {
		b["s3ObjectDetails"] = objects
		r["resourceType"] = "S3Object"
	}
	return r
}

func stored(bucket, name string) object {
	return object{"objectArn": "arn:aws:s3:::" + bucket + "/" + name, "key": name, "eTag": digest("etag/"+name, 32), "hash": digest("hash/"+name, 64), "versionId": digest("version/"+name, 24)}
}

// cluster is the EKS cluster of the shop, with a user and perhaps a workload.
func cluster(username string, workload object) object {
	k := object{"kubernetesUserDetails": object{"username": username, "uid": digest("uid/"+username, 12), "groups": []string{"system:authenticated"}, "sessionName": []string{}}}
	if workload != nil {
		k["kubernetesWorkloadDetails"] = workload
	}
	return object{"resourceType": "EKSCluster", "kubernetesDetails": k,
		"eksClusterDetails": object{"name": "shop", "arn": arn("eks", payments, "cluster/shop"), "vpcId": "vpc-" + digest("vpc/"+payments, 17),
			"status": "ACTIVE", "createdAt": 1700000000.25, "tags": []object{{"key": "owner", "value": "payments"}}}}
}

func workload(namespace, kind, name, image string, privileged bool) object {
	return object{"name": name, "type": kind, "uid": digest("workload/"+name, 12), "namespace": namespace, "serviceAccountName": "default",
		"hostNetwork": false, "hostPID": privileged, "hostIPC": false, "containers": []object{container(name, image, privileged)},
		"volumes": []object{{"name": "host", "hostPath": object{"path": "/"}}}}
}

func container(name, image string, privileged bool) object {
	return object{"id": digest("container/"+name, 64), "name": name, "image": image, "imagePrefix": "registry.example", "containerRuntime": "containerd",
		"securityContext": object{"privileged": privileged, "allowPrivilegeEscalation": privileged},
		"volumeMounts":    []object{{"name": "host", "mountPath": "/host"}}}
}

// onHost is a container that runs on one of our instances.
func onHost(name, image string, h host) object {
	return object{"resourceType": "Container", "containerDetails": container(name, image, false), "instanceDetails": h.details(), "ebsVolumeDetails": volumes(h)}
}

func task(name, image string, started time.Time) object {
	at := float64(started.UnixMilli()) / 1000
	return object{"resourceType": "ECSCluster", "ecsClusterDetails": object{"name": "jobs", "arn": arn("ecs", payments, "cluster/jobs"), "status": "ACTIVE",
		"activeServicesCount": 4, "registeredContainerInstancesCount": 0, "runningTasksCount": 11, "tags": []object{{"key": "owner", "value": "payments"}},
		"taskDetails": object{"arn": arn("ecs", payments, "task/jobs/"+digest("task/"+name, 32)), "definitionArn": arn("ecs", payments, "task-definition/"+name+":7"),
			"version": "3", "group": "service:" + name, "launchType": "FARGATE", "createdAt": at, "startedAt": at + 21.5, "startedBy": "ecs-svc/" + digest("svc/"+name, 16),
			"containers": []object{container(name, image, false)}, "volumes": []object{}, "tags": []object{}}}}
}

func database(id, username string) object {
	return object{"resourceType": "RDSDBInstance",
		"rdsDbInstanceDetails": object{"dbInstanceIdentifier": id, "dbInstanceArn": arn("rds", lake, "db:"+id), "dbClusterIdentifier": id + "-cluster",
			"dbiResourceId": "db-" + upper(digest("dbi/"+id, 20)), "engine": "aurora-postgresql", "engineVersion": "16.4", "tags": []object{{"key": "owner", "value": "data"}}},
		"rdsDbUserDetails": object{"user": username, "application": "psql", "database": "reports", "ssl": "true", "authMethod": "password"}}
}

func limitless(id, username string) object {
	return object{"resourceType": "RDSLimitlessDB",
		"rdsLimitlessDbDetails": object{"dbShardGroupIdentifier": id, "dbShardGroupArn": arn("rds", lake, "shard-group:"+id), "dbShardGroupResourceId": "shardgroup-" + digest("shard/"+id, 16),
			"dbClusterIdentifier": id + "-cluster", "engine": "aurora-postgresql", "engineVersion": "16.4-limitless", "tags": []object{}},
		"rdsDbUserDetails": object{"user": username, "application": "", "database": "ledger", "ssl": "true", "authMethod": "password"}}
}

func function(name string) object {
	return object{"resourceType": "Lambda", "lambdaDetails": object{"functionName": name, "functionArn": arn("lambda", sandbox, "function:"+name),
		"functionVersion": "$LATEST", "description": "makes thumbnails", "role": "arn:aws:iam::" + sandbox + ":role/" + name, "revisionId": digest("revision/"+name, 32),
		"lastModifiedAt": 1780000000.0, "tags": []object{}, "vpcConfig": object{"vpcId": "vpc-" + digest("vpc/"+sandbox, 17),
			"subnetIds": []string{"subnet-" + digest("subnet/"+name, 17)}, "securityGroups": []object{{"groupId": "sg-" + digest("sg/"+name, 17), "groupName": name}}}}}
}

func snapshot(account, name string) object {
	return object{"resourceType": "EBSSnapshot", "ebsSnapshotDetails": object{"snapshotArn": arn("ec2", account, "snapshot/snap-"+digest("snap/"+name, 17))}}
}

func image(account, name string) object {
	return object{"resourceType": "EC2Image", "ec2ImageDetails": object{"imageArn": arn("ec2", account, "image/ami-"+digest("ami/"+name, 17))}}
}

func recoveryPoint(account, vault string) object {
	return object{"resourceType": "RecoveryPoint", "recoveryPointDetails": object{"backupVaultName": vault,
		"recoveryPointArn": arn("backup", account, "recovery-point:"+digest("backup/"+vault, 32))}}
}

// unheardOf is a resource that GuardDuty does not know today.
func unheardOf(name string) object {
	return object{"resourceType": "QuantumLedger", "quantumLedgerDetails": object{"ledgerName": name, "ledgerArn": arn("qledger", lake, "ledger/"+name)}}
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
