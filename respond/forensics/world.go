package forensics

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// World is what acquisition must know of an instance.
type World struct {
	Instance     string        `json:"instance"`
	ARN          string        `json:"arn"`
	Name         string        `json:"name,omitempty"`
	Account      string        `json:"account"`
	Region       string        `json:"region"`
	Zone         string        `json:"zone"`
	State        string        `json:"state"`
	Type         string        `json:"type"`
	Architecture string        `json:"architecture"`
	Platform     string        `json:"platform,omitempty"` // windows, or empty
	Root         string        `json:"root"`               // the name of the root device
	LaunchedAt   time.Time     `json:"launched_at"`
	Spot         bool          `json:"spot,omitempty"`
	Codes        []string      `json:"product_codes,omitempty"` // of the marketplace
	MemoryMiB    int64         `json:"memory_mib,omitempty"`
	StoreGB      int64         `json:"instance_store_gb,omitempty"` // disks that no snapshot holds
	Volumes      []Volume      `json:"volumes"`                     // by device
	Agent        Agent         `json:"agent"`
	Bench        Bench         `json:"bench"`
	Older        []OldSnapshot `json:"older_snapshots,omitempty"`
	// Unknown is what could not be looked at, and why.
	Unknown []string `json:"unknown,omitempty"`
	// Unanswered are those of them that AWS may answer later.
	Unanswered []string `json:"-"`
	// Tags of the instance.
	Tags map[string]string `json:"-"`
}

// Volume is an attached volume.
type Volume struct {
	ID          string `json:"id"`
	Device      string `json:"device"`
	GiB         int64  `json:"gib"`
	Type        string `json:"type"`
	State       string `json:"state"`
	Encrypted   bool   `json:"encrypted,omitempty"`
	Key         string `json:"key,omitempty"`
	KeyManager  string `json:"key_manager,omitempty"` // AWS, CUSTOMER, or unknown
	MultiAttach bool   `json:"multi_attach,omitempty"`
	OurTags     bool   `json:"our_tags,omitempty"` // it carries tags with our prefix
}

// Unshareable reports whether no snapshot of the volume can be shared with
// another account as it is. A key that could not be looked at counts as such:
// encrypting anew costs time and always works.
func (v Volume) Unshareable() bool { return v.Encrypted && v.KeyManager != customer }

const customer = string(kmstypes.KeyManagerTypeCustomer)

// Agent is the SSM agent of the instance.
type Agent struct {
	Online  bool   `json:"online"`
	Version string `json:"version,omitempty"`
	Why     string `json:"why,omitempty"` // it is not online
}

// OldSnapshot is a snapshot of one of the volumes that is not ours.
type OldSnapshot struct {
	ID        string    `json:"id"`
	Volume    string    `json:"volume"`
	StartedAt time.Time `json:"started_at"`
}

// Describe looks at the instance and at what the workstation needs. What cannot
// be looked at, but for the instance and its volumes, is said in Unknown and
// fails nothing. It blocks for about ten calls.
func Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (World, error) {
	w := World{Instance: r.Target.ID, Account: r.Target.Account, Region: r.Target.Region}
	c, err := a.EC2(ctx, r.Place(awscalls.Read))
	if err != nil {
		return w, err
	}
	if err := w.instance(ctx, c); err != nil {
		return w, err
	}
	if err := w.volumes(ctx, c); err != nil {
		return w, err
	}
	w.note("the size of its memory", w.size(ctx, c))
	w.keys(ctx, a, r)
	w.note("the SSM agent", w.agent(ctx, a, r))
	w.note("older snapshots", w.older(ctx, c))
	w.Bench = describeBench(ctx, a, r)
	return w, nil
}

func (w *World) note(what string, err error) {
	if err != nil {
		w.Unknown = append(w.Unknown, what+": "+short(err))
		if respond.Transient(err) {
			w.Unanswered = append(w.Unanswered, what)
		}
	}
}

func (w *World) instance(ctx context.Context, c awscalls.EC2) error {
	out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{w.Instance}})
	if err != nil {
		if respond.Gone(err) {
			return gone(w.Instance, w.Region)
		}
		return respond.Explain(err, "describe "+w.Instance, "nothing was changed")
	}
	var i types.Instance
	for _, res := range out.Reservations {
		for _, one := range res.Instances {
			if aws.ToString(one.InstanceId) == w.Instance {
				i = one
			}
		}
	}
	if i.InstanceId == nil || i.State != nil && i.State.Name == types.InstanceStateNameTerminated {
		return gone(w.Instance, w.Region)
	}
	w.ARN = fmt.Sprintf("arn:%s:ec2:%s:%s:instance/%s", partition(w.Region), w.Region, w.Account, w.Instance)
	w.Name, w.Tags = tagOf(i.Tags, "Name"), map[string]string{}
	for _, t := range i.Tags {
		w.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if i.State != nil {
		w.State = string(i.State.Name)
	}
	if i.Placement != nil {
		w.Zone = aws.ToString(i.Placement.AvailabilityZone)
	}
	w.Type, w.Architecture, w.Root = string(i.InstanceType), string(i.Architecture), aws.ToString(i.RootDeviceName)
	w.Platform, w.LaunchedAt = string(i.Platform), aws.ToTime(i.LaunchTime).UTC()
	w.Spot = i.InstanceLifecycle == types.InstanceLifecycleTypeSpot
	for _, p := range i.ProductCodes {
		if p.ProductCodeType == types.ProductCodeValuesMarketplace {
			w.Codes = append(w.Codes, aws.ToString(p.ProductCodeId))
		}
	}
	return nil
}

