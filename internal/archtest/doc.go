// Package archtest checks what people agreed on and compilers do not: which
// package may import which, that every package says what it is for, that
// nothing hides in init functions and changeable globals, and that the
// documentation points at things that exist.
//
// The repository comes in, by the go command and the standard library's parser;
// failed tests go out, each with the reason of the rule that it broke. The
// package has tests only: nothing imports it.
//
// Read imports_test.go first: its table is the architecture.
package archtest
