package sim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud/sim"
)

func TestAnInstanceOfWhichNothingIsSaidIsAWholeWorld(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { id = e.AddInstance(acct, region, sim.InstanceSpec{}) })
	i := r.instance(id)
	if i.State.Name != "running" || len(i.NetworkInterfaces) != 1 || len(i.BlockDeviceMappings) != 1 || aws.ToString(i.PublicIpAddress) == "" || aws.ToString(i.SubnetId) == "" {
		t.Errorf("the instance is %+v", i)
	}
	if v := r.volume(*i.BlockDeviceMappings[0].Ebs.VolumeId); *v.Size != 8 || *v.Encrypted {
		t.Errorf("the volume is %+v", v)
	}
	if !r.w.AWS().Simulated() {
		t.Error("the world does not say that it is simulated")
	}
}

// launchable is a world in which an instance can be launched.
func launchable(t *testing.T, o sim.Options) (*rig, *ec2.RunInstancesInput) {
	t.Helper()
	in := &ec2.RunInstancesInput{InstanceType: "m7i.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	r := newRig(t, o, func(e *sim.Editor) {
		in.SubnetId = aws.String(e.AddSubnet(acct, region, sim.SubnetSpec{}))
		in.SecurityGroupIds = []string{e.AddSecurityGroup(acct, region, sim.SecurityGroupSpec{Name: "lab"})}
		in.ImageId = aws.String(e.AddImage(acct, region, sim.ImageSpec{Owner: "amazon"}))
	})
	return r, in
}

func TestAnInstanceBootsAndIsCheckedOnlyLater(t *testing.T) {
	t.Parallel()
	r, in := launchable(t, sim.Options{})
	id := *must(r.RunInstances(t.Context(), in))(t).Instances[0].InstanceId
	status := func() string {
		t.Helper()
		out := must(r.DescribeInstanceStatus(t.Context(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}))(t)
		if len(out.InstanceStatuses) == 0 {
			return "not listed"
		}
		return string(out.InstanceStatuses[0].SystemStatus.Status)
	}
	for _, step := range []struct {
		after         time.Duration
		state, status string
	}{{0, "pending", "not listed"}, {19 * time.Second, "pending", "not listed"}, {time.Second, "running", "not listed"}, {30 * time.Second, "running", "initializing"}, {120 * time.Second, "running", "ok"}} {
		r.pass(step.after)
		if got, s := r.state(id), status(); got != step.state || s != step.status {
			t.Errorf("%s later it is %s and its check %s, not %s and %s", step.after, got, s, step.state, step.status)
		}
	}
	r.edit(func(e *sim.Editor) { e.Impair(acct, region, id, true) })
	if s := status(); s != "impaired" {
		t.Errorf("the check of an impaired instance is %s", s)
	}
}

func TestTerminationTakesWhatIsToBeDeletedAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	var id, first, second string
	var volumes []string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) {
		id = e.AddInstance(acct, region, sim.InstanceSpec{Interfaces: []sim.InterfaceSpec{{}, {}}, Volumes: []sim.VolumeSpec{{}, {GiB: 20, Keep: true}}, Protected: true})
		first, second, volumes = e.InterfaceOf(acct, region, id, 0), e.InterfaceOf(acct, region, id, 1), e.VolumesOf(acct, region, id)
	})
	_, err := r.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	r.want(err, "OperationNotPermitted")
	must(r.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: aws.String(id), DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}}))(t)
	must(r.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	if s := r.state(id); s != "shutting-down" {
		t.Errorf("it is %s", s)
	}
	r.pass(time.Minute)
	if i := r.instance(id); i.State.Name != "terminated" || i.SubnetId != nil || len(i.NetworkInterfaces) > 0 {
		t.Errorf("it is %+v", i)
	}
	for _, gone := range []struct{ kind, id string }{{"eni", first}, {"vol", volumes[0]}} {
		var err error
		if gone.kind == "eni" {
			_, err = r.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{gone.id}})
		} else {
			_, err = r.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{gone.id}})
		}
		if code(err) == "" {
			t.Errorf("%s is still there", gone.id)
		}
	}
	if n := r.eni(second); n.Attachment != nil || n.Status != "available" {
		t.Errorf("the kept interface is %+v", n)
	}
	if v := r.volume(volumes[1]); v.State != "available" {
		t.Errorf("the kept volume is %s", v.State)
	}
	r.pass(2 * time.Hour)
	_, err = r.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	r.want(err, "InvalidInstanceID.NotFound")
}