func gone(instance, region string) error {
	return fault.New(fault.NotFound, fmt.Sprintf("instance %s is not in %s any more: it was terminated, or never was there", instance, region),
		"nothing can be acquired from it; look for snapshots of its volumes, and respond to its credentials")
}

// volumes reads the attached volumes, sorted by device.
func (w *World) volumes(ctx context.Context, c awscalls.EC2) error {
	list, err := attached(ctx, c, w.Instance)
	if err != nil {
		return respond.Explain(err, "describe the volumes of "+w.Instance, "nothing was changed")
	}
	for _, v := range list {
		one := Volume{ID: aws.ToString(v.VolumeId), Device: deviceOn(v, w.Instance), GiB: int64(aws.ToInt32(v.Size)), Type: string(v.VolumeType), State: string(v.State),
			Encrypted: aws.ToBool(v.Encrypted), Key: aws.ToString(v.KmsKeyId), MultiAttach: aws.ToBool(v.MultiAttachEnabled)}
		one.OurTags = slices.ContainsFunc(v.Tags, func(t types.Tag) bool { return strings.HasPrefix(aws.ToString(t.Key), "guardroom:") })
		w.Volumes = append(w.Volumes, one)
	}
	slices.SortFunc(w.Volumes, func(a, b Volume) int {
		if n := strings.Compare(a.Device, b.Device); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return nil
}

// attached are all volumes that are attached to an instance now.
func attached(ctx context.Context, c awscalls.Volumes, instance string) ([]types.Volume, error) {
	var list []types.Volume
	in := &ec2.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{instance}}}}
	for {
		out, err := c.DescribeVolumes(ctx, in)
		if err != nil {
			return nil, err
		}
		list = append(list, out.Volumes...)
		if aws.ToString(out.NextToken) == "" {
			return list, nil
		}
		in.NextToken = out.NextToken
	}
}

func deviceOn(v types.Volume, instance string) string {
	for _, a := range v.Attachments {
		if aws.ToString(a.InstanceId) == instance {
			return aws.ToString(a.Device)
		}
	}
	return ""
}

func (w *World) size(ctx context.Context, c awscalls.EC2) error {
	out, err := c.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceType(w.Type)}})
	if err != nil {
		return err
	}
	for _, t := range out.InstanceTypes {
		if t.MemoryInfo != nil {
			w.MemoryMiB = aws.ToInt64(t.MemoryInfo.SizeInMiB)
		}
		if t.InstanceStorageInfo != nil {
			w.StoreGB = aws.ToInt64(t.InstanceStorageInfo.TotalSizeInGB)
		}
	}
	return nil
}

// older lists snapshots of the volumes that were there before us.
func (w *World) older(ctx context.Context, c awscalls.EC2) error {
	if len(w.Volumes) == 0 {
		return nil
	}
	var ids []string
	for _, v := range w.Volumes {
		ids = append(ids, v.ID)
	}
	list, err := snapshots(ctx, c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("volume-id"), Values: ids}}})
	for _, s := range list {
		// What an earlier run made is no lead; what it only marked is one still.
		if tagOf(s.Tags, respond.TagRun) == "" || strings.HasSuffix(tagOf(s.Tags, respond.TagStep), StepOlder) {
			w.Older = append(w.Older, OldSnapshot{ID: aws.ToString(s.SnapshotId), Volume: aws.ToString(s.VolumeId), StartedAt: aws.ToTime(s.StartTime).UTC()})
		}
	}
	slices.SortFunc(w.Older, func(a, b OldSnapshot) int { return strings.Compare(a.ID, b.ID) })
	return err
}

func snapshots(ctx context.Context, c awscalls.Snapshots, in *ec2.DescribeSnapshotsInput) ([]types.Snapshot, error) {
	var list []types.Snapshot
	for {
		out, err := c.DescribeSnapshots(ctx, in)
		if err != nil {
			return list, err
		}
		list = append(list, out.Snapshots...)
		if aws.ToString(out.NextToken) == "" {
			return list, nil
		}
		in.NextToken = out.NextToken
	}
}

// Facts are what must still be so when the run starts.
func (w World) Facts() []respond.Fact {
	facts := []respond.Fact{
		{Name: w.Instance + " state", Value: w.State},
		{Name: w.Instance + " launched", Value: w.LaunchedAt.Format(time.RFC3339)},
	}
	for _, v := range w.Volumes {
		facts = append(facts, respond.Fact{Name: v.ID, Value: strconv.FormatInt(v.GiB, 10) + " GiB at " + v.Device})
	}
	return facts
}

// GiB is the size of all volumes.
func (w World) GiB() int64 {
	var n int64
	for _, v := range w.Volumes {
		n += v.GiB
	}
	return n
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// short is an error in one line for people: AWS's code where there is one.
func short(err error) string {
	code := respond.Code(err)
	switch call := respond.Called(err); {
	case code == "":
		return respond.Reason(err)
	case call != "":
		return "AWS answered " + code + " to " + call
	}
	return "AWS answered " + code
}
