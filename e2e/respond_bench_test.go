package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/respond/forensics"
)

// BenchmarkRunsWaiting measures what the service holds in memory while 200
// responses wait for their snapshots: most after the last of them began to wait,
// and in the two minutes that follow.
func BenchmarkRunsWaiting(b *testing.B) {
	const many = 200
	for b.Loop() {
		slow := quick
		slow.Snapshot = 24 * time.Hour
		h := &host{account: newSlowAccount(b, "678900000001", true, slow)}
		h.scale = 1
		h.vpc = h.on.VPC(true)
		net := h.on.Subnet(h.vpc, "a")
		h.forensicNet = h.on.Subnet(h.vpc, "a")
		name := "forensic"
		c := ec2.NewFromConfig(h.owner)
		h.forensicSG = aws.ToString(got[*ec2.CreateSecurityGroupOutput](b)(c.CreateSecurityGroup(b.Context(), &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: &h.vpc})).GroupId)
		list := got[*ec2.RunInstancesOutput](b)(c.RunInstances(b.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-03cf127a"), InstanceType: types.InstanceTypeM5Large, SubnetId: &net,
			MinCount: aws.Int32(many), MaxCount: aws.Int32(many)})).Instances
		time.Sleep(quick.Instance) // until they run
		h.serve(fmt.Sprintf("  caps: {isolations: %d, all: %[1]d}", 10*many))
		pid := h.cmd.Process.Pid
		idle := memoryOf(b, pid, "VmRSS:")
		for _, in := range list {
			h.send(mining(aws.ToString(in.InstanceId)))
		}
		await(b, h.instance, "all findings are incidents", func() bool {
			open := map[int64]bool{}
			for _, f := range lines[findingLine](b, h.must("finding", "list", "--json", "--limit", fmt.Sprint(2*many))) {
				open[f.Incident] = true
			}
			return len(open) == many
		})
		runs := make([]string, 0, many)
		for n := range many {
			runs = append(runs, h.approve(h.plan("--incident", fmt.Sprintf("INC-%d", n+1), "--playbook", forensics.Name)))
		}
		most := 0
		for _, run := range runs {
			for waits := false; !waits; {
				d := h.look(run)
				if d.Run.State.Ended() {
					b.Fatalf("%s: %s\n%s", d.Run.State, d.Run.Summary, stepLines(d))
				}
				for _, s := range d.Progress.Steps {
					waits = waits || strings.HasPrefix(s.ID, "snapshot/vol-") && !s.State.Ended()
				}
				most = max(most, memoryOf(b, pid, "VmRSS:"))
				time.Sleep(100 * time.Millisecond)
			}
		}
		private := memoryOf(b, pid, "RssAnon:")
		var later []int
		for range 24 {
			time.Sleep(5 * time.Second)
			later = append(later, memoryOf(b, pid, "VmRSS:"))
		}
		slices.Sort(later)
		b.ReportMetric(float64(idle)/1024, "MB/idle")
		b.ReportMetric(float64(most)/1024, "MB/most")
		b.ReportMetric(float64(private)/1024, "MB/private") // without the pages of the program's file
		b.ReportMetric(float64(later[len(later)/2])/1024, "MB/waiting")
		b.ReportMetric(float64(later[len(later)-1])/1024, "MB/waiting-most")
	}
}
