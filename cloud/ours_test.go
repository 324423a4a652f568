package cloud_test

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// A finding names its own account, and whoever may write to a queue writes it.
func TestNoRoleIsAssumedInAnAccountThatIsNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ExternalID: config.NewSecret("x-1")}, []config.Account{{ID: "222222222222"}}, fakeguardduty.Options{ExternalID: "x-1"})
	roles := responseRoles
	roles.Ours = w.cloud.Ours("333333333333")
	r := w.cloud.Responses(roles)
	for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
		p := place(role, "INC-42")
		p.Account = "666666666666"
		_, err := r.EC2(t.Context(), p)
		f := fault.Of(err)
		if err == nil || f.Code != fault.Usage || !strings.Contains(f.Message, p.Account) || !strings.Contains(f.Hint, "accounts:") {
			t.Errorf("%s: %v", role, err)
		}
	}
	if list := assumed(t, w); len(list) > 0 {
		t.Errorf("roles were assumed: %v", list)
	}
	for _, account := range []string{"222222222222", "333333333333"} {
		p := place(awscalls.Read, "INC-42")
		p.Account = account
		describe(t, r, p)
	}
}

func TestWhoseTheCredentialsAreIsOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	own, err := w.cloud.Caller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cloud.Ours().Check(t.Context(), own.Account); err != nil {
		t.Error(err)
	}
}

// An attacked account may use a region that guardroom's own has not enabled: its
// STS refuses there.
func TestRolesAreAssumedInTheRegionOfGuardroom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	p := place(awscalls.Read, "INC-42")
	p.Region = "af-south-1"
	describe(t, w.cloud.Responses(responseRoles), p)
	for _, c := range w.fake.Calls() {
		if c.Operation == "AssumeRole" && c.Region != region {
			t.Errorf("the role was assumed in %s", c.Region)
		}
	}
	if len(assumed(t, w)) == 0 {
		t.Fatal("no role was assumed")
	}
}
