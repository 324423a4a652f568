package finding

import "strings"

// kindWords maps resource.resourceType, folded by foldWord, to our kinds. The
// words beside the documented ones occur in hand-made events and in the API of
// the malware scans.
var kindWords = map[string]ResourceKind{
	"instance": KindInstance, "ec2instance": KindInstance,
	"accesskey":  KindAccessKey,
	"s3bucket":   KindS3Bucket,
	"s3object":   KindS3Object,
	"ekscluster": KindEKSCluster, "kubernetescluster": KindEKSCluster,
	"kubernetesworkload": KindWorkload,
	"ecscluster":         KindECSCluster,
	"ecstask":            KindECSTask,
	"container":          KindContainer,
	"rdsdbinstance":      KindDBInstance, "dbinstance": KindDBInstance,
	"rdslimitlessdb": KindLimitlessDB,
	"lambda":         KindLambda, "lambdafunction": KindLambda,
	"ebsvolume":   KindEBSVolume,
	"ebssnapshot": KindEBSSnapshot, "snapshot": KindEBSSnapshot,
	"ec2image": KindImage, "ec2ami": KindImage, "ami": KindImage,
	"recoverypoint": KindRecoveryPoint, "backuprecoverypoint": KindRecoveryPoint,
	"ebsrecoverypoint": KindRecoveryPoint, "ec2recoverypoint": KindRecoveryPoint, "s3recoverypoint": KindRecoveryPoint,
	"attacksequence": KindAttackSequence,
}

func foldWord(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '_' || r == '-' || r == ' ':
			return -1
		}
		return r
	}, s)
}

// readResources reads every block of the finding's resource, chooses the
// primary one by resourceType and keeps the others as context.
func readResources(f *Finding, v value) {
	typ := v.text("resourceType")
	want, known := kindWords[foldWord(typ)]
	all := readBlocks(v, want)

	chosen := -1
	switch {
	case known:
		for i := range all {
			if all[i].Kind == want && (chosen < 0 || want == KindS3Bucket && isDestination(all[i]) && !isDestination(all[chosen])) {
				chosen = i
			}
		}
	case countBlocks(v) == 1 && len(all) > 0:
		chosen = 0
	}
	f.Resource = Resource{Kind: want}
	switch {
	case chosen >= 0:
		f.Resource = all[chosen]
		all = append(all[:chosen:chosen], all[chosen+1:]...)
	case !known && typ != "":
		f.Resource.Kind = KindOther
	}
	f.Resource.Type = typ
	if !known && typ != "" {
		v.warn("resource.resourceType %.100q is unknown", typ)
	}
	f.Context = all
	if f.Context == nil {
		f.Context = []Resource{}
	}
}

func isDestination(r Resource) bool {
	return r.Bucket != nil && strings.EqualFold(r.Bucket.Type, "Destination")
}

var blockNames = [...]string{
	"instanceDetails", "accessKeyDetails", "s3BucketDetails", "eksClusterDetails", "kubernetesDetails",
	"ecsClusterDetails", "containerDetails", "rdsDbInstanceDetails", "rdsLimitlessDbDetails", "lambdaDetails",
	"ebsVolumeDetails", "ebsSnapshotDetails", "ec2ImageDetails", "recoveryPointDetails",
}

func countBlocks(v value) int {
	n := 0
	for _, name := range blockNames {
		if m := v.get(name); m.present() && (m.kind() == jsonObject || m.kind() == jsonList) && m.node().count > 0 {
			n++
		}
	}
	return n
}

// readBlocks reads the blocks in the order of the kinds.
func readBlocks(v value, want ResourceKind) []Resource {
	var all []Resource
	if d := v.object("instanceDetails"); d.present() {
		tags := readTags(d)
		in := readInstance(d)
		all = append(all, Resource{Kind: KindInstance, ID: in.ID, Name: nameTag(tags), Tags: tags, Instance: in})
	}
	if d := v.object("accessKeyDetails"); d.present() {
		all = append(all, accessKeyResource(readAccessKey(d)))
	}
	for _, d := range v.objects("s3BucketDetails") {
		all = append(all, readBucket(d, want)...)
	}
	all = append(all, readKubernetes(v)...)
	if d := v.object("ecsClusterDetails"); d.present() {
		all = append(all, readECS(d)...)
	}
	if d := v.object("containerDetails"); d.present() {
		c := readContainer(d)
		all = append(all, Resource{Kind: KindContainer, ID: orElse(c.ID, c.Name), Name: c.Name, Container: &c})
	}
	all = append(all, readDatabases(v)...)
	if d := v.object("lambdaDetails"); d.present() {
		l := readLambda(d)
		all = append(all, Resource{Kind: KindLambda, ID: orElse(l.Name, functionName(l.ARN)), ARN: l.ARN, Name: l.Name, Tags: readTags(d), Lambda: l})
	}
	if d := v.object("ebsVolumeDetails"); d.present() {
		all = append(all, readVolumes(d)...)
	}
	if d := v.object("ebsSnapshotDetails"); d.present() {
		arn := d.text("snapshotArn")
		all = append(all, Resource{Kind: KindEBSSnapshot, ID: lastWord(arn), ARN: arn, Tags: readTags(d)})
	}
	if d := v.object("ec2ImageDetails"); d.present() {
		arn := d.text("imageArn")
		all = append(all, Resource{Kind: KindImage, ID: lastWord(arn), ARN: arn, Tags: readTags(d)})
	}
	if d := v.object("recoveryPointDetails"); d.present() {
		r := &RecoveryPoint{ARN: d.text("recoveryPointArn"), VaultName: d.text("backupVaultName")}
		all = append(all, Resource{Kind: KindRecoveryPoint, ID: lastWord(r.ARN), ARN: r.ARN, RecoveryPoint: r})
	}
	return all
}

