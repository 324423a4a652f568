// Package webhook sends what happens to incidents to an HTTPS endpoint of the
// customer's own, signed as Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks).
//
// Views come in, signed JSON messages go out: one for each event that is worth
// speaking of, else one for the newest revision. It must never call an address
// inside the network that the configuration does not allow, follow a redirect,
// or send a raw finding that was not asked for.
//
// Read Notifier.Reconcile first; schema.json describes the body.
package webhook
