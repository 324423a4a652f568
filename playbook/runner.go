package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// Runner runs playbooks on a journal.
type Runner struct {
	Journal Journal
	Clock   Clock
	// CallLimit is the deadline of one outside call; 0: 30 s. It ends before
	// another worker may take the run over.
	CallLimit time.Duration
	// Poll is how often a wait looks for messages and an abort; 0: 1 s. A wait
	// is also woken by Wake.
	Poll time.Duration
	// Wake returns a channel that is closed when something was sent to a run; nil: none.
	Wake func() <-chan struct{}
	// Stopping is closed when the process is to stop: no step is begun then and no
	// long wait goes on, while what is between two changes may come to its end
	// until ctx ends. Wake must be rung after it is closed; nil: never.
	Stopping <-chan struct{}
	// Changed is told every record after it was kept; nil: nobody. It must not block.
	Changed func(Record)
	// Spread is a number from 0 to 1 by which pauses are spread; nil: at random.
	Spread func() float64
	Log    *slog.Logger
}

const (
	defaultCall = 30 * time.Second
	defaultPoll = time.Second
	firstPause  = 500 * time.Millisecond
	longPause   = 20 * time.Second
	// longWait is from when on a wait does not hold up a process that stops. A
	// shorter one may stand between opening something and closing it.
	longWait = 4 * time.Second
)

// Run runs a playbook from its beginning, on what its journal knows. It returns
// the playbook's error, or ErrStopped or ErrFenced, after which the journal is
// not touched any more.
func (r *Runner) Run(ctx context.Context, f func(Context) error) error {
	c, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer c.cancel()
	return f(c)
}

