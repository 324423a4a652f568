package lambdahost_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/lambdahost"
)

// TestMain is also the function: the test binary starts itself as one, written
// on the bare protocol.
func TestMain(m *testing.M) {
	if os.Getenv("FUNCTION") != "" {
		function("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime")
		return
	}
	os.Exit(m.Run())
}

func function(api string) {
	for {
		resp, err := http.Get(api + "/invocation/next")
		if err != nil {
			return
		}
		payload, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		path, body := "/response", io.Reader(strings.NewReader(`"`+resp.Header.Get("Lambda-Runtime-Deadline-Ms")+`"`))
		switch string(payload) {
		case `"die"`:
			os.Exit(3)
		case `"hang"`:
			time.Sleep(time.Hour)
		case `"large"`:
			body = io.LimitReader(zeros{}, 7<<20)
		case `"error"`:
			path, body = "/error", strings.NewReader(`{"errorMessage":"no","errorType":"Bad"}`)
		case `"wrong id"`:
			answer(api+"/invocation/none/response", strings.NewReader("{}"))
		case `"twice"`:
			answer(api+"/invocation/"+id+path, strings.NewReader("{}"))
		}
		answer(api+"/invocation/"+id+path, body)
	}
}

func answer(url string, body io.Reader) {
	resp, err := http.Post(url, "application/json", body)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	fmt.Println("answered", resp.StatusCode)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func start(t *testing.T, opts lambdahost.Options) *lambdahost.Host {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opts.Program, opts.Env = program, []string{"FUNCTION=1"}
	return lambdahost.Start(t, opts)
}

func TestHostBehavesAsTheRuntimeAPIIsDocumented(t *testing.T) {
	t.Parallel()
	h := start(t, lambdahost.Options{Freeze: true})
	if h.Init <= 0 {
		t.Error("no time of the start")
	}
	for _, c := range []struct{ event, wantError string }{
		{`"hello"`, ""}, {`"error"`, "no"}, {`"large"`, "exceeded"}, {`"wrong id"`, ""}, {`"twice"`, ""},
	} {
		a, err := h.Invoke(t.Context(), []byte(c.event))
		if err != nil {
			t.Fatalf("%s: %v", c.event, err)
		}
		if c.wantError == "" && a.Error != "" || !strings.Contains(a.Error, c.wantError) {
			t.Errorf("%s: answered %+v", c.event, a)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	_ = h.Terminate(ctx) // now everything that it printed is there
	for status, want := range map[string]int{"202": 4, "413": 1, "400": 2} {
		if n := strings.Count(h.Output(), "answered "+status); n != want {
			t.Errorf("%d answers were %s, want %d:\n%s", n, status, want, h.Output())
		}
	}
}

func TestFunctionThatHangsIsKilledAtItsDeadline(t *testing.T) {
	t.Parallel()
	h := start(t, lambdahost.Options{Timeout: 500 * time.Millisecond})
	if _, err := h.Invoke(t.Context(), []byte(`"hang"`)); !errors.Is(err, lambdahost.ErrTimeout) {
		t.Errorf("error %v", err)
	}
	if _, err := h.Invoke(t.Context(), []byte(`"hello"`)); !errors.Is(err, lambdahost.ErrEnded) {
		t.Errorf("error %v after the kill", err)
	}
}

func TestFunctionThatDiesIsTold(t *testing.T) {
	t.Parallel()
	h := start(t, lambdahost.Options{})
	if _, err := h.Invoke(t.Context(), []byte(`"die"`)); !errors.Is(err, lambdahost.ErrEnded) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}

func TestTerminateSendsSIGTERMAndWaits(t *testing.T) {
	t.Parallel()
	h := start(t, lambdahost.Options{Freeze: true})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := h.Terminate(ctx); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("error %v, want that the signal ended it", err)
	}
}
