package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/guardroom/guardroom/internal/lambdahost"
	"github.com/guardroom/guardroom/source/sourcetest"
)

var folder string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if folder, err = os.MkdirTemp("", "guardroom-lambda"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(folder) }()
		return m.Run()
	}())
}

// build builds the function once, for the tests that run it.
var build = sync.OnceValues(func() (string, error) {
	program := filepath.Join(folder, "bootstrap")
	out, err := exec.Command("go", "build", "-o", program, "./testfunction").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the test function: %w\n%s", err, out)
	}
	return program, nil
})

func start(t *testing.T, opts lambdahost.Options) *lambdahost.Host {
	t.Helper()
	var err error
	if opts.Program, err = build(); err != nil {
		t.Fatal(err)
	}
	return lambdahost.Start(t, opts)
}

func invoke(t *testing.T, h *lambdahost.Host, payload []byte) lambdahost.Answer {
	t.Helper()
	a, err := h.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFunctionRunsUnderTheRuntimeUntilSIGTERM(t *testing.T) {
	t.Parallel()
	for _, freeze := range []bool{false, true} {
		h := start(t, lambdahost.Options{Freeze: freeze})
		if a := invoke(t, h, []byte(sourcetest.Event("a"))); a.Error != "" || !strings.Contains(string(a.Payload), `"accepted":1`) {
			t.Errorf("an event was answered %+v", a)
		}
		if a := invoke(t, h, []byte(sourcetest.Event("a"))); !strings.Contains(string(a.Payload), `"known":1`) {
			t.Errorf("the event again was answered %s", a.Payload)
		}
		a := invoke(t, h, batch(t, record{id: "1", body: sourcetest.Event("b")}, record{id: "2", body: "fail"}, record{id: "3", body: "panic", receives: 5}, record{id: "4", body: "poison"}))
		var r events.SQSEventResponse
		if err := json.Unmarshal(a.Payload, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.BatchItemFailures) != 1 || r.BatchItemFailures[0].ItemIdentifier != "2" {
			t.Errorf("the batch was answered %s", a.Payload)
		}
		if a := invoke(t, h, []byte(sourcetest.Event("fail"))); !strings.Contains(a.Error, "told to fail") {
			t.Errorf("an event that fails was answered %+v", a)
		}
		if a := invoke(t, h, []byte(sourcetest.Event("panic"))); a.Error == "" {
			t.Errorf("an event that panics was answered %+v", a)
		}
		if a := invoke(t, h, []byte(sourcetest.Event("c"))); a.Error != "" {
			t.Errorf("the event behind the panic was answered %+v", a)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		if err := h.Terminate(ctx); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
		cancel()
		if !strings.Contains(h.Output(), "stopped with 3 findings and 1 parked") {
			t.Errorf("the function printed %q", h.Output())
		}
		if _, err := h.Invoke(t.Context(), []byte("{}")); !errors.Is(err, lambdahost.ErrEnded) && !strings.Contains(fmt.Sprint(err), "no such process") {
			t.Errorf("an event after the end: %v", err)
		}
	}
}

func TestEventAtTheDeadlineIsAnErrorAndNotAKill(t *testing.T) {
	t.Parallel()
	h := start(t, lambdahost.Options{Timeout: 6 * time.Second, Grace: time.Minute})
	if a := invoke(t, h, []byte(sourcetest.Event("hang"))); !strings.Contains(a.Error, "deadline") {
		t.Errorf("answered %+v", a)
	}
	if a := invoke(t, h, []byte(sourcetest.Event("a"))); a.Error != "" {
		t.Errorf("the next was answered %+v", a)
	}
}
