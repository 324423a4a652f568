package sim

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Provisioned is provisioned concurrency that was asked for.
type Provisioned struct {
	Requested int32 `json:"requested"`
	// Changed is when it was asked for: it is allocated some time later.
	Changed time.Time `json:"changed"`
	// Fails is why AWS cannot allocate it; empty: it can.
	Fails string `json:"fails,omitempty"`
}

// Provision gives a version or an alias of a function provisioned concurrency,
// which is allocated already. The version or alias must be there.
func (e *Editor) Provision(accountID, regionName, function, qualifier string, requested int32) *Provisioned {
	_, r := e.w.at(accountID, regionName)
	f, _, err := r.function(&function, &qualifier)
	p := &Provisioned{Requested: requested, Changed: e.w.now().Add(-time.Hour)}
	put(&must(f, err).Provisioned, qualifier, p)
	return p
}

// provisioned is the sum of what is asked for, without that of one version or alias.
func (f *Function) provisioned(without string) int32 {
	var sum int32
	for q, p := range f.Provisioned {
		if q != without {
			sum += p.Requested
		}
	}
	return sum
}

// status is how far it is allocated.
func (p *Provisioned) status(now time.Time, takes time.Duration) (s types.ProvisionedConcurrencyStatusEnum, allocated int32, why *string) {
	switch {
	case p.Fails != "":
		return types.ProvisionedConcurrencyStatusEnumFailed, 0, &p.Fails
	case now.Sub(p.Changed) < takes:
		return types.ProvisionedConcurrencyStatusEnumInProgress, 0, nil
	}
	return types.ProvisionedConcurrencyStatusEnumReady, p.Requested, nil
}

// ListProvisionedConcurrencyConfigs implements awscalls.Lambda.
func (c lambdaClient) ListProvisionedConcurrencyConfigs(ctx context.Context, in *lambda.ListProvisionedConcurrencyConfigsInput, _ ...func(*lambda.Options)) (*lambda.ListProvisionedConcurrencyConfigsOutput, error) {
	return do(ctx, c.client, "Lambda", "ListProvisionedConcurrencyConfigs", false, in, func(_ *account, r *region) (*lambda.ListProvisionedConcurrencyConfigsOutput, error) {
		f, _, err := r.function(in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		var all []types.ProvisionedConcurrencyConfigListItem
		for _, q := range keysOf(f.Provisioned) {
			p := f.Provisioned[q]
			status, allocated, why := p.status(c.w.now(), c.w.times().Provision)
			all = append(all, types.ProvisionedConcurrencyConfigListItem{
				FunctionArn: aws.String(f.ARN + ":" + q), RequestedProvisionedConcurrentExecutions: aws.Int32(p.Requested), AllocatedProvisionedConcurrentExecutions: &allocated,
				AvailableProvisionedConcurrentExecutions: &allocated, Status: status, StatusReason: why, LastModified: aws.String(p.Changed.Format("2006-01-02T15:04:05-0700")),
			})
		}
		page, next, err := pageOf(all, in.Marker, aws.ToInt32(in.MaxItems), 50, "InvalidParameterValueException")
		return &lambda.ListProvisionedConcurrencyConfigsOutput{ProvisionedConcurrencyConfigs: page, NextMarker: next}, err
	})
}

// PutProvisionedConcurrencyConfig implements awscalls.Lambda. Only published
// versions and aliases can have it, never both of one version, and no more than
// what is reserved for the function or left in the account.
func (c lambdaClient) PutProvisionedConcurrencyConfig(ctx context.Context, in *lambda.PutProvisionedConcurrencyConfigInput, _ ...func(*lambda.Options)) (*lambda.PutProvisionedConcurrencyConfigOutput, error) {
	return do(ctx, c.client, "Lambda", "PutProvisionedConcurrencyConfig", true, in, func(_ *account, r *region) (*lambda.PutProvisionedConcurrencyConfigOutput, error) {
		want, q := aws.ToInt32(in.ProvisionedConcurrentExecutions), aws.ToString(in.Qualifier)
		switch {
		case want < 1:
			return nil, fail("ValidationException", "1 validation error detected: Value '%d' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1", want)
		case q == "" || q == "$LATEST":
			return nil, fail("InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
		}
		f, _, err := r.function(in.FunctionName, &q)
		if err != nil {
			return nil, err
		}
		if v := f.Aliases[q]; v != "" && f.Provisioned[v] != nil {
			return nil, fail("ResourceConflictException", "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
		}
		for alias, v := range f.Aliases {
			if v == q && f.Provisioned[alias] != nil {
				return nil, fail("ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias")
			}
		}
		sum := f.provisioned(q) + want
		if f.Reserved != nil && *f.Reserved < sum {
			return nil, fail("InvalidParameterValueException", "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
		}
		if f.Reserved == nil && r.Lambda.left(f)-sum < unreserved {
			return nil, fail("InvalidParameterValueException", "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", unreserved)
		}
		put(&f.Provisioned, q, &Provisioned{Requested: want, Changed: c.w.now()})
		return &lambda.PutProvisionedConcurrencyConfigOutput{RequestedProvisionedConcurrentExecutions: &want, AllocatedProvisionedConcurrentExecutions: aws.Int32(0),
			AvailableProvisionedConcurrentExecutions: aws.Int32(0), Status: types.ProvisionedConcurrencyStatusEnumInProgress}, nil
	})
}

// left is what the account has beside what other functions hold for themselves.
func (l lambdaState) left(f *Function) int32 {
	left := int32(concurrency)
	for _, g := range l.Functions {
		switch {
		case g == f:
		case g.Reserved != nil:
			left -= *g.Reserved
		default:
			left -= g.provisioned("")
		}
	}
	return left
}

// DeleteProvisionedConcurrencyConfig implements awscalls.Lambda. One that is not
// there is deleted too; the version or alias must be there.
func (c lambdaClient) DeleteProvisionedConcurrencyConfig(ctx context.Context, in *lambda.DeleteProvisionedConcurrencyConfigInput, _ ...func(*lambda.Options)) (*lambda.DeleteProvisionedConcurrencyConfigOutput, error) {
	return do(ctx, c.client, "Lambda", "DeleteProvisionedConcurrencyConfig", true, in, func(_ *account, r *region) (*lambda.DeleteProvisionedConcurrencyConfigOutput, error) {
		q := aws.ToString(in.Qualifier)
		if q == "" || q == "$LATEST" {
			return nil, fail("InvalidParameterValueException", "The function resource provided must be an alias or a published version.")
		}
		f, _, err := r.function(in.FunctionName, &q)
		if err != nil {
			return nil, err
		}
		delete(f.Provisioned, q)
		return &lambda.DeleteProvisionedConcurrencyConfigOutput{}, nil
	})
}
