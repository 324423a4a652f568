// Package notify brings every channel of an incident up to its newest revision.
//
// A delivery is not a message in a queue but a desired state: this incident at
// its newest revision, in that destination. Reconcile of a vendor compares what
// it did before (its own state, kept for it) with the View, and does what is
// missing. It must never create twice what a person would see twice, also after
// a crash between the vendor's effect and our record of it.
//
// Vendors live in folders of their own and never import each other.
//
// Read Notifier first.
package notify
