package app

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/respond/safety"
)

// ownThings finds out what guardroom lives on: what the configuration names, and
// what AWS says about this process. It is safe for concurrent use.
type ownThings struct {
	fixed safety.Own
	now   func() time.Time

	mu   sync.Mutex
	asks []*ownAsk
}

// ownAsk is one question to AWS about this process. Its answer does not change.
type ownAsk struct {
	ask func(ctx context.Context) (safety.Own, error)
	// unknown is what is not known while it has no answer; empty: then there is
	// none, as on a machine that is not AWS's.
	unknown string
	answer  *safety.Own
	next    time.Time
}

// askAgain is after how long a question without an answer is asked again.
const askAgain = 10 * time.Minute

// find is what is known now. It asks AWS at most once in ten minutes for what is
// not, each within seconds.
func (o *ownThings) find(ctx context.Context) safety.Own {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := safety.Own{Accounts: o.fixed.Accounts, Resources: o.fixed.Resources}
	for _, a := range o.asks {
		if a.answer == nil && !o.now().Before(a.next) {
			call, cancel := context.WithTimeout(ctx, 5*time.Second)
			got, err := a.ask(call)
			cancel()
			if err == nil {
				a.answer = &got
			} else {
				a.next = o.now().Add(askAgain)
			}
		}
		switch {
		case a.answer != nil:
			out.Accounts = append(slices.Clip(out.Accounts), a.answer.Accounts...)
			out.Resources = append(slices.Clip(out.Resources), a.answer.Resources...)
			out.Identities = append(out.Identities, a.answer.Identities...)
			out.Unknown = append(out.Unknown, a.answer.Unknown...)
		case a.unknown != "":
			out.Unknown = append(out.Unknown, a.unknown)
		}
	}
	if slices.ContainsFunc(out.Resources, func(n safety.Named) bool { return n.What == thisMachine }) {
		out.Unknown = slices.DeleteFunc(out.Unknown, func(u string) bool { return u == whichMachine })
	}
	return out
}

const (
	thisMachine  = "the machine that guardroom runs on"
	whichMachine = "on which machine guardroom runs"
)

// ownOf is what the configuration says of it. c is asked for the rest; nil: there
// is no AWS to ask.
func ownOf(cfg *config.Config, c *cloud.Cloud, now func() time.Time) *ownThings {
	o := &ownThings{now: now}
	p := cfg.Respond.Protect
	for _, id := range p.Accounts {
		o.fixed.Accounts = append(o.fixed.Accounts, safety.Named{Name: id, What: "in respond.protect.accounts"})
	}
	if p.ManagementAccount != "" {
		o.fixed.Accounts = append(o.fixed.Accounts, safety.Named{Name: p.ManagementAccount, What: management})
	}
	is := func(name, what string) {
		if name != "" {
			o.fixed.Resources = append(o.fixed.Resources, safety.Named{Name: name, What: what})
		}
	}
	for _, name := range p.Resources {
		is(name, "in respond.protect.resources")
	}
	for _, role := range []string{cfg.AWS.ReadRole, cfg.Respond.ActRole, cfg.Respond.ForensicsRole} {
		if role != "" {
			is("arn:*:iam::*:role/"+strings.TrimPrefix(role, "/"), "a role of guardroom")
		}
	}
	is(bucketOf(cfg.Respond.Evidence.URL), "the bucket of the evidence")
	is(bucketOf(cfg.Audit.Head.S3), "the bucket of guardroom's audit heads")
	for _, s := range cfg.Sources.S3 {
		is(bucketOf(s.URL), "the bucket that guardroom reads findings from")
	}
	is(databaseOf(cfg.Store.Reveal()), "guardroom's database")
	if c == nil {
		return o
	}
	o.asks = append(o.asks, &ownAsk{unknown: "as whom guardroom works", ask: func(ctx context.Context) (safety.Own, error) {
		id, err := c.Caller(ctx)
		return ownIdentity(id.ARN), err
	}}, &ownAsk{ask: func(ctx context.Context) (safety.Own, error) {
		id, err := c.ThisInstance(ctx)
		return safety.Own{Resources: []safety.Named{{Name: id, What: thisMachine}}}, err
	}})
	if cfg.AWS.Organizations && p.ManagementAccount == "" {
		o.asks = append(o.asks, &ownAsk{unknown: "which account manages the organization", ask: func(ctx context.Context) (safety.Own, error) {
			id, err := c.ManagementAccount(ctx)
			if err != nil || id == "" {
				return safety.Own{}, err
			}
			return safety.Own{Accounts: []safety.Named{{Name: id, What: management}}}, nil
		}})
	}
	return o
}

const management = "the management account of the organization"

func bucketOf(s string) string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(s, "s3://"), "/")
	return bucket
}

// databaseOf is the name of the RDS instance or cluster in a store's address.
func databaseOf(store string) string {
	u, err := url.Parse(store)
	if err != nil || !strings.HasSuffix(u.Hostname(), ".rds.amazonaws.com") {
		return ""
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return name
}

// ownIdentity is what the identity of this process says of what it lives on. The
// session of a role is named after the instance that holds it; of one that is not,
// nobody knows on which machine it is: a container, or a person's computer.
func ownIdentity(arn string) safety.Own {
	o := safety.Own{Resources: identityOf(arn)}
	parts := strings.Split(arn, "/")
	if !strings.Contains(arn, ":assumed-role/") || len(parts) != 3 {
		return o
	}
	o.Identities = o.Resources
	if sessionOfInstance.MatchString(parts[2]) {
		o.Resources = append(slices.Clone(o.Resources), safety.Named{Name: parts[2], What: thisMachine})
		return o
	}
	o.Unknown = []string{whichMachine}
	return o
}

var sessionOfInstance = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// identityOf is the user or the role behind an ARN of STS. Of a role it says no
// path.
func identityOf(arn string) []safety.Named {
	const what = "the identity that guardroom itself has"
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return nil
	}
	words := strings.Split(parts[5], "/")
	if words[0] != "assumed-role" || len(words) < 2 {
		return []safety.Named{{Name: arn, What: what}}
	}
	role := fmt.Sprintf("arn:%s:iam::%s:role/", parts[1], parts[4])
	return []safety.Named{{Name: role + words[1], What: what}, {Name: role + "*/" + words[1], What: what}}
}
