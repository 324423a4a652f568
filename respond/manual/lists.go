package manual

// eksCluster is about a principal who uses the API of a cluster.
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-remediate-kubernetes.html
func eksCluster(n names) []string {
	cluster := " --cluster-name " + n.cluster + " --region " + n.region
	return []string{
		"Write down who may what first: aws eks list-access-entries" + cluster + ", and kubectl get clusterrolebindings,rolebindings -A -o yaml",
		"If the user of the finding is a principal of IAM: make a plan with iam-user or iam-role for it. That is the quickest way to stop it.",
		"If it has an access entry: aws eks describe-access-entry" + cluster + " --principal-arn PRINCIPAL-ARN, keep what it says and its policies, then aws eks delete-access-entry" + cluster + " --principal-arn PRINCIPAL-ARN. Entries of nodes (types EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX) must stay: without them nodes leave the cluster.",
		"If it stands in the old map: kubectl -n kube-system edit configmap aws-auth",
		"If it is a service account: kubectl get rolebindings,clusterrolebindings -A -o wide, then delete the binding that gives it what it used.",
		"If system:anonymous or system:unauthenticated has a binding: delete that binding.",
		"If the endpoint is public and need not be: aws eks update-cluster-config --name " + n.cluster + " --region " + n.region + " --resources-vpc-config endpointPublicAccess=true,publicAccessCidrs=YOUR-CIDR. It takes minutes, and one change at a time.",
		"Turn on the audit log if it is off, and look for what the user made: pods, secrets read, bindings.",
	}
}

// workload is about a pod and what makes it.
func workload(n names) []string {
	on := " -n " + n.namespace + " "
	return []string{
		"Keep the pod: deleting it destroys evidence, and its controller makes another one at once.",
		"Write it down: kubectl get " + n.kind + on + n.workload + " -o yaml, and kubectl logs" + on + n.kind + "/" + n.workload + " --all-containers --timestamps (add --previous for the one before).",
		"Find its nodes first of all: kubectl get pods" + on + "-o wide. Cordon each, so that nothing new is put on it: kubectl cordon NODE. Only then plan ec2-contain for the instance of a node; move other pods away before: kubectl drain NODE --ignore-daemonsets --pod-selector='guardroom!=quarantine'.",
		"Cut it off with a label and a policy that denies everything, which works only if the network plug-in of the cluster " + n.cluster + " enforces policies: kubectl label pod POD" + on + "guardroom=quarantine, then a NetworkPolicy in " + n.namespace + " with podSelector guardroom=quarantine, policyTypes Ingress and Egress, and no rules. Connections that are open may live on.",
		"Take it out of its service: change the label that the service selects by.",
		"If its service account has a role of AWS (IRSA, Pod Identity): make a plan with iam-role and the session of the pod, as CloudTrail shows it.",
		"If the image itself is bad: write its digest down, take it out of the registry's use, and roll back: kubectl rollout undo" + on + n.kind + "/" + n.workload,
		"Nodes of managed groups and of Auto Mode belong to AWS: changing their instances may be refused or undone.",
	}
}

// ecsTask is about a task and its service.
// https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ecs.html
func ecsTask(n names) []string {
	cluster := " --cluster " + n.cluster + " --region " + n.region
	return []string{
		"Write it down first: aws ecs describe-tasks" + cluster + " --tasks " + n.task + ", then the task definition and the digests of its images (containers[].imageDigest).",
		"Keep its logs: the log group stands in the task definition (awslogs-group).",
		"If ECS Exec is on for it, take what you need from inside before you stop it: processes, connections, /proc.",
		"Cut it off by its service, not by its network interface, which AWS manages: aws ecs update-service" + cluster + " --service SERVICE --network-configuration with a security group that has no rules, or --desired-count 0. Both start or stop tasks.",
		"Stop it only when the evidence is complete: aws ecs stop-task" + cluster + " --task " + n.task + " --reason guardroom",
		"If it runs on an instance of yours: aws ecs update-container-instances-state" + cluster + " --container-instances INSTANCE --status DRAINING (it must be ACTIVE; ECS starts the tasks elsewhere), then plan ec2-contain for the instance.",
		"If it runs on Fargate there is no host and no disk to keep: logs, image digest and what Exec gave are all there is.",
		"Make a plan with iam-role for the role of the task; its session is the id of the task.",
	}
}

// container is about a container whose host decides what can be done.
func container(n names) []string {
	return []string{
		"Find out where the container runs: the finding names an instance, a cluster of ECS or one of EKS beside it.",
		"On an instance: plan ec2-contain for it. Stopping only the container leaves whoever came out of it on the host.",
		"In ECS or EKS: follow the manual steps for the task or the workload; plan for that resource of the incident.",
		"Keep the digest of its image and its logs before anything stops it.",
	}
}

