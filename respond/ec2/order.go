package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/respond"
)

// MemoryLimit is how long isolation waits for memory at most.
const MemoryLimit = 10 * time.Minute

// VolatileFirst reports whether memory is taken before isolation: so it is by
// policy, or where policy leaves it open and the type of the finding does not say
// that data is leaving or that others are being harmed.
func VolatileFirst(p respond.Policy, findingType string) bool {
	switch p.Order {
	case "volatile_first":
		return true
	case "isolate_first":
		return false
	}
	return !dataLeaves(findingType)
}

// dataLeaves reports whether the type of a finding says that data is leaving, or that
// others are being harmed.
func dataLeaves(findingType string) bool {
	for _, word := range []string{"Exfiltration", "DropPoint", "DenialOfService", "Ransom", "Spambot"} {
		if strings.Contains(findingType, word) {
			return true
		}
	}
	return false
}

// MemoryFirst puts steps of another package that take what is volatile before
// everything in a containment that would destroy it: leaving service, addresses,
// interfaces, network ACLs and credentials. Preflight, record, marks, protection
// and the groups do not wait. containment is changed in place; volatile are ids
// in the same plan. Each of them must end within MemoryLimit: the caller limits
// their TimeoutSeconds to it with LimitMemory. May be repeated.
func MemoryFirst(containment []respond.Step, volatile []string) {
	waits := []string{StageService, StageDoors, StageOpen, StageIsolate, StageACL, StageCredentials}
	for i := range containment {
		s := &containment[i]
		if !slices.Contains(waits, s.Stage) {
			continue
		}
		for _, id := range volatile {
			if id != s.ID && !slices.Contains(s.After, id) {
				s.After = append(s.After, id)
			}
		}
	}
}

// LimitMemory ends a step that takes memory within MemoryLimit, so that isolation
// goes ahead without it.
func LimitMemory(s *respond.Step) {
	if limit := int64(MemoryLimit / time.Second); s.TimeoutSeconds <= 0 || s.TimeoutSeconds > limit {
		s.TimeoutSeconds = limit
	}
}
