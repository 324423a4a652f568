package sim

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// rdsState is what a region has of RDS.
type rdsState struct {
	Instances map[string]*DBInstance `json:"instances,omitempty"`
	Snapshots map[string]*DBSnapshot `json:"snapshots,omitempty"`
	Clusters  map[string]*DBSnapshot `json:"clusters,omitempty"` // snapshots of clusters
}

// DBInstance is a database. What is left out when it is added is filled in.
type DBInstance struct {
	ID      string    `json:"id"`
	ARN     string    `json:"arn"`
	Engine  string    `json:"engine"`
	Status  string    `json:"status"`
	Size    int32     `json:"size"` // GiB
	Created time.Time `json:"created"`
	Public  bool      `json:"public,omitempty"`
	Key     string    `json:"key,omitempty"` // of KMS; empty: not encrypted
	Groups  []string  `json:"groups,omitempty"`
}

// DBSnapshot is a snapshot of a database or of a cluster. What is left out when
// it is added is filled in.
type DBSnapshot struct {
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Database string `json:"database"`
	Engine   string `json:"engine"`
	Size     int32  `json:"size"`
	Key      string `json:"key,omitempty"`
	// Type is manual or automated; automated ones cannot be shared.
	Type    string            `json:"type"`
	Created time.Time         `json:"created"`
	Ends    time.Time         `json:"ends,omitzero"` // when it is available
	Shares  []string          `json:"shares,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

var dbSnapshotName = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9]|-[A-Za-z0-9])*$`)

// sharesMost is with how many accounts a snapshot may be shared.
const sharesMost = 20

// AddDBInstance adds a database to a region.
func (e *Editor) AddDBInstance(accountID, regionName string, d DBInstance) *DBInstance {
	_, r := e.w.at(accountID, regionName)
	d.ARN = "arn:aws:rds:" + regionName + ":" + accountID + ":db:" + d.ID
	d.Engine, d.Status = orText(d.Engine, "postgres"), orText(d.Status, "available")
	if d.Size == 0 {
		d.Size = 20
	}
	d.Created = orTime(d.Created, e.w.now().Add(-90*24*time.Hour))
	put(&r.RDS.Instances, strings.ToLower(d.ID), &d)
	return &d
}

// AddDBSnapshot adds a snapshot of a database to a region.
func (e *Editor) AddDBSnapshot(accountID, regionName string, s DBSnapshot) *DBSnapshot {
	_, r := e.w.at(accountID, regionName)
	e.fill(&s, accountID, regionName, "snapshot")
	put(&r.RDS.Snapshots, s.ID, &s)
	return &s
}

// AddDBClusterSnapshot adds a snapshot of a cluster to a region.
func (e *Editor) AddDBClusterSnapshot(accountID, regionName string, s DBSnapshot) *DBSnapshot {
	_, r := e.w.at(accountID, regionName)
	e.fill(&s, accountID, regionName, "cluster-snapshot")
	put(&r.RDS.Clusters, s.ID, &s)
	return &s
}

func (e *Editor) fill(s *DBSnapshot, accountID, regionName, kind string) {
	s.ID = strings.ToLower(s.ID)
	s.ARN = "arn:aws:rds:" + regionName + ":" + accountID + ":" + kind + ":" + s.ID
	s.Engine, s.Type = orText(s.Engine, "postgres"), orText(s.Type, "manual")
	s.Created = orTime(s.Created, e.w.now().Add(-24*time.Hour))
}

// DBSnapshot returns a snapshot of a database that must be there.
func (e *Editor) DBSnapshot(accountID, regionName, id string) *DBSnapshot {
	_, r := e.w.at(accountID, regionName)
	return must(found(r.RDS.Snapshots, &id, "DBSnapshotNotFound", "DBSnapshot"))
}

