package finding

import "time"

func printResource(r Resource) PrintedResource {
	d := details{}
	switch {
	case r.Instance != nil:
		d.instance(r.Instance)
	case r.AccessKey != nil:
		k := r.AccessKey
		d.texts("access_key_id", k.AccessKeyID, "principal_id", k.PrincipalID, "user_name", k.UserName, "user_type", k.UserType)
	case r.Bucket != nil:
		d.bucket(r.Bucket)
	case r.EKSCluster != nil:
		d.eks(r.EKSCluster)
	case r.Workload != nil:
		d.workload(r.Workload)
	case r.ECSCluster != nil:
		d.ecs(r.ECSCluster)
	case r.Container != nil:
		d.container(*r.Container)
	case r.DBInstance != nil:
		d.database(r.DBInstance)
	case r.Lambda != nil:
		d.lambda(r.Lambda)
	case r.Volumes != nil:
		d["volumes"] = mapped(r.Volumes, func(v Volume) details {
			e := details{"size_gib": v.SizeGiB, "skipped": v.Skipped}
			e.texts("arn", v.ARN, "snapshot_arn", v.SnapshotARN, "type", v.Type, "device", v.Device,
				"encryption", v.Encryption, "kms_key_arn", v.KMSKeyARN)
			return e
		})
	case r.RecoveryPoint != nil:
		d.texts("vault_name", r.RecoveryPoint.VaultName)
	}
	return PrintedResource{
		Kind: string(r.Kind), Type: r.Type, ID: r.ID, ARN: r.ARN, Name: r.Name,
		Tags: printTags(r.Tags), Details: d,
	}
}

// details is what a kind has more than the others. Empty values are left out.
type details map[string]any

// texts adds names and values in turn.
func (d details) texts(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			d[pairs[i]] = pairs[i+1]
		}
	}
}

func (d details) list(name string, all []string) {
	if len(all) > 0 {
		d[name] = all
	}
}

func (d details) flag(name string, b *bool) {
	if b != nil {
		d[name] = *b
	}
}

func (d details) time(name string, t time.Time) {
	if !t.IsZero() {
		d[name] = t.UTC()
	}
}

func (d details) properties(name string, all []Property) {
	if len(all) > 0 {
		d[name] = printProperties(all)
	}
}

func (d details) groups(all []SecurityGroup) {
	d["security_groups"] = mapped(all, func(g SecurityGroup) details {
		return details{"id": g.ID, "name": g.Name}
	})
}

func (d details) instance(in *Instance) {
	d.texts("type", in.Type, "state", in.State, "availability_zone", in.AvailabilityZone, "platform", in.Platform,
		"image_id", in.ImageID, "image_description", in.ImageDescription, "outpost_arn", in.OutpostARN,
		"profile_arn", in.ProfileARN, "profile_id", in.ProfileID)
	d.time("launch_time", in.LaunchTime)
	d["product_codes"] = mapped(in.ProductCodes, func(p Property) details { return details{"code": p.Name, "type": p.Value} })
	d["interfaces"] = mapped(in.Interfaces, func(n NetworkInterface) details {
		e := details{"private_ips": texts(n.PrivateIPs), "ipv6": texts(n.IPv6)}
		e.texts("id", n.ID, "vpc_id", n.VPCID, "subnet_id", n.SubnetID, "private_ip", n.PrivateIP,
			"private_dns", n.PrivateDNS, "public_ip", n.PublicIP, "public_dns", n.PublicDNS)
		e.groups(n.SecurityGroups)
		return e
	})
}

func (d details) bucket(b *Bucket) {
	d.texts("bucket", b.Name, "bucket_arn", b.ARN, "type", b.Type, "owner_id", b.OwnerID, "encryption", b.Encryption,
		"kms_key_arn", b.KMSKeyARN, "effective_permission", b.EffectivePermission)
	d.time("created_at", b.CreatedAt)
	d.properties("public_access", b.PublicFlags)
	d["objects"] = mapped(b.Objects, func(o Object) details {
		e := details{}
		e.texts("arn", o.ARN, "key", o.Key, "etag", o.ETag, "hash", o.Hash, "version_id", o.VersionID)
		return e
	})
}

func (d details) eks(c *EKSCluster) {
	d.texts("vpc_id", c.VPCID, "status", c.Status)
	d.time("created_at", c.CreatedAt)
	if u := c.User; u != nil {
		e := details{}
		e.texts("name", u.Name, "uid", u.UID, "impersonated_name", u.ImpersonatedName)
		e.list("groups", u.Groups)
		e.list("session_names", u.SessionNames)
		e.list("impersonated_groups", u.ImpersonatedGroups)
		d["user"] = e
	}
}

func (d details) workload(w *Workload) {
	d.texts("name", w.Name, "type", w.Type, "uid", w.UID, "namespace", w.Namespace, "service_account", w.ServiceAccount)
	d.flag("host_network", w.HostNetwork)
	d.flag("host_pid", w.HostPID)
	d.flag("host_ipc", w.HostIPC)
	d.containers(w.Containers)
	d.properties("volumes", w.Volumes)
}

func (d details) containers(all []Container) {
	d["containers"] = mapped(all, func(c Container) details {
		e := details{}
		e.container(c)
		return e
	})
}

func (d details) container(c Container) {
	d.texts("id", c.ID, "name", c.Name, "image", c.Image, "image_prefix", c.ImagePrefix, "runtime", c.Runtime)
	d.flag("privileged", c.Privileged)
	d.flag("allow_privilege_escalation", c.AllowEscalation)
	d.properties("mounts", c.Mounts)
}

func (d details) ecs(c *ECSCluster) {
	d.texts("cluster", c.Name, "cluster_arn", c.ARN, "status", c.Status)
	if t := c.Task; t != nil {
		e := details{}
		e.texts("arn", t.ARN, "definition_arn", t.DefinitionARN, "version", t.Version, "group", t.Group,
			"launch_type", t.LaunchType, "started_by", t.StartedBy)
		e.time("created_at", t.CreatedAt)
		e.time("started_at", t.StartedAt)
		e.containers(t.Containers)
		e.properties("volumes", t.Volumes)
		d["task"] = e
	}
}

func (d details) database(db *DBInstance) {
	d.texts("cluster_id", db.ClusterID, "resource_id", db.ResourceID, "engine", db.Engine,
		"engine_version", db.EngineVersion, "shard_group_id", db.ShardGroupID, "shard_group_arn", db.ShardGroupARN)
	if u := db.User; u != nil {
		e := details{}
		e.texts("user", u.User, "application", u.Application, "database", u.Database, "ssl", u.SSL, "auth_method", u.AuthMethod)
		d["user"] = e
	}
}

func (d details) lambda(l *Lambda) {
	d.texts("version", l.Version, "description", l.Description, "role", l.Role, "revision_id", l.RevisionID, "vpc_id", l.VPCID)
	d.time("last_modified", l.LastModified)
	d.list("subnet_ids", l.SubnetIDs)
	d.groups(l.SecurityGroups)
}
