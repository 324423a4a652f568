package cloud

import (
	"context"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// Call is one call of AWS: the service and the operation as the SDK names them,
// for example GuardDuty ListFindings.
type Call struct{ Service, Operation string }

// String prints the call as Service.Operation, as Permissions names it: without
// spaces, and with the short names of awscalls.
func (c Call) String() string {
	name := strings.ReplaceAll(c.Service, " ", "")
	if short, ok := shortNames[name]; ok {
		name = short
	}
	return name + "." + c.Operation
}

var shortNames = map[string]string{"ElasticLoadBalancing": "ELB", "ElasticLoadBalancingv2": "ELBv2", "WAFV2": "WAF", "CloudWatchLogs": "Logs"}

// apiOptions puts the observer into every client.
func (c *Cloud) apiOptions() []func(*middleware.Stack) error {
	if c.deps.Observe == nil {
		return nil
	}
	observe := middleware.InitializeMiddlewareFunc("GuardroomObserve", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		c.deps.Observe(Call{Service: awsmiddleware.GetServiceID(ctx), Operation: middleware.GetOperationName(ctx)})
		return next.HandleInitialize(ctx, in)
	})
	return []func(*middleware.Stack) error{func(s *middleware.Stack) error {
		return s.Initialize.Add(observe, middleware.After)
	}}
}

// serverTime is the Date header of the answer.
func serverTime(m middleware.Metadata) (time.Time, bool) { return awsmiddleware.GetServerTime(m) }
