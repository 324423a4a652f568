package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// Client calls the API over any transport. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	base  string
	token string
	// Where says in words whom the client speaks to, for messages.
	Where string
}

// InProcess returns a client that calls a handler in this process as who. When a
// call returns, the handler has ended; so bodies must not block for ever.
func InProcess(h http.Handler, who Identity) *Client {
	return &Client{http: &http.Client{Transport: &pipeTransport{handler: h, who: who}}, base: "http://in-process", Where: "the store, in this process"}
}

// OverSocket returns a client that speaks to a running service.
func OverSocket(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://socket", Where: "the running service"}
}

// OverHTTPS returns a client for a service elsewhere. Plain HTTP is accepted
// for loopback addresses only.
func OverHTTPS(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.Usage, fmt.Sprintf("%q is not a server's URL", server), "write https://guardroom.example.com")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || (u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()))) {
		return nil, fault.New(fault.Usage, "the server's URL must begin with https://", "a token would cross the network in the clear")
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Client{http: c, base: strings.TrimRight(server, "/"), token: token, Where: u.Host}, nil
}

// Do calls one operation: in (if not nil) as JSON, the answer into out (if not
// nil). Errors of the service come back as *fault.Error with their three parts.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	res, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, res.Body)
		return err
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fault.Wrap(fault.Unavailable, err, "read the answer of "+c.Where, "", "is this a guardroom? check the URL")
		}
		return fmt.Errorf("read the answer of %s: %w", c.Where, err)
	}
	return nil
}

// Raw calls one operation with a body as it is, and returns the answer's bytes.
func (c *Client) Raw(ctx context.Context, method, path string, query url.Values, body io.Reader) ([]byte, error) {
	res, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// Stream calls one operation and returns the answer's bytes as they come. The
// caller closes them; an answer that breaks off ends with an error.
func (c *Client) Stream(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	res, err := c.send(ctx, method, path, query, nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Lines calls an operation that streams NDJSON and yields each line until yield
// returns false. A line that carries an error ends the stream with it.
func (c *Client) Lines(ctx context.Context, path string, query url.Values, yield func(line []byte) bool) error {
	res, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	r := bufio.NewReaderSize(res.Body, 1<<16)
	for {
		line, err := r.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if bytes.HasPrefix(line, []byte(`{"error":{`)) {
				return failure(line, http.StatusInternalServerError, c.Where)
			}
			if !yield(line) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the answer of %s: %w", c.Where, err)
		}
	}
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	u := c.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fault.Wrap(fault.Unavailable, err, "read the answer of "+c.Where, "", "it broke off; the log of the service says why")
		}
		var op *net.OpError
		if errors.As(err, &op) || errors.Is(err, os.ErrNotExist) {
			return nil, fault.Wrap(fault.Unavailable, err, "reach "+c.Where, "", "is it running? guardroom doctor")
		}
		return nil, err
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return nil, failure(b, res.StatusCode, c.Where)
}

func failure(body []byte, status int, where string) error {
	var f Failure
	if err := json.Unmarshal(body, &f); err != nil || f.Error.Message == "" {
		return fault.New(fault.Unavailable, fmt.Sprintf("%s answered %d and no reason", where, status), "is this a guardroom? check the URL")
	}
	return &fault.Error{Code: f.Error.Code, Message: f.Error.Message, Safe: f.Error.Safe, Hint: f.Error.Hint}
}

// pipeTransport runs a handler for each request, with the answer streaming
// through a pipe.
type pipeTransport struct {
	handler http.Handler
	who     Identity
}

// RoundTrip implements http.RoundTripper.
func (t *pipeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pw, ready: make(chan struct{})}
	ctx, cancel := context.WithCancel(WithIdentity(r.Context(), t.who))
	body := &pipeBody{PipeReader: pr, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(body.done)
		defer func() {
			w.WriteHeader(http.StatusOK)
			if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a sentinel of net/http
				_ = pw.CloseWithError(io.ErrUnexpectedEOF)
			} else if p != nil {
				panic(p)
			}
			_ = pw.Close()
		}()
		t.handler.ServeHTTP(w, r.WithContext(ctx))
	}()
	select {
	case <-w.ready:
	case <-r.Context().Done():
		// What has begun ends before the caller closes the store below it.
		_ = body.Close()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: body, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1}, nil
}

// pipeBody is an answer whose Close ends the handler and waits for it.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close implements io.Closer.
func (b *pipeBody) Close() error {
	b.cancel()
	err := b.PipeReader.CloseWithError(context.Canceled)
	<-b.done
	return err
}

type pipeWriter struct {
	header http.Header
	status int
	pipe   *io.PipeWriter
	ready  chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		close(w.ready)
	}
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}
