package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/guardroom/guardroom/source"
)

// work takes one message and decides what becomes of it: deleted when it is
// decided durably, else left to come again.
func (s *Source) work(ctx context.Context, m message, taken chan<- message, held *held) {
	in := source.Input{Source: s.name, Body: []byte(m.body), Position: m.id, ReceivedAt: m.receivedAt}
	limited, cancel := context.WithTimeout(ctx, s.deps.TakeLimit)
	defer cancel()
	_, err := source.Follow(limited, s.intake, s.deps.Fetcher, in)
	if err == nil {
		s.failures.Store(0)
		taken <- m
		return
	}
	if ctx.Err() != nil {
		// We are stopping: the next reader shall have it at once.
		held.release(ctx, m, 0)
		return
	}
	log := s.deps.Log.With("message_id", m.id, "attempt", m.receives)
	if m.receives >= s.maxReceives && s.park(ctx, in, m, err) {
		s.failures.Store(0)
		log.Warn("message could not be taken and was parked as rejected", "error", err)
		taken <- m
		return
	}
	s.failures.Add(1)
	pause := s.backoff(m.receives, 5*time.Second, 15*time.Minute)
	held.release(ctx, m, pause)
	if broken, ok := errors.AsType[*source.PanicError](err); ok {
		log = log.With("stack", broken.Stack)
	}
	log.Warn("message could not be taken and will come again", "again_in_ms", pause.Milliseconds(), "error", err)
}

// park keeps a message that failed too often. That it can be kept shows that
// the store works, so that the message itself is what is wrong; while the store
// is down nothing is parked and nothing is lost.
func (s *Source) park(ctx context.Context, in source.Input, m message, cause error) bool {
	parker, ok := s.intake.(source.Parker)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.deps.Log.Error("parking a message broke", "message_id", m.id, "error", fmt.Sprint(p))
		}
	}()
	return parker.Park(ctx, in, fmt.Sprintf("it could not be taken in %d receives: %v", m.receives, cause)) == nil
}

// deleteTaken deletes what was taken, as many at once as are there. A message
// that cannot be deleted comes again and is then known.
func (s *Source) deleteTaken(ctx context.Context, taken <-chan message, held *held) {
	for m := range taken {
		list := []message{m}
		for more := true; more && len(list) < batch; {
			select {
			case next, open := <-taken:
				if more = open; open {
					list = append(list, next)
				}
			default:
				more = false
			}
		}
		left := s.delete(ctx, list)
		for _, m := range list {
			held.drop(m)
		}
		if len(left) > 0 {
			s.deps.Log.Warn("messages were taken but could not be deleted; they will come again and be known", "count", len(left))
		}
	}
}

// delete returns what could not be deleted.
func (s *Source) delete(ctx context.Context, list []message) []message {
	for attempt := 1; ; attempt++ {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(list))
		for i := range list {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: id(i), ReceiptHandle: &list[i].handle}
		}
		limited, cancel := context.WithTimeout(ctx, callLimit)
		out, err := s.api.DeleteMessageBatch(limited, &awssqs.DeleteMessageBatchInput{QueueUrl: &s.queue, Entries: entries})
		cancel()
		if err == nil {
			list = failed(list, out.Failed)
		}
		if len(list) == 0 || attempt == 3 {
			return list
		}
		s.wait(ctx, s.backoff(attempt, 500*time.Millisecond, 2*time.Second))
	}
}

func failed(list []message, entries []types.BatchResultErrorEntry) []message {
	var out []message
	for _, e := range entries {
		if e.Id == nil {
			continue
		}
		if i, err := strconv.Atoi(*e.Id); err == nil && i >= 0 && i < len(list) {
			out = append(out, list[i])
		}
	}
	return out
}

func id(i int) *string {
	s := strconv.Itoa(i)
	return &s
}

func receives(attributes map[string]string) int {
	n, err := strconv.Atoi(attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// held are the messages in hand. Their visibility is extended until they are
// dropped or released.
type held struct {
	source *Source
	calls  sync.Mutex // an extension under way must not undo a release
	mu     sync.Mutex
	list   map[string]message // by receipt handle
}

func newHeld(s *Source) *held { return &held{source: s, list: map[string]message{}} }

func (h *held) add(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list[m.handle] = m
}

func (h *held) drop(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.list, m.handle)
}

// release gives a message back, to be received again after the pause. If that
// fails it comes back when its visibility ends.
func (h *held) release(ctx context.Context, m message, pause time.Duration) {
	h.calls.Lock()
	defer h.calls.Unlock()
	h.drop(m)
	if err := h.change(context.WithoutCancel(ctx), []message{m}, pause.Round(time.Second)); err != nil {
		h.source.deps.Log.Debug("message was left to its visibility", "message_id", m.id, "error", err)
	}
}

// keep extends the visibility of everything in hand, each time before half of
// it is over, until ctx ends.
func (h *held) keep(ctx context.Context) {
	tick := time.NewTicker(h.source.visibility / 4)
	defer tick.Stop()
	troubled := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := h.extend(ctx)
		if err != nil && !troubled && ctx.Err() == nil {
			h.source.deps.Log.Warn("visibility of messages in hand was not extended; they may come twice", "error", err)
		}
		troubled = err != nil
	}
}

func (h *held) extend(ctx context.Context) error {
	h.calls.Lock()
	defer h.calls.Unlock()
	h.mu.Lock()
	list := make([]message, 0, len(h.list))
	for _, m := range h.list {
		list = append(list, m)
	}
	h.mu.Unlock()
	var errs []error
	for len(list) > 0 {
		n := min(batch, len(list))
		errs = append(errs, h.change(ctx, list[:n], h.source.visibility))
		list = list[n:]
	}
	return errors.Join(errs...)
}

func (h *held) change(ctx context.Context, list []message, to time.Duration) error {
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(list))
	for i := range list {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: id(i), ReceiptHandle: &list[i].handle, VisibilityTimeout: seconds(to)}
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	out, err := h.source.api.ChangeMessageVisibilityBatch(ctx, &awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &h.source.queue, Entries: entries})
	if err != nil {
		return fmt.Errorf("change the visibility of %d messages: %w", len(list), err)
	}
	for _, f := range out.Failed {
		// One that was deleted in between is no longer in flight.
		if f.Message != nil && h.holds(failed(list, []types.BatchResultErrorEntry{f})) {
			return fmt.Errorf("change the visibility of a message: %s", *f.Message)
		}
	}
	return nil
}

func (h *held) holds(list []message) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range list {
		if _, ok := h.list[m.handle]; ok {
			return true
		}
	}
	return false
}
