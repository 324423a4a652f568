package safety

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/rule"
)

// Question is what the guards are asked about.
type Question struct {
	Incident *incident.Incident
	Finding  *finding.Finding // the newest revision of the leading one
	// Confirmed says that GuardDuty itself knows the finding in that account.
	Confirmed bool
	// ByItself says that no person asked: a route or a rule did.
	ByItself bool
	Target   respond.Target
	Class    respond.Class
	Policy   respond.Policy
	Env      *rule.Env
	Never    []*rule.Rule
	// Parts are the targets of a plan over several resources.
	Parts []respond.Target
	// Own is what guardroom itself lives on.
	Own Own
	// Protected is in words why now two people must approve; empty: it is not so.
	Protected string
	// Active is the run that has the target in hand, and Contained the one that
	// contained it; empty: none.
	Active, Contained respond.RunID
	// Counts is how many of each class it would do; empty: one of Class.
	Counts map[respond.Class]int
	// Recent is what was done within the last hour, by class in the account, and
	// RecentAll all of it in every account.
	Recent    map[respond.Class]int
	RecentAll int
	Now       time.Time
}

// Guards answers each guard, in a fixed order.
func Guards(q Question) []respond.Guard {
	list := []respond.Guard{own(q), Archived(q), confirmed(q), sameAccount(q), open(q), direction(q), Busy(q), contained(q), Cap(q), protectedHours(q)}
	out := list[:0]
	for _, g := range list {
		if g.Name != "" {
			out = append(out, g)
		}
	}
	return out
}

func pass(name string) respond.Guard { return respond.Guard{Name: name, Answer: respond.Pass} }

func refuse(name, why, hint string) respond.Guard {
	return respond.Guard{Name: name, Answer: respond.Refuse, Why: why, Hint: hint}
}

func warn(name, why, hint string) respond.Guard {
	return respond.Guard{Name: name, Answer: respond.Warn, Why: why, Hint: hint}
}

// protectedHours: what is done now costs more than at another time.
func protectedHours(q Question) respond.Guard {
	const name = "protected hours"
	if q.Protected == "" || q.Class == respond.Release {
		return pass(name)
	}
	return warn(name, q.Protected+": two people must approve, and no rule approves it beforehand", "approve with personal tokens: guardroom --server URL plan approve PLAN --digest … --reason …")
}

// Archived refuses samples and what GuardDuty archived: they never act.
func Archived(q Question) respond.Guard {
	const name = "sample or archived"
	switch {
	case q.Finding.Sample || q.Incident.Sample:
		return refuse(name, "it is a sample finding, and samples never act", "nothing needs to be contained")
	case q.Finding.Archived:
		return refuse(name, "the finding is archived in GuardDuty", "unarchive it there, if it counts again")
	}
	return pass(name)
}

// confirmed: whoever may write to a queue can send a finding. A person may look
// at the plan and judge; nothing happens by itself.
func confirmed(q Question) respond.Guard {
	const name = "confirmation"
	switch {
	case q.Confirmed:
		return pass(name)
	case q.ByItself:
		return refuse(name, "GuardDuty in "+q.Target.Account+" has not confirmed the finding", "a person can make the plan: guardroom plan create --incident "+q.Incident.Number.String())
	}
	return warn(name, "GuardDuty itself has not confirmed the finding: whoever may write to the queue can have sent it", "look at it in GuardDuty's console, or configure sources.guardduty")
}

// sameAccount refuses resources of other accounts than the finding's: the
// account is what was confirmed.
func sameAccount(q Question) respond.Guard {
	const name = "account"
	if q.Target.Account != q.Finding.AccountID {
		return refuse(name, fmt.Sprintf("the finding is of account %s and the resource of %s", q.Finding.AccountID, q.Target.Account), "respond in that account for a finding of its own")
	}
	return pass(name)
}

func open(q Question) respond.Guard {
	const name = "state of the incident"
	if q.Incident.State == incident.Closed {
		return refuse(name, q.Incident.Number.String()+" is closed", "guardroom incident reopen "+q.Incident.Number.String())
	}
	return pass(name)
}

// direction refuses to isolate a host that was attacked and does nothing: an
// isolated server is what an attacker on the outside could ask for by probing.
func direction(q Question) respond.Guard {
	const name = "direction"
	if q.Class != respond.Isolation || q.Finding.Role != finding.RoleTarget || !Inbound(q.Finding) {
		return pass(name)
	}
	return refuse(name, "the resource was the target of "+words(q.Finding)+" and is not seen to act", "block the actor instead: --playbook block-actor")
}

// Inbound reports whether a finding tells of tries from outside that are not
// known to have worked: probes and guessing.
func Inbound(f *finding.Finding) bool {
	if f.Action.Kind == finding.ActionPortProbe {
		return true
	}
	family := strings.ToLower(f.Type.Family)
	return strings.Contains(family, "bruteforce") || strings.Contains(family, "portprobe") || strings.HasPrefix(strings.ToLower(f.Type.Purpose), "recon")
}

func words(f *finding.Finding) string {
	switch {
	case f.Action.Kind == finding.ActionPortProbe:
		return "port probes"
	case strings.Contains(strings.ToLower(f.Type.Family), "bruteforce"):
		return "brute force"
	}
	return f.Type.Name
}

// Busy refuses what another run has in hand.
func Busy(q Question) respond.Guard {
	const name = "one run at a time"
	if q.Active != "" {
		return refuse(name, string(q.Active)+" has it in hand", "guardroom run watch "+string(q.Active))
	}
	return pass(name)
}

func contained(q Question) respond.Guard {
	const name = "already contained"
	if q.Contained == "" || q.Class == respond.Other || q.Class == respond.Release {
		return pass(name)
	}
	return refuse(name, string(q.Contained)+" contained it", "guardroom run show "+string(q.Contained)+"; to preserve evidence only: --playbook forensics")
}

// Cap bounds how much is done in an hour: a flood of forged or real findings
// must not isolate a whole account. A plan over several resources counts each.
func Cap(q Question) respond.Guard {
	const name = "hourly cap"
	if q.Class == respond.Release {
		return pass(name)
	}
	counts := q.Counts
	if len(counts) == 0 {
		counts = map[respond.Class]int{q.Class: 1}
	}
	all := 0
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		n := counts[class]
		all += n
		if limit := limitOf(q.Policy, class); limit > 0 && q.Recent[class]+n > limit {
			return refuse(name, fmt.Sprintf("%d of class %s were done in account %s within the hour, this is %d more, and the cap is %d", q.Recent[class], class, q.Target.Account, n, limit),
				hintOf(n, limit, "respond.caps"))
		}
	}
	if limit := q.Policy.ResponsesAnHour; limit > 0 && q.RecentAll+all > limit {
		return refuse(name, fmt.Sprintf("%d responses were done within the hour, this is %d more, and the cap is %d", q.RecentAll, all, limit), hintOf(all, limit, "respond.caps.all"))
	}
	return pass(name)
}

func limitOf(p respond.Policy, class respond.Class) int {
	switch class {
	case respond.Isolation:
		return p.IsolationsAnHour
	case respond.Revocation:
		return p.RevocationsAnHour
	case respond.Block:
		return p.BlocksAnHour
	}
	return 0
}

func hintOf(n, limit int, key string) string {
	if n > limit {
		return "plan its resources one by one (--resource ID), or raise " + key
	}
	return "wait, or raise " + key
}
