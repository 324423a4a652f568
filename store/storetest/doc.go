// Package storetest is the contract of the store: one suite that both databases
// pass. The tests of store/sqlite and store/postgres run it.
//
// A function that opens an empty store comes in; failures of the test go out. It
// must never know which database it runs on: what only one of them can do is
// tested beside that one.
//
// Read Run.
package storetest
