package cloud

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// Ours knows which accounts belong to the installation. Whoever may write to a
// queue names the account of a finding; guardroom must not assume a role in an
// account of the writer's choice, where its external id would be seen and
// GuardDuty says what the writer wants.
type Ours struct {
	cloud  *Cloud
	listed []string
	own    cache[string]
	org    cache[bool]
}

// Ours returns what knows them: the configured accounts, those listed here, that
// of the credentials, and with aws.organizations those of the organization. It
// does no I/O.
func (c *Cloud) Ours(listed ...string) *Ours {
	o := &Ours{cloud: c, listed: slices.Clone(listed), own: cache[string]{now: c.deps.Now}, org: cache[bool]{now: c.deps.Now}}
	for _, a := range c.accounts {
		o.listed = append(o.listed, a.ID)
	}
	return o
}

// Check returns nil for an account that belongs to the installation. For one that
// does not it is a fault.Usage that says how to add it. It asks AWS only about
// accounts that the configuration does not have, and may be repeated.
func (o *Ours) Check(ctx context.Context, account string) error {
	if slices.Contains(o.listed, account) {
		return nil
	}
	own, err := o.own.get(ctx, "", o.cloud.ownAccount)
	switch {
	case err != nil:
		return err
	case own == account:
		return nil
	}
	if o.cloud.cfg.Organizations && accountPattern.MatchString(account) {
		member, err := o.org.get(ctx, account, func(ctx context.Context) (bool, time.Duration, error) {
			_, known, hold, err := o.cloud.member(ctx, account)
			return known, hold, err
		})
		switch {
		case err != nil:
			return err
		case member:
			return nil
		}
	}
	f := fault.New(fault.Usage, fmt.Sprintf("account %s is not in the configuration of guardroom, so nothing is asked or done there", account),
		fmt.Sprintf("if it is yours, add it under accounts: in guardroom.yaml (- id: %q), or set aws.organizations", account))
	f.Safe = "nothing was asked or changed there"
	return f
}
