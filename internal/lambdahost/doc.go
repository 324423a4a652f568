// Package lambdahost is a host for AWS Lambda functions in tests: the public
// Runtime API and as much of the Extensions API as a function needs that wants
// SIGTERM. A real binary runs under it as it runs in Lambda, without Docker.
//
// A program and events come in, and the answers that the program gave. The host
// enforces what Lambda enforces: one event at a time, answers of at most 6 MB,
// the deadline by killing the process.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
//
// The package must never outlive its test, and it says what the function's
// process printed when a test fails. Read Start.
package lambdahost
