package demo

import (
	"context"
	"time"

	"github.com/guardroom/guardroom/api"
)

// Room is a guardroom that the story is streamed through. The program's own
// composition of it (package app) fulfils it.
type Room interface {
	api.Service
	// Deliver starts to deliver; it returns at once.
	Deliver(ctx context.Context) error
	// Respond looks after responses until ctx ends, and blocks until then.
	Respond(ctx context.Context)
	// Beat keeps the heartbeat of this process until ctx ends, and blocks.
	Beat(ctx context.Context)
	// Close ends deliveries and closes the store, with everything kept.
	Close(ctx context.Context) error
}

// Opener opens the room that a configuration describes, with the given clock.
// It is called once for the story and once more, after that room was closed, to
// look at what is kept.
type Opener func(ctx context.Context, config []byte, now func() time.Time) (Room, error)
