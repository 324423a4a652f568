package cloudtest

import (
	"net/http"
	"time"
)

// Scenery builds what a case starts from. Its methods fail the test on an error.
type Scenery interface {
	// VPC makes a VPC, with an IPv6 block where v6 is true.
	VPC(v6 bool) (id string)
	// Subnet makes a subnet in a zone, a or b.
	Subnet(vpc, zone string) (id string)
	// NAT makes a NAT gateway in a subnet.
	NAT(subnet string) (id string)
	// Launch starts an instance and waits until it runs.
	Launch(l Launch) Host
	// Address makes an Elastic IP and gives it to an interface.
	Address(eni string) (allocation, association string)
	// Image makes a machine image of the account.
	Image() (id string)

	// Role makes a role; Profile an instance profile with it.
	Role(name, path string)
	Profile(name, role string) (arn string)
	// User makes a user with one active key.
	User(name string) (key string)
	// Key makes a KMS key that the account manages itself.
	Key() (arn string)

	// Group makes an Auto Scaling group with as many instances as it wants, from
	// its least to its most, and registers them with the target groups.
	Group(name, subnet string, least, wants, most int, targetGroups ...string) (instances []string)
	// TargetGroup makes a target group, LoadBalancer a classic load balancer.
	TargetGroup(name, vpc string) (arn string)
	LoadBalancer(name, subnet string)

	// Bucket makes a bucket; versioned ones keep versions.
	Bucket(name string, versioned bool)
	// Vault makes a bucket with Object Lock, whose default locks for so many days in
	// governance mode; 0: it has no default.
	Vault(name string, days int)
	// HTTP is the client of somebody who holds a signed address.
	HTTP() *http.Client
	// Function makes a function, Database a database.
	Function(name string)
	Database(name string)
	// ClusterSnapshot makes a cluster of databases and a snapshot of it.
	ClusterSnapshot(cluster, name string)
	// IPSet makes a regional IP set of WAF.
	IPSet(name string, addresses ...string) (id string)

	// Agent puts an agent of Systems Manager on an instance, Shell opens a
	// session there, Document makes a document for commands.
	Agent(instance string)
	Shell(id, instance string)
	Document(name string)
	Parameter(name, value string)

	// Logged writes lines to a stream of CloudWatch Logs, Happened an event to the
	// history of CloudTrail.
	Logged(group, stream string, lines ...string)
	Happened(user, key, name string)

	// Move lets time pass.
	Move(d time.Duration)
	// As is the same scenery in another account.
	As(account string) Scenery
}

// Launch is what an instance is started with.
type Launch struct {
	// Subnets has one for each interface; Groups the security groups of all.
	Subnets []string
	Groups  []string
	// Disks are those beside the root.
	Disks   []Disk
	Profile string // name
}

// Disk is a volume. Encrypted without a key is encrypted with the key that AWS
// manages.
type Disk struct {
	GiB       int32
	Encrypted bool
	Key       string
}

// Host is an instance that was started.
type Host struct {
	ID string
	// Interfaces and Volumes are by their index and device; the root is first.
	Interfaces, Volumes []string
}
