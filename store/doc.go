// Package store keeps everything that guardroom knows in one SQL database:
// findings, incidents, deliveries, audit records, and beside them the tables of
// the durable engine.
//
// Functions that change something run inside Write, which gives them a Tx and
// commits once; the engine's work is enqueued in that same transaction. The
// SQL is the same for SQLite (folder sqlite) and PostgreSQL (folder postgres)
// but for a handful of words; storetest is the contract that both pass.
//
// The package must never decide anything: what becomes of a finding is decided
// by triage and incident, inside the transaction that this package provides.
//
// Read DB.Write, then tx.go.
package store
