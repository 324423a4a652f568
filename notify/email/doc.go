// Package email tells incidents by mail, over SMTP.
//
// A View comes in, mails go out: one when the incident is opened, one each when
// its severity rises, when it is contained, closed or reopened, and nothing in
// between. The mails of one incident are one thread: their subject never
// changes, and every Message-ID is derived from the incident, so that a mail
// that had to be sent twice is recognised as one.
//
// The package must never send without TLS unless the configuration spells that
// out, and no value from a finding may reach a header without being made
// harmless by headerValue.
//
// Read Notifier.Reconcile first.
package email
