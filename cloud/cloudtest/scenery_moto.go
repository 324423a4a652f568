package cloudtest

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	wafv2types "github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

// motoImage is an image that every account of moto has.
const motoImage = "ami-03cf127a"

// MotoScenery builds on moto, by calls that responses never make.
type MotoScenery struct {
	// Proxy stands in front of moto.
	Proxy *proxy.Proxy
	// Config is the SDK's configuration as the owner of the account.
	Config aws.Config

	t       testing.TB
	account string
	move    func(time.Duration)
	ec2     *ec2.Client
	nets    map[string]int // subnets of a VPC
}

var _ Scenery = (*MotoScenery)(nil)

func newMotoScenery(t testing.TB, p *proxy.Proxy, account string, move func(time.Duration)) *MotoScenery {
	base := aws.Config{Region: Region, BaseEndpoint: aws.String(p.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", ""), RetryMaxAttempts: 1}
	cfg := base.Copy()
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(base), "arn:aws:iam::"+account+":role/owner"))
	return &MotoScenery{Proxy: p, Config: cfg, t: t, account: account, move: move, ec2: ec2.NewFromConfig(cfg), nets: map[string]int{}}
}

// built fails the test on an error.
func built[O any](m *MotoScenery, what string) func(O, error) O {
	return func(out O, err error) O {
		m.t.Helper()
		if err != nil {
			m.t.Fatalf("build %s: %v", what, err)
		}
		return out
	}
}

// As implements Scenery.
func (m *MotoScenery) As(account string) Scenery {
	return newMotoScenery(m.t, m.Proxy, account, m.move)
}

// Move implements Scenery.
func (m *MotoScenery) Move(d time.Duration) { m.move(d) }

// VPC implements Scenery.
func (m *MotoScenery) VPC(v6 bool) string {
	m.t.Helper()
	out := built[*ec2.CreateVpcOutput](m, "a VPC")(m.ec2.CreateVpc(m.t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(v6)}))
	return aws.ToString(out.Vpc.VpcId)
}

// Subnet implements Scenery.
func (m *MotoScenery) Subnet(vpc, zone string) string {
	m.t.Helper()
	m.nets[vpc]++
	out := built[*ec2.CreateSubnetOutput](m, "a subnet")(m.ec2.CreateSubnet(m.t.Context(), &ec2.CreateSubnetInput{VpcId: aws.String(vpc),
		CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", m.nets[vpc])), AvailabilityZone: aws.String(Region + zone)}))
	return aws.ToString(out.Subnet.SubnetId)
}

// NAT implements Scenery.
func (m *MotoScenery) NAT(subnet string) string {
	m.t.Helper()
	out := built[*ec2.CreateNatGatewayOutput](m, "a NAT gateway")(m.ec2.CreateNatGateway(m.t.Context(), &ec2.CreateNatGatewayInput{SubnetId: aws.String(subnet), ConnectivityType: types.ConnectivityTypePrivate}))
	return aws.ToString(out.NatGateway.NatGatewayId)
}

// Launch implements Scenery.
func (m *MotoScenery) Launch(l Launch) Host {
	m.t.Helper()
	ctx := m.t.Context()
	in := &ec2.RunInstancesInput{ImageId: aws.String(motoImage), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	for i, s := range l.Subnets {
		in.NetworkInterfaces = append(in.NetworkInterfaces, types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(int32(i)), SubnetId: aws.String(s), Groups: l.Groups, DeleteOnTermination: aws.Bool(true)}) //nolint:gosec // a handful
	}
	if len(l.Disks) > 0 {
		// moto leaves the image's root out where any device is named.
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, types.BlockDeviceMapping{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(8), DeleteOnTermination: aws.Bool(true)}})
	}
	for i, d := range l.Disks {
		ebs := &types.EbsBlockDevice{VolumeSize: aws.Int32(d.GiB), DeleteOnTermination: aws.Bool(true), Encrypted: aws.Bool(d.Encrypted)}
		if d.Key != "" {
			ebs.KmsKeyId = aws.String(d.Key)
		}
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, types.BlockDeviceMapping{DeviceName: aws.String("/dev/sd" + string(rune('f'+i))), Ebs: ebs})
	}
	if l.Profile != "" {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String(l.Profile)}
	}
	out := built[*ec2.RunInstancesOutput](m, "an instance")(m.ec2.RunInstances(ctx, in))
	m.move(5 * time.Minute)
	host := Host{ID: aws.ToString(out.Instances[0].InstanceId)}
	shown := built[*ec2.DescribeInstancesOutput](m, "an instance")(m.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{host.ID}}))
	i := shown.Reservations[0].Instances[0]
	host.Interfaces = make([]string, len(i.NetworkInterfaces))
	for _, n := range i.NetworkInterfaces {
		host.Interfaces[aws.ToInt32(n.Attachment.DeviceIndex)] = aws.ToString(n.NetworkInterfaceId)
	}
	for _, b := range i.BlockDeviceMappings {
		if aws.ToString(b.DeviceName) == aws.ToString(i.RootDeviceName) {
			host.Volumes = append([]string{aws.ToString(b.Ebs.VolumeId)}, host.Volumes...)
			continue
		}
		host.Volumes = append(host.Volumes, aws.ToString(b.Ebs.VolumeId))
	}
	return host
}

