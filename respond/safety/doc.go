// Package safety holds the guards that every plan must pass, whatever its
// playbook: what a response gives to somebody who wants to blind us, frame a
// colleague, or make us isolate production.
//
// Comes in: the incident, its leading finding, the target, and what runs there
// are. Goes out: one answer for each guard, with a reason and what a person can
// do. It does no I/O, and must never let an error pass for a yes. Read Guards.
package safety
