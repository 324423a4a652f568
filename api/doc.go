// Package api is guardroom's JSON API, version 1. The command line speaks
// nothing else: in-process when the store is free, over the Unix socket of a
// running service, or over HTTPS.
//
// Requests come in as HTTP, calls of Service go out. Who asks is decided by the
// entrance (the peer's uid on the socket, a token on HTTPS) and never by the
// request. The package must never decide what a command means: it parses,
// calls, and prints.
//
// Read Service, then Handler.
package api
