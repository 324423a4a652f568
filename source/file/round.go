package file

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/guardroom/guardroom/source"
)

// round is one poll.
type round struct {
	poller   *Poller
	cursor   *cursor
	now      time.Time
	complete bool // the listing, and every object so far
	took     int
	unsaved  int // objects taken since the cursor was stored
	inARow   int // objects that failed since one was taken
	failed   []failed
	errs     []error // at most maxErrors of objects
}

type failed struct {
	object object
	err    error
}

const maxErrors = 5

// object takes one object. The error is about the cursor.
func (r *round) object(ctx context.Context, o object) error {
	if err := r.take(ctx, o); err != nil {
		r.complete = false
		r.inARow++
		r.failed = append(r.failed, failed{object: o, err: err})
		if len(r.errs) < maxErrors {
			r.errs = append(r.errs, err)
		}
		return nil
	}
	r.inARow = 0
	r.took++
	r.cursor.took(o)
	// The larger the cursor, the more it costs to store it.
	if r.unsaved++; r.unsaved < max(saveEvery, len(r.cursor.Taken)/10) {
		return nil
	}
	r.unsaved = 0
	if r.complete {
		// Everything older is done: a long first poll need not remember it.
		r.cursor.raise(o.modified.Add(-overlap))
	}
	return r.poller.save(ctx, r.cursor)
}

func (r *round) take(ctx context.Context, o object) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &source.PanicError{Value: v, Stack: string(debug.Stack())}
			r.poller.deps.Log.Error("taking an object broke", "object", o.key, "error", err, "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, objectLimit)
	defer cancel()
	_, err = source.TakeObject(ctx, r.poller.intake, r.poller, r.input(), source.Reference{Bucket: r.poller.bucket, Key: o.key})
	return err
}

func (r *round) input() source.Input {
	return source.Input{Source: r.poller.name, ReceivedAt: r.now, LookBack: r.cursor.First, AnnounceAfter: r.cursor.AnnounceAfter}
}

// park keeps an object as rejected that failed in several polls while others
// could be taken, so that it does not hold up the cursor for ever. When all
// fail, the trouble is the bucket's, the key's or ours, and nothing is parked.
func (r *round) park(ctx context.Context) {
	p := r.poller
	tries := map[string]int{}
	for _, f := range r.failed {
		d := digest(f.object)
		tries[d] = p.tries[d] + 1
		parker, ok := p.intake.(source.Parker)
		if !ok || r.took == 0 || tries[d] < maxTries {
			continue
		}
		in := r.input()
		in.Position = source.Reference{Bucket: p.bucket, Key: f.object.key}.String()
		if err := parker.Park(ctx, in, fmt.Sprintf("it could not be taken in %d polls: %v", tries[d], f.err)); err == nil {
			p.deps.Log.Warn("object could not be taken and was parked as rejected", "object", f.object.key, "error", f.err)
			r.cursor.took(f.object)
			delete(tries, d)
		}
	}
	p.tries = tries
}
