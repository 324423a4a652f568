// Package httpin takes findings over HTTP: POST /v1/findings.
//
// Three kinds of sender are told apart by how they prove themselves: an
// EventBridge API destination by a key in a header, a plain sender by a bearer
// token, SNS by the signature of its message. Bodies come in, Input goes to the
// intake, and the answer says what became of it.
//
//	202  committed; the body is the receipt in JSON. A body in which nothing is a
//	     finding is answered so too: it is parked and counted as rejected.
//	     EventBridge and SNS repeat everything but a success, and repeating
//	     would not make it better.
//	200  an SNS subscription was confirmed, or its end was noted
//	400  the body is empty, was cut off, or its gzip is damaged
//	401  the sender proved nothing that we accept; no reason is given
//	405  not a POST
//	408  the body came too slowly
//	413  the body is too large, packed or unpacked
//	415  a Content-Encoding other than gzip
//	503  not committed, or too many requests at once: come again (Retry-After)
//
// The package must never read the body of somebody who proved nothing, except of
// what says that it is an SNS message: of that no more than 1 MiB, for no longer
// than 5 s, and from no more than a few at once. It must
// never fetch a URL from a message before its host was checked, and never hand
// on anything of an SNS message but the text that was signed.
//
// Read Handler.ServeHTTP first, then verify in sns.go.
package httpin
