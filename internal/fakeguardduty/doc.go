// Package fakeguardduty is a small GuardDuty over its real wire protocol (REST
// with JSON), for several accounts and regions, with the part of STS that
// leads there.
//
// Requests come in on URL, findings go in by Put and change by Archive; Calls
// tells what was asked. It refuses what the service refuses: more than 50 ids,
// unknown criteria, unknown members, detectors of other accounts, roles without
// the external id. What is not GuardDuty or STS goes to Options.Fallback, so
// that one AWS_ENDPOINT_URL serves a whole test together with moto.
//
// It must never be more lenient than the service, and never sign or check
// signatures: only the access key in a request says whose call it is.
//
// Read Server first.
package fakeguardduty
