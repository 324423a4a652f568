// Package proxy stands between the AWS SDK and a moto server, so that what
// tests see is closer to AWS than moto is.
//
// It fakes what moto lacks (snapshot locks, EBS direct, Systems Manager's
// agents, the console), rewrites what is born final (a snapshot completes, a
// volume is created, an instance starts, on the clock that it is given), guards
// what moto lets through (foreign groups, volumes in use, shares that AWS
// refuses), shares snapshots between accounts, replays client tokens, makes
// calls fail by rules, and records every call.
//
// Comes in: the SDK's requests. Goes out: moto's answers, which are not changed
// by one byte where nothing needs to be. The package must never be part of the
// program, and never keep a credential: of a request it remembers the operation,
// the access key's account, and for EC2 the parameters without user data.
//
// Read Options, then Rule.
package proxy
