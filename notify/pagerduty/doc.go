// Package pagerduty shows incidents in PagerDuty, by the Events API v2 or as
// incidents of the REST API.
//
// Views come in, alerts that are triggered, acknowledged and resolved come out.
// One incident is one alert, by its dedup key, and at most one more when it
// rises to Critical while somebody has acknowledged it. It must never page for
// a sample finding, never acknowledge or resolve what it did not trigger, and
// never print a routing key or a token.
//
// Read Notifier.Reconcile first, then next in plan.go.
package pagerduty