// DBClusterSnapshot returns a snapshot of a cluster that must be there.
func (e *Editor) DBClusterSnapshot(accountID, regionName, id string) *DBSnapshot {
	_, r := e.w.at(accountID, regionName)
	return must(found(r.RDS.Clusters, &id, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot"))
}

// found finds a snapshot by its name or ARN.
func found(m map[string]*DBSnapshot, id *string, code, kind string) (*DBSnapshot, error) {
	name := aws.ToString(id)
	if p := strings.SplitN(name, ":", 7); len(p) == 7 && p[2] == "rds" {
		name = p[6]
	}
	if s := m[strings.ToLower(name)]; s != nil {
		return s, nil
	}
	return nil, fail(code, "%s not found: %s", kind, name)
}

type rdsClient struct{ client }

var _ awscalls.RDS = rdsClient{}

// DescribeDBInstances implements awscalls.RDS.
func (c rdsClient) DescribeDBInstances(ctx context.Context, in *rds.DescribeDBInstancesInput, _ ...func(*rds.Options)) (*rds.DescribeDBInstancesOutput, error) {
	return do(ctx, c.client, "RDS", "DescribeDBInstances", false, in, func(_ *account, r *region) (*rds.DescribeDBInstancesOutput, error) {
		if len(in.Filters) > 0 {
			return nil, fail("InvalidParameterValue", "the simulation knows no filters of databases")
		}
		var all []types.DBInstance
		for _, id := range keysOf(r.RDS.Instances) {
			d := r.RDS.Instances[id]
			if want := aws.ToString(in.DBInstanceIdentifier); want == "" || strings.EqualFold(want, d.ID) || want == d.ARN {
				all = append(all, d.out())
			}
		}
		if in.DBInstanceIdentifier != nil && len(all) == 0 {
			return nil, fail("DBInstanceNotFound", "DBInstance %s not found.", *in.DBInstanceIdentifier)
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxRecords), 100, "InvalidParameterValue")
		return &rds.DescribeDBInstancesOutput{DBInstances: page, Marker: next}, err
	})
}

func (d *DBInstance) out() types.DBInstance {
	o := types.DBInstance{
		DBInstanceIdentifier: aws.String(d.ID), DBInstanceArn: aws.String(d.ARN), DBInstanceStatus: aws.String(d.Status), Engine: aws.String(d.Engine),
		AllocatedStorage: aws.Int32(d.Size), InstanceCreateTime: aws.Time(d.Created), PubliclyAccessible: aws.Bool(d.Public), StorageEncrypted: aws.Bool(d.Key != ""),
		DBInstanceClass: aws.String("db.m6g.large"),
	}
	if d.Key != "" {
		o.KmsKeyId = aws.String(d.Key)
	}
	for _, g := range d.Groups {
		o.VpcSecurityGroups = append(o.VpcSecurityGroups, types.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.String(g), Status: aws.String("active")})
	}
	return o
}

// DescribeDBSnapshots implements awscalls.RDS.
func (c rdsClient) DescribeDBSnapshots(ctx context.Context, in *rds.DescribeDBSnapshotsInput, _ ...func(*rds.Options)) (*rds.DescribeDBSnapshotsOutput, error) {
	return do(ctx, c.client, "RDS", "DescribeDBSnapshots", false, in, func(_ *account, r *region) (*rds.DescribeDBSnapshotsOutput, error) {
		if len(in.Filters) > 0 {
			return nil, fail("InvalidParameterValue", "the simulation knows no filters of database snapshots")
		}
		var all []types.DBSnapshot
		if in.DBSnapshotIdentifier != nil {
			s, err := found(r.RDS.Snapshots, in.DBSnapshotIdentifier, "DBSnapshotNotFound", "DBSnapshot")
			if err != nil {
				return nil, err
			}
			return &rds.DescribeDBSnapshotsOutput{DBSnapshots: []types.DBSnapshot{*c.out(s)}}, nil
		}
		for _, id := range keysOf(r.RDS.Snapshots) {
			s := r.RDS.Snapshots[id]
			if in.DBInstanceIdentifier != nil && !strings.EqualFold(*in.DBInstanceIdentifier, s.Database) || in.SnapshotType != nil && *in.SnapshotType != s.Type {
				continue
			}
			all = append(all, *c.out(s))
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxRecords), 100, "InvalidParameterValue")
		return &rds.DescribeDBSnapshotsOutput{DBSnapshots: page, Marker: next}, err
	})
}

