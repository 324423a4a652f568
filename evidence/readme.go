package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
)

// The files of an export that are there for whoever has no guardroom.
const (
	readmeFile  = "README.txt"
	custodyFile = "custody.json"
	sumsFile    = "SHA256SUMS"
)

// signature writes the signature of a manifest as bytes, and its public key as
// PEM, for tools that know nothing of guardroom. One that is not signed has none.
func (w *exporting) signature(name string, s Signature) error {
	if s.Value == "" {
		return nil
	}
	value, err := base64.StdEncoding.DecodeString(s.Value)
	if err != nil {
		return fmt.Errorf("read the signature of %s: %w", name, err)
	}
	if err := w.file(name+".sig", bytes.NewReader(value), ""); err != nil {
		return err
	}
	public, err := base64.StdEncoding.DecodeString(s.PublicKey)
	if err != nil {
		return fmt.Errorf("read the key of %s: %w", name, err)
	}
	file := keyFile(s)
	if w.keys[file] {
		return nil
	}
	w.keys[file] = true
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(public))
	if err != nil {
		return fmt.Errorf("encode the public key: %w", err)
	}
	return w.file(file, bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "")
}

// keyFile is where an export has the public key of a signature.
func keyFile(s Signature) string { return "key-" + fileName(s.KeyID) + ".pem" }

// custody writes the chain of custody of a manifest as a file of its own.
func (w *exporting) custody(m Manifest) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	list := m.Custody
	if list == nil {
		list = []Custody{}
	}
	if err := enc.Encode(list); err != nil {
		return fmt.Errorf("encode the chain of custody: %w", err)
	}
	return w.file(custodyFile, &out, "")
}

// readme says what each file is, and how it is checked without guardroom.
func readme(m Manifest, list []Sealed, files []exportedItem, left, released []string) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	newest := list[len(list)-1]
	line("Evidence of %s, manifest %d, sealed %s UTC by %q.", fileName(m.Case.Incident), m.Revision, m.SealedAt.UTC().Format("2006-01-02 15:04:05"), m.SealedBy)
	line("")
	line("What each file is")
	line("")
	line("manifest-NNNN.json      All the evidence at revision NNNN: items with their SHA-256, gaps, approvals, custody.")
	line("                        A later revision holds all of an earlier one, and its SHA-256 as \"previous\".")
	line("manifest-NNNN.sig.json  The SHA-256 of that manifest, its signature (base64) and the public key.")
	line("manifest-NNNN.sig       The same signature as 64 bytes, where it is signed.")
	line("key-ID.pem              The public key of the signatures.")
	line("%s            The chain of custody, as it is in the newest manifest: who did what to which item, and when.", custodyFile)
	line("%s              The SHA-256 of each file here.", sumsFile)
	for _, f := range files {
		line("%s", f.name)
		line("    %s: %q, item %q", f.item.Kind, f.item.Title, f.item.ID)
	}
	for _, l := range left {
		line("Stays where it is: %q", l)
	}
	for _, l := range released {
		line("Released since, as the chain of custody says: %q", l)
	}
	line("")
	line("How to check that no file was changed")
	line("")
	line("    sha256sum --check %s", sumsFile)
	line("")
	if len(files) > 0 {
		line("%s is signed by nobody. The manifest is: see below. Each file of evidence must be one that the manifest holds:", sumsFile)
		line("")
		line("    %s", sealedCommand(manifestName(newest.Revision)))
		line("")
	}
	if newest.Signature.Value == "" {
		line("The newest manifest is not signed: %q. Compare its SHA-256 with one that you got on another way:", newest.Signature.Unsigned)
		line("%s", newest.SHA256)
		return b.String()
	}
	line("How to check the signature of the newest manifest (OpenSSL 3)")
	line("")
	line("The signature is Ed25519 (RFC 8032) over these two lines, each with a line feed at its end:")
	line("guardroom evidence manifest v1")
	line("the SHA-256 of the manifest's bytes, as 64 small hex digits")
	line("")
	name := manifestName(newest.Revision)
	for _, c := range commands(name, keyFile(newest.Signature)) {
		line("    %s", c)
	}
	line("")
	line("Each other revision is checked in the same way, with its own number and the key that its .sig.json names.")
	line("A signature proves that whoever had the key sealed this. The key here is named %s, the first 16 hex digits", newest.Signature.KeyID)
	line("of the SHA-256 of its 32 bytes. Get the name of the key from those who run guardroom on another way than this")
	line("folder, and compare:")
	line("")
	line("    %s", keyCommand(keyFile(newest.Signature)))
	return b.String()
}

// commands check the signature of a manifest in the folder of an export.
func commands(name, key string) []string {
	return []string{
		fmt.Sprintf(`printf 'guardroom evidence manifest v1\n%%s\n' "$(sha256sum %s.json | cut -c1-64)" > /tmp/signed`, name),
		fmt.Sprintf("openssl pkeyutl -verify -pubin -inkey %s -rawin -in /tmp/signed -sigfile %s.sig", key, name),
	}
}

// sealedCommand says of each file of evidence whether a manifest has its hash.
func sealedCommand(name string) string {
	return fmt.Sprintf(`for f in [0-9]*-*; do grep -q "$(sha256sum < "$f" | cut -c1-64)" %s.json && echo "$f: sealed" || echo "$f: NOT SEALED"; done`, name)
}

// keyCommand prints the name of a key.
func keyCommand(key string) string {
	return fmt.Sprintf("openssl pkey -pubin -in %s -outform DER | tail -c 32 | sha256sum | cut -c1-16", key)
}

// exportedItem is an item with the name of its file.
type exportedItem struct {
	name string
	item Item
}

func manifestName(revision int) string { return fmt.Sprintf("manifest-%04d", revision) }
