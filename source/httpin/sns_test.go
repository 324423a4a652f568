package httpin_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source/httpin"
	"github.com/guardroom/guardroom/source/sourcetest"
)

const topic = "arn:aws:sns:eu-central-1:111111111111:findings"

// fakeSNS signs messages and serves its certificate over TLS.
type fakeSNS struct {
	*httptest.Server
	key       *rsa.PrivateKey
	now       time.Time
	mu        sync.Mutex
	cert      []byte // what is served; a test may change it
	status    int    // of the certificate; 0: 200
	confirm   int    // status of a confirmation; 0: 200
	fetches   atomic.Int64
	confirmed []string // topics
}

var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newSNS(t *testing.T) *fakeSNS {
	t.Helper()
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSNS{key: key, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	f.cert = certificate(t, key, f.now.Add(-time.Hour), f.now.Add(time.Hour))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /SimpleNotificationService-1.pem", func(w http.ResponseWriter, _ *http.Request) {
		f.fetches.Add(1)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.status != 0 {
			w.WriteHeader(f.status)
		}
		_, _ = w.Write(f.cert)
	})
	mux.HandleFunc("GET /redirect.pem", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/SimpleNotificationService-1.pem", http.StatusFound)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.confirm != 0 {
			w.WriteHeader(f.confirm)
			return
		}
		f.confirmed = append(f.confirmed, r.URL.Query().Get("TopicArn"))
	})
	f.Server = httptest.NewTLSServer(mux)
	t.Cleanup(f.Close)
	return f
}

func certificate(t *testing.T, key crypto.Signer, from, to time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (f *fakeSNS) host() string { return f.Listener.Addr().String() }

// message is a message that SNS would send, not signed yet.
func (f *fakeSNS) message(typ, version, text string) map[string]string {
	m := map[string]string{"Type": typ, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": text,
		"Timestamp": f.now.Add(-time.Minute).Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": version,
		"SigningCertURL": f.URL + "/SimpleNotificationService-1.pem"}
	if typ == "Notification" {
		m["UnsubscribeURL"] = f.URL + "/?Action=Unsubscribe"
		return m
	}
	m["Token"] = "2336412f37"
	m["SubscribeURL"] = f.URL + "/?" + url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {topic}, "Token": {m["Token"]}}.Encode()
	return m
}

// sign signs as SNS documents it: written apart from the code under test.
func (f *fakeSNS) sign(t *testing.T, m map[string]string) map[string]string {
	t.Helper()
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	var text strings.Builder
	for _, n := range names {
		if v, ok := m[n]; ok {
			text.WriteString(n + "\n" + v + "\n")
		}
	}
	hash, sum := crypto.SHA1, []byte(nil)
	if m["SignatureVersion"] == "2" {
		s := sha256.Sum256([]byte(text.String()))
		hash, sum = crypto.SHA256, s[:]
	} else {
		s := sha1.Sum([]byte(text.String()))
		sum = s[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, f.key, hash, sum)
	if err != nil {
		t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return m
}

func (f *fakeSNS) handler(in *sourcetest.Intake, change func(*config.HTTPSource, *httpin.Deps)) *httpin.Handler {
	cfg := config.HTTPSource{SNSTopics: []string{topic}, SNSCertificateHosts: []string{f.host()}}
	deps := httpin.Deps{Transport: f.Client().Transport, Now: func() time.Time { return f.now }}
	if change != nil {
		change(&cfg, &deps)
	}
	return httpin.New(cfg, in, deps)
}

func post(h http.Handler, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/findings", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (f *fakeSNS) post(t *testing.T, h http.Handler, m map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return post(h, string(body), "X-Amz-Sns-Message-Type", m["Type"], "Content-Type", "text/plain; charset=UTF-8")
}

func TestSignedNotificationIsTakenInBothVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		f := newSNS(t)
		var in sourcetest.Intake
		h := f.handler(&in, nil)
		m := f.message("Notification", version, sourcetest.Event("a"))
		m["Subject"] = "with a subject"
		for range 2 {
			if w := f.post(t, h, f.sign(t, m)); w.Code != http.StatusAccepted {
				t.Fatalf("version %s: answered %d %s", version, w.Code, w.Body)
			}
		}
		delete(m, "Subject")
		if w := f.post(t, h, f.sign(t, m)); w.Code != http.StatusAccepted {
			t.Fatalf("version %s without a subject: answered %d %s", version, w.Code, w.Body)
		}
		in.Look(func(k sourcetest.Kept) {
			if k.Findings["a"] != 3 || string(k.Inputs[0].Body) != sourcetest.Event("a") {
				t.Errorf("version %s: taken %v as %q", version, k.Findings, k.Inputs[0].Body)
			}
		})
		if n := f.fetches.Load(); n != 1 {
			t.Errorf("version %s: the certificate was fetched %d times, want once", version, n)
		}
	}
}

