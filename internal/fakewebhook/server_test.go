package fakewebhook

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func TestOnlyVerifiedMessagesAreTaken(t *testing.T) {
	t.Parallel()
	key := []byte(strings.Repeat("k", 32))
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		at     time.Time
		status int
	}{
		{"a good one", func(*http.Request) {}, now, 204},
		{"another body", func(r *http.Request) { r.Header.Set("X-Body", "changed") }, now, 401},
		{"another id", func(r *http.Request) { r.Header.Set("webhook-id", "other") }, now, 401},
		{"no signature", func(r *http.Request) { r.Header.Del("webhook-signature") }, now, 401},
		{"a signature of another version", func(r *http.Request) {
			r.Header.Set("webhook-signature", "v2"+strings.TrimPrefix(r.Header.Get("webhook-signature"), "v1"))
		}, now, 401},
		{"too old", func(*http.Request) {}, now.Add(-6 * time.Minute), 401},
		{"too new", func(*http.Request) {}, now.Add(6 * time.Minute), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := New(Options{Secret: secret, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			w, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			body := []byte(`{"type":"test"}`)
			sig, err := w.Sign("id-1", tt.at, body)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL(), bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("webhook-id", "id-1")
				req.Header.Set("webhook-timestamp", strconv.FormatInt(tt.at.Unix(), 10))
				req.Header.Set("webhook-signature", sig)
				tt.change(req)
				if req.Header.Get("X-Body") != "" {
					body = []byte(`{"type":"evil"}`)
					req.Body, req.ContentLength = http.NoBody, 0
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != tt.status {
					t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
				}
			}
			got := s.Messages()
			if taken := len(got) == 1; taken != (tt.status == 204) {
				t.Errorf("%d messages", len(got))
			}
			if len(got) == 1 && got[0].Attempts != 2 {
				t.Errorf("%d attempts, want 2", got[0].Attempts)
			}
			if (len(s.Violations()) > 0) != (tt.status == 401) {
				t.Errorf("violations %q", s.Violations())
			}
		})
	}
}

func TestABadSecretIsRefused(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "whsec_", "whsec_!", "a2V5"} {
		if s, err := New(Options{Secret: secret}); err == nil {
			s.Close()
			t.Errorf("%q is taken", secret)
		}
	}
}
