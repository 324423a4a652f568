// Package fault is the one form in which errors reach a person: what failed,
// what is safe now, what to do next.
//
// A fault is filled where the knowledge is and printed only at the edge
// (command line, API, channel). Read Error.
package fault

import (
	"errors"
	"fmt"
)

// Code says what kind of failure it is, for exit codes and HTTP statuses.
type Code string

// The codes.
const (
	Internal    Code = "internal"    // ours, or the store's: try again
	Usage       Code = "usage"       // the command or the configuration is wrong; nothing was attempted
	NotFound    Code = "not_found"   // no such thing
	Conflict    Code = "conflict"    // the thing is in a state that does not allow it
	Unavailable Code = "unavailable" // somebody else does not answer
	Corrupt     Code = "corrupt"     // verification failed
	Denied      Code = "denied"      // not allowed
	// Unauthenticated says that nobody knows who asks.
	Unauthenticated Code = "unauthenticated"
)

// Error is a failure in three parts. Safe and Hint may be empty where there is
// nothing to say.
type Error struct {
	Code    Code
	Message string // what failed, lower case, no full stop
	Safe    string // what is true now
	Hint    string // one next command or change
	Err     error
}

// New returns a fault without cause.
func New(code Code, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint}
}

// Wrap returns a fault with a cause.
func Wrap(code Code, err error, message, safe, hint string) *Error {
	return &Error{Code: code, Message: message, Safe: safe, Hint: hint, Err: err}
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns err as fault; an error that is none becomes Internal.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Error() != err.Error() {
			// Wrapped on the way up: keep what was added in front.
			outer := *e
			outer.Message, outer.Err = err.Error(), nil
			return &outer
		}
		return e
	}
	return &Error{Code: Internal, Message: err.Error()}
}

// CodeOf returns the code of err; empty where there is no error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return Of(err).Code
}