func readTags(v value) []Tag {
	var tags []Tag
	for _, e := range v.objects("tags") {
		tags = append(tags, Tag{Key: e.text("key"), Value: e.text("value")})
	}
	return tags
}

func nameTag(tags []Tag) string {
	for _, t := range tags {
		if t.Key == "Name" {
			return t.Value
		}
	}
	return ""
}

func readInstance(d value) *Instance {
	profile := d.object("iamInstanceProfile")
	in := &Instance{
		ID: d.text("instanceId"), Type: d.text("instanceType"), State: d.text("instanceState"),
		AvailabilityZone: d.text("availabilityZone"), Platform: d.text("platform"),
		ImageID: d.text("imageId"), ImageDescription: d.text("imageDescription"), OutpostARN: d.text("outpostArn"),
		LaunchTime: d.time("launchTime"),
		ProfileARN: profile.text("arn"), ProfileID: profile.text("id"),
	}
	for _, c := range d.objects("productCodes") {
		// boto3 and the Go SDK have other names than the wire.
		in.ProductCodes = append(in.ProductCodes, Property{
			Name:  c.either("productCodeId", "code").asText(),
			Value: c.either("productCodeType", "productType").asText(),
		})
	}
	for _, n := range d.objects("networkInterfaces") {
		ni := NetworkInterface{
			ID: n.text("networkInterfaceId"), VPCID: n.text("vpcId"), SubnetID: n.text("subnetId"),
			PrivateIP: n.text("privateIpAddress"), PrivateDNS: n.text("privateDnsName"),
			PublicIP: n.text("publicIp"), PublicDNS: n.text("publicDnsName"),
			IPv6: n.texts("ipv6Addresses"), SecurityGroups: readGroups(n),
		}
		for _, a := range n.objects("privateIpAddresses") {
			if ip := a.text("privateIpAddress"); ip != "" {
				ni.PrivateIPs = append(ni.PrivateIPs, ip)
			}
		}
		in.Interfaces = append(in.Interfaces, ni)
	}
	return in
}

func readGroups(v value) []SecurityGroup {
	var groups []SecurityGroup
	for _, g := range v.objects("securityGroups") {
		groups = append(groups, SecurityGroup{ID: g.text("groupId"), Name: g.text("groupName")})
	}
	return groups
}

func readAccessKey(d value) *AccessKey {
	return &AccessKey{
		AccessKeyID: d.text("accessKeyId"), PrincipalID: d.text("principalId"),
		UserName: d.text("userName"), UserType: d.text("userType"),
	}
}

// accessKeyResource names the principal by its user, since the key of a role
// changes every hour.
func accessKeyResource(k *AccessKey) Resource {
	return Resource{
		Kind: KindAccessKey, ID: orElse(k.UserName, orElse(k.PrincipalID, k.AccessKeyID)),
		Name: k.UserName, AccessKey: k,
	}
}

// readBucket reads a bucket, and its objects as resources of their own where
// the finding is about objects.
func readBucket(d value, want ResourceKind) []Resource {
	b := &Bucket{
		Name: d.text("name"), ARN: d.text("arn"), Type: d.text("type"), OwnerID: d.object("owner").text("id"),
		CreatedAt:           d.time("createdAt"),
		EffectivePermission: d.object("publicAccess").text("effectivePermission"),
	}
	e := d.object("defaultServerSideEncryption")
	b.Encryption, b.KMSKeyARN = e.text("encryptionType"), e.text("kmsMasterKeyArn")
	b.PublicFlags = readPublicAccess(d.object("publicAccess").object("permissionConfiguration"))
	for _, o := range d.objects("s3ObjectDetails") {
		b.Objects = append(b.Objects, Object{
			ARN: o.text("objectArn"), Key: o.text("key"), ETag: o.text("eTag"),
			Hash: o.text("hash"), VersionID: o.text("versionId"),
		})
	}
	tags := readTags(d)
	name := b.Name
	if name == "" {
		name = lastWord(b.ARN)
	}
	bucket := Resource{Kind: KindS3Bucket, ID: name, ARN: b.ARN, Name: name, Tags: tags, Bucket: b}
	if want != KindS3Object || len(b.Objects) == 0 {
		return []Resource{bucket}
	}
	var all []Resource
	for i := range b.Objects {
		o := &b.Objects[i]
		all = append(all, Resource{Kind: KindS3Object, ID: name + "/" + o.Key, ARN: o.ARN, Name: o.Key, Bucket: b})
	}
	return append(all, bucket)
}

