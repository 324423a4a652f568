package sqs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source"
)

// API is the part of SQS that the source calls; *sqs.Client of the SDK has it.
// It must be safe for concurrent use.
type API interface {
	ReceiveMessage(context.Context, *awssqs.ReceiveMessageInput, ...func(*awssqs.Options)) (*awssqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *awssqs.DeleteMessageBatchInput, ...func(*awssqs.Options)) (*awssqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *awssqs.ChangeMessageVisibilityBatchInput, ...func(*awssqs.Options)) (*awssqs.ChangeMessageVisibilityBatchOutput, error)
}

// Deps are what the source needs besides its queue. The zero value works.
type Deps struct {
	// Fetcher reads S3 objects that messages point to; nil: they are parked.
	Fetcher source.Fetcher
	// Looked notes that the source looked, and the trouble that it had; nil:
	// nobody wants to know. *store.DB has it.
	Looked func(ctx context.Context, name, trouble string) error
	Now    func() time.Time
	Random func() float64 // [0, 1) for jitter
	Log    *slog.Logger
	// TimeScale divides the waits of guardroom. The visibility is AWS's and is
	// not scaled.
	TimeScale float64
	// Concurrency is how many messages are worked on at the same time; 0: 20.
	Concurrency int
	// TakeLimit is the most time that one message may take; 0: 10 minutes.
	TakeLimit time.Duration
	// Grace is how long Run waits at its end for what is in hand; 0: 20 s.
	Grace time.Duration
	// Poll is how long a receive waits for messages; 0: 20 s, the most that SQS
	// allows.
	Poll time.Duration
}

// Source reads one queue.
type Source struct {
	name        string
	queue       string
	visibility  time.Duration
	maxReceives int
	api         API
	intake      source.Intake
	deps        Deps
	failures    atomic.Int64 // takes that failed since one worked
	state       state
}

var _ source.Source = (*Source)(nil)

const (
	defaultVisibility  = 60 * time.Second
	defaultMaxReceives = 5
	callLimit          = 10 * time.Second // of a call that does not wait
	batch              = 10               // the most that SQS gives or takes at once
)

