package respond

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// What got no answer at all is an outage, which passes; something else that
// answers in the place of AWS does not.
func TestOnlyWhatAnsweredIsNotOfAWS(t *testing.T) {
	t.Parallel()
	answer := func(status int, err error) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: "CreateSecurityGroup", Err: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}}
	}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"a page of moto":              {answer(500, errors.New("XML syntax error")), true},
		"not found, without a code":   {answer(404, errors.New("EOF")), true},
		"a gateway without a service": {answer(502, errors.New("EOF")), false},
		"unavailable":                 {answer(503, errors.New("EOF")), false},
		"a gateway that waited":       {answer(504, errors.New("EOF")), false},
		"AWS itself":                  {answer(400, &smithy.GenericAPIError{Code: "InvalidParameterValue"}), false},
		"a refused connection":        {answer(0, refused), false},
		"no response at all":          {&smithy.OperationError{ServiceID: "EC2", OperationName: "X", Err: &smithyhttp.ResponseError{Err: refused}}, false},
		"a plain error":               {refused, false},
	} {
		if got := notOfAWS(c.err); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
