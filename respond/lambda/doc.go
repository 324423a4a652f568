// Package lambda contains functions of Lambda: no new invocation starts, and code
// and configuration are preserved.
//
// Comes in: the name of a function. Goes out: a plan that reserves no concurrency
// for it, which stops new invocations at once and can be undone exactly, and that
// keeps its code with a hash compared with what AWS says.
//
// It must never print or keep the values of environment variables, nor the
// pre-signed address of the code. Read Playbook.
package lambda
