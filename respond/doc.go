// Package respond turns a serious incident into an exact plan for the attacked
// resource, has it approved, carries it out, and can undo it.
//
// Comes in: an incident and the name of a playbook. Goes out: a Plan, whose
// stored bytes have a digest that an approval is bound to; a run of it, which
// does at most what the plan says; and an undo plan made from what the run
// recorded. A response never starts from text in a finding: only ids are taken
// from it, checked by their pattern, and described live first.
//
// The parts: a Playbook describes a resource and drafts steps; an Action is what
// a step does, and how it is undone; Desk is where people create, approve, abort
// and undo. Playbooks for each kind of resource are in the folders below.
//
// It must never import notify, web or durable, and never open what it has not
// written down as owed to be closed. Read Plan, then Desk.
package respond
