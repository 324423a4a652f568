// Package jira lays an incident out for Jira: as ADF for Cloud and as wiki
// markup for Server and Data Center.
//
// A message.View comes in, a description goes out. Text that others wrote must
// never become markup, a link or a mention. Read describeADF and describeWiki.
package jira
