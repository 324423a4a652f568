package respond

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
)

// Code is the error code of AWS, or empty.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Is reports whether AWS answered with one of the codes. A code that ends in *
// matches by its beginning, one that begins with * by its end.
func Is(err error, codes ...string) bool {
	c := Code(err)
	if c == "" {
		return false
	}
	for _, want := range codes {
		switch {
		case strings.HasSuffix(want, "*") && strings.HasPrefix(c, strings.TrimSuffix(want, "*")),
			strings.HasPrefix(want, "*") && strings.HasSuffix(c, strings.TrimPrefix(want, "*")),
			c == want:
			return true
		}
	}
	return false
}

// Gone reports whether AWS says that the thing does not exist.
func Gone(err error) bool {
	return Is(err, "*.NotFound", "NoSuchEntity", "NoSuch*", "ResourceNotFoundException", "*NotFoundFault", "DBInstanceNotFound", "DBSnapshotNotFound", "NotFound", "*.Malformed", "InvalidTargetGroup*", "TargetGroupNotFound", "WAFNonexistentItemException", "LoadBalancerNotFound")
}

// DeniedByAWS reports whether AWS refused for want of a permission.
func DeniedByAWS(err error) bool {
	return Is(err, "UnauthorizedOperation", "AccessDenied*", "Forbidden", "AuthFailure", "Client.UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized")
}

// Transient reports whether an error may pass by itself: throttling, the other
// side's own trouble, a cut line, a missing answer.
func Transient(err error) bool {
	if playbook.IsPermanent(err) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if Is(err, "RequestLimitExceeded", "Throttl*", "*ThrottledException", "*ThrottlingException", "TooManyRequests*", "SlowDown", "RequestThrottled*", "ResourceContention*", "ConcurrentModification*", "InternalError", "InternalFailure", "Internal*", "ServiceUnavailable*", "Unavailable", "RequestTimeout*", "PriorRequestNotComplete", "OperationAborted", "ConditionalRequestConflict", "ResourceConflictException", "EntityTemporarilyUnmodifiable*", "WAFOptimisticLockException", "IncorrectState*", "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "InvocationDoesNotExist", "WAFUnavailableEntityException", "ExpiredToken*", "RequestExpired", "ServiceFailure*") {
			return true
		}
		return api.ErrorFault() == smithy.FaultServer
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*smithy.OperationError](err); ok {
		return true // no code: the line was cut, or the answer was not AWS'
	}
	return fault.CodeOf(err) == fault.Internal || fault.CodeOf(err) == fault.Unavailable
}

// hintAgain is for what may pass by itself, while the run lasts.
const hintAgain = "guardroom run watch shows whether it goes on; AWS is asked again"

// Explain turns an error of AWS into what a person reads. what is a phrase such
// as "isolate eni-0c1"; safe is what is true now. An error that is explained
// already, or that ends the run, is returned as it is.
func Explain(err error, what, safe string) error {
	if err == nil || errors.Is(err, playbook.ErrAborted) || errors.Is(err, playbook.ErrFenced) || errors.Is(err, playbook.ErrStopped) {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	message := what
	action, code := Called(err), Code(err)
	err = Worded(err)
	if code != "" && !strings.Contains(err.Error(), code) {
		message += " (" + code + ")" // what AWS said says it else
	}
	switch {
	case DeniedByAWS(err) && action == "STS.AssumeRole":
		return playbook.Permanent(fault.Wrap(fault.Denied, err, message, safe, "let the role trust guardroom with sts:AssumeRole and sts:SetSourceIdentity, allow guardroom both on it, and compare aws.external_id"))
	case DeniedByAWS(err):
		hint := "compare the role with guardroom iam policy --role act"
		if action != "" {
			hint = "the role lacks the permission for " + action + ": " + hint
		}
		return playbook.Permanent(fault.Wrap(fault.Denied, err, message, safe, hint))
	case Is(err, "NoSuchBucket"):
		return playbook.Permanent(fault.Wrap(fault.NotFound, err, message, safe, "the bucket is not there: compare respond.evidence.url, or make it; the resource is not meant"))
	case Gone(err):
		return playbook.Permanent(fault.Wrap(fault.NotFound, err, message, safe, "it does not exist in that account and region any more"))
	case Transient(err):
		return fault.Wrap(fault.Unavailable, err, message, safe, hintAgain)
	}
	return playbook.Permanent(fault.Wrap(fault.Conflict, err, message, safe, "read what AWS says, mend it, and make a new plan for what is missing"))
}

// Called is the call that an error of AWS answers, Service.Operation; empty for
// other errors. A call that needs credentials first wraps the one that fetches
// them, so the innermost is meant.
func Called(err error) (action string) {
	var op *smithy.OperationError
	for errors.As(err, &op) {
		action, err = strings.ReplaceAll(op.Service(), " ", "")+"."+op.Operation(), op.Err
	}
	return action
}

// NoObjectLock reports whether S3 refused a lock because the bucket has no Object
// Lock: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
func NoObjectLock(err error) bool {
	return Is(err, "InvalidRequest", "InvalidArgument", "ObjectLockConfigurationNotFound*", "NotImplemented")
}