func TestForgedOrForeignMessagesAreRefusedWithoutAReason(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*fakeSNS, map[string]string) {
		return func(_ *fakeSNS, m map[string]string) { m[name] = value }
	}
	beforeSigning := map[string]func(*fakeSNS, map[string]string){
		"another topic": set("TopicArn", "arn:aws:sns:eu-central-1:111111111111:other"),
		"a message older than an hour": func(f *fakeSNS, m map[string]string) {
			m["Timestamp"] = f.now.Add(-61 * time.Minute).Format(time.RFC3339)
		},
		"a message from the future":      func(f *fakeSNS, m map[string]string) { m["Timestamp"] = f.now.Add(time.Hour).Format(time.RFC3339) },
		"a timestamp that is none":       set("Timestamp", "yesterday"),
		"an unknown signature version":   set("SignatureVersion", "3"),
		"a message id with a line break": set("MessageId", "1\nSubject\nx"),
		"a subject with a line break":    set("Subject", "x\nTimestamp\n2026-11-01T11:59:00.000Z"),
		"a certificate from elsewhere":   set("SigningCertURL", "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem"),
		"a certificate from a bucket":    set("SigningCertURL", "https://s3.eu-central-1.amazonaws.com/sns/x.pem"),
		"a certificate without TLS": func(f *fakeSNS, m map[string]string) {
			m["SigningCertURL"] = "http://" + f.host() + "/SimpleNotificationService-1.pem"
		},
		"a certificate with a user": func(f *fakeSNS, m map[string]string) {
			m["SigningCertURL"] = "https://u@" + f.host() + "/SimpleNotificationService-1.pem"
		},
		"a certificate from the metadata": set("SigningCertURL", "https://169.254.169.254/latest/meta-data"),
		"a certificate that is not there": func(f *fakeSNS, m map[string]string) { m["SigningCertURL"] = f.URL + "/none.pem" },
		"a type that SNS does not know":   set("Type", "Finding"),
		"no certificate at all":           set("SigningCertURL", ""),
		"no topic":                        set("TopicArn", ""),
	}
	afterSigning := map[string]func(*fakeSNS, map[string]string){
		"a changed message":      set("Message", sourcetest.Event("b")),
		"a changed id":           set("MessageId", "1"),
		"an added subject":       set("Subject", "new"),
		"a changed time":         func(f *fakeSNS, m map[string]string) { m["Timestamp"] = f.now.Format(time.RFC3339) },
		"another hash":           set("SignatureVersion", "1"),
		"no signature":           set("Signature", ""),
		"a signature of nothing": set("Signature", "AAAA"),
	}
	try := func(name string, before, after func(*fakeSNS, map[string]string)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSNS(t)
			var in sourcetest.Intake
			m := f.message("Notification", "2", sourcetest.Event("a"))
			if before != nil {
				before(f, m)
			}
			m = f.sign(t, m)
			if after != nil {
				after(f, m)
			}
			w := f.post(t, f.handler(&in, nil), m)
			if w.Code != http.StatusUnauthorized || strings.TrimSpace(w.Body.String()) != `{"error":"not allowed"}` {
				t.Errorf("answered %d %s, want 401 without a reason", w.Code, w.Body)
			}
			in.Look(func(k sourcetest.Kept) {
				if k.Tries > 0 {
					t.Error("the intake was called")
				}
			})
		})
	}
	for name, change := range beforeSigning {
		try(name, change, nil)
	}
	for name, change := range afterSigning {
		try(name, nil, change)
	}
}

