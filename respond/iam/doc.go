// Package iam contains principals: users with their keys, sessions of roles, and
// for root what only people can do.
//
// Comes in: the names and ids that a finding gives of a principal. Goes out:
// plans that put an unconditional deny on the user first and make its keys
// inactive, or that deny one session of a role by its exact id. A key that is
// only inactive leaves the sessions alive that were made with it, and a deny by
// time does not touch a long-term key; so both are done, in this order.
//
// It must never delete a key, a password or a policy of others, never deny more
// of a role than the session where the session is known, and never touch the
// identity with which guardroom works. Read Playbooks, then user.go.
package iam
