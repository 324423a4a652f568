// Package ec2 contains an EC2 instance, and lets it go again.
//
// Comes in: the id of an instance, and AWS. Goes out: a description of the live
// instance and what surrounds it (World), a plan of small steps that take it out
// of service, cut every network interface and its credentials off, and prove it,
// and for each step that changes something the one that restores it.
//
// It must never stop, reboot or terminate the instance, never edit a security
// group that others use, never change the groups of an instance as a whole
// (ModifyInstanceAttribute with groups), and never overwrite what somebody else
// changed meanwhile.
//
// Read the files in this order:
//
//   - The instance: world.go is what is known of it, describe.go, describe_host.go
//     and describe_net.go ask AWS, endpoints.go and passages.go follow its traffic.
//   - The plan: playbook.go is the entrance, names.go the stages and actions,
//     draft.go makes the steps, guards.go what stands against them, places.go the
//     network ACLs among them, order.go what must wait for memory.
//   - The tools of the actions: actions.go lists them, act.go calls AWS, look.go
//     asks for one thing anew.
//   - The actions in the order of a plan: preflight.go, record.go, protect.go,
//     service.go and targets.go (out of service; return.go is the way back into the
//     group), groups.go, isolate.go with open.go and lingering.go (cutting the
//     connections), idle.go, acl.go, doors.go (addresses), credentials.go (role,
//     metadata, sessions), verify.go, status.go with unmark.go (our tags).
//   - Where memory comes after isolation: through.go, through_group.go,
//     through_shut.go.
//   - Afterwards: drift.go looks whether it still holds; proof.go, proof_group.go,
//     proof_objects.go, flowrecord.go and tally.go look for what still talks; view.go
//     is what became of a plan's steps.
package ec2
