// Package manual says what people must do where guardroom changes nothing:
// clusters and containers, databases, recovery points, and every resource that
// no other playbook fits.
//
// Comes in: a target. Goes out: a plan without a changing step, whose manual
// steps hold the right names. It makes no call to AWS.
//
// It must never put a name into a command that has not the form of such a name:
// findings hold text that others wrote. Read Playbook, then the lists.
package manual
