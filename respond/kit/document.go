package kit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
)

// Document is a policy document, or that there is none: absent is not empty.
type Document struct {
	// Text is exactly as AWS gave it, or as it is written.
	Text   string `json:"text,omitempty"`
	Absent bool   `json:"absent,omitempty"`
}

// None is the absent document.
func None() Document { return Document{Absent: true} }

// Text is a document that is there.
func Text(s string) Document { return Document{Text: s} }

// SameDocument compares documents as JSON; text that is none is compared as it is.
func SameDocument(a, b Document) bool {
	if a.Absent || b.Absent {
		return a.Absent == b.Absent
	}
	return Canonical(a.Text) == Canonical(b.Text)
}

// Canonical is a JSON text with sorted keys and without space; text that is no
// JSON is returned as it is.
func Canonical(s string) string {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return s
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return s
	}
	return strings.TrimSpace(out.String())
}

// Decoded is a document as IAM gives it: escaped as in a URL (RFC 3986). One
// that is not escaped is returned as it is.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
func Decoded(s string) string {
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		return s
	}
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// Weight is how many characters of a document IAM counts: all but white space.
func Weight(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// MustJSON is v as JSON text. v holds texts, numbers and maps of ours only.
func MustJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("kit: a value of ours is no JSON: " + err.Error())
	}
	return Canonical(string(raw))
}

// Digest is a short digest of its meaning, for facts; absent for none.
func (d Document) Digest() string {
	if d.Absent {
		return "absent"
	}
	sum := sha256.Sum256([]byte(Canonical(d.Text)))
	return hex.EncodeToString(sum[:])[:12]
}
