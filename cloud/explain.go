package cloud

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/internal/fault"
)

// Explain turns an error of an AWS call into a fault: what was attempted, what
// AWS said, and what to do next. A fault stays as it is; nil stays nil.
func Explain(err error, attempted string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	code, hint := fault.Unavailable, "try again; guardroom doctor shows what can be reached"
	var api smithy.APIError
	var network net.Error
	switch {
	case operation(err) == "AssumeRole" && Denied(err):
		code, hint = fault.Denied, "let the role trust guardroom, allow guardroom sts:AssumeRole on it, and compare aws.external_id"
	case errors.As(err, &api) && Denied(err):
		code, hint = fault.Denied, "give the role the actions that docs/reference/iam.md lists; see guardroom doctor"
	case errors.As(err, &api) && expired[api.ErrorCode()]:
		code, hint = fault.Denied, "renew the AWS credentials, and check the clock"
	case errors.As(err, &api) && absent[api.ErrorCode()]:
		code, hint = fault.NotFound, "check its name, account and region"
	case errors.As(err, &api) && api.ErrorFault() == smithy.FaultClient:
		code, hint = fault.Usage, "check the configured names, account and region"
	case noCredentials(err):
		code, hint = fault.Denied, "set AWS credentials: a role of the machine, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		hint = "check the network's way to AWS, proxies and AWS_ENDPOINT_URL"
	}
	return fault.Wrap(code, errors.New(reason(err)), attempted, "", hint)
}

// Denied reports whether AWS refused a call for want of permission.
func Denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && denied[api.ErrorCode()]
}

// Throttled reports whether AWS asked to call more slowly, after all retries.
func Throttled(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "Throttl") || api.ErrorCode() == "TooManyRequestsException" || api.ErrorCode() == "RequestLimitExceeded")
}

var (
	denied = map[string]bool{"AccessDenied": true, "AccessDeniedException": true, "UnauthorizedOperation": true, "AuthorizationError": true,
		"UnauthorizedException": true, "AuthFailure": true, "Forbidden": true, "AllAccessDisabled": true}
	expired = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "InvalidClientTokenId": true, "SignatureDoesNotMatch": true,
		"UnrecognizedClientException": true, "InvalidSignatureException": true, "RequestExpired": true, "InvalidAccessKeyId": true, "RequestTimeTooSkewed": true}
	absent = map[string]bool{"ParameterNotFound": true, "ResourceNotFoundException": true, "NoSuchBucket": true, "NoSuchKey": true, "NotFound": true,
		"AccountNotFoundException": true, "AWS.SimpleQueueService.NonExistentQueue": true, "QueueDoesNotExist": true}
)

// noCredentials: the SDK has no type for this.
func noCredentials(err error) bool {
	s := err.Error()
	return strings.Contains(s, "get credentials") || strings.Contains(s, "refresh cached credentials") || strings.Contains(s, "get identity")
}

// reason is what AWS said, without the SDK's long preamble.
func reason(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err.Error()
	}
	words := api.ErrorCode()
	if op := operation(err); op != "" {
		words = op + ": " + words
	}
	if m := api.ErrorMessage(); m != "" {
		words += ": " + m
	}
	return words
}

// operation is the call that failed. A call that needs credentials first wraps
// the one that fetches them, so the innermost is meant.
func operation(err error) (name string) {
	var op *smithy.OperationError
	for errors.As(err, &op) {
		name, err = op.Operation(), op.Err
	}
	return name
}
