package email_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakesmtp"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/email"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 24, 10, 54, 30, 500, time.FixedZone("CET", 3600))

const (
	ana = "ana@example.org"
	raj = "raj@example.org"
)

// desk is a notifier with the server that it talks to and the state that it
// saved.
type desk struct {
	t        *testing.T
	server   *fakesmtp.Server
	notifier *email.Notifier
	state    json.RawMessage
	saves    int
	failSave int // the save that fails, counted from 1
}

func newDesk(t *testing.T, opts fakesmtp.Options, change func(*email.Config)) *desk {
	t.Helper()
	server := fakesmtp.New(opts)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := email.Config{
		Name: "soc-mail", Host: server.Host(), Port: server.Port(), CAFile: ca,
		From: "guardroom <guardroom@example.com>", To: []string{ana, "Raj <" + raj + ">"}, Timeout: 10 * time.Second,
	}
	if opts.ImplicitTLS {
		cfg.TLS = email.TLSImplicit
	}
	if change != nil {
		change(&cfg)
	}
	n, err := email.New(cfg, email.Deps{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, server: server, notifier: n}
}

var errNotOurs = errors.New("the delivery belongs to somebody else")

func (d *desk) reconcile(v *message.View) (notify.Outcome, error) {
	d.t.Helper()
	return d.notifier.Reconcile(d.t.Context(), notify.Request{View: v, State: d.state, Save: func(_ context.Context, s any) error {
		if d.saves++; d.saves == d.failSave {
			return errNotOurs
		}
		var err error
		d.state, err = json.Marshal(s)
		return err
	}})
}

func (d *desk) mustReconcile(v *message.View) notify.Outcome {
	d.t.Helper()
	out, err := d.reconcile(v)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// mails returns what arrived, parsed.
func (d *desk) mails() []*mail.Message {
	d.t.Helper()
	var list []*mail.Message
	for _, m := range d.server.Messages() {
		parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			d.t.Fatal(err)
		}
		list = append(list, parsed)
	}
	return list
}

// incidentView builds a view through the real wording.
func incidentView(revision int64, change func(*incident.Incident), entries ...incident.Entry) *message.View {
	at := time.Date(2026, 11, 24, 9, 42, 0, 0, time.UTC)
	inc := &incident.Incident{
		ID: "01jd4b7c9qzj4m6y3r8t2v5w0x", Number: 42, Revision: revision, State: incident.Open, Severity: 8,
		Account: incident.Account{ID: "111111111111", Name: "payments-prod", Owner: "team-payments"},
		Region:  "eu-west-1", Partition: "aws",
		Lead: incident.Lead{
			FindingID: "f0e1d2c3b4a5968778695a4b3c2d1e0f", Type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", Severity: 8,
			Role: finding.RoleActor, Action: "DNS request for pool.mining.example",
			Resource: incident.Resource{Kind: finding.KindInstance, ID: "i-0f3c9d2a1b", Name: "payments-api-3"},
			Actor:    incident.Actor{Domains: []string{"pool.mining.example"}},
			Exposure: "public 203.0.113.4, role payments-api",
		},
		Findings:     []incident.FindingRef{{Type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", Severity: 8, Count: 7, UpdatedAt: at, LastSeen: at}},
		FindingCount: 1, Occurrences: 7, OpenedAt: at, UpdatedAt: at, FirstSeen: at.Add(-40 * time.Minute), LastSeen: at,
	}
	if change != nil {
		change(inc)
	}
	return message.Build(message.Input{
		Incident: inc, Delivery: "dlv-1", Now: now, Link: "https://guardroom.example.com/incidents/INC-42",
		Timeline: append([]incident.Entry{{Seq: 1, EventAt: at, Kind: incident.KindOpened, Who: "guardroom", Text: "opened"}}, entries...),
		Explanation: message.Explanation{
			Known: true, Title: "Bitcoin mining", Preposition: "from",
			Seen:  "The instance asked for the address of a mining pool.",
			Why:   "Mining needs code that runs on the machine; whoever put it there can do more.",
			First: []string{"Look at the processes of the instance.", "Look at the use of its role."},
		},
		Elsewhere: []message.Reference{{Destination: "jira-sec", Type: "jira", Label: "SEC-88", URL: "https://jira.example.com/browse/SEC-88", State: "delivered"}},
	})
}

func event(seq int64, kind incident.Kind, who, text, from, to string) incident.Entry {
	return incident.Entry{Seq: seq, EventAt: time.Date(2026, 11, 24, 9, 43, int(seq), 0, time.UTC), Kind: kind, Who: who, Text: text, From: from, To: to}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// lf makes golden files that editors and diffs like.
func lf(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")) }

func decoded(t *testing.T, m *mail.Message) (subject, text, html string) {
	t.Helper()
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var parts []string
	for {
		p, err := r.NextPart() // undoes quoted-printable
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p.Header.Get("Content-Type"), string(b))
	}
	if len(parts) != 4 || !strings.HasPrefix(parts[0], "text/plain") || !strings.HasPrefix(parts[2], "text/html") {
		t.Fatalf("parts: %q", parts)
	}
	return subject, parts[1], parts[3]
}

func asError(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not a *notify.Error", err)
	}
	return e
}
