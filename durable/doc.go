// Package durable runs work that outlives a request, on DBOS Transact: the one
// package that imports it.
//
// Work items come in inside the caller's own transaction (Enqueue), so that
// what was accepted and the work that it needs are committed together; they go
// out as calls of a handler, at least once, also after a crash. The state of
// the work is in our own tables: a handler looks there first and does what is
// missing, so no step of it needs a checkpoint of the engine.
//
// The engine's traps that shaped this package: its application version is
// pinned, or an upgrade would strand what is in flight; ids of finished work
// are never used again, or nothing would run; executors are named per worker,
// or one would take the work of a living sibling.
//
// Read Engine.
package durable
