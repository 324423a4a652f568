package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/renameio/v2"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// Clock is the time of the world.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error
}

// Options are how a world behaves. Only Clock is required.
type Options struct {
	Clock Clock
	// Latency is how long each call takes.
	Latency time.Duration
	// File keeps the world on disk, whole, after each change, so that it
	// outlives a process that is killed; an existing one is read.
	File string
	// Hook is asked before and after each call; nil: nothing.
	Hook Hook
	// Throttle is how many calls a second each account, region and class
	// (mutating or describing) is allowed; 0: any number. A second is shorter by
	// Speed.
	Throttle float64
	// Deny lists the IAM actions that each role lacks: ec2:CreateTags, or s3:*.
	Deny map[awscalls.Role][]string
	// Principal is the ARN of the role that a place is called as; nil:
	// arn:aws:iam::ACCOUNT:role/guardroom-ROLE.
	Principal func(p awscalls.Place) string
	// Propagation is how long a change of IAM takes to have an effect.
	Propagation time.Duration
	// SmallParts allows parts of multipart uploads below 5 MiB.
	SmallParts bool
	// Agent answers commands that Systems Manager sends; nil: what the document
	// says.
	Agent Agent
	// URL is where pre-signed addresses point, where a server with the world as
	// its handler listens; empty: nowhere, World.Transport serves them.
	URL string
	// BlockTokens is how long tokens of the EBS direct interfaces live; 0: a week.
	BlockTokens time.Duration
	// Times are how long things take in EC2, Auto Scaling and the load
	// balancers; Speed makes them all shorter: 180 makes an hour 20 s.
	Times Times
	Speed float64
	// Quotas are the limits of EC2.
	Quotas Quotas
	// PageSize is how many things a describing call of EC2, Auto Scaling or a
	// load balancer answers at most, whatever it asks for; 0: all.
	PageSize int
	// Invisible is for how long what a call creates is not there for other calls,
	// by the name of the call, such as CreateSecurityGroup.
	Invisible map[string]time.Duration
	// StickyTracking leaves a tracked flow tracked when rules allow everything:
	// AWS promises neither that nor the opposite.
	StickyTracking bool
	// InstanceGroups keeps the groups that an instance is launched with beside those
	// of its interfaces, which show both, until ModifyInstanceAttribute replaces
	// them: AWS does not, doubles of it do.
	InstanceGroups bool
}

// Phase is when a hook is asked.
type Phase string

// The phases. An error before is returned and nothing happens; one after is
// returned although it has happened, like a lost answer.
const (
	Before Phase = "before"
	After  Phase = "after"
)

// Call is one call of the world.
type Call struct {
	N         int // counts from 1
	Service   string
	Operation string
	Place     awscalls.Place
	Step      string // of the plan that the call is made for; empty: none is known
	Input     any    // the SDK's input, not to be changed
	At        time.Time
	Err       error // what was answered; nil before the call
	// Context is that of the call, for a hook that is to know whose it is.
	Context context.Context //nolint:containedctx // it is looked into, and nothing is called with it
}

// String prints the call as Service.Operation.
func (c Call) String() string { return c.Service + "." + c.Operation }

// DryRun reports whether the call only asks whether it would be allowed.
func (c Call) DryRun() bool { return dry(c.Input) }

// Hook looks at calls and makes them fail. It must be safe for concurrent use.
type Hook func(phase Phase, c Call) error

// World is an AWS in memory. It is safe for concurrent use.
type World struct {
	opts Options

	mu      sync.Mutex
	state   *state
	calls   []Call
	n       int
	buckets map[string]*bucket // of the throttle
	touched bool               // something was changed since it was settled
	due     time.Time          // when something happens by itself; zero: never
}

// state is all that the world is; it is kept as JSON.
type state struct {
	Seq      int64               `json:"seq"`
	Accounts map[string]*account `json:"accounts"`
}

// account is one AWS account. Each part is in the file of its service.
type account struct {
	ID      string             `json:"id"`
	Regions map[string]*region `json:"regions"`
	accountParts
}

// region is one region of an account.
type region struct {
	Name string `json:"name"`
	regionParts
}

// New returns a world; empty, or what its file holds.
func New(o Options) (*World, error) {
	w := &World{opts: o, state: &state{Accounts: map[string]*account{}}, buckets: map[string]*bucket{}, touched: true}
	if o.File == "" {
		return w, nil
	}
	raw, err := os.ReadFile(o.File)
	if os.IsNotExist(err) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the simulated world: %w", err)
	}
	if err := json.Unmarshal(raw, w.state); err != nil {
		return nil, fmt.Errorf("read the simulated world %s: %w", o.File, err)
	}
	return w, nil
}

// Calls are the calls so far, in the order in which they were answered.
func (w *World) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Call(nil), w.calls...)
}

