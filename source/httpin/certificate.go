package httpin

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// certificates fetches and keeps the certificates that SNS signs with. The
// caller has checked the host of each URL.
type certificates struct {
	client *http.Client
	now    func() time.Time
	fetch  *rate.Limiter

	mu   sync.Mutex
	kept map[string]kept
}

type kept struct {
	cert *x509.Certificate
	at   time.Time
}

const (
	maxCertificate  = 64 << 10
	maxCertificates = 32             // SNS has one or two at a time and region
	keepCertificate = 24 * time.Hour // after that it is fetched again
	minRSABits      = 2048
)

// unreachable says that a certificate could not be fetched now.
type unreachable struct{ err error }

// Error names what was fetched.
func (u *unreachable) Error() string { return u.err.Error() }

// Unwrap returns the cause.
func (u *unreachable) Unwrap() error { return u.err }

func newCertificates(client *http.Client, now func() time.Time) *certificates {
	// Strangers can make us fetch, though only from SNS: not without limit.
	return &certificates{client: client, now: now, fetch: rate.NewLimiter(rate.Every(time.Second), 10), kept: map[string]kept{}}
}

// key returns the public key of a certificate that is valid now.
func (c *certificates) key(ctx context.Context, url string) (*rsa.PublicKey, error) {
	cert, err := c.certificate(ctx, url)
	if err != nil {
		return nil, err
	}
	if now := c.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, errors.New("the certificate is not valid now")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minRSABits {
		return nil, errors.New("the certificate has no RSA key of 2048 bits")
	}
	return key, nil
}

func (c *certificates) certificate(ctx context.Context, url string) (*x509.Certificate, error) {
	c.mu.Lock()
	k, ok := c.kept[url]
	c.mu.Unlock()
	if ok && c.now().Sub(k.at) < keepCertificate {
		return k.cert, nil
	}
	if !c.fetch.Allow() {
		return nil, &unreachable{errors.New("too many certificates were asked for at once")}
	}
	cert, err := c.download(ctx, url)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxCertificates {
		clear(c.kept)
	}
	c.kept[url] = kept{cert: cert, at: c.now()}
	return cert, nil
}

func (c *certificates) download(ctx context.Context, url string) (*x509.Certificate, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("the certificate's URL is none")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, &unreachable{fmt.Errorf("fetch the certificate: %w", err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return nil, &unreachable{fmt.Errorf("fetch the certificate: SNS answered %s", resp.Status)}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the certificate: SNS answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCertificate+1))
	if err != nil {
		return nil, &unreachable{fmt.Errorf("fetch the certificate: %w", err)}
	}
	if len(body) > maxCertificate {
		return nil, errors.New("the certificate is too large")
	}
	block, _ := pem.Decode(body)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("the certificate cannot be read")
	}
	return cert, nil
}
