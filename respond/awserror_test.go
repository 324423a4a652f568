package respond_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

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
