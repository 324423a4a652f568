// Package guardduty reads findings from GuardDuty's own API: every detector of
// the configured accounts and regions, again and again, and archives there what
// guardroom has closed.
//
// Findings go into the flow as GuardDuty sent them, byte for byte, marked as
// confirmed; how far a detector was read is a cursor in the store. It must
// never advance a cursor before the flow has committed, never lose a finding
// that changes while it pages, and never let one broken account or region stop
// the others.
//
// Read Poller.pass first.
package guardduty
