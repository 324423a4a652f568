// Package fakesmtp is a small real mail server for tests and the demo: it
// speaks SMTP with STARTTLS or implicit TLS and AUTH, under a certificate
// authority of its own, keeps every message as it came over the wire, and can
// be told to refuse, to defer and to hang up.
//
// Connections come in, Messages come out. It must never send mail anywhere and
// listens on the loopback address only.
//
// Read Server first.
package fakesmtp