func TestHostIsCheckedBeforeAnythingIsFetched(t *testing.T) {
	t.Parallel()
	for host, allowed := range map[string]bool{
		"sns.eu-central-1.amazonaws.com":              true,
		"sns.us-gov-west-1.amazonaws.com":             true,
		"sns.cn-north-1.amazonaws.com.cn":             true,
		"sns.eu-central-1.amazonaws.com:443":          true,
		"sns.eu-central-1.amazonaws.com:8443":         false,
		"sns.eu-central-1.amazonaws.com.evil.example": false,
		"evil.example":                               false,
		"sns.evil.example":                           false,
		"xsns.eu-central-1.amazonaws.com":            false,
		"sns.amazonaws.com":                          false,
		"sns.eu-central-1.amazonaws.com.cn.evil.com": false,
		"sns.eu-central-1.amazonaws.com%2eevil.com":  false,
		"127.0.0.1":                                  false,
		"[::1]":                                      false,
	} {
		f := newSNS(t)
		var asked []string
		var in sourcetest.Intake
		h := f.handler(&in, func(c *config.HTTPSource, d *httpin.Deps) {
			c.SNSCertificateHosts = nil
			d.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Host)
				return nil, errors.New("no network in this test")
			})
		})
		m := f.message("Notification", "2", "x")
		m["SigningCertURL"] = "https://" + host + "/SimpleNotificationService-1.pem"
		w := f.post(t, h, f.sign(t, m))
		want := http.StatusUnauthorized
		if allowed {
			want = http.StatusServiceUnavailable // it could not be fetched: come again
		}
		if w.Code != want || (len(asked) > 0) != allowed {
			t.Errorf("host %s: answered %d and asked %v, want %d", host, w.Code, asked, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUnusableCertificatesAreRefused(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(f *fakeSNS, m map[string]string){
		"one that has expired": func(f *fakeSNS, _ map[string]string) {
			f.cert = certificate(t, f.key, f.now.Add(-2*time.Hour), f.now.Add(-time.Hour))
		},
		"one that is not valid yet": func(f *fakeSNS, _ map[string]string) {
			f.cert = certificate(t, f.key, f.now.Add(time.Hour), f.now.Add(2*time.Hour))
		},
		"one with a small key": func(f *fakeSNS, _ map[string]string) {
			f.cert = certificate(t, small, f.now.Add(-time.Hour), f.now.Add(time.Hour))
		},
		"one of another key": func(f *fakeSNS, _ map[string]string) {
			f.cert = certificate(t, other, f.now.Add(-time.Hour), f.now.Add(time.Hour))
		},
		"one that is no PEM":  func(f *fakeSNS, _ map[string]string) { f.cert = []byte("hello") },
		"one that never ends": func(f *fakeSNS, _ map[string]string) { f.cert = append(f.cert, make([]byte, 1<<20)...) },
	} {
		f := newSNS(t)
		var in sourcetest.Intake
		m := f.message("Notification", "2", sourcetest.Event("a"))
		change(f, m)
		if w := f.post(t, f.handler(&in, nil), f.sign(t, m)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
}

func TestCertificateThatCannotBeFetchedNowIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	f.status = http.StatusInternalServerError
	var in sourcetest.Intake
	h := f.handler(&in, nil)
	m := f.sign(t, f.message("Notification", "2", sourcetest.Event("a")))
	if w := f.post(t, h, m); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Fatalf("answered %d, want 503 with Retry-After", w.Code)
	}
	f.mu.Lock()
	f.status = 0
	f.mu.Unlock()
	if w := f.post(t, h, m); w.Code != http.StatusAccepted {
		t.Fatalf("answered %d %s when the certificate is there", w.Code, w.Body)
	}
}

func TestStrangersCannotMakeUsFetchWithoutLimit(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	f.status = http.StatusNotFound
	var in sourcetest.Intake
	h := f.handler(&in, nil)
	m := f.sign(t, f.message("Notification", "2", "x"))
	for range 200 {
		f.post(t, h, m)
	}
	if n := f.fetches.Load(); n > 20 {
		t.Errorf("200 forged messages made %d fetches", n)
	}
}

func TestRedirectOfTheCertificateIsNotFollowed(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	var in sourcetest.Intake
	m := f.message("Notification", "2", "x")
	m["SigningCertURL"] = f.URL + "/redirect.pem"
	f.post(t, f.handler(&in, nil), f.sign(t, m))
	if f.fetches.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestSubscriptionIsConfirmedOnlyForOurTopicAndOnlyAtSNS(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	var in sourcetest.Intake
	h := f.handler(&in, nil)
	if w := f.post(t, h, f.sign(t, f.message("SubscriptionConfirmation", "2", "You have chosen to subscribe"))); w.Code != http.StatusOK {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if len(f.confirmed) != 1 || f.confirmed[0] != topic {
		t.Fatalf("confirmed %v", f.confirmed)
	}
	for name, target := range map[string]string{
		"another host":   "https://evil.example/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(topic) + "&Token=2336412f37",
		"another topic":  f.URL + "/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A111111111111%3Aother&Token=2336412f37",
		"another action": f.URL + "/?Action=DeleteTopic&TopicArn=" + url.QueryEscape(topic) + "&Token=2336412f37",
		"another token":  f.URL + "/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(topic) + "&Token=1",
	} {
		m := f.message("SubscriptionConfirmation", "2", "x")
		m["SubscribeURL"] = target
		if w := f.post(t, h, f.sign(t, m)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
	unsigned := f.message("SubscriptionConfirmation", "2", "x")
	unsigned["Signature"] = "AAAA"
	if w := f.post(t, h, unsigned); w.Code != http.StatusUnauthorized {
		t.Errorf("unsigned: answered %d", w.Code)
	}
	if w := f.post(t, h, f.sign(t, f.message("UnsubscribeConfirmation", "1", "x"))); w.Code != http.StatusOK {
		t.Errorf("unsubscribe: answered %d", w.Code)
	}
	if len(f.confirmed) != 1 {
		t.Errorf("confirmed %v, want the first only", f.confirmed)
	}
	f.mu.Lock()
	f.confirm = http.StatusInternalServerError
	f.mu.Unlock()
	if w := f.post(t, h, f.sign(t, f.message("SubscriptionConfirmation", "1", "x"))); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a confirmation that SNS does not take: answered %d, want 503", w.Code)
	}
}

func TestHeaderMustNameTheTypeThatWasSigned(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	var in sourcetest.Intake
	m := f.sign(t, f.message("UnsubscribeConfirmation", "2", "x"))
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if w := post(f.handler(&in, nil), string(body), "X-Amz-Sns-Message-Type", "Notification"); w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d", w.Code)
	}
}

func TestRawDeliveryNeedsAToken(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	var in sourcetest.Intake
	h := f.handler(&in, func(c *config.HTTPSource, _ *httpin.Deps) { c.BearerToken = config.NewSecret("secret") })
	raw := []string{"X-Amz-Sns-Message-Type", "Notification", "X-Amz-Sns-Rawdelivery", "true"}
	if w := post(h, sourcetest.Event("a"), raw...); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: answered %d", w.Code)
	}
	if w := post(h, sourcetest.Event("a"), append(raw, "Authorization", "Bearer secret")...); w.Code != http.StatusAccepted {
		t.Errorf("with a token: answered %d %s", w.Code, w.Body)
	}
}

func TestWhatIsTakenIsWhatWasSigned(t *testing.T) {
	t.Parallel()
	// Two members of one name: a decoder that takes the first and a verifier
	// that takes the last would disagree.
	f := newSNS(t)
	var in sourcetest.Intake
	m := f.sign(t, f.message("Notification", "2", sourcetest.Event("signed")))
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	twice := `{"Message":` + sourcetest.Quote(sourcetest.Event("smuggled")) + `,` + string(body[1:])
	post(f.handler(&in, nil), twice, "X-Amz-Sns-Message-Type", "Notification")
	in.Look(func(k sourcetest.Kept) {
		if k.Findings["smuggled"] > 0 {
			t.Error("an unsigned text was taken")
		}
	})
}

// FuzzSNS feeds arbitrary bodies: nothing unsigned may reach the intake, and no
// host but the configured one may be asked.
func FuzzSNS(f *testing.F) {
	f.Add(`{"Type":"Notification","MessageId":"1","TopicArn":"`+topic+`","Message":"x","Timestamp":"2026-11-01T11:59:00.000Z","SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"https://sns.eu-central-1.amazonaws.com/x.pem"}`, "Notification")
	f.Add(`{"Type":"SubscriptionConfirmation","Token":"t","SubscribeURL":"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription"}`, "SubscriptionConfirmation")
	f.Add(`{"type":"notification","SigningCertURL":"https://sns.a-b.amazonaws.com@evil.example/x.pem"}`, "Notification")
	f.Add("\x1f\x8b", "")
	f.Fuzz(func(t *testing.T, body, typ string) {
		var in sourcetest.Intake
		h := httpin.New(config.HTTPSource{SNSTopics: []string{topic}}, &in, httpin.Deps{
			Now: func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) },
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				host, port, err := net.SplitHostPort(r.URL.Host)
				if err != nil {
					host, port = r.URL.Host, "443"
				}
				if r.URL.Scheme != "https" || port != "443" || !strings.HasPrefix(host, "sns.") ||
					!strings.HasSuffix(host, ".amazonaws.com") && !strings.HasSuffix(host, ".amazonaws.com.cn") {
					t.Errorf("asked %s", r.URL)
				}
				return nil, context.Canceled
			})})
		r := httptest.NewRequest(http.MethodPost, "/v1/findings", strings.NewReader(body))
		r.Header["X-Amz-Sns-Message-Type"] = []string{typ}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 {
			t.Errorf("answered %d to %q", w.Code, body)
		}
		in.Look(func(k sourcetest.Kept) {
			if k.Tries > 0 {
				t.Errorf("the intake was called with %q", body)
			}
		})
	})
}
