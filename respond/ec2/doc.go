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
// Read World and Describe first, then Playbook, then the actions in the order of
// a plan: record, protect, service, doors, isolate, acl, credentials, verify.
package ec2