func (c rdsClient) out(s *DBSnapshot) *types.DBSnapshot {
	o := &types.DBSnapshot{
		DBSnapshotIdentifier: aws.String(s.ID), DBSnapshotArn: aws.String(s.ARN), DBInstanceIdentifier: aws.String(s.Database), Engine: aws.String(s.Engine),
		AllocatedStorage: aws.Int32(s.Size), Encrypted: aws.Bool(s.Key != ""), SnapshotType: aws.String(s.Type), SnapshotCreateTime: aws.Time(s.Created),
		Status: aws.String("available"), PercentProgress: aws.Int32(100),
	}
	if s.Key != "" {
		o.KmsKeyId = aws.String(s.Key)
	}
	if now := c.w.now(); now.Before(s.Ends) {
		o.Status = aws.String("creating")
		o.PercentProgress = int32Of(int(100 * now.Sub(s.Created) / s.Ends.Sub(s.Created)))
	}
	for _, k := range keysOf(s.Tags) {
		o.TagList = append(o.TagList, types.Tag{Key: aws.String(k), Value: aws.String(s.Tags[k])})
	}
	return o
}

// CreateDBSnapshot implements awscalls.RDS. The identifier is the token.
func (c rdsClient) CreateDBSnapshot(ctx context.Context, in *rds.CreateDBSnapshotInput, _ ...func(*rds.Options)) (*rds.CreateDBSnapshotOutput, error) {
	return do(ctx, c.client, "RDS", "CreateDBSnapshot", true, in, func(a *account, r *region) (*rds.CreateDBSnapshotOutput, error) {
		id := strings.ToLower(aws.ToString(in.DBSnapshotIdentifier))
		if len(id) > 255 || !dbSnapshotName.MatchString(id) {
			return nil, fail("InvalidParameterValue", "The parameter DBSnapshotIdentifier is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.")
		}
		if r.RDS.Snapshots[id] != nil {
			return nil, fail("DBSnapshotAlreadyExists", "Cannot create the snapshot because a snapshot with the identifier %s already exists.", id)
		}
		d := r.RDS.Instances[strings.ToLower(aws.ToString(in.DBInstanceIdentifier))]
		if d == nil {
			return nil, fail("DBInstanceNotFound", "DBInstance %s not found.", aws.ToString(in.DBInstanceIdentifier))
		}
		if d.Status != "available" && d.Status != "storage-optimization" {
			return nil, fail("InvalidDBInstanceState", "Instance %s is not currently in the available state.", d.ID)
		}
		now := c.w.now()
		t := c.w.times()
		s := &DBSnapshot{
			ID: id, ARN: "arn:aws:rds:" + r.Name + ":" + a.ID + ":snapshot:" + id, Database: d.ID, Engine: d.Engine, Size: d.Size, Key: d.Key, Type: "manual",
			Created: now, Ends: now.Add(max(t.SnapshotLeast, time.Duration(d.Size)*t.SnapshotPerGiB)),
		}
		for _, tag := range in.Tags {
			put(&s.Tags, aws.ToString(tag.Key), aws.ToString(tag.Value))
		}
		put(&r.RDS.Snapshots, id, s)
		return &rds.CreateDBSnapshotOutput{DBSnapshot: c.out(s)}, nil
	})
}

// DescribeDBSnapshotAttributes implements awscalls.RDS.
func (c rdsClient) DescribeDBSnapshotAttributes(ctx context.Context, in *rds.DescribeDBSnapshotAttributesInput, _ ...func(*rds.Options)) (*rds.DescribeDBSnapshotAttributesOutput, error) {
	return do(ctx, c.client, "RDS", "DescribeDBSnapshotAttributes", false, in, func(_ *account, r *region) (*rds.DescribeDBSnapshotAttributesOutput, error) {
		s, err := found(r.RDS.Snapshots, in.DBSnapshotIdentifier, "DBSnapshotNotFound", "DBSnapshot")
		if err != nil {
			return nil, err
		}
		return &rds.DescribeDBSnapshotAttributesOutput{DBSnapshotAttributesResult: s.attributes()}, nil
	})
}

func (s *DBSnapshot) attributes() *types.DBSnapshotAttributesResult {
	return &types.DBSnapshotAttributesResult{DBSnapshotIdentifier: aws.String(s.ID), DBSnapshotAttributes: []types.DBSnapshotAttribute{
		{AttributeName: aws.String("restore"), AttributeValues: slices.Clone(s.Shares)},
	}}
}

func (s *DBSnapshot) clusterAttributes() *types.DBClusterSnapshotAttributesResult {
	return &types.DBClusterSnapshotAttributesResult{DBClusterSnapshotIdentifier: aws.String(s.ID), DBClusterSnapshotAttributes: []types.DBClusterSnapshotAttribute{
		{AttributeName: aws.String("restore"), AttributeValues: slices.Clone(s.Shares)},
	}}
}

