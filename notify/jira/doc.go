// Package jira shows each incident as one Jira issue, on Cloud (REST v3,
// Atlassian document format) and on Server and Data Center (REST v2, wiki
// markup).
//
// A message.View and the state of its delivery come in; out go an issue, edits
// of its description, a few comments, and transitions when the incident ends
// or begins again. Nothing that creates is ever repeated blindly: it is saved
// as begun before, looked for after an unknown outcome, and left to a person
// where it cannot be found. What people wrote is never overwritten, and text
// that others wrote must never become markup, a link or a mention.
//
// Read Notifier.Reconcile first, then work.run, create, find and update; the
// layouts are describeADF and describeWiki. The facts are Atlassian's:
// https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/
package jira
