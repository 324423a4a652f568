package sharing

import (
	"context"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// everybodyRDS is what RDS calls a share with all accounts. Removing it leaves
// the accounts that are named beside it.
// https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html
const everybodyRDS = "all"

// restore is the attribute that says who may restore a snapshot.
const restore = "restore"

var dbSnapshotForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9:-]{0,254}$`)

// dbID takes the name of a snapshot out of an ARN of RDS:
// arn:aws:rds:REGION:ACCOUNT:snapshot:NAME. No finding names such a resource by a
// kind of its own.
func dbID(t respond.Target, resource string) string {
	parts := strings.SplitN(t.ARN, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "rds" || parts[5] != resource || !dbSnapshotForm.MatchString(parts[6]) {
		return ""
	}
	if parts[3] != t.Region || parts[4] != t.Account {
		return ""
	}
	return parts[6]
}

func dbSnapshotKind() kind {
	return kind{
		name: "rds-snapshot", summary: "Take away with whom a snapshot of a database is shared.", noun: "database snapshot", service: "rds",
		read: []string{"RDS.DescribeDBSnapshotAttributes", "RDS.DescribeDBSnapshots"}, modify: "RDS.ModifyDBSnapshotAttribute",
		id:       func(t respond.Target) string { return dbID(t, "snapshot") },
		describe: describeDBSnapshot, shares: dbShares, change: changeDB,
	}
}

func describeDBSnapshot(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (thing, error) {
	api, err := a.RDS(ctx, p)
	if err != nil {
		return thing{}, err
	}
	out, err := api.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &id})
	if err != nil {
		return thing{}, err
	}
	if len(out.DBSnapshots) == 0 {
		return thing{}, gone("database snapshot " + id)
	}
	s := out.DBSnapshots[0]
	t := thing{ID: id, ARN: aws.ToString(s.DBSnapshotArn), Owner: p.Account, State: aws.ToString(s.Status), Type: aws.ToString(s.SnapshotType),
		Key: aws.ToString(s.KmsKeyId), Source: aws.ToString(s.DBInstanceIdentifier), Tags: map[string]string{}}
	for _, tag := range s.TagList {
		t.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	t.Shares, err = dbShares(ctx, a, p, id)
	return t, err
}

func dbShares(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) ([]share, error) {
	api, err := a.RDS(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := api.DescribeDBSnapshotAttributes(ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: &id})
	if err != nil {
		return nil, err
	}
	list := []share{}
	if out.DBSnapshotAttributesResult == nil {
		return list, fault.New(fault.Unavailable, "AWS sent no attributes of database snapshot "+id, "it is asked again")
	}
	for _, attribute := range out.DBSnapshotAttributesResult.DBSnapshotAttributes {
		if aws.ToString(attribute.AttributeName) == restore {
			list = append(list, fromRDS(attribute.AttributeValues)...)
		}
	}
	return sorted(list), nil
}

func changeDB(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, add, remove []share) error {
	api, err := a.RDS(ctx, p)
	if err != nil {
		return err
	}
	_, err = api.ModifyDBSnapshotAttribute(ctx, &rds.ModifyDBSnapshotAttributeInput{DBSnapshotIdentifier: &id, AttributeName: aws.String(restore), ValuesToAdd: toRDS(add), ValuesToRemove: toRDS(remove)})
	return err
}

func dbClusterKind() kind {
	return kind{
		name: "rds-cluster-snapshot", summary: "Take away with whom a snapshot of a database cluster is shared.", noun: "cluster snapshot", service: "rds-cluster",
		read: []string{"RDS.DescribeDBClusterSnapshotAttributes"}, modify: "RDS.ModifyDBClusterSnapshotAttribute",
		id:       func(t respond.Target) string { return dbID(t, "cluster-snapshot") },
		describe: describeCluster, shares: clusterShares, change: changeCluster,
	}
}

// describeCluster knows no more than the shares: the call for the rest is none
// of those that guardroom is allowed.
func describeCluster(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) (thing, error) {
	shares, err := clusterShares(ctx, a, p, id)
	return thing{ID: id, ARN: "arn:" + kit.PartitionOf(p.Region) + ":rds:" + p.Region + ":" + p.Account + ":cluster-snapshot:" + id, Owner: p.Account, Shares: shares}, err
}

func clusterShares(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string) ([]share, error) {
	api, err := a.RDS(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := api.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: &id})
	if err != nil {
		return nil, err
	}
	list := []share{}
	if out.DBClusterSnapshotAttributesResult == nil {
		return list, fault.New(fault.Unavailable, "AWS sent no attributes of cluster snapshot "+id, "it is asked again")
	}
	for _, attribute := range out.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes {
		if aws.ToString(attribute.AttributeName) == restore {
			list = append(list, fromRDS(attribute.AttributeValues)...)
		}
	}
	return sorted(list), nil
}

func changeCluster(ctx context.Context, a awscalls.AWS, p awscalls.Place, id string, add, remove []share) error {
	api, err := a.RDS(ctx, p)
	if err != nil {
		return err
	}
	_, err = api.ModifyDBClusterSnapshotAttribute(ctx, &rds.ModifyDBClusterSnapshotAttributeInput{DBClusterSnapshotIdentifier: &id, AttributeName: aws.String(restore), ValuesToAdd: toRDS(add), ValuesToRemove: toRDS(remove)})
	return err
}

func fromRDS(values []string) []share {
	var out []share
	for _, v := range values {
		if v == everybodyRDS {
			out = append(out, everybody)
		} else {
			out = append(out, share(account+v))
		}
	}
	return out
}

func toRDS(list []share) []string {
	var out []string
	for _, s := range list {
		_, value := s.cut() // "all" is the same word here
		out = append(out, value)
	}
	return out
}