// ModifyDBSnapshotAttribute implements awscalls.RDS.
func (c rdsClient) ModifyDBSnapshotAttribute(ctx context.Context, in *rds.ModifyDBSnapshotAttributeInput, _ ...func(*rds.Options)) (*rds.ModifyDBSnapshotAttributeOutput, error) {
	return do(ctx, c.client, "RDS", "ModifyDBSnapshotAttribute", true, in, func(_ *account, r *region) (*rds.ModifyDBSnapshotAttributeOutput, error) {
		s, err := found(r.RDS.Snapshots, in.DBSnapshotIdentifier, "DBSnapshotNotFound", "DBSnapshot")
		if err != nil {
			return nil, err
		}
		if c.w.now().Before(s.Ends) {
			return nil, fail("InvalidDBSnapshotState", "The snapshot %s is not in the available state.", s.ID)
		}
		if err := s.share(aws.ToString(in.AttributeName), in.ValuesToAdd, in.ValuesToRemove, "InvalidDBSnapshotState"); err != nil {
			return nil, err
		}
		return &rds.ModifyDBSnapshotAttributeOutput{DBSnapshotAttributesResult: s.attributes()}, nil
	})
}

var accountID = regexp.MustCompile(`^\d{12}$`)

// share changes with whom a snapshot is shared. Removing all leaves the accounts
// that are named beside it.
func (s *DBSnapshot) share(attribute string, add, remove []string, badState string) error {
	switch {
	case attribute != "restore":
		return fail("InvalidParameterValue", "Invalid attribute: %s", attribute)
	case s.Type != "manual":
		return fail(badState, "Snapshot %s is not a manual snapshot.", s.ID)
	case slices.Contains(add, "all") && s.Key != "":
		return fail("InvalidParameterValue", "Encrypted snapshots cannot be shared publicly.")
	}
	shares := slices.Clone(s.Shares)
	for _, v := range add {
		if v != "all" && !accountID.MatchString(v) {
			return fail("InvalidParameterValue", "Invalid account: %s", v)
		}
		if !slices.Contains(shares, v) {
			shares = append(shares, v)
		}
	}
	shares = slices.DeleteFunc(shares, func(v string) bool { return slices.Contains(remove, v) })
	if len(shares) > sharesMost {
		return fail("SharedSnapshotQuotaExceeded", "You have exceeded the maximum number of accounts that you can share a manual DB snapshot with.")
	}
	slices.Sort(shares)
	s.Shares = shares
	return nil
}

// DescribeDBClusterSnapshotAttributes implements awscalls.RDS.
func (c rdsClient) DescribeDBClusterSnapshotAttributes(ctx context.Context, in *rds.DescribeDBClusterSnapshotAttributesInput, _ ...func(*rds.Options)) (*rds.DescribeDBClusterSnapshotAttributesOutput, error) {
	return do(ctx, c.client, "RDS", "DescribeDBClusterSnapshotAttributes", false, in, func(_ *account, r *region) (*rds.DescribeDBClusterSnapshotAttributesOutput, error) {
		s, err := found(r.RDS.Clusters, in.DBClusterSnapshotIdentifier, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot")
		if err != nil {
			return nil, err
		}
		return &rds.DescribeDBClusterSnapshotAttributesOutput{DBClusterSnapshotAttributesResult: s.clusterAttributes()}, nil
	})
}

// ModifyDBClusterSnapshotAttribute implements awscalls.RDS.
func (c rdsClient) ModifyDBClusterSnapshotAttribute(ctx context.Context, in *rds.ModifyDBClusterSnapshotAttributeInput, _ ...func(*rds.Options)) (*rds.ModifyDBClusterSnapshotAttributeOutput, error) {
	return do(ctx, c.client, "RDS", "ModifyDBClusterSnapshotAttribute", true, in, func(_ *account, r *region) (*rds.ModifyDBClusterSnapshotAttributeOutput, error) {
		s, err := found(r.RDS.Clusters, in.DBClusterSnapshotIdentifier, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot")
		if err != nil {
			return nil, err
		}
		if err := s.share(aws.ToString(in.AttributeName), in.ValuesToAdd, in.ValuesToRemove, "InvalidDBClusterSnapshotStateFault"); err != nil {
			return nil, err
		}
		return &rds.ModifyDBClusterSnapshotAttributeOutput{DBClusterSnapshotAttributesResult: s.clusterAttributes()}, nil
	})
}
