package ec2

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

func TestWhatAServiceManagesIsWarnedAboutByItsName(t *testing.T) {
	t.Parallel()
	second := func(n sim.InterfaceSpec) sim.InstanceSpec {
		return sim.InstanceSpec{Interfaces: []sim.InterfaceSpec{{}, n}}
	}
	tagged := func(key string) sim.InstanceSpec {
		return sim.InstanceSpec{Tags: map[string]string{"Name": "web", key: "blue"}}
	}
	for _, c := range []struct {
		name  string
		spec  sim.InstanceSpec
		names string // the manager; empty: nobody but us
	}{
		{"an interface that a load balancer asked for", second(sim.InterfaceSpec{Managed: "amazon-elb"}), "by requester amazon-elb"},
		{"an interface that a database asked for", second(sim.InterfaceSpec{Managed: "amazon-rds"}), "by requester amazon-rds"},
		{"an interface that has an operator", second(sim.InterfaceSpec{Operator: "ecs.amazonaws.com"}), "by ecs.amazonaws.com"},
		{"an operator is named before the requester", second(sim.InterfaceSpec{Managed: "amazon-eks", Operator: "eks.amazonaws.com"}), "by eks.amazonaws.com"},
		{"an instance that has an operator", sim.InstanceSpec{Operator: "eks.amazonaws.com"}, "by eks.amazonaws.com"},
		{"a node of EKS", tagged("eks:cluster-name"), "by its tag eks:cluster-name"},
		{"a node of a managed node group of EKS", tagged("aws:eks:cluster-name"), "by its tag aws:eks:cluster-name"},
		{"a node of EMR", tagged("aws:elasticmapreduce:job-flow-id"), "by its tag aws:elasticmapreduce:job-flow-id"},
		{"an instance of a stack of CloudFormation", tagged("aws:cloudformation:stack-name"), "by its tag aws:cloudformation:stack-name"},
		{"a container instance of ECS", tagged("aws:ecs:clusterName"), "by its tag aws:ecs:clusterName"},
		{"a compute environment of Batch", tagged("AWSBatchServiceTag"), "by its tag AWSBatchServiceTag"},
		{"an instance that people manage", tagged("team"), ""},
		{"an interface that people added", second(sim.InterfaceSpec{}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(e *sim.Editor) string { return e.AddInstance(acct, rgn, c.spec) })
			g := kittest.Guard(t, r.Draft(), "managed by a service")
			if c.names == "" {
				if g.Answer != respond.Pass || g.Why != "" {
					t.Errorf("it answers %+v", g)
				}
				return
			}
			who := r.id
			if len(c.spec.Interfaces) > 1 {
				who = r.world(r.id).Interfaces[1].ID
			}
			if g.Answer != respond.Warn || !strings.Contains(g.Why, who+" "+c.names) {
				t.Errorf("it answers %+v, and names not %s %s", g, who, c.names)
			}
		})
	}
}
