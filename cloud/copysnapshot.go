package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	copyOperation = "CopySnapshot"
	// hashOfNothing is the SHA-256 of an empty body.
	hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// copySnapshot makes the call CopySnapshot. The SDK's own has a client in an
// interface, for the address by which the source region is read, and with it all
// 700 calls of EC2 are in the program: half as much again. So the form is written
// here, and everything else (credentials, signature, repetition, errors) is that of
// the SDK's CreateSnapshot, whose answer has the same elements. A test compares the
// form with the SDK's.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html
func copySnapshot(c *ec2.Client) call[ec2.CopySnapshotInput, ec2.Options, ec2.CopySnapshotOutput] {
	return func(ctx context.Context, in *ec2.CopySnapshotInput, opts ...func(*ec2.Options)) (*ec2.CopySnapshotOutput, error) {
		fail := func(err error) (*ec2.CopySnapshotOutput, error) {
			return nil, &smithy.OperationError{ServiceID: ec2.ServiceID, OperationName: copyOperation, Err: err}
		}
		if in == nil || aws.ToString(in.SourceRegion) == "" || aws.ToString(in.SourceSnapshotId) == "" {
			return fail(errors.New("a copy needs the region and the id of its source"))
		}
		o := c.Options().Copy()
		for _, f := range opts {
			f(&o)
		}
		form := copyForm(in)
		if aws.ToString(in.PresignedUrl) == "" {
			address, err := presignCopy(ctx, o, *in.SourceRegion, form)
			if err != nil {
				return fail(fmt.Errorf("sign the address of the source: %w", err))
			}
			form.Set("PresignedUrl", address)
		}
		out, err := c.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: in.SourceSnapshotId}, append(slices.Clone(opts), func(o *ec2.Options) {
			o.APIOptions = append(slices.Clone(o.APIOptions), func(s *middleware.Stack) error { return sendForm(s, copyOperation, form) })
		})...)
		if err != nil {
			if of, ok := errors.AsType[*smithy.OperationError](err); ok {
				err = of.Err
			}
			return fail(err)
		}
		return &ec2.CopySnapshotOutput{SnapshotId: out.SnapshotId, Tags: out.Tags, ResultMetadata: out.ResultMetadata}, nil
	}
}

// sendForm has an operation send another form, under its name.
func sendForm(s *middleware.Stack, operation string, form url.Values) error {
	name := middleware.InitializeMiddlewareFunc("GuardroomOperation", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(middleware.WithOperationName(ctx, operation), in)
	})
	body := middleware.SerializeMiddlewareFunc("GuardroomForm", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (out middleware.SerializeOutput, m middleware.Metadata, err error) {
		r, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return out, m, fmt.Errorf("a request is %T", in.Request)
		}
		if r, err = r.SetStream(strings.NewReader(form.Encode())); err != nil {
			return out, m, err
		}
		in.Request = r
		return next.HandleSerialize(ctx, in)
	})
	return errors.Join(s.Initialize.Add(name, middleware.Before), s.Serialize.Insert(body, "OperationSerializer", middleware.After))
}

// copyForm is the input as the API takes it.
func copyForm(in *ec2.CopySnapshotInput) url.Values {
	form := url.Values{"Action": {copyOperation}, "Version": {"2016-11-15"}}
	text := func(name string, v *string) {
		if v != nil {
			form.Set(name, *v)
		}
	}
	yes := func(name string, v *bool) {
		if v != nil {
			form.Set(name, strconv.FormatBool(*v))
		}
	}
	text("SourceRegion", in.SourceRegion)
	text("SourceSnapshotId", in.SourceSnapshotId)
	text("Description", in.Description)
	text("DestinationAvailabilityZone", in.DestinationAvailabilityZone)
	text("DestinationOutpostArn", in.DestinationOutpostArn)
	text("KmsKeyId", in.KmsKeyId)
	text("PresignedUrl", in.PresignedUrl)
	yes("DryRun", in.DryRun)
	yes("Encrypted", in.Encrypted)
	if in.CompletionDurationMinutes != nil {
		form.Set("CompletionDurationMinutes", strconv.Itoa(int(*in.CompletionDurationMinutes)))
	}
	for i, s := range in.TagSpecifications {
		at := fmt.Sprintf("TagSpecification.%d.", i+1)
		if s.ResourceType != "" {
			form.Set(at+"ResourceType", string(s.ResourceType))
		}
		for n, t := range s.Tags {
			text(fmt.Sprintf("%sTag.%d.Key", at, n+1), t.Key)
			text(fmt.Sprintf("%sTag.%d.Value", at, n+1), t.Value)
		}
	}
	return form
}

// presignCopy is the address by which the destination reads the source region.
func presignCopy(ctx context.Context, o ec2.Options, from string, form url.Values) (string, error) {
	end, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ec2.EndpointParameters{Region: &from, Endpoint: o.BaseEndpoint,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled)})
	if err != nil {
		return "", err
	}
	who, err := o.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	query := maps.Clone(form)
	query.Set("DestinationRegion", o.Region)
	at := end.URI
	at.Path, at.RawQuery = strings.TrimSuffix(at.Path, "/")+"/", query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	address, _, err := v4.NewSigner().PresignHTTP(ctx, who, r, hashOfNothing, "ec2", from, time.Now())
	return address, err
}