func (r *Runner) open(ctx context.Context) (*run, error) {
	list, err := r.Journal.Records(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the journal of the run: %w", err)
	}
	c := &run{Runner: *r, records: map[string]Record{}, names: map[string]bool{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	for _, rec := range list {
		c.records[rec.Name] = rec
	}
	if c.CallLimit <= 0 {
		c.CallLimit = defaultCall
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	if c.Spread == nil {
		c.Spread = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// run is one going through a playbook.
type run struct {
	Runner
	ctx context.Context //nolint:containedctx // it is the life of this going through
	// cancel ends this going through: what one branch cannot record must not wait
	// for hours for the others.
	cancel context.CancelFunc

	mu      sync.Mutex
	records map[string]Record
	names   map[string]bool
}

var _ Context = (*run)(nil)

// Now implements Context.
func (c *run) Now() time.Time { return c.Clock.Now() }

// Record implements Context.
func (c *run) Record(name string) (Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.records[name]
	return r, ok
}

// claim finds the record of a name, which is used once in a run.
func (c *run) claim(name string) Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names[name] {
		panic("playbook: two steps with the name " + name)
	}
	c.names[name] = true
	rec, ok := c.records[name]
	if !ok {
		rec = Record{Name: name, State: Waiting}
	}
	return rec
}

// put keeps a record. After an end of the process nothing is written: the run
// goes on from what is there.
func (c *run) put(rec Record) error {
	if err := c.Journal.Put(context.WithoutCancel(c.ctx), rec.clone()); err != nil {
		if errors.Is(err, ErrFenced) {
			return ErrFenced
		}
		return fmt.Errorf("keep step %s: %w", rec.Name, err)
	}
	c.mu.Lock()
	c.records[rec.Name] = rec
	c.mu.Unlock()
	if c.Changed != nil {
		c.Changed(rec)
	}
	return nil
}

// Step implements Context.
func (c *run) Step(name string, o Options, do func(Step) (Outcome, error)) (Record, error) {
	rec := c.claim(name)
	if rec.State.Ended() {
		return rec, nil
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Hour
	}
	if !o.Finishes && rec.Attempt == 0 {
		st, err := c.standing()
		if err != nil {
			return rec, err
		}
		if st.Aborted {
			return c.end(rec, Outcome{State: Skipped, Message: "not begun: the run was aborted"}, nil)
		}
	}
	for tries := 0; ; tries++ {
		if c.stopping() {
			return rec, ErrStopped
		}
		if rec.Started.IsZero() {
			rec.Started = c.Now()
		}
		rec.State = Running
		rec.resumed(c.Now()) // a pause in which the process ended
		rec.Attempt++
		if err := c.put(rec); err != nil {
			return rec, err
		}
		h := &handle{run: c, options: o, rec: rec}
		out, err := h.call(do)
		rec = h.record()
		switch {
		case err == nil:
			return c.end(rec, out, nil)
		case errors.Is(err, ErrFenced):
			return rec, ErrFenced
		case c.ctx.Err() != nil:
			return rec, ErrStopped
		case errors.Is(err, ErrAborted):
			return c.end(rec, Outcome{State: Skipped, Message: "stopped: the run was aborted"}, nil)
		}
		left := o.Timeout - rec.spent(c.Now())
		if IsPermanent(err) || left <= 0 || o.Retries > 0 && tries >= o.Retries || o.Transient != nil && !o.Transient(err) {
			return c.end(rec, Outcome{State: Failed}, err)
		}
		if err := h.say("tried again: " + fault.Of(err).Error()); err != nil {
			return rec, err
		}
		pause := min(firstPause<<min(tries, 10), longPause)
		pause = time.Duration(float64(pause) * (0.5 + c.Spread()))
		pause = min(pause, left)
		if err := h.sleep(pause); err != nil {
			if errors.Is(err, ErrAborted) {
				return c.end(rec, Outcome{State: Skipped, Message: "stopped: the run was aborted"}, nil)
			}
			return rec, err
		}
		rec = h.record()
	}
}

func (c *run) end(rec Record, out Outcome, err error) (Record, error) {
	rec.Ended = c.Now()
	rec.State, rec.Message = out.State, out.Message
	if rec.State == "" {
		rec.State = Completed
	}
	if err != nil {
		f := fault.Of(err)
		rec.Error = &Failure{Code: f.Code, Message: f.Error(), Safe: f.Safe, Hint: f.Hint}
		rec.Message = rec.Error.Message
	}
	return rec, c.put(rec)
}

func (c *run) standing() (Standing, error) {
	if c.ctx.Err() != nil {
		return Standing{}, ErrStopped
	}
	st, err := c.Journal.Standing(c.ctx)
	switch {
	case c.ctx.Err() != nil:
		return st, ErrStopped
	case err != nil:
		return st, fmt.Errorf("ask how the run stands: %w", err)
	case st.Fenced:
		return st, ErrFenced
	}
	return st, nil
}

// stopping reports whether nothing more is to be begun.
func (c *run) stopping() bool {
	select {
	case <-c.Stopping:
		return true
	default:
		return c.ctx.Err() != nil
	}
}

func (c *run) wake() <-chan struct{} {
	if c.Wake == nil {
		return nil
	}
	return c.Wake()
}

// sleep waits until a time, in short parts so that an abort is seen.
func (c *run) sleep(until time.Time, deaf bool) error { return c.rest(1<<62, until, deaf) }

// rest waits for d, at most until a time. What was waited is counted: a clock may
// make waits shorter than its time says.
func (c *run) rest(d time.Duration, until time.Time, deaf bool) error {
	long := min(d, until.Sub(c.Now())) >= longWait
	for {
		wake := c.wake()
		if long && c.stopping() {
			return ErrStopped
		}
		st, err := c.standing()
		if err != nil {
			return err
		}
		if st.Aborted && !deaf {
			return ErrAborted
		}
		left := min(d, until.Sub(c.Now()))
		if left <= 0 {
			return nil
		}
		part := min(left, c.part(left))
		if err := c.Clock.Sleep(c.ctx, part, wake); err != nil {
			return ErrStopped
		}
		select {
		case <-wake: // by something that was sent; how long it slept is not known
		default:
			d -= part
		}
	}
}

// part is how long a wait may go without a look: a second while it is short, more
// when it is long, so that hundreds of runs that wait cost nothing.
func (c *run) part(left time.Duration) time.Duration {
	return max(c.Poll, min(left/20, 10*c.Poll))
}

// Wait implements Context.
func (c *run) Wait(name string, until time.Time) error {
	var at time.Time
	_, err := c.Step(name, Options{Timeout: 1 << 62, Finishes: true}, func(s Step) (Outcome, error) {
		if !s.Load("until", &at) {
			at = until
			if err := s.Save("until", at); err != nil {
				return Outcome{}, err
			}
		}
		err := c.sleep(at, false)
		if errors.Is(err, ErrAborted) {
			return Outcome{State: Skipped, Message: "the run was aborted"}, nil
		}
		return Outcome{}, err
	})
	if err != nil {
		return err
	}
	if st, err := c.standing(); err != nil || st.Aborted {
		return errors.Join(err, aborted(st))
	}
	return nil
}

func aborted(st Standing) error {
	if st.Aborted {
		return ErrAborted
	}
	return nil
}

// Receive implements Context.
func (c *run) Receive(name, topic string, until time.Time) (body json.RawMessage, ok bool, err error) {
	type got struct {
		Seq  int64           `json:"seq"`
		OK   bool            `json:"ok"`
		Body json.RawMessage `json:"body,omitempty"`
	}
	rec, err := c.Step(name, Options{Timeout: 1 << 62, Finishes: true}, func(s Step) (Outcome, error) {
		for {
			wake := c.wake()
			list, err := c.Journal.Messages(c.ctx, topic, 0)
			if err != nil {
				return Outcome{}, err
			}
			if len(list) > 0 {
				m := list[0]
				return Outcome{Message: "received"}, s.Save("message", got{Seq: m.Seq, OK: true, Body: m.Body})
			}
			left := until.Sub(c.Now())
			if left <= 0 {
				return Outcome{State: Skipped, Message: "nothing came in time"}, s.Save("message", got{})
			}
			if err := c.Clock.Sleep(c.ctx, min(left, c.part(left)), wake); err != nil {
				return Outcome{}, ErrStopped
			}
			if _, err := c.standing(); err != nil {
				return Outcome{}, err
			}
		}
	})
	var g got
	rec.Load("message", &g)
	return g.Body, g.OK, err
}

// Branches implements Context.
func (c *run) Branches(list ...func(Context) error) error {
	errs := make([]error, len(list))
	g := c.Clock.Group()
	for i, f := range list {
		g.Go(func() { errs[i] = f(c) })
	}
	g.Wait()
	return join(errs)
}

// join puts what ends the run first, so that it is not lost among others: that it
// is another's, then what broke, and last that the others stopped because of it.
func join(errs []error) error {
	var broke []error
	stopped := false
	for _, err := range errs {
		switch {
		case errors.Is(err, ErrFenced):
			return ErrFenced
		case errors.Is(err, ErrStopped):
			stopped = true
		case err != nil:
			broke = append(broke, err)
		}
	}
	if len(broke) == 0 && stopped {
		return ErrStopped
	}
	return errors.Join(broke...)
}

// handle is the step that runs.
type handle struct {
	run     *run
	options Options

	mu  sync.Mutex
	rec Record
}

var _ Step = (*handle)(nil)

// call runs the step's code; a panic fails the step and not the process.
func (h *handle) call(do func(Step) (Outcome, error)) (out Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.run.Log.Error("a step of a playbook panicked", "step", h.rec.Name, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = Permanent(fault.New(fault.Internal, fmt.Sprintf("guardroom's own code broke in step %s: %v", h.rec.Name, p), "report this with the log"))
		}
	}()
	return do(h)
}

func (h *handle) record() Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec.clone()
}

// Name implements Step.
func (h *handle) Name() string { return h.rec.Name }

// Now implements Step.
func (h *handle) Now() time.Time { return h.run.Now() }

// Started implements Step.
func (h *handle) Started() time.Time { return h.rec.Started }

// Spent implements Step.
func (h *handle) Spent() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec.spent(h.run.Now())
}

// Aborted implements Step.
func (h *handle) Aborted() (bool, error) {
	st, err := h.run.standing()
	return st.Aborted, err
}

// Attempt implements Step.
func (h *handle) Attempt() int { return h.rec.Attempt }

// Load implements Step.
func (h *handle) Load(key string, v any) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec.Load(key, v)
}

