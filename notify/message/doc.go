// Package message is the vendor-neutral wording: every sentence that guardroom
// says about an incident is made here once, and the vendors only lay it out.
//
// An incident with its timeline comes in (Build), a View goes out. Values that
// were written outside of guardroom travel as untrusted Text, which a renderer
// can obtain only through an escaper of its own.
//
// Read View first.
package message
