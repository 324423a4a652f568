package block

import (
	"slices"

	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// preflight asks AWS whether entries may be added to network ACLs. A change of an
// IP set has no dry run.
func preflight() kit.Preflight {
	return kit.Preflight{Name: "preflight.block", Calls: map[awscalls.Role][]string{awscalls.Act: {kit.CallEntry}}, Vital: []string{kit.CallEntry}, Lost: "nothing can be denied", Rest: "the rest"}
}

// trials try an entry for each network ACL, at a number that is taken: nothing can
// come of it, even where it is no dry run. An ACL without entries has none.
func trials(s world, account string) kit.Rehearsal {
	var r kit.Rehearsal
	for _, l := range s.ACLs {
		i := slices.IndexFunc(l.Entries, func(e entry) bool { return e.Number < lastEntry })
		if i < 0 || len(s.good) == 0 {
			continue
		}
		e := entry{Number: l.Entries[i].Number, Egress: l.Entries[i].Egress, CIDR: s.good[0].String(), Protocol: "-1", Action: "deny"}
		r.Trials = append(r.Trials, kit.Try(awscalls.Act, account, kit.CallEntry, e.input(l.ID)))
	}
	return r
}