// Edit changes the world as a colleague or Terraform would, or builds it. f runs
// under the world's lock.
func (w *World) Edit(f func(e *Editor)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(w.now())
	f(&Editor{w: w})
	w.touched = true
	w.settle(w.now())
	return w.save()
}

// Editor builds and changes a world. Its methods are in the files of the services.
type Editor struct{ w *World }

// Dump is the whole world as JSON, for comparison.
func (w *World) Dump() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return json.MarshalIndent(w.state, "", " ")
}

func (w *World) save() error {
	if w.opts.File == "" {
		return nil
	}
	raw, err := json.Marshal(w.state)
	if err != nil {
		return fmt.Errorf("keep the simulated world: %w", err)
	}
	return renameio.WriteFile(w.opts.File, raw, 0o600)
}

// at returns an account and a region, which come into being when first named.
func (w *World) at(accountID, regionName string) (*account, *region) {
	a := w.state.Accounts[accountID]
	if a == nil {
		a = &account{ID: accountID, Regions: map[string]*region{}}
		w.state.Accounts[accountID] = a
	}
	r := a.Regions[regionName]
	if r == nil {
		r = &region{Name: regionName}
		a.Regions[regionName] = r
	}
	return a, r
}

// id returns a new id with a prefix, i-0000000000000001a.
func (w *World) id(prefix string) string {
	w.state.Seq++
	return fmt.Sprintf("%s%017x", prefix, w.state.Seq)
}

func (w *World) now() time.Time { return w.opts.Clock.Now().UTC() }

// client is who calls, embedded by the client of each service.
type client struct {
	w     *World
	place awscalls.Place
}

// do answers one call: latency, throttle, hooks, the service's own code under
// the world's lock, and the world kept when the call changes it.
func do[O any](ctx context.Context, c client, service, operation string, changes bool, in any, f func(a *account, r *region) (*O, error)) (*O, error) {
	w := c.w
	if err := ctx.Err(); err != nil {
		return nil, wrap(service, operation, err)
	}
	if w.opts.Latency > 0 {
		if err := w.opts.Clock.Sleep(ctx, w.opts.Latency, nil); err != nil {
			return nil, wrap(service, operation, err)
		}
	}
	w.mu.Lock()
	w.n++
	call := Call{N: w.n, Service: service, Operation: operation, Place: c.place, Step: awscalls.StepOf(ctx), Input: in, At: w.now(), Context: ctx}
	slow := w.throttled(c.place, service, changes)
	w.mu.Unlock()
	if slow {
		return nil, w.answered(call, wrap(service, operation, fail(throttleCode(service), "Rate exceeded.")))
	}
	if w.opts.Hook != nil {
		if err := w.opts.Hook(Before, call); err != nil {
			return nil, w.answered(call, wrap(service, operation, err))
		}
	}
	if err := w.denied(call); err != nil {
		return nil, w.answered(call, wrap(service, operation, err))
	}
	w.mu.Lock()
	a, r := w.at(c.place.Account, c.place.Region)
	moved := w.settle(w.now())
	out, err := f(a, r)
	if changes {
		w.touched = true
		w.settle(w.now())
	}
	if changes || moved {
		if e := w.save(); e != nil && err == nil {
			err = e
		}
	}
	w.mu.Unlock()
	if err != nil {
		return nil, w.answered(call, wrap(service, operation, err))
	}
	if w.opts.Hook != nil {
		if err := w.opts.Hook(After, call); err != nil {
			return nil, w.answered(call, wrap(service, operation, err))
		}
	}
	return out, w.answered(call, nil)
}

func (w *World) answered(c Call, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.Err, c.Context = err, nil // what is remembered holds nothing else
	w.calls = append(w.calls, c)
	return err
}

// wrap makes an error look as the SDK returns it.
func wrap(service, operation string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
}

// fail is an error of AWS.
func fail(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// bucket is a token bucket of the throttle.
type bucket struct {
	tokens float64
	at     time.Time
}

// throttled takes a token and reports whether there was none.
func (w *World) throttled(p awscalls.Place, service string, changes bool) bool {
	if w.opts.Throttle <= 0 {
		return false
	}
	key := fmt.Sprintf("%s/%s/%s/%v", p.Account, p.Region, service, changes)
	now := w.now()
	b := w.buckets[key]
	if b == nil {
		b = &bucket{tokens: 2 * w.opts.Throttle, at: now}
		w.buckets[key] = b
	}
	passed := now.Sub(b.at).Seconds() * max(1, w.opts.Speed)
	b.tokens = min(2*w.opts.Throttle, b.tokens+passed*w.opts.Throttle)
	b.at = now
	if b.tokens < 1 {
		return true
	}
	b.tokens--
	return false
}

// clientFor is the client base of a place.
func (w *World) clientFor(p awscalls.Place) client { return client{w: w, place: p} }
