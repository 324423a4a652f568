package finding

import (
	"fmt"
	"strings"
)

// checkARN says where the finding's ARN disagrees with the fields beside it.
// The fields count: hand-made events have copied ARNs.
func checkARN(f, own *Finding, a arn, ok bool, v value) {
	if f.ARN == "" {
		return
	}
	if !ok {
		v.warn("arn is no ARN")
		return
	}
	differ := func(name, field, inARN string) {
		if field != "" && inARN != "" && field != inARN {
			v.warn("%s is %.80s in the finding and %.80s in its ARN: the field counts", name, field, inARN)
		}
	}
	differ("region", own.Region, a.region)
	differ("accountId", own.AccountID, a.account)
	differ("partition", own.Partition, a.partition)
	detector, id, ok := a.findingARN()
	if !ok {
		v.warn("arn is not the ARN of a finding")
		return
	}
	differ("id", string(own.ID), id)
	differ("detectorId", f.DetectorID, detector)
}

// checkSides says where type, action, role and direction contradict each other.
// Nothing is changed: people decide.
func checkSides(f *Finding, v value) {
	dns := strings.EqualFold(f.Type.Artifact, "DNS")
	switch k := f.Action.Kind; {
	case k == ActionNone || k == ActionOther:
	case dns && k != ActionDNSRequest:
		v.warn("the type is about DNS, the action is %s: the action counts", k)
	case strings.HasPrefix(strings.ToLower(f.Type.Family), "portprobe") && k != ActionPortProbe:
		v.warn("the type is about a port probe, the action is %s: the action counts", k)
	}
	if c := f.Action.NetworkConnection; c != nil {
		switch direction := strings.ToUpper(c.Direction); {
		case f.Role == RoleTarget && direction == "OUTBOUND":
			v.warn("the role is TARGET, but the connection is outbound")
		case f.Role == RoleActor && direction == "INBOUND":
			v.warn("the role is ACTOR, but the connection is inbound")
		}
	}
	if f.Role == RoleTarget && acts(f.Type) {
		v.warn("the role is TARGET, but with this type the resource acts")
	}
	if f.Role != RoleUnknown && f.Role != RoleActor && f.Role != RoleTarget {
		v.warn("service.resourceRole %s is unknown", short(string(f.Role)))
	}
}

// acts reports whether the resource is plainly the one that acts, for the types
// for which generated findings say the opposite.
func acts(t Type) bool {
	switch strings.ToLower(t.Family) {
	case "torclient", "torrelay", "blackholetraffic", "droppoint", "bitcointool", "denialofservice":
		return true
	}
	return false
}

func short(s string) string { return fmt.Sprintf("%.60q", s) }
