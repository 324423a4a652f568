// Package calls writes cloud/calls.go: the clients of the AWS SDK as the
// interfaces of awscalls, with nothing but the calls that stand there.
//
// The interfaces come in, Go code goes out. The linker keeps every exported
// method of a type that it sees in an interface, because a library might ask for
// it by its name: 700 calls for EC2 alone, in the program and in its memory. A
// client that stays behind functions is not seen. The test of this package fails
// when the code is stale; `go generate` in this folder writes it anew.
//
// Read Code.
package calls

//go:generate go test -run TestTheCodeIsFresh . -update
