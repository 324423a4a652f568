package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"github.com/guardroom/guardroom/source"
)

// Name is the source's name in the store, in metrics and in notices.
const Name = "lambda"

// Handler takes the events of a Lambda function. It is safe for concurrent use.
type Handler struct {
	Intake source.Intake
	// Fetcher reads S3 objects that events point to; nil: they are parked.
	Fetcher source.Fetcher
	// After runs behind each input that was taken, before it is acknowledged;
	// its error fails the input. Delivery within the invocation is such a hook.
	// It must be safe for concurrent use. nil: nothing runs.
	After func(ctx context.Context, receipt source.Receipt) error
	// MaxReceives after which an SQS message that cannot be taken is parked as
	// rejected; 0: 5. What After could not do is never parked.
	MaxReceives int
	Now         func() time.Time
	Log         *slog.Logger

	underway sync.RWMutex // read-locked by each invocation
}

const (
	defaultMaxReceives = 5
	// concurrency of the records of a batch.
	concurrency = 8
	// parkLimit is how long parking may take.
	parkLimit = 5 * time.Second
)

// Receipt is the answer to everything but an SQS batch. Lambda shows it to who
// invokes by hand, and drops it otherwise.
type Receipt struct {
	Accepted   int      `json:"accepted"`
	Known      int      `json:"known"`
	Ignored    int      `json:"ignored"`
	Rejected   int      `json:"rejected"`
	Suppressed int      `json:"suppressed"`
	Incidents  []string `json:"incidents"`
}

// Handle takes one event. The answer to an SQS batch is an
// events.SQSEventResponse that names what must come again, and the error is
// nil; the answer to anything else is a Receipt, and an error means that
// nothing may be taken for done. It ends shortly before the deadline of ctx, so
// that a slow vendor fails its record and not the whole invocation.
func (h *Handler) Handle(ctx context.Context, payload json.RawMessage) (any, error) {
	h.underway.RLock()
	defer h.underway.RUnlock()
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	if batch, ok := sqsBatch(payload); ok {
		return h.batch(ctx, batch), nil
	}
	in := source.Input{Source: Name, Body: payload, Position: "lambda event", ReceivedAt: h.now()}
	receipt, err := h.take(ctx, in)
	if err == nil {
		err = h.after(ctx, receipt)
	}
	if err != nil {
		h.log().Error("event was not taken; lambda repeats it", "error", err)
		return nil, fmt.Errorf("take the event: %w", err)
	}
	return answerOf(receipt), nil
}

// Stop waits for the invocations under way, at the end of the process. One that
// comes later is never answered, so that its sender repeats it.
func (h *Handler) Stop() { h.underway.Lock() }

// beforeDeadline leaves time to answer: a tenth of what there is, at most two
// seconds.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	margin := min(2*time.Second, time.Until(end)/10)
	return context.WithDeadline(ctx, end.Add(-margin))
}

// sqsBatch reports whether the event is a batch of SQS, and returns it.
func sqsBatch(payload []byte) ([]events.SQSMessage, bool) {
	var kind struct {
		Records []struct {
			EventSource string `json:"eventSource"`
		}
	}
	if json.Unmarshal(payload, &kind) != nil || len(kind.Records) == 0 {
		return nil, false
	}
	for _, r := range kind.Records {
		if r.EventSource != "aws:sqs" {
			return nil, false
		}
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, false
	}
	seen := map[string]bool{}
	for _, m := range batch.Records {
		if m.MessageId == "" || seen[m.MessageId] {
			return nil, false // no way to name what must come again
		}
		seen[m.MessageId] = true
	}
	return batch.Records, true
}

// batch takes the messages side by side and names those that must come again,
// in the order of the batch.
func (h *Handler) batch(ctx context.Context, list []events.SQSMessage) events.SQSEventResponse {
	failed := make([]bool, len(list))
	var g errgroup.Group
	g.SetLimit(concurrency)
	for i := range list {
		g.Go(func() error { failed[i] = !h.message(ctx, list[i]); return nil })
	}
	_ = g.Wait()
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, m := range list {
		if failed[i] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return response
}

// message reports whether a message is done.
func (h *Handler) message(ctx context.Context, m events.SQSMessage) bool {
	receives := receivesOf(m)
	log := h.log().With("message_id", m.MessageId, "attempt", receives)
	in := source.Input{Source: Name, Body: []byte(m.Body), Position: m.MessageId, ReceivedAt: h.now()}
	receipt, err := h.take(ctx, in)
	if err != nil {
		if receives >= h.maxReceives() && ctx.Err() == nil && h.park(ctx, in, receives, err) {
			log.Warn("message could not be taken and was parked as rejected", "error", err)
			return true
		}
		log.Warn("message could not be taken and will come again", "error", err)
		return false
	}
	if err := h.after(ctx, receipt); err != nil {
		log.Warn("message was taken but not delivered and will come again", "error", err)
		return false
	}
	return true
}

// take takes an input; a panic is an error of this input only.
func (h *Handler) take(ctx context.Context, in source.Input) (source.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return source.Receipt{}, fmt.Errorf("no time is left: %w", err)
	}
	receipt, err := source.Follow(ctx, h.Intake, h.Fetcher, in)
	if broken, ok := errors.AsType[*source.PanicError](err); ok {
		h.log().Error("taking an input broke", "position", in.Position, "error", err, "stack", broken.Stack)
	}
	return receipt, err
}

func (h *Handler) after(ctx context.Context, receipt source.Receipt) (err error) {
	if h.After == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			h.log().Error("delivering broke", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("delivering broke: %v", p)
		}
	}()
	return h.After(ctx, receipt)
}

func (h *Handler) park(ctx context.Context, in source.Input, receives int, cause error) bool {
	parker, ok := h.Intake.(source.Parker)
	if !ok {
		return false
	}
	defer func() {
		if p := recover(); p != nil {
			h.log().Error("parking a message broke", "error", fmt.Sprint(p))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, parkLimit)
	defer cancel()
	err := parker.Park(ctx, in, fmt.Sprintf("it could not be taken in %d receives: %v", receives, cause))
	return err == nil
}

func receivesOf(m events.SQSMessage) int {
	n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

func answerOf(r source.Receipt) Receipt {
	out := Receipt{Accepted: r.Accepted, Known: r.Known, Ignored: r.Ignored, Rejected: r.Rejected, Suppressed: r.Suppressed, Incidents: r.Incidents}
	if out.Incidents == nil {
		out.Incidents = []string{}
	}
	return out
}

func (h *Handler) maxReceives() int {
	if h.MaxReceives <= 0 {
		return defaultMaxReceives
	}
	return h.MaxReceives
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}
