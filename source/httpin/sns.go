package httpin

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SignatureVersion 1 of SNS is SHA-1
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/config"
)

// The types of SNS messages.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
const (
	typeNotification = "Notification"
	typeSubscribe    = "SubscriptionConfirmation"
	typeUnsubscribe  = "UnsubscribeConfirmation"
)

const (
	// maxSNSBody is far above what SNS sends: a message of 256 KiB, escaped.
	maxSNSBody = 1 << 20
	// maxAge of a message. SNS gives up on an HTTP endpoint within an hour.
	maxAge = time.Hour
	// maxAhead allows for clocks that differ.
	maxAhead = 5 * time.Minute
)

// message is an SNS message as it comes over HTTP.
type message struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicArn         string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
	Token            string
}

// sns verifies messages of the configured topics.
type sns struct {
	topics []string
	hosts  func(host string) bool
	client *http.Client
	certs  *certificates
	now    func() time.Time
}

func newSNS(cfg config.HTTPSource, deps Deps) *sns {
	transport := deps.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") }}
	hosts := amazonHost
	if len(cfg.SNSCertificateHosts) > 0 {
		hosts = func(host string) bool { return slices.Contains(cfg.SNSCertificateHosts, host) }
	}
	return &sns{topics: cfg.SNSTopics, hosts: hosts, client: client, certs: newCertificates(client, deps.Now), now: deps.Now}
}

var amazonName = regexp.MustCompile(`^sns\.[a-z0-9]+(-[a-z0-9]+)+\.amazonaws\.com(\.cn)?$`)

// amazonHost reports whether a URL's host, with its port, is SNS.
func amazonHost(host string) bool {
	return amazonName.MatchString(strings.TrimSuffix(host, ":443"))
}

// verify parses a message and checks everything about it: what is cheap first,
// the host of the certificate before anything is fetched, the signature last.
// typ is what the request's header says. An *unreachable error means that the
// sender should come again.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
func (s *sns) verify(ctx context.Context, body []byte, typ string) (message, error) {
	m, err := parse(body)
	if err != nil {
		return m, err
	}
	switch {
	case m.Type != typ:
		return m, errors.New("the header names another type than the message")
	case !slices.Contains(s.topics, m.TopicArn):
		return m, fmt.Errorf("topic %.200q is not configured", m.TopicArn)
	}
	if err := s.fresh(m.Timestamp); err != nil {
		return m, err
	}
	if err := s.allowed(m.SigningCertURL); err != nil {
		return m, fmt.Errorf("the certificate's URL: %w", err)
	}
	if m.Type != typeNotification {
		if err := s.confirms(m); err != nil {
			return m, err
		}
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(signature) == 0 {
		return m, errors.New("the signature is not base64")
	}
	key, err := s.certs.key(ctx, m.SigningCertURL)
	if err != nil {
		return m, err
	}
	return m, check(key, m, signature)
}

// parse reads a message and refuses what SNS would not send. The strictness
// matters: the signed text is made of lines, and a field with a line break of
// its own could be read as two.
func parse(body []byte) (message, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return m, errors.New("not the JSON of an SNS message")
	}
	switch m.Type {
	case typeNotification, typeSubscribe, typeUnsubscribe:
	default:
		return m, errors.New("not a type of SNS message")
	}
	if m.SignatureVersion != "1" && m.SignatureVersion != "2" {
		return m, errors.New("the signature's version is neither 1 nor 2")
	}
	lines := []string{m.MessageID, m.TopicArn, m.Timestamp, m.SubscribeURL, m.Token}
	if m.Subject != nil {
		lines = append(lines, *m.Subject)
	}
	for _, v := range lines {
		if strings.ContainsAny(v, "\r\n") {
			return m, errors.New("a field holds a line break")
		}
	}
	if m.MessageID == "" || m.TopicArn == "" || m.Timestamp == "" {
		return m, errors.New("a field of the SNS message is missing")
	}
	return m, nil
}

func (s *sns) fresh(timestamp string) error {
	at, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return errors.New("the timestamp is none")
	}
	switch age := s.now().Sub(at); {
	case age > maxAge:
		return errors.New("the message is older than an hour")
	case age < -maxAhead:
		return errors.New("the message is from the future")
	}
	return nil
}

// allowed checks a URL before anything is fetched from it.
func (s *sns) allowed(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Fragment != "":
		return errors.New("it is not a plain URL")
	case u.Scheme != "https":
		return errors.New("it is not https")
	case u.User != nil:
		return errors.New("it names a user")
	case !s.hosts(u.Host):
		return fmt.Errorf("host %.200q is not SNS", u.Host)
	}
	return nil
}

// confirms checks that the URL of a confirmation confirms this topic and does
// nothing else.
func (s *sns) confirms(m message) error {
	if err := s.allowed(m.SubscribeURL); err != nil {
		return fmt.Errorf("the confirmation's URL: %w", err)
	}
	u, err := url.Parse(m.SubscribeURL)
	if err != nil {
		return errors.New("the confirmation's URL is none")
	}
	q := u.Query()
	if q.Get("Action") != "ConfirmSubscription" || q.Get("TopicArn") != m.TopicArn || m.Token == "" || q.Get("Token") != m.Token {
		return errors.New("the confirmation's URL does not confirm this topic")
	}
	return nil
}

// confirm confirms a subscription. It may be repeated.
func (s *sns) confirm(ctx context.Context, m message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.SubscribeURL, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("confirm the subscription: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("confirm the subscription: SNS answered %s", resp.Status)
	}
	return nil
}

// check verifies the signature over the canonical text.
func check(key *rsa.PublicKey, m message, signature []byte) error {
	text := []byte(canonical(m))
	var err error
	if m.SignatureVersion == "2" {
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	} else {
		sum := sha1.Sum(text) //nolint:gosec // see the import
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	}
	if err != nil {
		return errors.New("the signature is wrong")
	}
	return nil
}

// canonical is the text that SNS signs: names and values, each on a line of its
// own, in the order of the names.
func canonical(m message) string {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", m.Message)
	line("MessageId", m.MessageID)
	if m.Type == typeNotification {
		if m.Subject != nil {
			line("Subject", *m.Subject)
		}
	} else {
		line("SubscribeURL", m.SubscribeURL)
	}
	line("Timestamp", m.Timestamp)
	if m.Type != typeNotification {
		line("Token", m.Token)
	}
	line("TopicArn", m.TopicArn)
	line("Type", m.Type)
	return b.String()
}
