package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"
)

func databases(e *Editor) {
	e.AddDBInstance(attacked, home, DBInstance{ID: "db", Size: 10, Public: true})
	e.AddDBInstance(attacked, home, DBInstance{ID: "busy", Status: "modifying"})
	e.AddDBSnapshot(attacked, home, DBSnapshot{ID: "manual", Database: "db", Shares: []string{"333333333333", "all"}})
	e.AddDBSnapshot(attacked, home, DBSnapshot{ID: "secret", Database: "db", Key: oursARN})
	e.AddDBSnapshot(attacked, home, DBSnapshot{ID: "nightly", Database: "db", Type: "automated"})
	e.AddDBClusterSnapshot(attacked, home, DBSnapshot{ID: "cluster", Shares: []string{"333333333333"}})
}

func shareDB(c rdsClient, id string, add, remove []string) error {
	_, err := c.ModifyDBSnapshotAttribute(context.Background(), &rds.ModifyDBSnapshotAttributeInput{DBSnapshotIdentifier: &id, AttributeName: aws.String("restore"), ValuesToAdd: add, ValuesToRemove: remove})
	return err
}

func TestRDSSharesWithWhomItIsToldTo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, databases)
	c := rdsClient{w.act()}
	shares := func() []string {
		out := val(c.DescribeDBSnapshotAttributes(ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: aws.String("manual")}))(t)
		return out.DBSnapshotAttributesResult.DBSnapshotAttributes[0].AttributeValues
	}
	wantCode(t, shareDB(c, "manual", nil, []string{"all"}), "")
	if diff := cmp.Diff([]string{"333333333333"}, shares()); diff != "" {
		t.Errorf("removing all leaves who is named: %s", diff)
	}
	wantCode(t, shareDB(c, "manual", nil, []string{"333333333333"}), "")
	if s := shares(); len(s) != 0 {
		t.Errorf("still shared with %v", s)
	}
	wantCode(t, shareDB(c, "manual", []string{"333333333333", "all"}, nil), "")
	if diff := cmp.Diff([]string{"333333333333", "all"}, shares()); diff != "" {
		t.Error(diff)
	}
	out := val(c.ModifyDBClusterSnapshotAttribute(ctx, &rds.ModifyDBClusterSnapshotAttributeInput{DBClusterSnapshotIdentifier: aws.String("cluster"), AttributeName: aws.String("restore"), ValuesToRemove: []string{"333333333333"}}))(t)
	if s := out.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes[0].AttributeValues; len(s) != 0 {
		t.Errorf("the cluster's is still shared with %v", s)
	}
	if s := val(c.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: aws.String("cluster")}))(t); len(s.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes[0].AttributeValues) != 0 {
		t.Error("the cluster's is shared when it is described")
	}
}

func TestRDSRefusesWhatItRefuses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("4444444444%02d", i)
	}
	snap := func(db, id string) func(c rdsClient) error {
		return func(c rdsClient) error {
			_, err := c.CreateDBSnapshot(ctx, &rds.CreateDBSnapshotInput{DBInstanceIdentifier: &db, DBSnapshotIdentifier: &id})
			return err
		}
	}
	for name, c := range map[string]struct {
		call func(c rdsClient) error
		code string
	}{
		"an unknown snapshot":        {func(c rdsClient) error { return shareDB(c, "none", nil, []string{"all"}) }, "DBSnapshotNotFound"},
		"an automated one":           {func(c rdsClient) error { return shareDB(c, "nightly", []string{"333333333333"}, nil) }, "InvalidDBSnapshotState"},
		"an encrypted one to all":    {func(c rdsClient) error { return shareDB(c, "secret", []string{"all"}, nil) }, "InvalidParameterValue"},
		"no account":                 {func(c rdsClient) error { return shareDB(c, "secret", []string{"friend"}, nil) }, "InvalidParameterValue"},
		"21 accounts":                {func(c rdsClient) error { return shareDB(c, "secret", many, nil) }, "SharedSnapshotQuotaExceeded"},
		"a snapshot of nothing":      {snap("none", "s"), "DBInstanceNotFound"},
		"of a database that is busy": {snap("busy", "s"), "InvalidDBInstanceState"},
		"a name twice":               {snap("db", "Manual"), "DBSnapshotAlreadyExists"},
		"a name that is none":        {snap("db", "a--b"), "InvalidParameterValue"},
		"one that is not ready": {func(c rdsClient) error {
			if err := snap("db", "fresh")(c); err != nil {
				return err
			}
			return shareDB(c, "fresh", []string{"333333333333"}, nil)
		}, "InvalidDBSnapshotState"},
		"an unknown database": {func(c rdsClient) error {
			_, err := c.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("none")})
			return err
		}, "DBInstanceNotFound"},
		"an unknown snapshot of a cluster": {func(c rdsClient) error {
			_, err := c.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: aws.String("manual")})
			return err
		}, "DBClusterSnapshotNotFoundFault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantCode(t, c.call(rdsClient{newRest(t, Options{}, databases).act()}), c.code)
		})
	}
}

func TestADatabaseSnapshotTakesItsTime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{Times: Times{SnapshotPerGiB: 10 * time.Second}}, databases)
	c := rdsClient{w.act()}
	val(c.CreateDBSnapshot(ctx, &rds.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("db"), DBSnapshotIdentifier: aws.String("fresh"), Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("r")}}}))(t)
	look := func() types.DBSnapshot {
		return val(c.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: aws.String("fresh")}))(t).DBSnapshots[0]
	}
	w.pass(50 * time.Second)
	if s := look(); *s.Status != "creating" || *s.PercentProgress != 50 || *s.TagList[0].Value != "r" {
		t.Errorf("half way: %s %d%%", *s.Status, *s.PercentProgress)
	}
	w.pass(50 * time.Second)
	if s := look(); *s.Status != "available" || *s.PercentProgress != 100 {
		t.Errorf("at the end: %s %d%%", *s.Status, *s.PercentProgress)
	}
	if n := len(val(c.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBInstanceIdentifier: aws.String("db"), SnapshotType: aws.String("manual")}))(t).DBSnapshots); n != 3 {
		t.Errorf("%d manual snapshots", n)
	}
}
