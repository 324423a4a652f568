package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// stopKey is where a request finds what is closed when its service is to stop.
type stopKey struct{}

// stopping is closed when the service that answers is to stop; nil: never.
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return c
}

// Serve runs serve, which serves by server, until ctx ends, and then waits until
// the requests under way have their answers: who got one may rely on it. What
// takes longer than grace is cut off. The error is nil after an orderly end.
func Serve(ctx context.Context, server *http.Server, grace time.Duration, serve func() error) error {
	ended := make(chan error, 1)
	// Requests end on their own, but must know when to stop waiting for news.
	server.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx.Done())
	}
	stop := context.AfterFunc(ctx, func() {
		// ListenAndServe and its like return before Shutdown does.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := server.Shutdown(end)
		if err != nil {
			err = server.Close()
		}
		ended <- err
	})
	err := serve()
	if stop() {
		return errors.Join(err, server.Close())
	}
	if shut := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, shut)
	}
	return nil
}
