package httpin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source"
)

// Name is the source's name in the store, in metrics and in notices.
const Name = "http"

// Deps are what the handler needs besides its intake. The zero value works.
type Deps struct {
	// Fetcher reads S3 objects that bodies point to; nil: they are parked.
	Fetcher source.Fetcher
	// Transport reaches SNS for certificates and confirmations; nil: the
	// standard one.
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger
	// MaxConcurrent is how many requests are worked on at once; 0: 64. As many
	// bodies of SNS messages not yet verified are held beside these, a quarter
	// of them from one address.
	MaxConcurrent int
	// ReadLimit is the most time that a body may take to arrive; 0: 30 s.
	ReadLimit time.Duration
	// UnverifiedLimit is the most time that the body of an SNS message may take;
	// 0: 5 s. After a fifth of it the body makes room for another one.
	UnverifiedLimit time.Duration
	// Patience is how long a request waits for its turn before it is asked to
	// come again; 0: 2 s.
	Patience time.Duration
	// TakeLimit is the most time that the intake may take; 0: 60 s.
	TakeLimit time.Duration
}

// Handler is POST /v1/findings. It is safe for concurrent use.
type Handler struct {
	bearer, key [sha256.Size]byte
	hasBearer   bool
	hasKey      bool
	keyHeader   string
	maxBody     int64
	intake      source.Intake
	sns         *sns
	deps        Deps
	refused     *refusals
	slots       chan struct{} // of requests that proved themselves
	readers     *readers      // of SNS messages not yet verified
	verifying   chan struct{} // of SNS messages whose signature is being checked
}

const (
	defaultKeyHeader = "X-Api-Key"
	defaultMaxBody   = 10 << 20
	snsTypeHeader    = "X-Amz-Sns-Message-Type"
	snsRawHeader     = "X-Amz-Sns-Rawdelivery"
)

// New returns a handler. It starts nothing.
func New(cfg config.HTTPSource, intake source.Intake, deps Deps) *Handler {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	deps.Log = deps.Log.With("source", Name)
	if deps.MaxConcurrent <= 0 {
		deps.MaxConcurrent = 64
	}
	if deps.ReadLimit <= 0 {
		deps.ReadLimit = 30 * time.Second
	}
	if deps.UnverifiedLimit <= 0 {
		deps.UnverifiedLimit = 5 * time.Second
	}
	if deps.Patience <= 0 {
		deps.Patience = 2 * time.Second
	}
	if deps.TakeLimit <= 0 {
		deps.TakeLimit = time.Minute
	}
	h := &Handler{hasBearer: cfg.BearerToken.Reveal() != "", hasKey: cfg.APIKey.Reveal() != "", keyHeader: cfg.APIKeyHeader,
		maxBody: int64(cfg.MaxBody), intake: intake, deps: deps, refused: newRefusals(deps.Now, deps.Log),
		slots: make(chan struct{}, deps.MaxConcurrent), verifying: make(chan struct{}, max(1, deps.MaxConcurrent/4)),
		readers: newReaders(deps.MaxConcurrent, deps.UnverifiedLimit/5)}
	h.bearer, h.key = sha256.Sum256([]byte(cfg.BearerToken.Reveal())), sha256.Sum256([]byte(cfg.APIKey.Reveal()))
	if h.keyHeader == "" {
		h.keyHeader = defaultKeyHeader
	}
	if h.maxBody <= 0 {
		h.maxBody = defaultMaxBody
	}
	if len(cfg.SNSTopics) > 0 {
		h.sns = newSNS(cfg, deps)
	}
	return h
}

// ServeHTTP takes one request. What proves the sender is looked at first.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, problem{Error: "send findings with POST"})
	case h.hasSecret(r):
		h.takeKnown(w, r)
	case h.sns != nil && r.Header.Get(snsTypeHeader) != "":
		h.takeSNS(w, r)
	default:
		h.refuse(w, r, "no valid token, key or SNS message")
	}
}

// hasSecret reports whether the request carries the bearer token or the key.
// Comparing digests takes the same time whatever was sent.
func (h *Handler) hasSecret(r *http.Request) bool {
	key := sha256.Sum256([]byte(r.Header.Get(h.keyHeader)))
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	bearer := sha256.Sum256([]byte(strings.TrimSpace(token)))
	byKey := h.hasKey && subtle.ConstantTimeCompare(key[:], h.key[:]) == 1
	byBearer := h.hasBearer && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(bearer[:], h.bearer[:]) == 1
	return byKey || byBearer
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, reason string) {
	h.refused.note(r, reason)
	w.Header().Set("WWW-Authenticate", `Bearer realm="guardroom"`)
	answer(w, http.StatusUnauthorized, problem{Error: "not allowed"})
}

