package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type function struct{}

var _ respond.Playbook = function{}

// Playbook stops a function.
func Playbook() respond.Playbook { return function{} }

// Actions are what its steps do. fetch reads the code.
func Actions(fetch Fetch) []respond.Action {
	return []respond.Action{recordFunction(), keepCode(fetch), stopFunction(), restoreConcurrency(), restoreProvisioned(), verifyFunction()}
}

// Closings is empty: nothing here is opened that must be closed.
func Closings() []respond.Closing { return nil }

func (function) Name() string { return "lambda-function" }
func (function) Version() int { return 1 }
func (function) Summary() string {
	return "Let no new invocation of a function start, and keep its code and configuration."
}
func (function) Fits(t respond.Target) bool { return t.Kind == finding.KindLambda }

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,140}$`)

// functionState is a function as AWS shows it. The values of its environment are
// secrets often, and are left out.
type functionState struct {
	Name     string       `json:"name"`
	ARN      string       `json:"arn"`
	Role     string       `json:"role"`
	Runtime  string       `json:"runtime,omitempty"`
	Handler  string       `json:"handler,omitempty"`
	Package  string       `json:"package"` // Zip or Image
	Image    string       `json:"image,omitempty"`
	Changed  string       `json:"last_modified"`
	SHA256   string       `json:"code_sha256"` // base64, as AWS has it
	Size     int64        `json:"code_size_bytes"`
	Timeout  int32        `json:"timeout_seconds"`
	Layers   []string     `json:"layers,omitempty"`
	Env      []string     `json:"environment_names,omitempty"`
	Reserved *int32       `json:"reserved_concurrency"` // null: not set
	Policy   kit.Document `json:"resource_policy"`
	Sources  []string     `json:"event_sources,omitempty"`
	// Provisioned is null where it could not be read.
	Provisioned []provision       `json:"provisioned_concurrency"`
	Tags        map[string]string `json:"tags,omitempty"`
	Gaps        []string          `json:"gaps,omitempty"`
	// Known are the tags where they could be read.
	Known []map[string]string `json:"-"`
}

func (function) Describe(ctx context.Context, a awscalls.AWS, r respond.Request) (respond.World, error) {
	name := r.Target.ID
	if !nameForm.MatchString(name) {
		return respond.World{}, fault.New(fault.Usage, fmt.Sprintf("%q is no name of a function", name), "look at the finding: guardroom incident show")
	}
	api, err := a.Lambda(ctx, r.Place(awscalls.Read))
	var s functionState
	if err == nil {
		s, err = describe(ctx, api, name)
	}
	if err != nil {
		return respond.World{}, respond.Explain(err, "describe function "+name+" in "+r.Target.Region, "nothing was changed")
	}
	if got := kit.AccountOf(s.ARN); got != r.Target.Account {
		return respond.World{}, fault.New(fault.Denied, "function "+name+" belongs to account "+got+", not to "+r.Target.Account+" that the finding names", "nothing is done in another account than its own")
	}
	before, err := json.Marshal(s)
	if err != nil {
		return respond.World{}, fault.Wrap(fault.Internal, err, "write down function "+name, "nothing was changed", "")
	}
	var facts kit.Facts
	facts.Add("function", s.ARN)
	return respond.World{Before: before, Facts: facts, Watched: s.watched(), Value: s, Tags: s.Known}, nil
}

// watched is what may change without making the plan another one: the steps take
// it as it is when they run. Who holds the role of the function may be able to
// change it, and must not be able to hold a run up by that.
func (s functionState) watched() []respond.Fact {
	var f kit.Facts
	f.Add("role", s.Role)
	f.Add("code", s.SHA256)
	f.Add("image", s.Image)
	f.Add("reserved concurrency", number(s.Reserved))
	f.Add("resource policy", s.Policy.Digest())
	f.Add("event sources", s.Sources...)
	if s.Provisioned != nil {
		f.Add("provisioned concurrency", joined(s.Provisioned))
	}
	return f
}

func number(n *int32) string {
	if n == nil {
		return "not set"
	}
	return strconv.Itoa(int(*n))
}

// describe reads a function and its reserved concurrency; what else cannot be
// read becomes a gap.
// https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
func describe(ctx context.Context, api awscalls.Lambda, name string) (functionState, error) {
	out, err := api.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
	if err != nil {
		return functionState{}, err
	}
	c := out.Configuration
	if c == nil {
		return functionState{}, fault.New(fault.Unavailable, "AWS sent no configuration of function "+name, "it is asked again")
	}
	s := functionState{Name: aws.ToString(c.FunctionName), ARN: aws.ToString(c.FunctionArn), Role: aws.ToString(c.Role), Runtime: string(c.Runtime), Handler: aws.ToString(c.Handler),
		Package: cmp.Or(string(c.PackageType), "Zip"), Changed: aws.ToString(c.LastModified), SHA256: aws.ToString(c.CodeSha256), Size: c.CodeSize, Timeout: aws.ToInt32(c.Timeout), Tags: out.Tags}
	if out.TagsError == nil {
		s.Known = []map[string]string{out.Tags}
	}
	if out.Code != nil {
		s.Image = cmp.Or(aws.ToString(out.Code.ResolvedImageUri), aws.ToString(out.Code.ImageUri))
	}
	for _, l := range c.Layers {
		s.Layers = append(s.Layers, aws.ToString(l.Arn))
	}
	if c.Environment != nil {
		s.Env = slices.Sorted(maps.Keys(c.Environment.Variables))
	}
	if s.Reserved, err = reserved(ctx, api, name); err != nil {
		return s, err
	}
	s.try("the resource policy", s.readPolicy(ctx, api))
	s.try("the event sources", s.readSources(ctx, api))
	s.Provisioned, err = provisionsOf(ctx, api, name)
	s.try("the provisioned concurrency", err)
	return s, nil
}

func (s *functionState) try(what string, err error) {
	if err != nil {
		s.Gaps = append(s.Gaps, what+": "+respond.Explain(err, "could not be read", "").Error())
	}
}

func reserved(ctx context.Context, api awscalls.Lambda, name string) (*int32, error) {
	out, err := api.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &name})
	if err != nil {
		return nil, err
	}
	return out.ReservedConcurrentExecutions, nil
}

func (s *functionState) readPolicy(ctx context.Context, api awscalls.Lambda) error {
	s.Policy = kit.None()
	out, err := api.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &s.Name})
	if respond.Is(err, "ResourceNotFoundException") {
		return nil
	}
	if err != nil {
		return err
	}
	s.Policy = kit.Text(aws.ToString(out.Policy))
	return nil
}

func (s *functionState) readSources(ctx context.Context, api awscalls.Lambda) error {
	in := &lambda.ListEventSourceMappingsInput{FunctionName: &s.Name}
	for {
		out, err := api.ListEventSourceMappings(ctx, in)
		if err != nil {
			return err
		}
		for _, m := range out.EventSourceMappings {
			s.Sources = append(s.Sources, cmp.Or(aws.ToString(m.EventSourceArn), aws.ToString(m.UUID)))
		}
		if out.NextMarker == nil {
			slices.Sort(s.Sources)
			return nil
		}
		in.Marker = out.NextMarker
	}
}
