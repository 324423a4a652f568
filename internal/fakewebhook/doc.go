// Package fakewebhook is a receiver of Standard Webhooks over real HTTP.
//
// Requests come in on URL, messages come out of Messages, one for each
// webhook-id. It verifies signature and time stamp as a careful receiver does,
// remembers ids, and fails on demand, before and after the effect. It must
// never take a message whose signature it did not verify.
//
// Read Server first.
package fakewebhook
