package ec2

import (
	"strings"
	"testing"
)

func TestWhereAnEntryAllowsTooEarlyNoQuotaIsBlamed(t *testing.T) {
	t.Parallel()
	_, _, err := placed(tied{ACL: "acl-1", Entries: []Rule{{Number: 1, Egress: true, Action: "allow", Protocol: "-1", CIDR: "0.0.0.0/0"}}}, []string{"10.0.0.5/32"}, nil)
	if err == nil || !strings.Contains(err.Error(), "before its entry 1, which allows") || strings.Contains(err.Error(), "quota") {
		t.Errorf("it says %v", err)
	}
}