// Address implements Scenery.
func (m *MotoScenery) Address(eni string) (allocation, association string) {
	m.t.Helper()
	a := built[*ec2.AllocateAddressOutput](m, "an address")(m.ec2.AllocateAddress(m.t.Context(), &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))
	b := built[*ec2.AssociateAddressOutput](m, "an address")(m.ec2.AssociateAddress(m.t.Context(), &ec2.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: aws.String(eni)}))
	return aws.ToString(a.AllocationId), aws.ToString(b.AssociationId)
}

// Image implements Scenery.
func (m *MotoScenery) Image() string {
	m.t.Helper()
	host := m.Launch(Launch{Subnets: []string{m.Subnet(m.VPC(false), "a")}})
	out := built[*ec2.CreateImageOutput](m, "an image")(m.ec2.CreateImage(m.t.Context(), &ec2.CreateImageInput{InstanceId: aws.String(host.ID), Name: aws.String("workstation")}))
	return aws.ToString(out.ImageId)
}

const anybody = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// Role implements Scenery.
func (m *MotoScenery) Role(name, path string) {
	m.t.Helper()
	built[*iam.CreateRoleOutput](m, "a role")(iam.NewFromConfig(m.Config).CreateRole(m.t.Context(), &iam.CreateRoleInput{RoleName: aws.String(name), Path: aws.String(path), AssumeRolePolicyDocument: aws.String(anybody)}))
}

// Profile implements Scenery.
func (m *MotoScenery) Profile(name, role string) string {
	m.t.Helper()
	c := iam.NewFromConfig(m.Config)
	out := built[*iam.CreateInstanceProfileOutput](m, "a profile")(c.CreateInstanceProfile(m.t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String(name)}))
	built[*iam.AddRoleToInstanceProfileOutput](m, "a profile")(c.AddRoleToInstanceProfile(m.t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String(name), RoleName: aws.String(role)}))
	return aws.ToString(out.InstanceProfile.Arn)
}

// User implements Scenery.
func (m *MotoScenery) User(name string) string {
	m.t.Helper()
	c := iam.NewFromConfig(m.Config)
	built[*iam.CreateUserOutput](m, "a user")(c.CreateUser(m.t.Context(), &iam.CreateUserInput{UserName: aws.String(name)}))
	out := built[*iam.CreateAccessKeyOutput](m, "a key")(c.CreateAccessKey(m.t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String(name)}))
	return aws.ToString(out.AccessKey.AccessKeyId)
}

// Key implements Scenery.
func (m *MotoScenery) Key() string {
	m.t.Helper()
	out := built[*kms.CreateKeyOutput](m, "a key")(kms.NewFromConfig(m.Config).CreateKey(m.t.Context(), &kms.CreateKeyInput{}))
	return aws.ToString(out.KeyMetadata.Arn)
}

