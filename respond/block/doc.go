// Package block shuts a network actor out for a time: in a set of addresses of
// AWS WAF, or in the network ACLs of an instance's subnets.
//
// Comes in: addresses that a finding names as the actor. Goes out: a plan that
// adds them, a row that says when each is taken off again, and the closing that
// does it. What others put into the same set or list is never touched.
//
// It must never block a network of ours, a private one, or a wide one, and never
// block without an end. Read Playbook, then address.go.
package block
