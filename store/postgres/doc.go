// Package postgres keeps the store in a PostgreSQL database, for any number of
// processes.
//
// Transactions are read committed; what must not happen twice is guarded by
// unique keys and by locks that are taken in one order everywhere (finding ids,
// merge keys, incidents, deliveries, audit head last). A deadlock or a
// serialization failure runs the transaction again.
//
// Each process has an identity of its own, and a name that people know: name.go.
//
// Read Open first.
package postgres
