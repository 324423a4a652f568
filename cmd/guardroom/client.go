package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

const timeFormat = time.RFC3339Nano

// client finds whom a command speaks to, always over the same API: a service
// elsewhere (--server), the running service of the store over its socket, or
// the store itself, opened by this process.
type client struct {
	*api.Client
	app   *app.App // set when this process opened the store
	close func() error
}

// heldFor is how long a command waits for a store that another process holds and
// does not answer for: an orderly stop takes no longer.
const heldFor = 15 * time.Second

// opening says what a command needs when it opens the store by itself.
type opening struct {
	mode app.Mode
	// vendors are built too: their secrets must be there.
	vendors bool
}

// withClient calls do with a client for reading and for commands of people.
func (e *env) withClient(ctx context.Context, do func(*api.Client) error) error {
	return e.open(ctx, opening{mode: app.ModeCommand}, func(c *client) error { return do(c.Client) })
}

// open calls do with a client and closes it.
func (e *env) open(ctx context.Context, o opening, do func(*client) error) (err error) {
	c, err := e.connect(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := c.close(); err == nil {
			err = cerr
		}
	}()
	return do(c)
}

func (e *env) connect(ctx context.Context, o opening) (*client, error) {
	if e.Server != "" {
		token, err := e.token()
		if err != nil {
			return nil, err
		}
		cl, err := api.OverHTTPS(e.Server, token)
		return &client{Client: cl, close: func() error { return nil }}, err
	}
	cfg, err := e.load(ctx, secretsOf(o))
	if err != nil {
		return nil, err
	}
	kind, where, err := app.StoreKind(cfg.Store.Reveal())
	if err != nil {
		return nil, err
	}
	// A service may be starting or stopping at this moment: then the file is
	// locked and nobody answers yet, or no longer.
	begun, told := time.Now(), false
	for {
		if kind == store.SQLite {
			if cl := overSocket(ctx, where); cl != nil {
				return &client{Client: cl, close: func() error { return nil }}, nil
			}
			if o.mode == app.ModeCommand {
				if _, err := os.Stat(where); errors.Is(err, os.ErrNotExist) {
					return nil, fault.New(fault.NotFound, "there is no store at "+where, "guardroom serve or guardroom finding import makes one; --store names another")
				}
			}
		}
		c, err := e.inProcess(ctx, cfg, o)
		held := err != nil && fault.CodeOf(err) == fault.Conflict && !errors.Is(err, store.ErrNewerSchema)
		switch waited := time.Since(begun); {
		case !held:
			return c, err
		case waited > heldFor:
			return nil, fault.Wrap(fault.Conflict, err, "wait for the store", "the other process goes on", "it is a service that starts or stops, or a command such as finding import: wait until it has ended, or look at its log")
		case waited > time.Second && !told && !e.JSON:
			told = true
			e.say("another process has the store and does not answer: a service that starts or stops, or a long command; waiting for it …")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *env) inProcess(ctx context.Context, cfg *config.Config, o opening) (*client, error) {
	a, err := e.build(ctx, cfg, app.Options{Mode: o.mode, NoVendors: !o.vendors})
	if err != nil {
		return nil, err
	}
	h := api.Handler(a, e.logger(cfg))
	return &client{Client: api.InProcess(h, api.Self()), app: a,
		close: func() error { return a.Close(context.WithoutCancel(ctx)) }}, nil
}

// overSocket returns a client when a service answers beside the file.
func overSocket(ctx context.Context, file string) *api.Client {
	path := api.SocketPath(app.StoreFile(file))
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return api.OverSocket(path)
}

// token is the token for --server. It is never a flag, because flags are shown
// in the list of processes.
func (e *env) token() (string, error) {
	if e.TokenFile != "" {
		b, err := os.ReadFile(e.TokenFile)
		if err != nil {
			return "", fault.Wrap(fault.Usage, err, "read the token", "", "--token-file names a file with the token")
		}
		return strings.TrimSpace(string(b)), nil
	}
	if t := os.Getenv("GUARDROOM_TOKEN"); t != "" {
		return t, nil
	}
	return "", fault.New(fault.Usage, "--server needs a token", "set GUARDROOM_TOKEN or --token-file")
}

// query makes query parameters from pairs; empty values are left out.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// since reads 24h, 7d or a time.
func (e *env) since(q url.Values, s string) error {
	if s == "" {
		return nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		q.Set("since", t.UTC().Format(timeFormat))
		return nil
	}
	d, err := config.ParseDuration(s)
	if err != nil {
		return fault.New(fault.Usage, fmt.Sprintf("--since %s: it is neither a duration nor a time", s), "write 24h, 7d or 2027-01-31T12:00:00Z")
	}
	q.Set("since", e.now().Add(-d.Std()).Format(timeFormat))
	return nil
}

// list prints a table, or what would fill it.
func (e *env) list(t *table, n int, empty string) error {
	switch {
	case e.JSON:
	case n == 0:
		e.say("%s", empty)
	default:
		t.print(e)
	}
	return nil
}

// pairs prints labels and values, one a line; empty values are left out.
func (e *env) pairs(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if strings.TrimSpace(pairs[i+1]) != "" {
			e.printf("  %-12s %s\n", pairs[i], clean(pairs[i+1]))
		}
	}
}

func severity(s finding.Severity) string { return strings.ToUpper(s.Label()) + " " + s.String() }

func numberOrDash(n incident.Number) string {
	if n == 0 {
		return "-"
	}
	return n.String()
}

func newEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// importBody takes one body through the flow over the API.
func importBody(ctx context.Context, c *api.Client, in source.Input, samples bool) (source.Receipt, error) {
	q := query("position", in.Position)
	if in.FirstLine > 0 {
		q.Set("line", strconv.Itoa(in.FirstLine))
	}
	if in.AsHistory {
		q.Set("as_history", "true")
	}
	if samples {
		q.Set("samples", "true")
	}
	b, err := c.Raw(ctx, "POST", "/v1/import", q, bytes.NewReader(in.Body))
	if err != nil {
		return source.Receipt{}, err
	}
	var r source.Receipt
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read the receipt of %s: %w", in.Position, err)
	}
	return r, nil
}
