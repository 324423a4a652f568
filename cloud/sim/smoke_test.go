package sim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const (
	account = "111111111111"
	region  = "us-east-1"
)

var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func TestAnInstanceWithoutAnythingSaidIsAWholeWorld(t *testing.T) {
	t.Parallel()
	w, err := sim.New(sim.Options{Clock: playbook.NewVirtual(start)})
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := w.Edit(func(e *sim.Editor) { id = e.AddInstance(account, region, sim.InstanceSpec{}) }); err != nil {
		t.Fatal(err)
	}
	c, err := w.AWS().EC2(t.Context(), awscalls.Place{Account: account, Region: region, Role: awscalls.Read})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	i := out.Reservations[0].Instances[0]
	if i.State.Name != "running" || len(i.NetworkInterfaces) != 1 || len(i.BlockDeviceMappings) != 1 || aws.ToString(i.PublicIpAddress) == "" || aws.ToString(i.SubnetId) == "" {
		t.Errorf("the instance is %+v", i)
	}
}
