package eventbridge

import (
	"context"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"
)

// Run serves the Lambda runtime until Lambda ends the process with SIGTERM, or
// ctx ends. It returns nil when no invocation is under way; the caller
// then closes the store and exits. Lambda kills about two seconds after
// the signal.
//
// The loop of the runtime library has no end of its own, so its goroutine lives
// as long as the process. If the runtime API breaks off, the library ends the
// process, and Lambda starts another.
func Run(ctx context.Context, h *Handler) error {
	stop := make(chan struct{})
	var once sync.Once
	go lambda.StartWithOptions(h.Handle,
		// A cancelled context would make the library end the process before
		// the store is closed.
		lambda.WithContext(context.WithoutCancel(ctx)),
		// Without this Lambda sends no SIGTERM at all.
		lambda.WithEnableSIGTERM(func() { once.Do(func() { close(stop) }) }))
	select {
	case <-stop:
	case <-ctx.Done():
	}
	h.Stop()
	return nil
}
