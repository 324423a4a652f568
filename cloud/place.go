package cloud

import (
	"slices"

	"github.com/guardroom/guardroom/config"
)

// Place is an account and a region that a source reads, and the role that it
// assumes there. Empty means that of the credentials, the configured default
// region, and the configured read role.
type Place struct{ Account, Role, Region string }

// String names the place for people.
func (p Place) String() string {
	s := p.Account
	if s == "" {
		s = "own account"
	}
	if p.Region != "" {
		s += "/" + p.Region
	}
	return s
}

// Places are the accounts and regions of a GuardDuty source, in the configured
// order and without repetition. The regions of an account go before those of
// the source.
func Places(s config.GuardDutySource, accounts []config.Account) []Place {
	ids := s.Accounts
	if len(ids) == 0 {
		ids = []string{""}
	}
	var out []Place
	for _, id := range ids {
		regions := s.Regions
		for _, a := range accounts {
			if a.ID == id && id != "" && len(a.Regions) > 0 {
				regions = a.Regions
			}
		}
		if len(regions) == 0 {
			regions = []string{""}
		}
		for _, r := range regions {
			if p := (Place{Account: id, Role: s.Role, Region: r}); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
