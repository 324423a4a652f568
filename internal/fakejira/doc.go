// Package fakejira is a small Jira over real HTTP, in both of its dialects:
// Cloud (REST v3, Atlassian document format, Basic) and Server / Data Center
// (REST v2, wiki markup, Bearer).
//
// Requests come in on URL, issues come out of Issues. It refuses what the
// vendor refuses, lets its search lag behind its writes as the vendor does,
// returns descriptions in a form of its own, limits writes per issue, and fails
// on demand or at random by a seed, before and after the effect. It must never
// be more lenient than the vendor: a request that it takes and Jira would not
// is a bug here.
//
// Read Server first, then Options.
package fakejira