// takeKnown takes the body of a sender who showed a token or the key.
func (h *Handler) takeKnown(w http.ResponseWriter, r *http.Request) {
	if !h.enter(w, r, h.slots) {
		return
	}
	defer leave(h.slots)
	body, ok := h.read(w, r, h.maxBody, h.deps.ReadLimit)
	if !ok {
		return
	}
	h.take(w, r, source.Input{Source: Name, Body: body, Position: "http from " + r.RemoteAddr, ReceivedAt: h.deps.Now()})
}

// takeSNS takes a message of SNS after its signature was verified. Raw delivery
// carries no signature, so it is refused here: it needs a token.
func (h *Handler) takeSNS(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get(snsRawHeader), "true") {
		h.refuse(w, r, "raw message delivery of SNS is not signed: switch it off, or send a token")
		return
	}
	m, ok := h.verified(w, r)
	if !ok {
		return
	}
	if !h.enter(w, r, h.slots) {
		return
	}
	defer leave(h.slots)
	switch m.Type {
	case typeNotification:
		h.take(w, r, source.Input{Source: Name, Body: []byte(m.Message), Position: "sns " + m.TopicArn + " " + m.MessageID, ReceivedAt: h.deps.Now()})
	case typeSubscribe:
		if err := h.sns.confirm(r.Context(), m); err != nil {
			h.deps.Log.Warn("sns subscription was not confirmed", "topic", m.TopicArn, "error", err)
			later(w, "the subscription was not confirmed")
			return
		}
		h.deps.Log.Info("sns subscription confirmed", "topic", m.TopicArn)
		answer(w, http.StatusOK, map[string]string{"confirmed": m.TopicArn})
	case typeUnsubscribe:
		// Calling its SubscribeURL would subscribe again, which is not ours
		// to decide.
		h.deps.Log.Warn("sns subscription was removed: no more findings from this topic", "topic", m.TopicArn)
		answer(w, http.StatusOK, map[string]string{"noted": m.TopicArn})
	}
}

// verified reads and verifies an SNS message. It takes a slot only with the whole
// body in hand, and slots of its own, so that strangers can take neither those of
// known senders nor, by sending nothing, those of SNS.
func (h *Handler) verified(w http.ResponseWriter, r *http.Request) (message, bool) {
	me, ok := h.readers.enter(r.Context(), r.RemoteAddr, h.deps.Patience, func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	})
	if !ok {
		later(w, "too many requests at once")
		return message{}, false
	}
	defer h.readers.leave(me)
	body, ok := h.read(w, r, min(h.maxBody, maxSNSBody), h.deps.UnverifiedLimit)
	if !ok {
		return message{}, false
	}
	if !h.readers.done(me) {
		tooSlow(w)
		return message{}, false
	}
	if !h.enter(w, r, h.verifying) {
		return message{}, false
	}
	defer leave(h.verifying)
	m, err := h.sns.verify(r.Context(), body, r.Header.Get(snsTypeHeader))
	var ours *unreachable
	switch {
	case errors.As(err, &ours):
		h.refused.note(r, err.Error())
		later(w, "the signature could not be checked now")
		return message{}, false
	case err != nil:
		h.refuse(w, r, err.Error())
		return message{}, false
	}
	return m, true
}

// take hands the input to the intake and answers after the commit.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, in source.Input) {
	ctx, cancel := context.WithTimeout(r.Context(), h.deps.TakeLimit)
	defer cancel()
	receipt, err := source.Follow(ctx, h.intake, h.deps.Fetcher, in)
	if err != nil {
		attrs := []any{"position", in.Position, "error", err}
		if broken, ok := errors.AsType[*source.PanicError](err); ok {
			attrs = append(attrs, "stack", broken.Stack)
		}
		h.deps.Log.Error("findings from http were not taken; the sender was told to come again", attrs...)
		later(w, "nothing was committed")
		return
	}
	answer(w, http.StatusAccepted, receiptOf(receipt))
}

// Receipt is the answer to what was taken.
type Receipt struct {
	Accepted   int      `json:"accepted"`
	Known      int      `json:"known"`
	Ignored    int      `json:"ignored"`
	Rejected   int      `json:"rejected"`
	Suppressed int      `json:"suppressed"`
	Incidents  []string `json:"incidents"`
	Reasons    []string `json:"reasons"`
}

func receiptOf(r source.Receipt) Receipt {
	out := Receipt{Accepted: r.Accepted, Known: r.Known, Ignored: r.Ignored, Rejected: r.Rejected, Suppressed: r.Suppressed,
		Incidents: r.Incidents, Reasons: r.Reasons}
	if out.Incidents == nil {
		out.Incidents = []string{}
	}
	if out.Reasons == nil {
		out.Reasons = []string{}
	}
	return out
}

type problem struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the sender may have gone
}

// later asks the sender to come again.
func later(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	answer(w, http.StatusServiceUnavailable, problem{Error: why + ": come again"})
}

const retryAfter = 5 // seconds

// enter waits a little for a slot, and asks to come again where none gets free.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.deps.Patience)
	defer cancel()
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		later(w, "too many requests at once")
		return false
	}
}

func leave(slots chan struct{}) { <-slots }