// New returns a source. It does nothing before Run.
func New(cfg config.SQSSource, api API, intake source.Intake, deps Deps) *Source {
	s := &Source{name: "sqs:" + cfg.Name, queue: cfg.QueueURL, visibility: cfg.Visibility.Std(), maxReceives: cfg.MaxReceives,
		api: api, intake: intake, deps: deps}
	if s.visibility < time.Second {
		s.visibility = defaultVisibility
	}
	if s.maxReceives <= 0 {
		s.maxReceives = defaultMaxReceives
	}
	d := &s.deps
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Random == nil {
		d.Random = rand.Float64
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.Log = d.Log.With("source", s.name)
	if d.TimeScale <= 0 {
		d.TimeScale = 1
	}
	if d.Concurrency <= 0 {
		d.Concurrency = 20
	}
	if d.TakeLimit <= 0 {
		d.TakeLimit = 10 * time.Minute
	}
	if d.Grace <= 0 {
		d.Grace = 20 * time.Second
	}
	if d.Poll <= 0 {
		d.Poll = 20 * time.Second
	}
	s.state = state{source: s}
	return s
}

// Name is "sqs:" and the configured name.
func (s *Source) Name() string { return s.name }

// Run receives until ctx ends. Then it finishes what it has in hand within the
// grace time, gives back the rest at once, and returns nil when everything that
// it started has ended. It never gives up on a queue that cannot be reached.
func (s *Source) Run(ctx context.Context) error {
	inner := context.WithoutCancel(ctx)
	work, stopWork := context.WithCancel(inner)
	defer stopWork()
	held := newHeld(s)
	keeping, stopKeeping := context.WithCancel(inner)
	defer stopKeeping()

	var helpers, workers sync.WaitGroup
	taken := make(chan message, s.deps.Concurrency)
	helpers.Go(func() { held.keep(keeping) })
	helpers.Go(func() { s.deleteTaken(inner, taken, held) })

	s.receive(ctx, func(m message, free func()) {
		held.add(m)
		workers.Go(func() {
			defer free()
			s.work(work, m, taken, held)
		})
	})

	late := time.AfterFunc(s.deps.Grace, stopWork)
	workers.Wait()
	late.Stop()
	close(taken)
	stopKeeping()
	helpers.Wait()
	return nil
}

// message is a message in hand.
type message struct {
	id, handle string
	body       string
	receives   int
	receivedAt time.Time
}

// receive asks for no more messages than there are free hands, so that none
// waits while its visibility runs out.
func (s *Source) receive(ctx context.Context, start func(m message, free func())) {
	hands := make(chan struct{}, s.deps.Concurrency)
	free := func() { <-hands }
	for ctx.Err() == nil {
		if !s.calm(ctx) {
			return
		}
		n := reserve(ctx, hands)
		if n == 0 {
			return
		}
		messages, err := s.receiveBatch(ctx, n)
		for range n - len(messages) {
			free()
		}
		for _, m := range messages {
			start(m, free)
		}
		if err != nil && ctx.Err() == nil {
			s.wait(ctx, s.state.trouble(ctx, err))
		} else if ctx.Err() == nil {
			s.state.well(ctx)
		}
	}
}

// reserve takes one to ten hands, and none when ctx ends first.
func reserve(ctx context.Context, hands chan struct{}) int {
	select {
	case hands <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; n < batch; n++ {
		select {
		case hands <- struct{}{}:
		default:
			return n
		}
	}
	return batch
}

func (s *Source) receiveBatch(ctx context.Context, n int) ([]message, error) {
	ctx, cancel := context.WithTimeout(ctx, s.deps.Poll+callLimit)
	defer cancel()
	out, err := s.api.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{
		QueueUrl:                    &s.queue,
		MaxNumberOfMessages:         int32(n), //nolint:gosec // one to ten
		VisibilityTimeout:           seconds(s.visibility),
		WaitTimeSeconds:             seconds(s.deps.Poll),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		return nil, err
	}
	list := make([]message, 0, len(out.Messages))
	for _, m := range out.Messages[:min(n, len(out.Messages))] {
		list = append(list, message{id: aws.ToString(m.MessageId), handle: aws.ToString(m.ReceiptHandle), body: aws.ToString(m.Body),
			receives: receives(m.Attributes), receivedAt: s.deps.Now()})
	}
	return list, nil
}

// calm waits while takes fail one after the other: then the trouble is ours,
// and receiving would only use up the receives of good messages. It reports
// false when ctx ended.
func (s *Source) calm(ctx context.Context) bool {
	n := s.failures.Load() - int64(s.deps.Concurrency)
	if n < 0 {
		return ctx.Err() == nil
	}
	return s.wait(ctx, s.backoff(int(n/int64(s.deps.Concurrency))+1, time.Second, 30*time.Second))
}

// backoff doubles from first to most, with jitter of a half.
func (s *Source) backoff(attempt int, first, most time.Duration) time.Duration {
	d := most
	if attempt-1 < 20 {
		d = min(most, first<<max(0, attempt-1))
	}
	return time.Duration(float64(d) * (0.75 + 0.5*s.deps.Random()) / s.deps.TimeScale)
}

// wait reports false when ctx ended first.
func (s *Source) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// seconds rounds up: SQS knows no smaller unit.
func seconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second) //nolint:gosec // at most twelve hours
}

// state remembers whether the queue could be reached, so that a change is told
// once. Only the receiving goroutine uses it.
type state struct {
	source *Source
	failed int
	said   string
	lookAt time.Time
}

// lookEvery is how often a quiet queue is noted as looked at.
const lookEvery = time.Minute

// trouble notes a receive that failed and returns how long to wait.
func (st *state) trouble(ctx context.Context, err error) time.Duration {
	st.failed++
	text := cause(err)
	if st.failed == 1 || text != st.said {
		st.source.deps.Log.Warn("queue cannot be read; guardroom keeps trying", "queue", st.source.queue, "error", err)
		st.look(ctx, text)
	}
	st.said = text
	return st.source.backoff(st.failed, time.Second, time.Minute)
}

// well notes a receive that worked.
func (st *state) well(ctx context.Context) {
	if st.failed > 0 {
		st.source.deps.Log.Info("queue can be read again", "queue", st.source.queue, "attempt", st.failed)
	}
	if now := st.source.deps.Now(); st.failed > 0 || now.Sub(st.lookAt) >= lookEvery {
		st.lookAt = now
		st.look(ctx, "")
	}
	st.failed, st.said = 0, ""
}

func (st *state) look(ctx context.Context, trouble string) {
	if st.source.deps.Looked == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	if err := st.source.deps.Looked(ctx, st.source.name, trouble); err != nil {
		st.source.deps.Log.Warn("a look at the queue was not noted", "error", err)
	}
}

// coded is an error of AWS.
type coded interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// cause is what stays the same when an error repeats: request ids change.
func cause(err error) string {
	if api, ok := errors.AsType[coded](err); ok {
		return fmt.Sprintf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}
