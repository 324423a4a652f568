package evidence

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/guardroom/guardroom/internal/fault"
)

// Sealed is a manifest as it is kept: its bytes, their digest, and a signature
// over the digest, or why there is none.
type Sealed struct {
	Bytes    []byte `json:"bytes"`
	SHA256   string `json:"sha256"`
	Revision int    `json:"revision"`
	// Location is where the bytes are kept outside the store, and Version which one.
	Location  string    `json:"location,omitempty"`
	Version   string    `json:"version,omitempty"`
	Signature Signature `json:"signature"`
}

// Signature is over the digest of a manifest.
type Signature struct {
	Algorithm string `json:"algorithm,omitempty"` // ed25519
	KeyID     string `json:"key_id,omitempty"`    // the first 16 hex digits of the public key's SHA-256
	PublicKey string `json:"public_key,omitempty"`
	Value     string `json:"value,omitempty"`
	// Unsigned says why there is no signature.
	Unsigned string `json:"unsigned,omitempty"`
}

// signedText is what is signed: a word that no other use of the key signs, and the digest.
func signedText(digest string) []byte {
	return []byte("guardroom evidence manifest v1\n" + digest + "\n")
}

// Seal encodes and signs a manifest. A nil key seals it without a signature,
// and why says why there is none.
func Seal(m Manifest, key ed25519.PrivateKey, why string) (Sealed, error) {
	raw, err := m.Bytes()
	if err != nil {
		return Sealed{}, fmt.Errorf("encode the manifest: %w", err)
	}
	if _, err := Decode(raw); err != nil {
		return Sealed{}, err
	}
	s := Sealed{Bytes: raw, SHA256: Digest(raw), Revision: m.Revision}
	if key == nil {
		if why == "" {
			why = "no signing key is configured"
		}
		s.Signature.Unsigned = why
		return s, nil
	}
	public := key.Public().(ed25519.PublicKey)
	s.Signature = Signature{Algorithm: "ed25519", KeyID: KeyID(public), PublicKey: base64.StdEncoding.EncodeToString(public),
		Value: base64.StdEncoding.EncodeToString(ed25519.Sign(key, signedText(s.SHA256)))}
	return s, nil
}

// KeyID names a public key for people.
func KeyID(public ed25519.PublicKey) string { return Digest(public)[:16] }

// Check verifies the digest and the signature. Where trusted is not nil the
// signature must be by that key; otherwise by the one that it names itself,
// which proves only that the manifest was not changed without it.
func (s Sealed) Check(trusted ed25519.PublicKey) error {
	if d := Digest(s.Bytes); d != s.SHA256 {
		return fault.New(fault.Corrupt, fmt.Sprintf("the manifest of revision %d was changed: its digest is %s and was %s", s.Revision, d, s.SHA256), "compare with another copy")
	}
	if s.Signature.Value == "" {
		if trusted != nil {
			return fault.New(fault.Corrupt, fmt.Sprintf("the manifest of revision %d is not signed: %s", s.Revision, s.Signature.Unsigned), "compare with another copy")
		}
		return nil
	}
	public, err := base64.StdEncoding.DecodeString(s.Signature.PublicKey)
	if err != nil || len(public) != ed25519.PublicKeySize || s.Signature.Algorithm != "ed25519" {
		return fault.New(fault.Corrupt, fmt.Sprintf("the signature of revision %d names no key that can be used", s.Revision), "compare with another copy")
	}
	if trusted != nil && !trusted.Equal(ed25519.PublicKey(public)) {
		return fault.New(fault.Corrupt, fmt.Sprintf("the manifest of revision %d is signed by key %s and not by %s", s.Revision, KeyID(public), KeyID(trusted)), "was the key changed? compare with another copy")
	}
	value, err := base64.StdEncoding.DecodeString(s.Signature.Value)
	if err != nil || !ed25519.Verify(public, signedText(s.SHA256), value) {
		return fault.New(fault.Corrupt, fmt.Sprintf("the signature of revision %d is not valid", s.Revision), "compare with another copy")
	}
	return nil
}

const keyBlock = "PRIVATE KEY"

// OpenKey reads the signing key from a file (PEM, PKCS #8), and makes both where
// there is no file. random is where a new key comes from, crypto/rand.Reader. A
// file that others may read is refused. It may be called by several at once: one
// makes the file, all get the same key.
func OpenKey(path string, random io.Reader) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	_, made, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		return nil, fmt.Errorf("encode the signing key: %w", err)
	}
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fault.Wrap(fault.Usage, err, "keep the signing key", "manifests are not signed without it", "check the folder of evidence.signing_key")
	}
	return readKey(path) // another may have been quicker
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Usage, "others may read the signing key "+path, "chmod 600 "+path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != keyBlock {
		return nil, fault.New(fault.Usage, path+" holds no signing key", "name another file: guardroom makes the key where there is no file")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "read the signing key "+path, "", "name another file: guardroom makes the key where there is no file")
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fault.New(fault.Usage, path+" holds a key of another kind than Ed25519", "name another file: guardroom makes the key where there is no file")
	}
	return key, nil
}

// writeNew writes a whole file under its name, or nothing; one that is there is
// left alone and fs.ErrExist returned.
func writeNew(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike rename, it never replaces
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
