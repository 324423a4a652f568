// Package sharing takes away with whom snapshots, images and database snapshots
// are shared.
//
// Comes in: the id of a snapshot, an image or a database snapshot. Goes out: a
// plan that removes the accounts, groups and organisations that it is shared
// with, and an undo that adds back exactly those. Copies that were made meanwhile
// are beyond reach, and the result says so.
//
// It must never delete a snapshot or an image, never share anything that was not
// shared before, and never take the share of the forensic account away. Read
// Playbooks, then share.go.
package sharing
