package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
)

// signer signs with the current secret and, while it rotates, with the one
// before it.
type signer struct{ keys [][]byte }

func newSigner(current, previous string) (signer, error) {
	var s signer
	key, err := decodeSecret(current)
	if err != nil {
		return s, err
	}
	s.keys = append(s.keys, key)
	if previous != "" {
		if key, err = decodeSecret(previous); err != nil {
			return signer{}, fmt.Errorf("(previous_secret) %w", err)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// decodeSecret reads whsec_ and base64. Errors do not repeat it.
func decodeSecret(s string) ([]byte, error) {
	if s == "" {
		return nil, fmt.Errorf("is not set; make one with: guardroom destination secret")
	}
	enc, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with whsec_")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(enc)
	if err != nil {
		return nil, fmt.Errorf("is not base64 after whsec_")
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("has %d bytes; Standard Webhooks asks for 24 to 64", len(key))
	}
	return key, nil
}

// sign returns the value of webhook-signature for body sent as id at t.
func (s signer) sign(id string, t time.Time, body []byte) string {
	var out []string
	for _, key := range s.keys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + strconv.FormatInt(t.Unix(), 10) + "."))
		h.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return strings.Join(out, " ")
}

// NewSecret returns a fresh secret of 32 bytes read from random
// (crypto/rand.Reader), as the configuration takes it.
func NewSecret(random io.Reader) (string, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return "", fmt.Errorf("read randomness for a webhook secret: %w", err)
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(key), nil
}
