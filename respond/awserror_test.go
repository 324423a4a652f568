package respond_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

func TestARefusedCallIsNamedAlsoWhenItIsTheOneThatFetchesCredentials(t *testing.T) {
	t.Parallel()
	no := &smithy.GenericAPIError{Code: "AccessDenied", Message: "no", Fault: smithy.FaultClient}
	assume := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: no}
	for _, c := range []struct {
		err  error
		hint string
	}{
		{&smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DetachInstances", Err: no}, "AutoScaling.DetachInstances"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeInstances", Err: errors.Join(errors.New("get credentials"), assume)}, "sts:SetSourceIdentity"},
	} {
		err := respond.Explain(c.err, "look", "nothing was changed")
		f := fault.Of(err)
		if f.Code != fault.Denied || !strings.Contains(f.Hint, c.hint) || !playbook.IsPermanent(err) {
			t.Errorf("%+v does not say %s", f, c.hint)
		}
	}
}

func TestAReasonIsReadByPeople(t *testing.T) {
	t.Parallel()
	status := func(code int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: err}
	}
	call := func(err error) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: "LockSnapshot", Err: err}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{call(status(403, &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You are not authorized."})), "AWS answered EC2.LockSnapshot with UnauthorizedOperation: You are not authorized."},
		{call(status(500, errors.New("XML syntax error on line 2"))), "EC2.LockSnapshot was answered with HTTP status 500 and nothing that can be read"},
		{call(fmt.Errorf("exceeded maximum number of attempts, 5, %w", errors.New("connection refused"))), "EC2.LockSnapshot: no answer (connection refused)"},
		{call(status(0, &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6111}, Err: syscall.ECONNREFUSED})), "EC2.LockSnapshot: no answer (connection refused by 127.0.0.1:6111)"},
		{call(status(0, &net.OpError{Op: "read", Err: syscall.ECONNRESET})), "EC2.LockSnapshot: no answer (the connection was cut)"},
		{call(status(0, context.DeadlineExceeded)), "EC2.LockSnapshot: no answer (it took too long)"},
		{call(&net.DNSError{Name: "ec2.nowhere.example"}), "EC2.LockSnapshot: no answer (ec2.nowhere.example has no address)"},
		{call(status(0, errors.New("use of closed connection"))), "EC2.LockSnapshot: no answer (use of closed connection)"},
		{call(status(503, io.EOF)), "EC2.LockSnapshot was answered with HTTP status 503 and nothing that can be read"},
		{errors.New("no room"), "no room"},
		{fault.New(fault.Conflict, "it is locked", "wait"), "it is locked"},
	} {
		if got := respond.Reason(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	err := respond.Explain(call(status(500, errors.New("XML syntax error"))), "lock it", "nothing was changed")
	if got := err.Error(); got != "lock it: EC2.LockSnapshot was answered with HTTP status 500 and nothing that can be read" {
		t.Errorf("explained as %q", got)
	}
	if !respond.Transient(errors.Unwrap(err)) {
		t.Error("what AWS gave is lost")
	}
}

func TestAnExplainedErrorSaysItsCodeOnce(t *testing.T) {
	t.Parallel()
	api := &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "no", Fault: smithy.FaultClient}
	for want, err := range map[string]error{
		"isolate eni-1: AWS answered EC2.ModifyNetworkInterfaceAttribute with UnauthorizedOperation: no": &smithy.OperationError{ServiceID: "EC2", OperationName: "ModifyNetworkInterfaceAttribute", Err: api},
		"isolate eni-1: api error UnauthorizedOperation: no":                                             api,
	} {
		if got := fault.Of(respond.Explain(err, "isolate eni-1", "nothing was changed")).Error(); got != want {
			t.Errorf("explained as %q, want %q", got, want)
		}
	}
}

func TestWhatPassesByItselfIsAskedAgain(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"RequestLimitExceeded": true, "Throttling": true, "ThrottlingException": true, "EC2ThrottledException": true, "RequestThrottledException": true,
		"OperationAborted": true, "ConditionalRequestConflict": true, "ResourceConflictException": true, "ConcurrentModificationException": true,
		"EntityTemporarilyUnmodifiable": true, "IncorrectState": true, "ServiceUnavailable": true,
		"UnauthorizedOperation": false, "InvalidParameterValue": false, "InvalidInstanceID.NotFound": false, "LimitExceeded": false,
	} {
		err := &smithy.OperationError{ServiceID: "EC2", OperationName: "Any", Err: &smithy.GenericAPIError{Code: code, Fault: smithy.FaultClient}}
		if got := respond.Transient(err); got != want {
			t.Errorf("%s: transient is %t", code, got)
		}
	}
}