// Group implements Scenery.
func (m *MotoScenery) Group(name, subnet string, least, wants, most int, targetGroups ...string) []string {
	m.t.Helper()
	c, ctx := autoscaling.NewFromConfig(m.Config), m.t.Context()
	built[*autoscaling.CreateLaunchConfigurationOutput](m, "a launch configuration")(c.CreateLaunchConfiguration(ctx, &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: aws.String(name), ImageId: aws.String(motoImage), InstanceType: aws.String("t3.micro")}))
	built[*autoscaling.CreateAutoScalingGroupOutput](m, "a group")(c.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String(name), LaunchConfigurationName: aws.String(name),
		MinSize: aws.Int32(int32(least)), DesiredCapacity: aws.Int32(int32(wants)), MaxSize: aws.Int32(int32(most)), VPCZoneIdentifier: aws.String(subnet), TargetGroupARNs: targetGroups})) //nolint:gosec // a handful
	out := built[*autoscaling.DescribeAutoScalingGroupsOutput](m, "a group")(c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))
	var ids []string
	for _, i := range out.AutoScalingGroups[0].Instances {
		ids = append(ids, aws.ToString(i.InstanceId))
	}
	return ids
}

// TargetGroup implements Scenery.
func (m *MotoScenery) TargetGroup(name, vpc string) string {
	m.t.Helper()
	out := built[*elasticloadbalancingv2.CreateTargetGroupOutput](m, "a target group")(elasticloadbalancingv2.NewFromConfig(m.Config).CreateTargetGroup(m.t.Context(), &elasticloadbalancingv2.CreateTargetGroupInput{
		Name: aws.String(name), VpcId: aws.String(vpc), Port: aws.Int32(443), Protocol: elbv2types.ProtocolEnumHttps, TargetType: elbv2types.TargetTypeEnumInstance}))
	return aws.ToString(out.TargetGroups[0].TargetGroupArn)
}

// LoadBalancer implements Scenery.
func (m *MotoScenery) LoadBalancer(name, subnet string) {
	m.t.Helper()
	built[*elasticloadbalancing.CreateLoadBalancerOutput](m, "a load balancer")(elasticloadbalancing.NewFromConfig(m.Config).CreateLoadBalancer(m.t.Context(), &elasticloadbalancing.CreateLoadBalancerInput{
		LoadBalancerName: aws.String(name), Subnets: []string{subnet}, Listeners: []elbtypes.Listener{{InstancePort: aws.Int32(80), LoadBalancerPort: 80, Protocol: aws.String("http")}}}))
}

func (m *MotoScenery) s3() *s3.Client {
	return s3.NewFromConfig(m.Config, func(o *s3.Options) { o.UsePathStyle = true })
}

// Bucket implements Scenery.
func (m *MotoScenery) Bucket(name string, versioned bool) {
	m.t.Helper()
	built[*s3.CreateBucketOutput](m, "a bucket")(m.s3().CreateBucket(m.t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: Region}}))
	if versioned {
		built[*s3.PutBucketVersioningOutput](m, "versions")(m.s3().PutBucketVersioning(m.t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(name), VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}}))
	}
}

// Vault implements Scenery.
func (m *MotoScenery) Vault(name string, days int) {
	m.t.Helper()
	built[*s3.CreateBucketOutput](m, "a bucket that locks")(m.s3().CreateBucket(m.t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: Region}}))
	if days > 0 {
		built[*s3.PutObjectLockConfigurationOutput](m, "a default lock")(m.s3().PutObjectLockConfiguration(m.t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: aws.String(name),
			ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled, Rule: &s3types.ObjectLockRule{
				DefaultRetention: &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionModeGovernance, Days: aws.Int32(int32(days))}}}})) //nolint:gosec // a few days
	}
}

// HTTP implements Scenery.
func (m *MotoScenery) HTTP() *http.Client { return http.DefaultClient }

// Function implements Scenery.
func (m *MotoScenery) Function(name string) {
	m.t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	f := built[io.Writer](m, "an archive")(z.Create("index.py"))
	built[int](m, "an archive")(f.Write([]byte("def handler(e, c): return 1\n")))
	if err := z.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.Role(name+"-role", "/")
	built[*lambda.CreateFunctionOutput](m, "a function")(lambda.NewFromConfig(m.Config).CreateFunction(m.t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String(name), Role: aws.String("arn:aws:iam::" + m.account + ":role/" + name + "-role"),
		Runtime: lambdatypes.RuntimePython312, Handler: aws.String("index.handler"), Code: &lambdatypes.FunctionCode{ZipFile: archive.Bytes()}}))
}

