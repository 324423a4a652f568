package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/google/go-cmp/cmp"
)

func functions(e *Editor) {
	e.AddFunction(attacked, home, Function{Name: "f", Code: []byte("archive"), Env: map[string]string{"TOKEN": "x"}, Versions: []string{"1"}, Policy: "{}"})
	e.AddFunction(attacked, home, Function{Name: "g", Reserved: aws.Int32(800)})
	e.AddFunction(attacked, home, Function{Name: "h", Image: "111111111111.dkr.ecr.eu-central-1.amazonaws.com/h:1"})
	for range 3 {
		e.AddEventSource(attacked, home, EventSource{Function: "f", Source: "arn:aws:sqs:eu-central-1:111111111111:q"})
	}
	e.AddEventSource(attacked, home, EventSource{Function: "g", Source: "arn:aws:sqs:eu-central-1:111111111111:q"})
}

func TestLambdaGivesTheCodeForTenMinutes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, functions)
	c := lambdaClient{w.act()}
	for _, name := range []string{"f", "arn:aws:lambda:eu-central-1:111111111111:function:f", "111111111111:function:f"} {
		out := val(c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name}))(t)
		if *out.Configuration.CodeSha256 != sum256([]byte("archive")) || out.Configuration.Environment.Variables["TOKEN"] != "x" || out.Concurrency != nil {
			t.Errorf("%s: %+v", name, out.Configuration)
		}
	}
	out := val(c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("f"), Qualifier: aws.String("1")}))(t)
	if *out.Configuration.Version != "1" {
		t.Errorf("version %s", *out.Configuration.Version)
	}
	if code := val(w.Fetch(*out.Code.Location))(t); string(code) != "archive" {
		t.Errorf("code %q", code)
	}
	w.pass(11 * time.Minute)
	_, err := w.Fetch(*out.Code.Location)
	wantCode(t, err, "AccessDenied")
	if h := val(c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("h")}))(t); h.Code.Location != nil || *h.Code.RepositoryType != "ECR" {
		t.Errorf("an image: %+v", h.Code)
	}
	for _, in := range []*lambda.GetFunctionInput{{FunctionName: aws.String("none")}, {FunctionName: aws.String("f"), Qualifier: aws.String("2")}} {
		_, err = c.GetFunction(ctx, in)
		wantCode(t, err, "ResourceNotFoundException")
	}
}

func TestLambdaTellsNoConcurrencyFromZero(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, functions)
	c := lambdaClient{w.act()}
	f := aws.String("f")
	reserved := func() *int32 {
		return val(c.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: f}))(t).ReservedConcurrentExecutions
	}
	set := func(n int32) error {
		_, err := c.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: f, ReservedConcurrentExecutions: &n})
		return err
	}
	if reserved() != nil || w.Invoke(attacked, home, "f") != nil {
		t.Fatal("a function with nothing reserved")
	}
	wantCode(t, set(101), "InvalidParameterValueException")
	wantCode(t, set(-1), "InvalidParameterValueException")
	wantCode(t, set(0), "")
	if n := reserved(); n == nil || *n != 0 {
		t.Errorf("reserved %v", n)
	}
	wantCode(t, w.Invoke(attacked, home, "f"), "TooManyRequestsException")
	wantCode(t, set(100), "")
	_, err := c.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: f})
	wantCode(t, err, "")
	if reserved() != nil || w.Invoke(attacked, home, "f") != nil {
		t.Error("it is not as before")
	}
	w.edit(func(e *Editor) { e.Function(attacked, home, "g").Reserved = aws.Int32(950) })
	wantCode(t, set(0), "")
	wantCode(t, set(1), "InvalidParameterValueException")
}

