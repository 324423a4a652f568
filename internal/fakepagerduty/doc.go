// Package fakepagerduty is a small PagerDuty over real HTTP: the Events API v2
// and the part of the REST API that guardroom uses.
//
// Requests come in on URL, alerts and incidents come out of Alerts and
// Incidents. It refuses what the vendor refuses, drops silently what the vendor
// drops silently, and fails on demand or at random by a seed, before and after
// the effect. It must never be more lenient than the vendor: a request that it
// takes and PagerDuty would not is a bug here.
//
// Read Server first.
package fakepagerduty
