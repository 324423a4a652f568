package cloud_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

func TestWhatMayHaveActedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault proxy.Fault
		tags  int // how often the tag call is sent, and the snapshot call
		snaps int
		fails bool // the snapshot call
	}{
		{"a lost answer", proxy.Fault{Lost: proxy.AfterIt}, 2, 1, true},
		{"half an answer", proxy.Fault{Half: true}, 1, 1, true}, // of a tag call nothing is read
		{"an error inside of AWS", proxy.Broken(), 2, 1, true},
		{"throttling", proxy.Throttled(), 2, 2, false},
		{"a refusal", proxy.Unauthorized(), 1, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := proxy.Start(proxy.Options{Upstream: motoURL, Problem: func(message string) { t.Error(message) }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			r := cloud.New(config.AWS{Region: region, EndpointURL: p.URL}, nil, cloud.Deps{MaxBackoff: time.Millisecond}).Responses(responseRoles)
			client, err := r.EC2(t.Context(), awscalls.Place{Account: second, Region: region, Role: awscalls.Act, Incident: "INC-42"})
			if err != nil {
				t.Fatal(err)
			}
			v, err := client.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1)})
			if err != nil {
				t.Fatal(err)
			}
			p.Add(proxy.Rule{Operation: "EC2.CreateTags", Fault: c.fault}, proxy.Rule{Operation: "EC2.CreateSnapshot", Fault: c.fault})
			_, _ = client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{aws.ToString(v.VolumeId)}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			_, err = client.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: v.VolumeId})
			if (err != nil) != c.fails {
				t.Errorf("the snapshot: %v", err)
			}
			if err != nil && !respond.Transient(err) && c.fault.Code != "UnauthorizedOperation" {
				t.Errorf("a step does not look again after %v", err)
			}
			if n := p.Count("EC2.CreateTags"); n != c.tags {
				t.Errorf("tags were sent %d times, not %d", n, c.tags)
			}
			if n := p.Count("EC2.CreateSnapshot"); n != c.snaps {
				t.Errorf("the snapshot was sent %d times, not %d", n, c.snaps)
			}
		})
	}
}
