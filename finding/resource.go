package finding

import "time"

// Instance is resource.instanceDetails, as of detection.
type Instance struct {
	ID, Type, State, AvailabilityZone, Platform string
	ImageID, ImageDescription, OutpostARN       string
	LaunchTime                                  time.Time
	ProfileARN, ProfileID                       string
	ProductCodes                                []Property // code, type
	Interfaces                                  []NetworkInterface
}

// NetworkInterface is one interface of an instance. Several are normal.
type NetworkInterface struct {
	ID, VPCID, SubnetID   string
	PrivateIP, PrivateDNS string
	PrivateIPs            []string
	PublicIP, PublicDNS   string
	IPv6                  []string
	SecurityGroups        []SecurityGroup
}

// SecurityGroup is a security group by id and name.
type SecurityGroup struct{ ID, Name string }

// AccessKey is resource.accessKeyDetails.
type AccessKey struct {
	AccessKeyID, PrincipalID, UserName, UserType string
}

// Bucket is one entry of resource.s3BucketDetails.
type Bucket struct {
	Name, ARN, Type, OwnerID string
	CreatedAt                time.Time
	Encryption, KMSKeyARN    string
	EffectivePermission      string // PUBLIC, NOT_PUBLIC, UNKNOWN
	// PublicFlags are the settings behind it that the finding names, for
	// example bucket.blockPublicPolicy: false.
	PublicFlags []Property
	Objects     []Object
}

// Object is one S3 object.
type Object struct{ ARN, Key, ETag, Hash, VersionID string }

// EKSCluster is resource.eksClusterDetails with the Kubernetes user.
type EKSCluster struct {
	Name, ARN, VPCID, Status string
	CreatedAt                time.Time
	User                     *KubernetesUser
}

// KubernetesUser is kubernetesDetails.kubernetesUserDetails.
type KubernetesUser struct {
	Name, UID            string
	Groups, SessionNames []string
	ImpersonatedName     string
	ImpersonatedGroups   []string
}

// Workload is kubernetesDetails.kubernetesWorkloadDetails.
type Workload struct {
	Name, Type, UID, Namespace, ServiceAccount string
	HostNetwork, HostPID, HostIPC              *bool
	Containers                                 []Container
	Volumes                                    []Property
}

// ECSCluster is resource.ecsClusterDetails with its task.
type ECSCluster struct {
	Name, ARN, Status string
	Task              *ECSTask
}

// ECSTask is ecsClusterDetails.taskDetails.
type ECSTask struct {
	ARN, DefinitionARN, Version, Group, LaunchType, StartedBy string
	CreatedAt, StartedAt                                      time.Time
	Containers                                                []Container
	Volumes                                                   []Property
}

// Container is one container.
type Container struct {
	ID, Name, Image, ImagePrefix, Runtime string
	Privileged, AllowEscalation           *bool
	Mounts                                []Property
}

// DBInstance is resource.rdsDbInstanceDetails, or the shard group of a
// Limitless database, with the database user.
type DBInstance struct {
	ID, ARN, ClusterID, ResourceID, Engine, EngineVersion string
	ShardGroupID, ShardGroupARN                           string
	User                                                  *DBUser
}

// DBUser is resource.rdsDbUserDetails.
type DBUser struct{ User, Application, Database, SSL, AuthMethod string }

// Lambda is resource.lambdaDetails.
type Lambda struct {
	Name, ARN, Version, Description, Role, RevisionID string
	LastModified                                      time.Time
	VPCID                                             string
	SubnetIDs                                         []string
	SecurityGroups                                    []SecurityGroup
}

// Volume is one EBS volume of a malware scan.
type Volume struct {
	ARN, SnapshotARN, Type, Device, Encryption, KMSKeyARN string
	SizeGiB                                               int
	Skipped                                               bool
}

// RecoveryPoint is resource.recoveryPointDetails.
type RecoveryPoint struct{ ARN, VaultName string }