// Database implements Scenery.
func (m *MotoScenery) Database(name string) {
	m.t.Helper()
	built[*rds.CreateDBInstanceOutput](m, "a database")(rds.NewFromConfig(m.Config).CreateDBInstance(m.t.Context(), &rds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String(name), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("owner"), MasterUserPassword: aws.String("not-a-secret")}))
}

// ClusterSnapshot implements Scenery.
func (m *MotoScenery) ClusterSnapshot(cluster, name string) {
	m.t.Helper()
	c := rds.NewFromConfig(m.Config)
	built[*rds.CreateDBClusterOutput](m, "a cluster")(c.CreateDBCluster(m.t.Context(), &rds.CreateDBClusterInput{DBClusterIdentifier: aws.String(cluster), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("owner"), MasterUserPassword: aws.String("not-a-secret")}))
	built[*rds.CreateDBClusterSnapshotOutput](m, "a snapshot")(c.CreateDBClusterSnapshot(m.t.Context(), &rds.CreateDBClusterSnapshotInput{DBClusterIdentifier: aws.String(cluster), DBClusterSnapshotIdentifier: aws.String(name)}))
}

// IPSet implements Scenery.
func (m *MotoScenery) IPSet(name string, addresses ...string) string {
	m.t.Helper()
	out := built[*wafv2.CreateIPSetOutput](m, "an IP set")(wafv2.NewFromConfig(m.Config).CreateIPSet(m.t.Context(), &wafv2.CreateIPSetInput{Name: aws.String(name), Scope: wafv2types.ScopeRegional, IPAddressVersion: wafv2types.IPAddressVersionIpv4, Addresses: addresses}))
	return aws.ToString(out.Summary.Id)
}

// Agent implements Scenery.
func (m *MotoScenery) Agent(instance string) {
	m.Proxy.SetAgent(proxy.Agent{InstanceID: instance, Account: m.account, Region: Region, Version: "3.3.0.0", Platform: "Linux", PlatformName: "Amazon Linux"})
}

// Shell implements Scenery.
func (m *MotoScenery) Shell(id, instance string) {
	m.Proxy.OpenSession(proxy.Session{ID: id, InstanceID: instance, Owner: "arn:aws:iam::" + m.account + ":user/somebody", Account: m.account, Region: Region})
}

// Document implements Scenery.
func (m *MotoScenery) Document(string) {} // the proxy takes any

// Parameter implements Scenery.
func (m *MotoScenery) Parameter(name, value string) {
	m.t.Helper()
	built[*ssm.PutParameterOutput](m, "a parameter")(ssm.NewFromConfig(m.Config).PutParameter(m.t.Context(), &ssm.PutParameterInput{Name: aws.String(name), Value: aws.String(value), Type: ssmtypes.ParameterTypeString}))
}

// Logged implements Scenery.
func (m *MotoScenery) Logged(group, stream string, lines ...string) {
	m.t.Helper()
	ctx, c := m.t.Context(), cloudwatchlogs.NewFromConfig(m.Config)
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		if _, there := errors.AsType[*logtypes.ResourceAlreadyExistsException](err); !there {
			m.t.Fatalf("build a log group: %v", err)
		}
	}
	built[*cloudwatchlogs.CreateLogStreamOutput](m, "a log stream")(c.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}))
	var events []logtypes.InputLogEvent
	for _, l := range lines {
		events = append(events, logtypes.InputLogEvent{Message: aws.String(l), Timestamp: aws.Int64(time.Now().UnixMilli())}) // moto takes no other time
	}
	built[*cloudwatchlogs.PutLogEventsOutput](m, "lines of a log")(c.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events}))
}

// Happened implements Scenery.
func (m *MotoScenery) Happened(user, key, name string) {
	m.Proxy.AddEvent(proxy.Event{ID: name + "-" + user, Name: name, Source: "ec2.amazonaws.com", Username: user, AccessKey: key, Record: `{"eventName":"` + name + `"}`, At: time.Now(), Account: m.account, Region: Region})
}
