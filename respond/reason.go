package respond

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/guardroom/guardroom/internal/fault"
)

// Reason is an error of AWS in one line that a person reads: the call and what
// AWS said, without what the SDK says about itself. Any other error is shown as
// it is.
func Reason(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Of(f).Error()
	}
	call := Called(err)
	if call == "" {
		return err.Error()
	}
	if why := noAnswer(err); why != "" {
		return call + ": no answer (" + why + ")"
	}
	var answer *smithyhttp.ResponseError
	answered := errors.As(err, &answer)
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := "AWS answered " + call + " with " + api.ErrorCode()
		if m := api.ErrorMessage(); m != "" {
			text += ": " + m
		}
		return text
	}
	if answered {
		return fmt.Sprintf("%s was answered with HTTP status %d and nothing that can be read", call, answer.HTTPStatusCode())
	}
	if cause := innermost(err); cause != nil {
		return call + ": no answer (" + cause.Error() + ")"
	}
	return err.Error()
}

// Cause is the reason of an error without what was being done: what AWS answered,
// where that is known.
func Cause(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && Called(f.Err) != "" {
		return Reason(f.Err)
	}
	return Reason(err)
}

// noAnswer says in a few words why a call was not answered at all, with the
// address that was asked where it is known; empty: it was answered, or it is not
// known why it was not.
func noAnswer(err error) string {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPStatusCode() != 0 {
		return ""
	}
	where := ""
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Addr != nil {
		where = " by " + dial.Addr.String()
	}
	var slow net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused" + where
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return "it took too long"
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return name.Name + " has no address"
	}
	if answer != nil {
		return innermost(err).Error()
	}
	return ""
}

// innermost is the cause below everything that the SDK wraps.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// Worded is an error with Reason as its text; what AWS gave is below it.
func Worded(err error) error { return worded{err, Reason(err)} }

// worded is an error whose text is for people.
type worded struct {
	error
	text string
}

// Error implements error.
func (w worded) Error() string { return w.text }

// Unwrap returns the error as AWS gave it.
func (w worded) Unwrap() error { return w.error }