// Save implements Step.
func (h *handle) Save(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return Permanent(fmt.Errorf("save %s of step %s: %w", key, h.rec.Name, err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.rec.clone()
	if next.Saved == nil {
		next.Saved = map[string]json.RawMessage{}
	}
	next.Saved[key] = raw
	if err := h.run.put(next); err != nil {
		return err
	}
	h.rec = next
	return nil
}

// Look implements Step.
func (h *handle) Look(f func(ctx context.Context) error) error {
	if h.run.ctx.Err() != nil {
		return ErrStopped
	}
	return h.limited(h.run.ctx, f)
}

// Change implements Step.
func (h *handle) Change(f func(ctx context.Context) error) error {
	var before Progress
	for paused := false; ; {
		wake := h.run.wake()
		st, err := h.run.standing()
		switch {
		case err != nil:
			return err
		case st.Aborted && !h.options.Finishes:
			return ErrAborted
		case st.Off == "":
			if paused {
				h.resume(before)
			}
			return h.acting(f)
		}
		if h.run.stopping() {
			return ErrStopped
		}
		if !paused {
			paused, before = true, h.pause()
		}
		h.Progress(Progress{Message: "paused: " + st.Off})
		if err := h.run.Clock.Sleep(h.run.ctx, h.run.Poll, wake); err != nil {
			return ErrStopped
		}
	}
}

// say keeps what people read of a step that goes on.
func (h *handle) say(message string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rec.Message = message
	return h.run.put(h.rec)
}

// pause begins a pause, and returns what the step had come to.
func (h *handle) pause() Progress {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rec.PausedSince = h.run.Now()
	return h.rec.Progress
}

// resume goes on after a pause.
func (h *handle) resume(before Progress) {
	h.mu.Lock()
	h.rec.resumed(h.run.Now())
	h.mu.Unlock()
	h.Progress(before)
}

// Finish implements Step.
func (h *handle) Finish(f func(ctx context.Context) error) error {
	if _, err := h.run.standing(); err != nil {
		return err
	}
	return h.acting(f)
}

// acting makes a call that changes something. A process that is told to stop
// lets it end: a call that was cut has an unknown outcome.
func (h *handle) acting(f func(ctx context.Context) error) error {
	return h.limited(context.WithoutCancel(h.run.ctx), f)
}

func (h *handle) limited(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, h.run.CallLimit)
	defer cancel()
	return f(ctx)
}

// Sleep implements Step.
func (h *handle) Sleep(d time.Duration) error { return h.sleep(d) }

func (h *handle) sleep(d time.Duration) error {
	return h.run.rest(d, h.run.Now().Add(d), h.options.Finishes)
}

// Group implements Step.
func (h *handle) Group() Group { return h.run.Clock.Group() }

// Progress implements Step.
func (h *handle) Progress(p Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rec.Progress == p {
		return
	}
	next := h.rec.clone()
	next.Progress = p
	if err := h.run.put(next); err == nil {
		h.rec = next
	}
}