func TestShutdownFromInsideDoesWhatTheBehaviourSays(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{"stop": "stopped", "terminate": "terminated"} {
		var id string
		r := newRig(t, sim.Options{}, func(e *sim.Editor) {
			id = e.AddInstance(acct, region, sim.InstanceSpec{Shutdown: behaviour, Protected: true})
		})
		r.edit(func(e *sim.Editor) { e.ShutDownFromInside(acct, region, id) })
		r.pass(time.Minute)
		if got := r.state(id); got != want {
			t.Errorf("with %s it is %s, not %s", behaviour, got, want)
		}
	}
}

func TestASpotInstanceIsTakenBackWhateverIsSet(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { id = e.AddInstance(acct, region, sim.InstanceSpec{Spot: true}) })
	if r.instance(id).InstanceLifecycle != "spot" {
		t.Error("it is no Spot instance")
	}
	_, err := r.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: aws.String(id), DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	r.want(err, "UnsupportedOperation")
	r.edit(func(e *sim.Editor) { e.ReclaimSpot(acct, region, id, 2*time.Minute) })
	r.pass(119 * time.Second)
	if s := r.state(id); s != "running" {
		t.Errorf("before its time it is %s", s)
	}
	r.pass(time.Minute)
	if s := r.state(id); s != "terminated" {
		t.Errorf("after its time it is %s", s)
	}
}

func TestMetadataOptionsArePendingAndThenApplied(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { id = e.AddInstance(acct, region, sim.InstanceSpec{}) })
	must(r.ModifyInstanceMetadataOptions(t.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: aws.String(id), HttpEndpoint: "disabled"}))(t)
	if o := r.instance(id).MetadataOptions; o.State != "pending" || o.HttpEndpoint != "disabled" || o.HttpTokens != "required" {
		t.Errorf("the options are %+v", o)
	}
	r.pass(5 * time.Second)
	if o := r.instance(id).MetadataOptions; o.State != "applied" || o.HttpEndpoint != "disabled" {
		t.Errorf("the options are %+v", o)
	}
}

func TestRunInstancesAnswersARepeatedTokenWithTheFirst(t *testing.T) {
	t.Parallel()
	r, in := launchable(t, sim.Options{})
	in.ClientToken = aws.String("gr-1")
	first := *must(r.RunInstances(t.Context(), in))(t).Instances[0].InstanceId
	if again := *must(r.RunInstances(t.Context(), in))(t).Instances[0].InstanceId; again != first {
		t.Errorf("the repeated call made %s besides %s", again, first)
	}
	other := *in
	other.InstanceType = "m6i.xlarge"
	_, err := r.RunInstances(t.Context(), &other)
	r.want(err, "IdempotentParameterMismatch")
	if out := must(r.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: filter("client-token", "gr-1")}))(t); len(out.Reservations) != 1 {
		t.Errorf("there are %d instances", len(out.Reservations))
	}
}

