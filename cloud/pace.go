package cloud

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// PaceClass is a kind of calls that share a pace.
type PaceClass string

// The classes. AWS counts them apart, too.
const (
	// Changing calls change the world.
	Changing PaceClass = "changing"
	// Looking calls describe it.
	Looking PaceClass = "looking"
	// Storing calls read and write objects of S3.
	Storing PaceClass = "storing"
	// Hashing calls read blocks of snapshots, thousands of them.
	Hashing PaceClass = "hashing"
	// Searching calls look up events of CloudTrail.
	Searching PaceClass = "searching"
)

// Pace is how many calls of a class are sent in one account and region: so many
// a second in the long run, and so many at once after a pause.
type Pace struct {
	PerSecond float64
	AtOnce    int
}

// paces are the defaults. EC2's own for requests that change and that describe
// are 5/s after 50, and 20/s after 100; EBS direct gives 1000/s:
// https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
var paces = map[PaceClass]Pace{
	Changing: {PerSecond: 5, AtOnce: 50},
	Looking:  {PerSecond: 20, AtOnce: 100},
	Storing:  {PerSecond: 200, AtOnce: 100},
	Hashing:  {PerSecond: 500, AtOnce: 100},
	// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
	Searching: {PerSecond: 2, AtOnce: 2},
}

// maxPaces is from when on limiters that hold nobody up are forgotten.
const maxPaces = 1000

type paceKey struct {
	account, region string
	class           PaceClass
}

// pacer makes calls wait for their turn.
type pacer struct {
	paces map[PaceClass]Pace

	mu       sync.Mutex
	limiters map[paceKey]*rate.Limiter
}

func newPacer(own map[PaceClass]Pace) *pacer {
	p := &pacer{paces: maps.Clone(paces), limiters: map[paceKey]*rate.Limiter{}}
	for class, pace := range own {
		if pace.PerSecond > 0 && pace.AtOnce > 0 {
			p.paces[class] = pace
		}
	}
	return p
}

// classOf says which class a call belongs to, by the names of the SDK.
func classOf(service, operation string) PaceClass {
	switch {
	case service == "EBS":
		return Hashing
	case service == "CloudTrail":
		return Searching
	case service == "S3" && (strings.Contains(operation, "Object") || strings.Contains(operation, "Multipart") || strings.HasSuffix(operation, "Parts")):
		return Storing
	}
	for _, looks := range []string{"Describe", "Get", "List", "Head", "Filter"} {
		if strings.HasPrefix(operation, looks) {
			return Looking
		}
	}
	return Changing
}

func (p *pacer) limiter(key paceKey) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.limiters[key]
	if ok {
		return l
	}
	if len(p.limiters) >= maxPaces {
		// One that is full is as good as a new one.
		maps.DeleteFunc(p.limiters, func(_ paceKey, l *rate.Limiter) bool { return l.Tokens() >= float64(l.Burst()) })
	}
	pace := p.paces[key.class]
	l = rate.NewLimiter(rate.Limit(pace.PerSecond), pace.AtOnce)
	p.limiters[key] = l
	return l
}

// option makes every attempt of a client wait for its turn, before it is
// signed. A turn that cannot come before the caller's deadline fails at once. A
// call that may have acted is not sent again.
func (p *pacer) option(account, region string) func(*middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("GuardroomPace", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		class := classOf(awsmiddleware.GetServiceID(ctx), middleware.GetOperationName(ctx))
		if err := p.limiter(paceKey{account, region, class}).Wait(ctx); err != nil {
			if ctx.Err() == nil {
				err = context.DeadlineExceeded
			}
			return middleware.FinalizeOutput{}, middleware.Metadata{}, noRepeat{fmt.Errorf("wait for a turn among the %s calls in %s/%s: %w", class, account, region, err)}
		}
		out, metadata, err := next.HandleFinalize(ctx, in)
		if err != nil && !repeatable(middleware.GetOperationName(ctx), class) && !Throttled(err) {
			err = noRepeat{err}
		}
		return out, metadata, err
	})
	return func(s *middleware.Stack) error {
		if _, sends := s.Finalize.Get("Retry"); !sends {
			return nil // it only signs a URL
		}
		return s.Finalize.Insert(wait, "Retry", middleware.After)
	}
}

// repeatable reports whether the SDK may send a call again without knowing what
// became of it: because it only looks, because it sets something to a value, or
// because a client token makes it happen once. Another one may have acted before
// its answer was lost, and a second would take a second set of snapshots: who
// calls must look first.
func repeatable(operation string, class PaceClass) bool {
	if class != Changing {
		return true
	}
	for _, sets := range []string{"Modify", "Put", "Update", "Register", "Deregister", "Suspend", "Resume", "Set"} {
		if strings.HasPrefix(operation, sets) {
			return true
		}
	}
	switch operation {
	case "CreateTags", "DeleteTags", "RunInstances", "CreateVolume", "CreateNetworkAcl":
		return true
	}
	return false
}

// noRepeat is an error after which the SDK does not try again.
type noRepeat struct{ error }

// RetryableError is how the SDK asks.
func (noRepeat) RetryableError() bool { return false }

// Unwrap returns the cause.
func (e noRepeat) Unwrap() error { return e.error }