func TestLambdaReservesNoLessThanIsProvisioned(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, functions, func(e *Editor) { e.Function(attacked, home, "f").Aliases = map[string]string{"live": "1"} })
	c := lambdaClient{w.act()}
	f := aws.String("f")
	reserve := func(n int32) error {
		_, err := c.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: f, ReservedConcurrentExecutions: &n})
		return err
	}
	provide := func(q string, n int32) error {
		_, err := c.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: f, Qualifier: &q, ProvisionedConcurrentExecutions: &n})
		return err
	}
	take := func(q string) error {
		_, err := c.DeleteProvisionedConcurrencyConfig(ctx, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: f, Qualifier: &q})
		return err
	}
	list := func() string {
		out := val(c.ListProvisionedConcurrencyConfigs(ctx, &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: f}))(t)
		s := ""
		for _, p := range out.ProvisionedConcurrencyConfigs {
			s += fmt.Sprintf("%s %d of %d %s;", *p.FunctionArn, *p.AllocatedProvisionedConcurrentExecutions, *p.RequestedProvisionedConcurrentExecutions, p.Status)
		}
		return s
	}
	wantCode(t, provide("$LATEST", 1), "InvalidParameterValueException")
	wantCode(t, provide("live", 0), "ValidationException")
	wantCode(t, provide("none", 1), "ResourceNotFoundException")
	wantCode(t, provide("live", 101), "InvalidParameterValueException") // g has 800 of 1000
	wantCode(t, provide("live", 5), "")
	wantCode(t, provide("1", 1), "ResourceConflictException")
	arn := "arn:aws:lambda:eu-central-1:111111111111:function:f:live"
	if got := list(); got != arn+" 0 of 5 IN_PROGRESS;" {
		t.Error(got)
	}
	w.pass(2 * time.Minute)
	if got := list(); got != arn+" 5 of 5 READY;" {
		t.Error(got)
	}
	err := reserve(0)
	wantCode(t, err, "InvalidParameterValueException")
	if want := " ReservedConcurrentExecutions  0 should not be lower than function's total provisioned concurrency [5]."; !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	wantCode(t, take("live"), "")
	wantCode(t, take("live"), "")
	wantCode(t, take("none"), "ResourceNotFoundException")
	wantCode(t, reserve(0), "")
	wantCode(t, provide("live", 1), "InvalidParameterValueException")
	wantCode(t, provide("1", 1), "InvalidParameterValueException")
	wantCode(t, reserve(2), "")
	wantCode(t, provide("1", 2), "")
	wantCode(t, provide("live", 1), "ResourceConflictException")
}

func TestLambdaListsMappingsAndPolicies(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := lambdaClient{newRest(t, Options{}, functions).act()}
	n := 0
	in := &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("f"), MaxItems: aws.Int32(2)}
	for {
		out := val(c.ListEventSourceMappings(ctx, in))(t)
		n += len(out.EventSourceMappings)
		if out.NextMarker == nil {
			break
		}
		in.Marker = out.NextMarker
	}
	if n != 3 {
		t.Errorf("%d mappings", n)
	}
	if p := val(c.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: aws.String("f")}))(t); *p.Policy != "{}" {
		t.Errorf("policy %s", *p.Policy)
	}
	_, err := c.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: aws.String("g")})
	wantCode(t, err, "ResourceNotFoundException")
}

func TestWAFLetsOnlyWhoReadTheNewestWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, func(e *Editor) {
		e.AddIPSet(attacked, home, IPSet{Name: "blocked", ID: "set4", Addresses: []string{"192.0.2.1/32"}})
		e.AddIPSet(attacked, home, IPSet{Name: "blocked6", ID: "set6", Version: "IPV6"})
	})
	c := wafClient{w.act()}
	read := func() *wafv2.GetIPSetOutput {
		return val(c.GetIPSet(ctx, &wafv2.GetIPSetInput{Name: aws.String("blocked"), Id: aws.String("set4"), Scope: types.ScopeRegional}))(t)
	}
	write := func(token *string, name, id string, addresses ...string) error {
		_, err := c.UpdateIPSet(ctx, &wafv2.UpdateIPSetInput{Name: &name, Id: &id, Scope: types.ScopeRegional, LockToken: token, Addresses: addresses})
		return err
	}
	stale := read().LockToken
	w.edit(func(e *Editor) {
		e.SetAddresses(e.IPSet(attacked, home, "REGIONAL", "set4"), "192.0.2.1/32", "192.0.2.2/32")
	})
	wantCode(t, write(stale, "blocked", "set4", "198.51.100.1/32"), "WAFOptimisticLockException")
	wantCode(t, write(read().LockToken, "blocked", "set4", "198.51.100.1/32"), "")
	if diff := cmp.Diff([]string{"198.51.100.1/32"}, read().IPSet.Addresses); diff != "" {
		t.Errorf("the list was not replaced: %s", diff)
	}
	token := read().LockToken
	wantCode(t, write(token, "blocked", "set4", "198.51.100.1"), "WAFInvalidParameterException")
	wantCode(t, write(token, "blocked", "set4", "0.0.0.0/0"), "WAFInvalidParameterException")
	wantCode(t, write(token, "blocked", "set4", "2001:db8::/64"), "WAFInvalidParameterException")
	wantCode(t, write(token, "blocked", "set5"), "WAFNonexistentItemException")
	wantCode(t, write(token, "another", "set4"), "WAFNonexistentItemException")
	_, err := c.GetIPSet(ctx, &wafv2.GetIPSetInput{Name: aws.String("blocked"), Id: aws.String("set4"), Scope: types.ScopeCloudfront})
	wantCode(t, err, "WAFInvalidParameterException")
}
