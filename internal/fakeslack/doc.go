// Package fakeslack is a small Slack over real HTTP: the part of the Web API
// that guardroom uses, and an incoming webhook.
//
// Requests come in on URL and WebhookURL, messages come out of Messages. It
// refuses what the vendor refuses, with HTTP 200 and ok:false as the vendor
// does, and fails on demand or at random by a seed, before and after the
// effect. It must never be more lenient than the vendor: a request that it takes
// and Slack would not is a bug here. Beyond that it lists as violations what
// Slack takes but nobody should send, such as a mention out of place.
//
// Read Server first.
package fakeslack