// readPublicAccess flattens the flags that say how a bucket may be public.
func readPublicAccess(v value) []Property {
	var out []Property
	add := func(block value, prefix string, names ...string) {
		for _, name := range names {
			if b := block.flag(name); b != nil {
				word := "false"
				if *b {
					word = "true"
				}
				out = append(out, Property{Name: prefix + name, Value: word})
			}
		}
	}
	flags := []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"}
	account, bucket := v.object("accountLevelPermissions"), v.object("bucketLevelPermissions")
	add(account.object("blockPublicAccess"), "account.", flags...)
	add(bucket.object("blockPublicAccess"), "bucket.", flags...)
	add(bucket.object("accessControlList"), "acl.", "allowsPublicReadAccess", "allowsPublicWriteAccess")
	add(bucket.object("bucketPolicy"), "policy.", "allowsPublicReadAccess", "allowsPublicWriteAccess")
	return out
}

func readVolumes(d value) []Resource {
	var all []Volume
	for _, list := range [...]string{"scannedVolumeDetails", "skippedVolumeDetails"} {
		for _, e := range d.objects(list) {
			all = append(all, Volume{
				ARN: e.text("volumeArn"), SnapshotARN: e.text("snapshotArn"), Type: e.text("volumeType"),
				Device: e.text("deviceName"), Encryption: e.text("encryptionType"), KMSKeyARN: e.text("kmsKeyArn"),
				SizeGiB: e.integer("volumeSizeInGB"), Skipped: list[1] == 'k',
			})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []Resource{{Kind: KindEBSVolume, ID: lastWord(all[0].ARN), ARN: all[0].ARN, Volumes: all}}
}

// functionName takes the name out of a function's ARN, which may end in a
// version or an alias.
func functionName(s string) string {
	a, ok := parseARN(s)
	if !ok {
		return ""
	}
	name := strings.TrimPrefix(a.resource, "function:")
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	return name
}

func readLambda(d value) *Lambda {
	vpc := d.object("vpcConfig")
	return &Lambda{
		Name: d.text("functionName"), ARN: d.text("functionArn"), Version: d.text("functionVersion"),
		Description: d.text("description"), Role: d.text("role"), RevisionID: d.text("revisionId"),
		LastModified: d.time("lastModifiedAt"),
		VPCID:        vpc.text("vpcId"), SubnetIDs: vpc.texts("subnetIds"), SecurityGroups: readGroups(vpc),
	}
}

// completeResources builds the ARNs whose parts are all known, once account,
// region and partition are.
func completeResources(f *Finding) {
	b := builder{f.Partition, f.Region, f.AccountID}
	complete := func(r *Resource) {
		if r.ARN != "" {
			return
		}
		switch r.Kind {
		case KindInstance:
			r.ARN = b.arn("ec2", "instance/", r.ID)
		case KindS3Bucket:
			if plainWord(r.ID) {
				r.ARN = "arn:" + b.partition + ":s3:::" + r.ID
			}
		case KindS3Object:
			if r.Bucket != nil && plainWord(r.Bucket.Name) {
				r.ARN = "arn:" + b.partition + ":s3:::" + r.ID
			}
		case KindEKSCluster:
			r.ARN = b.arn("eks", "cluster/", r.ID)
		case KindECSCluster:
			r.ARN = b.arn("ecs", "cluster/", r.ID)
		case KindDBInstance:
			r.ARN = b.arn("rds", "db:", r.ID)
		case KindLambda:
			r.ARN = b.arn("lambda", "function:", r.ID)
		case KindAccessKey:
			// Users and roles have a path that the finding does not name.
			if r.AccessKey != nil && strings.EqualFold(r.AccessKey.UserType, "Root") && plainWord(b.account) {
				r.ARN = "arn:" + b.partition + ":iam::" + b.account + ":root"
			}
		}
	}
	if f.Resource.Kind == KindAttackSequence {
		f.Resource.ID = string(f.ID)
		if f.Sequence != nil && f.Sequence.UID != "" {
			f.Resource.ID = lastWord(f.Sequence.UID)
		}
		f.Resource.ARN = f.ARN
	}
	if f.Sequence != nil {
		for i := range f.Sequence.Resources {
			f.Context = append(f.Context, f.Sequence.Resources[i].resource())
		}
	}
	complete(&f.Resource)
	for i := range f.Context {
		complete(&f.Context[i])
	}
}
