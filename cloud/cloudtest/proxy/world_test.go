package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/internal/moto"
)

const region = "eu-central-1"

var motoURL string

func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": filepath.Join(os.TempDir(), "no-such-file")} {
		_ = os.Setenv(name, value)
	}
	server, err := moto.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	motoURL = server.URL
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// clock stands until a test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// accounts counts up: each test has accounts of its own.
var accounts = new(atomic.Int64)

func newAccount() string { return fmt.Sprintf("%012d", 300_000_000_000+accounts.Add(1)) }

// world is the SDK in front of a proxy, in an account of its own.
type world struct {
	*proxy.Proxy
	clock   *clock
	account string
	ec2     *ec2.Client
}

func newWorld(t *testing.T, o proxy.Options) *world {
	t.Helper()
	w := &world{clock: &clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, account: newAccount()}
	o.Upstream, o.Now = motoURL, w.clock.now
	if o.Problem == nil {
		o.Problem = func(message string) { t.Error(message) }
	}
	p, err := proxy.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w.Proxy = p
	w.ec2 = ec2.NewFromConfig(w.as(w.account))
	return w
}

// as is the SDK's configuration for an account; faults are seen once.
func (w *world) as(account string) aws.Config {
	base := aws.Config{Region: region, BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", ""), RetryMaxAttempts: 1}
	if account == proxy.Home {
		return base
	}
	role := "arn:aws:iam::" + account + ":role/guardroom"
	out := base.Copy()
	out.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(base), role))
	return out
}

func (w *world) ssm() *ssm.Client { return ssm.NewFromConfig(w.as(w.account)) }
func (w *world) ebs() *ebs.Client { return ebs.NewFromConfig(w.as(w.account)) }
func (w *world) kms() *kms.Client { return kms.NewFromConfig(w.as(w.account)) }

// must fails the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("the answer is %v, not %s", err, code)
	}
}

// instance launches one with an interface in a subnet of the zone.
func (w *world) instance(t *testing.T, zone string) types.Instance {
	t.Helper()
	ctx := t.Context()
	vpc := must[*ec2.CreateVpcOutput](t)(w.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))
	subnet := must[*ec2.CreateSubnetOutput](t)(w.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String(region + zone)}))
	out := must[*ec2.RunInstancesOutput](t)(w.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: aws.String("ami-03cf127a"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: types.InstanceTypeT3Micro,
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: subnet.Subnet.SubnetId}}}))
	return out.Instances[0]
}

func (w *world) volume(t *testing.T, zone string, in ec2.CreateVolumeInput) string {
	t.Helper()
	in.AvailabilityZone = aws.String(region + zone)
	if in.Size == nil && in.SnapshotId == nil {
		in.Size = aws.Int32(1)
	}
	return aws.ToString(must[*ec2.CreateVolumeOutput](t)(w.ec2.CreateVolume(t.Context(), &in)).VolumeId)
}

func (w *world) snapshot(t *testing.T, volumeID string) string {
	t.Helper()
	return aws.ToString(must[*ec2.CreateSnapshotOutput](t)(w.ec2.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: aws.String(volumeID)})).SnapshotId)
}

func (w *world) snapshotState(t *testing.T, id string) string {
	t.Helper()
	out := must[*ec2.DescribeSnapshotsOutput](t)(w.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}}))
	return string(out.Snapshots[0].State) + " " + aws.ToString(out.Snapshots[0].Progress)
}

func (w *world) share(ctx context.Context, id string, p ...types.CreateVolumePermission) error {
	_, err := w.ec2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{SnapshotId: aws.String(id), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
		CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: p}})
	return err
}
