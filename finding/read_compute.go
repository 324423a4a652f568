package finding

import (
	"sort"
	"strings"
)

// readKubernetes reads the cluster and the workload, which come in two blocks.
func readKubernetes(v value) []Resource {
	var all []Resource
	k := v.object("kubernetesDetails")
	var user *KubernetesUser
	if u := k.object("kubernetesUserDetails"); u.present() {
		as := u.object("impersonatedUser")
		user = &KubernetesUser{
			Name: u.text("username"), UID: u.text("uid"), Groups: u.texts("groups"), SessionNames: u.texts("sessionName"),
			ImpersonatedName: as.text("username"), ImpersonatedGroups: as.texts("groups"),
		}
	}
	if d := v.object("eksClusterDetails"); d.present() {
		c := &EKSCluster{
			Name: d.text("name"), ARN: d.text("arn"), VPCID: d.text("vpcId"), Status: d.text("status"),
			CreatedAt: d.time("createdAt"), User: user,
		}
		all = append(all, Resource{Kind: KindEKSCluster, ID: orElse(c.Name, lastWord(c.ARN)), ARN: c.ARN, Name: c.Name, Tags: readTags(d), EKSCluster: c})
	} else if user != nil {
		all = append(all, Resource{Kind: KindEKSCluster, EKSCluster: &EKSCluster{User: user}})
	}
	if d := k.object("kubernetesWorkloadDetails"); d.present() {
		w := &Workload{
			Name: d.text("name"), Type: d.text("type"), UID: d.text("uid"), Namespace: d.text("namespace"),
			ServiceAccount: d.text("serviceAccountName"),
			HostNetwork:    d.flag("hostNetwork"), HostPID: d.flag("hostPID"), HostIPC: d.flag("hostIPC"),
			Containers: readContainers(d), Volumes: readVolumeNames(d),
		}
		all = append(all, Resource{Kind: KindWorkload, ID: w.id(), Name: w.Name, Workload: w})
	}
	return all
}

// id is namespace, type and name, as far as known.
func (w *Workload) id() string {
	var parts []string
	for _, s := range [...]string{w.Namespace, w.Type, w.Name} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "/")
}

func readContainers(v value) []Container {
	var all []Container
	for _, e := range v.objects("containers") {
		all = append(all, readContainer(e))
	}
	return all
}

func readContainer(d value) Container {
	s := d.object("securityContext")
	c := Container{
		ID: d.text("id"), Name: d.text("name"), Image: d.text("image"), ImagePrefix: d.text("imagePrefix"),
		Runtime:    d.text("containerRuntime"),
		Privileged: s.flag("privileged"), AllowEscalation: s.flag("allowPrivilegeEscalation"),
	}
	for _, m := range d.objects("volumeMounts") {
		c.Mounts = append(c.Mounts, Property{Name: m.text("name"), Value: m.text("mountPath")})
	}
	return c
}

// readVolumeNames reads volumes with the path on the host, if there is one.
func readVolumeNames(d value) []Property {
	var all []Property
	for _, e := range d.objects("volumes") {
		path := e.object("hostPath").text("path")
		if path == "" {
			path = e.object("host").text("sourcePath")
		}
		all = append(all, Property{Name: e.text("name"), Value: path})
	}
	return all
}

func readECS(d value) []Resource {
	c := &ECSCluster{Name: d.text("name"), ARN: d.text("arn"), Status: d.text("status")}
	all := []Resource{{Kind: KindECSCluster, ID: orElse(c.Name, lastWord(c.ARN)), ARN: c.ARN, Name: c.Name, Tags: readTags(d), ECSCluster: c}}
	t := d.object("taskDetails")
	if !t.present() {
		return all
	}
	c.Task = &ECSTask{
		ARN: t.text("arn"), DefinitionARN: t.text("definitionArn"), Version: t.text("version"), Group: t.text("group"),
		LaunchType: t.text("launchType"), StartedBy: t.text("startedBy"),
		// The Go SDK calls it TaskCreatedAt.
		CreatedAt: t.either("createdAt", "taskCreatedAt").asTime(), StartedAt: t.time("startedAt"),
		Containers: readContainers(t), Volumes: readVolumeNames(t),
	}
	return append(all, Resource{Kind: KindECSTask, ID: lastWord(c.Task.ARN), ARN: c.Task.ARN, Tags: readTags(t), ECSCluster: c})
}

func readDatabases(v value) []Resource {
	var user *DBUser
	if u := v.object("rdsDbUserDetails"); u.present() {
		user = &DBUser{
			User: u.text("user"), Application: u.text("application"), Database: u.text("database"),
			SSL: u.get("ssl").word(), AuthMethod: u.text("authMethod"),
		}
	}
	var all []Resource
	if d := v.object("rdsDbInstanceDetails"); d.present() {
		db := &DBInstance{
			ID: d.text("dbInstanceIdentifier"), ARN: d.text("dbInstanceArn"), ClusterID: d.text("dbClusterIdentifier"),
			ResourceID: d.text("dbiResourceId"), Engine: d.text("engine"), EngineVersion: d.text("engineVersion"), User: user,
		}
		all = append(all, Resource{Kind: KindDBInstance, ID: orElse(db.ID, lastWord(db.ARN)), ARN: db.ARN, Name: db.ID, Tags: readTags(d), DBInstance: db})
	}
	if d := v.object("rdsLimitlessDbDetails"); d.present() {
		db := &DBInstance{
			ShardGroupID: d.text("dbShardGroupIdentifier"), ShardGroupARN: d.text("dbShardGroupArn"),
			ResourceID: d.text("dbShardGroupResourceId"), ClusterID: d.text("dbClusterIdentifier"),
			Engine: d.text("engine"), EngineVersion: d.text("engineVersion"), User: user,
		}
		all = append(all, Resource{
			Kind: KindLimitlessDB, ID: orElse(db.ShardGroupID, lastWord(db.ShardGroupARN)), ARN: db.ShardGroupARN,
			Name: db.ShardGroupID, Tags: readTags(d), DBInstance: db,
		})
	}
	return all
}

// readRuntime reads the process and its circumstances.
func readRuntime(v value) *Runtime {
	r := &Runtime{}
	if p := v.object("process"); p.present() {
		proc := readProcess(p)
		for _, e := range p.objects("lineage") {
			proc.Lineage = append(proc.Lineage, readProcess(e))
		}
		r.Process = &proc
	}
	if c := v.object("context"); c.present() {
		for _, name := range [...]string{"modifyingProcess", "targetProcess"} {
			if m := c.get(name); m.kind() == jsonObject {
				r.Processes = append(r.Processes, NamedProcess{Name: name, Process: readProcess(m)})
			}
		}
		for _, m := range c.children() {
			r.Context = flatten(r.Context, lowerFirst(m.key()), m, 0)
		}
		sortProperties(r.Context)
	}
	return r
}

func readProcess(p value) Process {
	return Process{
		Name: p.text("name"), ExecutablePath: p.text("executablePath"), ExecutableSHA256: p.text("executableSha256"),
		PWD: p.text("pwd"), UUID: p.text("uuid"), ParentUUID: p.text("parentUuid"), User: p.text("user"),
		PID: intOf(p, "pid", "ancestorPid"), NamespacePID: p.integer("namespacePid"),
		UserID: p.integer("userId"), EUID: p.integer("euid"), StartTime: p.time("startTime"),
	}
}

func intOf(p value, names ...string) int {
	for _, name := range names {
		if p.get(name).present() {
			return p.integer(name)
		}
	}
	return 0
}

func sortProperties(all []Property) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
}
