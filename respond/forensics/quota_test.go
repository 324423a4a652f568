package forensics

import (
	"strings"
	"testing"
)

func TestAWorkstationSaysWhetherItWaitsForCapacityOrForAQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refusals map[string]string
		quota    bool
		want     string
	}{
		"no capacity":     {map[string]string{"m5 in a": "InsufficientInstanceCapacity", "m6 in a": "InsufficientHostCapacity"}, false, "no capacity in any type and subnet (InsufficientHostCapacity, InsufficientInstanceCapacity)"},
		"the quota":       {map[string]string{"m5 in a": "VcpuLimitExceeded", "m5 in b": "VcpuLimitExceeded"}, true, "the quota of the account for instances is reached (VcpuLimitExceeded)"},
		"both":            {map[string]string{"m5 in a": "VcpuLimitExceeded", "m6 in a": "InsufficientInstanceCapacity"}, false, "AWS starts none of the types in any subnet (InsufficientInstanceCapacity, VcpuLimitExceeded)"},
		"nothing refused": {nil, false, "no capacity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := atQuota(c.refusals); got != c.quota {
				t.Errorf("at the quota: %v", got)
			}
			if got := waiting(c.refusals); !strings.HasPrefix(got, c.want) {
				t.Errorf("it says %q", got)
			}
		})
	}
}
