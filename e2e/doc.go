// Package e2e drives the real binary from outside: started, fed, killed and
// asked as people and supervisors do it, against vendors that enforce their
// limits and fail at random. There is nothing here but tests.
//
// Read world_test.go first.
package e2e
