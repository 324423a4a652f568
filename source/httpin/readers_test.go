package httpin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source/httpin"
	"github.com/guardroom/guardroom/source/sourcetest"
)

// idle opens connections that say that they are SNS and send one byte. It
// returns when the server reads their bodies, or has answered.
func idle(t *testing.T, server *httptest.Server, from string, n int) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for range n {
		c, err := d.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, "POST /v1/findings HTTP/1.1\r\nHost: x\r\nX-Amz-Sns-Message-Type: Notification\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, " 100 ") && !strings.Contains(line, " 503 ") {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = c.Write([]byte("{"))
	}
}

func TestIdleConnectionsOfStrangersDoNotShutTheIntake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		from  []string
		n     int
		limit time.Duration // for a body not yet verified
	}{
		{"from elsewhere", []string{"127.0.0.2"}, 24, time.Minute},
		{"from the same address, as behind a load balancer", []string{"127.0.0.1"}, 24, time.Second},
		{"from many addresses", []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"}, 20, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newSNS(t)
			var in sourcetest.Intake
			server := httptest.NewServer(f.handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) {
				d.UnverifiedLimit, d.Patience = tt.limit, 10*time.Second
				if len(tt.from) == 1 && tt.from[0] == "127.0.0.2" {
					d.Patience = time.Millisecond // nothing to wait for
				}
			}))
			t.Cleanup(server.Close)
			for _, from := range tt.from {
				idle(t, server, from, tt.n)
			}
			body, err := json.Marshal(f.sign(t, f.message("Notification", "2", sourcetest.Event("a"))))
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/findings", strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Sns-Message-Type", "Notification")
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				t.Errorf("a message of SNS was answered %s", resp.Status)
			}
			in.Look(func(k sourcetest.Kept) {
				if k.Findings["a"] != 1 {
					t.Errorf("taken: %v", k.Findings)
				}
			})
		})
	}
}

func TestABodyNotYetVerifiedHasLittleTime(t *testing.T) {
	t.Parallel()
	f := newSNS(t)
	var in sourcetest.Intake
	server := httptest.NewServer(f.handler(&in, func(_ *config.HTTPSource, d *httpin.Deps) { d.UnverifiedLimit = 100 * time.Millisecond }))
	t.Cleanup(server.Close)
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(c, "POST /v1/findings HTTP/1.1\r\nHost: x\r\nX-Amz-Sns-Message-Type: Notification\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answered %s, want 408", resp.Status)
	}
}