// database is about logins to a database.
// https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-remediate-compromised-database-rds.html
func database(n names) []string {
	db := " --db-instance-identifier " + n.database + " --region " + n.region
	return append([]string{
		"Write it down: aws rds describe-db-instances" + db + ", its security groups, and its logs: aws rds describe-db-log-files" + db,
		"Keep its data as it is now, if it is available: aws rds create-db-snapshot" + db + " --db-snapshot-identifier guardroom-" + n.database + " (for a cluster: create-db-cluster-snapshot). It may take hours.",
		"Shut the network: make a new security group that lets in your applications only, then aws rds modify-db-instance" + db + " --no-publicly-accessible --vpc-security-group-ids NEW-GROUP --apply-immediately. Do not edit a group that other databases share. Connections that are open live on.",
	}, withinDatabase()...)
}

// withinDatabase is what is done about a login inside of any database.
func withinDatabase() []string {
	return []string{
		"Change the password of the database user of the finding, or take its right to log in away; where a secret holds it, rotate the secret: aws secretsmanager rotate-secret --secret-id SECRET",
		"End its sessions from inside the database: pg_terminate_backend in PostgreSQL, KILL in MySQL.",
		"Look what the session read: audit log, pg_stat_activity, general log.",
		"Do not stop the database: what it holds in memory is lost, and AWS starts it again after seven days.",
	}
}

// shardGroup is about logins to a database whose compute is a DB shard group: there
// is no instance, and its data, network and snapshots are those of its cluster.
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/limitless.html
func shardGroup(n names) []string {
	region := " --region " + n.region
	return append([]string{
		"Write it down, with the cluster that it belongs to (DBClusterIdentifier, CLUSTER below): aws rds describe-db-shard-groups --db-shard-group-identifier " + n.database + region + ", aws rds describe-db-clusters --db-cluster-identifier CLUSTER" + region,
		"Keep its data as it is now: aws rds create-db-cluster-snapshot --db-cluster-identifier CLUSTER --db-cluster-snapshot-identifier guardroom-" + n.database + region + ". It may take hours.",
		"Keep its logs: they are in CloudWatch Logs, in the log groups of the cluster (/aws/rds/cluster/CLUSTER/…).",
		"Shut the network: make a new security group that lets in your applications only, then aws rds modify-db-cluster --db-cluster-identifier CLUSTER --vpc-security-group-ids NEW-GROUP --apply-immediately" + region + ". Do not edit a group that other databases share. Connections that are open live on.",
	}, withinDatabase()...)
}

// volume is about malware on a volume.
func volume(n names) []string {
	return []string{
		"Plan ec2-contain and then forensics for the instance that the volume is attached to: aws ec2 describe-volumes --region " + n.region + " --volume-ids " + n.volume,
		"If it is attached to nothing: keep it. Mark it so that nobody attaches it: aws ec2 create-tags --region " + n.region + " --resources " + n.volume + " --tags Key=guardroom:status,Value=quarantine, and take a snapshot.",
		"Look which snapshots were taken of it, and what was made from them: aws ec2 describe-snapshots --region " + n.region + " --filters Name=volume-id,Values=" + n.volume,
		"Delete nothing until the evidence is complete.",
	}
}

// recoveryPoint is about malware in a backup.
func recoveryPoint(n names) []string {
	return []string{
		"Do not restore from it, and do not delete it: " + n.point,
		"Say so where restores are decided: mark it with aws backup tag-resource --region " + n.region + " --resource-arn " + n.point + " --tags guardroom:status=quarantine",
		"Keep it from expiring before the evidence is complete: aws backup update-recovery-point-lifecycle --region " + n.region + " --backup-vault-name " + n.vault + " --recovery-point-arn " + n.point + " --lifecycle MoveToColdStorageAfterDays=-1,DeleteAfterDays=-1",
		"Take away with whom it is shared: the access policy of the vault, and copy jobs to other accounts.",
		"Find the newest recovery point of the same resource that is clean: scan each before it is used.",
		"Plan for the resource that it was made from: what is in the backup was on it.",
	}
}

// principal is about an identity that is neither a user, a role nor root.
func principal(n names) []string {
	return []string{
		"The finding names a principal that is no user and no role of account " + n.account + ": " + n.user + ", key " + n.access + ".",
		"A federated user has the rights of the IAM user that called GetFederationToken: find it in CloudTrail (GetFederationToken, the same name), and make a plan with iam-user for it.",
		"Another account: take its rights out of the policies of resources that name it (buckets, keys, queues, trust of roles), and tell its owner.",
		"A service of AWS: look which resource of yours it acts for, and contain that.",
	}
}

func anything(n names) []string {
	return []string{
		"guardroom has no playbook for " + n.what + " " + n.id + " in account " + n.account + ", region " + n.region + ".",
		"Look at it in AWS, and write down how it is before you change it.",
		"Contain the principal of the finding first, if it names one: plan iam-user or iam-role.",
		"Look at the finding's own advice: guardroom incident show names its type; AWS describes what to do for each type.",
	}
}