func TestCapacityIsShortInATypeAndZoneForAsLongAsIsSaid(t *testing.T) {
	t.Parallel()
	r, in := launchable(t, sim.Options{})
	r.edit(func(e *sim.Editor) { e.ShortCapacity(acct, region, "m7i.xlarge", "a", 2, "") })
	in.ClientToken = aws.String("gr-1")
	for range 2 {
		_, err := r.RunInstances(t.Context(), in)
		r.want(err, "InsufficientInstanceCapacity")
	}
	other := *in
	other.InstanceType = "m6i.xlarge"
	_, err := r.RunInstances(t.Context(), &other)
	r.want(err, "IdempotentParameterMismatch") // the token was used, though nothing was made
	other.ClientToken = aws.String("gr-2")
	must(r.RunInstances(t.Context(), &other))(t)
	must(r.RunInstances(t.Context(), in))(t)
}

func TestALaunchedInstanceIsAsItWasAskedFor(t *testing.T) {
	t.Parallel()
	r, in := launchable(t, sim.Options{})
	r.edit(func(e *sim.Editor) {
		e.AddRole(acct, sim.Role{Name: "lab"})
		e.AddInstanceProfile(acct, sim.InstanceProfile{Name: "lab-profile", Role: "lab"})
	})
	in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("lab-profile")}
	in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(1)}
	in.InstanceInitiatedShutdownBehavior, in.DisableApiTermination = "stop", aws.Bool(true)
	in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), VolumeSize: aws.Int32(64)}}}
	in.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("guardroom:run"), Value: aws.String("run-1")}}},
		{ResourceType: "volume", Tags: []types.Tag{{Key: aws.String("guardroom:step"), Value: aws.String("lab")}}}}
	id := *must(r.RunInstances(t.Context(), in))(t).Instances[0].InstanceId
	i := r.instance(id)
	if aws.ToString(i.IamInstanceProfile.Arn) != "arn:aws:iam::"+acct+":instance-profile/lab-profile" || *i.MetadataOptions.HttpPutResponseHopLimit != 1 || *i.Tags[0].Value != "run-1" {
		t.Errorf("the instance is %+v", i)
	}
	v := r.volume(*i.BlockDeviceMappings[0].Ebs.VolumeId)
	if !*v.Encrypted || *v.Size != 64 || v.KmsKeyId == nil || *v.Tags[0].Key != "guardroom:step" {
		t.Errorf("the volume is %+v", v)
	}
	if a := must(r.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: "disableApiTermination"}))(t); !*a.DisableApiTermination.Value {
		t.Error("it is not protected")
	}
}

func TestAProfileIsTakenOffAndPutOnAgain(t *testing.T) {
	t.Parallel()
	var id string
	r := newRig(t, sim.Options{}, func(e *sim.Editor) { id = e.AddInstance(acct, region, sim.InstanceSpec{Profile: "web"}) })
	list := func() []types.IamInstanceProfileAssociation {
		t.Helper()
		return must(r.DescribeIamInstanceProfileAssociations(t.Context(), &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: filter("instance-id", id)}))(t).IamInstanceProfileAssociations
	}
	before := list()[0]
	again := &ec2.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: before.IamInstanceProfile.Arn}}
	_, err := r.AssociateIamInstanceProfile(t.Context(), again)
	r.want(err, "IncorrectState")
	must(r.DisassociateIamInstanceProfile(t.Context(), &ec2.DisassociateIamInstanceProfileInput{AssociationId: before.AssociationId}))(t)
	if r.instance(id).IamInstanceProfile != nil || list()[0].State != "disassociating" {
		t.Error("the profile is not being taken off")
	}
	r.pass(5 * time.Second)
	if len(list()) != 0 {
		t.Error("the association is still there")
	}
	_, err = r.DisassociateIamInstanceProfile(t.Context(), &ec2.DisassociateIamInstanceProfileInput{AssociationId: before.AssociationId})
	r.want(err, "InvalidAssociationID.NotFound")
	must(r.AssociateIamInstanceProfile(t.Context(), again))(t)
	r.pass(5 * time.Second)
	if l := list(); len(l) != 1 || l[0].State != "associated" || *l[0].AssociationId == *before.AssociationId {
		t.Errorf("the associations are %+v", l)
	}
}
