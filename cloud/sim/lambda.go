package sim

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// lambdaState is what a region has of Lambda.
type lambdaState struct {
	Functions map[string]*Function `json:"functions,omitempty"`
	Mappings  []*EventSource       `json:"mappings,omitempty"`
}

// Function is a function of Lambda. What is left out when it is added is filled in.
type Function struct {
	Name    string            `json:"name"`
	ARN     string            `json:"arn"`
	Role    string            `json:"role,omitempty"` // ARN
	Runtime string            `json:"runtime,omitempty"`
	Handler string            `json:"handler,omitempty"`
	Code    []byte            `json:"code,omitempty"` // the archive
	Env     map[string]string `json:"env,omitempty"`
	// Image is the address of a container image, for functions made of one.
	Image string `json:"image,omitempty"`
	// Reserved is the reserved concurrency; nil: not set.
	Reserved *int32 `json:"reserved,omitempty"`
	// Policy is the policy that lets others invoke it; empty: none.
	Policy   string            `json:"policy,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Versions []string          `json:"versions,omitempty"` // published ones: 1, 2
	// Aliases are names of versions.
	Aliases map[string]string `json:"aliases,omitempty"`
	// Provisioned is the provisioned concurrency of versions and aliases.
	Provisioned map[string]*Provisioned `json:"provisioned,omitempty"`
	Changed     time.Time               `json:"changed"`
}

// EventSource makes a function run for what comes from a source.
type EventSource struct {
	ID       string    `json:"id"`
	Function string    `json:"function"` // name
	Source   string    `json:"source"`   // ARN
	State    string    `json:"state"`
	Changed  time.Time `json:"changed"`
}

const (
	// concurrency is what an account has, and unreserved what must be left of it.
	concurrency = 1000
	unreserved  = 100
	codeSigner  = "lambda-code"
	codeExpires = 10 * time.Minute
)

// AddFunction adds a function to a region.
func (e *Editor) AddFunction(accountID, regionName string, f Function) *Function {
	_, r := e.w.at(accountID, regionName)
	f.ARN = "arn:aws:lambda:" + regionName + ":" + accountID + ":function:" + f.Name
	f.Changed = orTime(f.Changed, e.w.now().Add(-30*24*time.Hour))
	put(&r.Lambda.Functions, f.Name, &f)
	return &f
}

// AddEventSource makes a function run for what comes from a source.
func (e *Editor) AddEventSource(accountID, regionName string, m EventSource) *EventSource {
	_, r := e.w.at(accountID, regionName)
	m.ID = orText(m.ID, e.w.uuid())
	m.State = orText(m.State, "Enabled")
	m.Changed = orTime(m.Changed, e.w.now())
	r.Lambda.Mappings = append(r.Lambda.Mappings, &m)
	return &m
}

// Function returns a function that must be there.
func (e *Editor) Function(accountID, regionName, name string) *Function {
	_, r := e.w.at(accountID, regionName)
	f, _, err := r.function(&name, nil)
	return must(f, err)
}

func functionMissing(name string) error {
	return fail("ResourceNotFoundException", "Function not found: %s", name)
}

// function finds a function by its name, ARN, or part of one, and which version
// is meant.
func (r *region) function(name, qualifier *string) (*Function, string, error) {
	n, version := aws.ToString(name), orText(aws.ToString(qualifier), "$LATEST")
	if _, after, ok := strings.Cut(n, ":function:"); ok {
		n = after
	}
	if before, after, ok := strings.Cut(n, ":"); ok {
		n, version = before, after
	}
	f := r.Lambda.Functions[n]
	if f == nil {
		return nil, "", functionMissing(n)
	}
	if version == "$LATEST" {
		return f, version, nil
	}
	if slices.Contains(f.Versions, version) || f.Aliases[version] != "" {
		return f, version, nil
	}
	return nil, "", functionMissing(f.ARN + ":" + version)
}

type lambdaClient struct{ client }

var _ awscalls.Lambda = lambdaClient{}

// GetFunction implements awscalls.Lambda. The address of the code lives for ten
// minutes; World.Fetch and World.Transport serve it.
func (c lambdaClient) GetFunction(ctx context.Context, in *lambda.GetFunctionInput, _ ...func(*lambda.Options)) (*lambda.GetFunctionOutput, error) {
	return do(ctx, c.client, "Lambda", "GetFunction", false, in, func(a *account, r *region) (*lambda.GetFunctionOutput, error) {
		f, version, err := r.function(in.FunctionName, in.Qualifier)
		if err != nil {
			return nil, err
		}
		out := &lambda.GetFunctionOutput{Configuration: f.configuration(version), Tags: f.Tags}
		if f.Reserved != nil {
			out.Concurrency = &types.Concurrency{ReservedConcurrentExecutions: aws.Int32(*f.Reserved)}
		}
		if f.Image != "" {
			out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("ECR"), ImageUri: aws.String(f.Image)}
			return out, nil
		}
		out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("S3"), Location: aws.String(c.w.codeURL(a.ID, r.Name, f.Name))}
		return out, nil
	})
}

// codeURL is a pre-signed address of a function's code.
func (w *World) codeURL(accountID, regionName, function string) string {
	path := "/" + codeSigner + "/" + function
	q := url.Values{
		"X-Amz-Credential": {codeSigner + "/" + accountID + "/" + regionName}, "X-Amz-Date": {w.now().Format(time.RFC3339Nano)},
		"X-Amz-Expires": {strconv.Itoa(int(codeExpires.Seconds()))},
	}
	q.Set("X-Amz-Signature", signature(http.MethodGet, path, q))
	return w.base() + path + "?" + q.Encode()
}

// functionCode is what such an address gives.
func (w *World) functionCode(accountID, regionName, function string) ([]byte, error) {
	_, r := w.at(accountID, regionName)
	f, _, err := r.function(&function, nil)
	if err != nil {
		return nil, fail("NoSuchKey", "The specified key does not exist.")
	}
	return append([]byte(nil), f.Code...), nil
}

func (f *Function) configuration(version string) *types.FunctionConfiguration {
	c := &types.FunctionConfiguration{
		FunctionName: aws.String(f.Name), FunctionArn: aws.String(f.ARN), Version: aws.String(version), CodeSha256: aws.String(sum256(f.Code)), CodeSize: int64(len(f.Code)),
		LastModified: aws.String(f.Changed.Format("2006-01-02T15:04:05.000-0700")), State: types.StateActive, LastUpdateStatus: types.LastUpdateStatusSuccessful,
		PackageType: types.PackageTypeZip, MemorySize: aws.Int32(128), Timeout: aws.Int32(30), Architectures: []types.Architecture{types.ArchitectureX8664},
	}
	if version != "$LATEST" {
		c.FunctionArn = aws.String(f.ARN + ":" + version)
	}
	if f.Role != "" {
		c.Role = aws.String(f.Role)
	}
	if f.Image != "" {
		c.PackageType = types.PackageTypeImage
	} else {
		c.Runtime, c.Handler = types.Runtime(orText(f.Runtime, "python3.13")), aws.String(orText(f.Handler, "index.handler"))
	}
	if len(f.Env) > 0 {
		c.Environment = &types.EnvironmentResponse{Variables: f.Env}
	}
	return c
}

// GetFunctionConcurrency implements awscalls.Lambda. Where none is reserved the
// number is nil.
func (c lambdaClient) GetFunctionConcurrency(ctx context.Context, in *lambda.GetFunctionConcurrencyInput, _ ...func(*lambda.Options)) (*lambda.GetFunctionConcurrencyOutput, error) {
	return do(ctx, c.client, "Lambda", "GetFunctionConcurrency", false, in, func(_ *account, r *region) (*lambda.GetFunctionConcurrencyOutput, error) {
		f, _, err := r.function(in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		out := &lambda.GetFunctionConcurrencyOutput{}
		if f.Reserved != nil {
			out.ReservedConcurrentExecutions = aws.Int32(*f.Reserved)
		}
		return out, nil
	})
}

// PutFunctionConcurrency implements awscalls.Lambda. 100 must be left to the
// functions that have nothing reserved, and no less can be reserved than is
// provisioned.
func (c lambdaClient) PutFunctionConcurrency(ctx context.Context, in *lambda.PutFunctionConcurrencyInput, _ ...func(*lambda.Options)) (*lambda.PutFunctionConcurrencyOutput, error) {
	return do(ctx, c.client, "Lambda", "PutFunctionConcurrency", true, in, func(_ *account, r *region) (*lambda.PutFunctionConcurrencyOutput, error) {
		f, _, err := r.function(in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		if in.ReservedConcurrentExecutions == nil || *in.ReservedConcurrentExecutions < 0 {
			return nil, fail("InvalidParameterValueException", "ReservedConcurrentExecutions must be 0 or greater")
		}
		want := *in.ReservedConcurrentExecutions
		if want > 0 && r.Lambda.left(f)-want < unreserved {
			return nil, fail("InvalidParameterValueException", "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", unreserved)
		}
		if sum := f.provisioned(""); sum > want {
			return nil, fail("InvalidParameterValueException", " ReservedConcurrentExecutions  %d should not be lower than function's total provisioned concurrency [%d].", want, sum)
		}
		f.Reserved = &want
		return &lambda.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: aws.Int32(want)}, nil
	})
}

// DeleteFunctionConcurrency implements awscalls.Lambda.
func (c lambdaClient) DeleteFunctionConcurrency(ctx context.Context, in *lambda.DeleteFunctionConcurrencyInput, _ ...func(*lambda.Options)) (*lambda.DeleteFunctionConcurrencyOutput, error) {
	return do(ctx, c.client, "Lambda", "DeleteFunctionConcurrency", true, in, func(_ *account, r *region) (*lambda.DeleteFunctionConcurrencyOutput, error) {
		f, _, err := r.function(in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		f.Reserved = nil
		return &lambda.DeleteFunctionConcurrencyOutput{}, nil
	})
}

// GetPolicy implements awscalls.Lambda.
func (c lambdaClient) GetPolicy(ctx context.Context, in *lambda.GetPolicyInput, _ ...func(*lambda.Options)) (*lambda.GetPolicyOutput, error) {
	return do(ctx, c.client, "Lambda", "GetPolicy", false, in, func(_ *account, r *region) (*lambda.GetPolicyOutput, error) {
		f, _, err := r.function(in.FunctionName, in.Qualifier)
		if err != nil {
			return nil, err
		}
		if f.Policy == "" {
			return nil, fail("ResourceNotFoundException", "The resource you requested does not exist.")
		}
		return &lambda.GetPolicyOutput{Policy: aws.String(f.Policy), RevisionId: aws.String(sum256([]byte(f.Policy)))}, nil
	})
}

// ListEventSourceMappings implements awscalls.Lambda.
func (c lambdaClient) ListEventSourceMappings(ctx context.Context, in *lambda.ListEventSourceMappingsInput, _ ...func(*lambda.Options)) (*lambda.ListEventSourceMappingsOutput, error) {
	return do(ctx, c.client, "Lambda", "ListEventSourceMappings", false, in, func(_ *account, r *region) (*lambda.ListEventSourceMappingsOutput, error) {
		only := ""
		if in.FunctionName != nil {
			f, _, err := r.function(in.FunctionName, nil)
			if err != nil {
				return nil, err
			}
			only = f.Name
		}
		var all []types.EventSourceMappingConfiguration
		for _, m := range r.Lambda.Mappings {
			f := r.Lambda.Functions[m.Function]
			if f == nil || only != "" && only != m.Function || in.EventSourceArn != nil && *in.EventSourceArn != m.Source {
				continue
			}
			all = append(all, types.EventSourceMappingConfiguration{
				UUID: aws.String(m.ID), FunctionArn: aws.String(f.ARN), EventSourceArn: aws.String(m.Source), State: aws.String(m.State), LastModified: aws.Time(m.Changed), BatchSize: aws.Int32(10),
			})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), 100, "InvalidParameterValueException")
		return &lambda.ListEventSourceMappingsOutput{EventSourceMappings: page, NextMarker: next}, err
	})
}

// Invoke runs a function as somebody outside would; an error says that it did
// not run. It does not count as a call.
func (w *World) Invoke(accountID, regionName, function string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, r := w.at(accountID, regionName)
	f, _, err := r.function(&function, nil)
	if err != nil {
		return err
	}
	if f.Reserved != nil && *f.Reserved == 0 {
		return fail("TooManyRequestsException", "Rate Exceeded.")
	}
	return nil
}
