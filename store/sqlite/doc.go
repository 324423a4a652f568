// Package sqlite keeps the store in one SQLite file, for one process at a time.
//
// One connection writes. Callers hand their transactions to it, and those that
// wait together share one commit (writer.go). Reads have a pool of their own.
// The durable engine gets a third handle on the same file; a lock in this
// process (lock.go) lets its writes and ours take turns fairly, where SQLite's
// own waiting would starve one of them.
//
// The package must never open a file that another process holds.
//
// Read Open first.
package sqlite
