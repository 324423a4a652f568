package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const (
	// deliveredBy is after how long records that have not come are late. A look
	// reads again what begins up to an interval and that before the end of the look
	// before it: records come late, and not in order.
	deliveredBy = 30 * time.Minute
	// defaultInterval is AWS's aggregation interval where nobody chose another.
	defaultInterval = 10 * time.Minute
)

// prove looks for proof that a contained instance is cut off: flow records of
// each interface since its network was changed last. It reads logs that strangers'
// traffic fills, and says nothing from them but addresses and numbers.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html
func prove(x *respond.Exec, last []respond.Verdict) ([]respond.Verdict, error) {
	var p verifyParams
	if err := x.Params(&p); err != nil {
		return nil, err
	}
	w, err := describeIn(x, p.Instance)
	if err != nil || w.Gone() {
		return nil, err
	}
	v := viewOf(x.Plan, x.Def.Part, x.Record)
	pr := prover{v: v, w: w, aws: x.AWS, place: x.In(awscalls.Read, x.Def.Account, x.Def.Region), now: x.Now(), seen: p.FirstSeen}
	contain := v.containGroups()
	out := make([]respond.Verdict, 0, len(w.Interfaces))
	for i, n := range w.Interfaces {
		verdict := v.verdict(w, n, contain[n.VPC])
		if !verdict.IsOpen() {
			err := x.Look(func(ctx context.Context) error {
				part, cancel := share(ctx, len(w.Interfaces)-i)
				defer cancel()
				verdict = pr.verdict(part, n, verdict, untilOf(n.ID, last))
				if errors.Is(ctx.Err(), context.Canceled) {
					return ctx.Err() // nobody waits for it any more
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		out = append(out, verdict)
	}
	return out, nil
}

// share is an equal share of the time that is left, for one of several that are read
// one after the other: who fills the log of one hides nothing of the others.
func share(ctx context.Context, of int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(of))
}

func untilOf(id string, last []respond.Verdict) time.Time {
	for _, l := range last {
		if l.What == id {
			return l.Until
		}
	}
	return time.Time{}
}

// prover judges the interfaces of one instance by flow records.
type prover struct {
	v     view
	w     *World
	aws   awscalls.AWS
	place awscalls.Place
	now   time.Time
	seen  time.Time // when the activity was first seen; zero: unknown
}

// verdict is base, which the description gave, with what the flow records say.
func (p *prover) verdict(ctx context.Context, n Interface, base respond.Verdict, until time.Time) respond.Verdict {
	logs, why := flowLogsOf(p.w, n)
	if len(logs) == 0 {
		return base
	}
	changed := p.v.changedAt(n)
	base.Until = until
	var proofs, young []string // logs that show nothing, and those of them that prove nothing alone
	var delivered time.Time    // until when all of them did
	for i, l := range logs {
		from := changed.Add(l.interval())
		if back := until.Add(-l.interval() - deliveredBy); back.After(from) {
			from = back
		}
		if !p.now.After(from) {
			why = append(why, l.ID+" is about what was before until "+clock(from))
			base.Pending = true
			continue
		}
		t := newTally(n, from)
		t.since = later(from.Add(-early), changed) // before that, it was let through
		part, cancel := share(ctx, len(logs)-i)
		reason := p.read(part, l, n, t)
		cancel()
		switch {
		case t.accepted > 0: // also where the log could not be read to its end
			return p.accepted(l, n, base, t, reason)
		case reason != "":
			why = append(why, l.ID+": "+reason)
			base.Pending = true
		case t.unreadable > 0:
			why = append(why, fmt.Sprintf("%d records of %s cannot be read", t.unreadable, l.ID))
		case t.skipped > 0:
			why = append(why, fmt.Sprintf("AWS left records out of %s", l.ID))
		case t.records == 0:
			why = append(why, l.ID+" has delivered nothing since")
			base.Pending = true
		default:
			proofs = append(proofs, l.ID)
			if l.madeAfter(p.seen) {
				young = append(young, l.ID+" was made at "+l.Made.UTC().Format("2006-01-02 15:04:05")+" UTC, after the activity began, and nothing else shows it")
			}
			if end := t.end(l, p.now); delivered.IsZero() || end.Before(delivered) {
				delivered = end
			}
		}
	}
	if !delivered.IsZero() {
		base.Until = delivered
	}
	if len(proofs) == len(young) {
		return unproven(base, kit.Join(append(why, young...)), p.now.Sub(changed) < deliveredBy)
	}
	base.Pending, base.By = false, kit.Join(proofs)+" until "+clock(delivered)
	if base.IsPartly() {
		base.Word += "; since then the flow records of " + base.By + " show no traffic"
		return base
	}
	base.Word = respond.Isolated
	return base
}

// accepted is the verdict where flow records show traffic that was let through.
// unread is what kept the log from being read to its end: then nobody knows that
// nothing comes in.
func (p *prover) accepted(l FlowLog, n Interface, base respond.Verdict, t *tally, unread string) respond.Verdict {
	base.Traffic, base.Until, base.Pending, base.By = t.lines(), p.now, false, l.ID+" until "+clock(t.end(l, p.now))
	if behind := p.v.cutBehind(p.w, n); behind != "" && unread == "" && t.beyond(outside(p.w, n)) {
		base.Word = respond.Partly("packets leave it and none comes in: " + behind + " drops them where its flow log does not see it; " + t.through())
		base.Traffic = nil
		return base
	}
	base.Word = respond.Open(t.through())
	return base
}

// unproven says why nothing is proven; a verdict that is worse stays.
func unproven(base respond.Verdict, why string, early bool) respond.Verdict {
	switch {
	case base.IsPartly():
	case early && base.Pending:
		base.Word = respond.NotYetProven(why)
	default:
		base.Word = respond.NotProven(why)
	}
	return base
}

// changedAt is when the run changed the network of an interface last.
func (v view) changedAt(n Interface) time.Time {
	var at time.Time
	ended := func(r playbook.Record) { at = later(at, r.Ended) }
	v.done(actIsolate, func(s respond.Step, r playbook.Record) {
		if p, err := paramsOf[isolateParams](s); err == nil && p.Interface == n.ID {
			ended(r)
		}
	})
	v.done(actShut, func(s respond.Step, r playbook.Record) {
		if p, err := paramsOf[shutParams](s); err == nil && p.Interface == n.ID {
			ended(r)
		}
	})
	for _, action := range []string{actACL, actAddress} {
		v.done(action, func(_ respond.Step, r playbook.Record) { ended(r) })
	}
	return at
}

// cutBehind names the network ACLs that cut connections of an interface in a
// subnet that they pass next; empty: there is none.
func (v view) cutBehind(w *World, n Interface) string {
	var acls []string
	for _, p := range v.paths() {
		if p.Subnet != n.Subnet || !p.cuts(w, n) {
			continue
		}
		for _, s := range p.Through {
			if a, ok := w.aclOf(s); ok && !slices.Contains(acls, a.ID) {
				acls = append(acls, a.ID)
			}
		}
	}
	if len(acls) == 0 {
		return ""
	}
	return "network ACL " + kit.Join(acls)
}

// outside reports whether an address is beyond the subnet of an interface.
func outside(w *World, n Interface) func(netip.Addr) bool {
	s, _ := w.subnet(n.Subnet)
	return func(a netip.Addr) bool {
		return !slices.ContainsFunc(s.CIDR, func(c string) bool {
			p, err := netip.ParsePrefix(c)
			return err == nil && p.Contains(a)
		})
	}
}

// flowLogsOf are the flow logs whose records of an interface can be read, and why
// the others that see it cannot.
func flowLogsOf(w *World, n Interface) (logs []FlowLog, why []string) {
	for _, l := range w.FlowLogs {
		if l.Resource != n.ID && l.Resource != n.Subnet && l.Resource != n.VPC {
			continue
		}
		if reason := l.unusable(w.Account); reason != "" {
			why = append(why, l.ID+" "+reason)
			continue
		}
		logs = append(logs, l)
	}
	if len(logs)+len(why) == 0 {
		why = append(why, "no flow log sees it")
		for _, u := range w.Unknown {
			if strings.HasPrefix(u, "ec2.DescribeFlowLogs") {
				why = []string{"flow logs could not be described (" + u + ")"}
			}
		}
	}
	return logs, why
}

// unusable says why a flow log proves nothing here; empty: it may.
func (l FlowLog) unusable(account string) string {
	switch {
	case l.Traffic == "REJECT":
		return "records only what was rejected"
	case l.Failed != "":
		return "delivers nothing: " + l.Failed
	}
	if _, lacks := readFormat(l.Format); lacks != "" {
		return "does not record the field " + lacks
	}
	switch l.Kind {
	case "", "cloud-watch-logs":
		if _, owner := l.group(); owner != "" && owner != account {
			return "delivers to account " + owner
		}
		return ""
	case "s3":
		return l.unreadableObjects()
	}
	return "delivers to " + l.Kind + " (" + l.To + "), which cannot be read"
}

// madeAfter reports whether a flow log is younger than what it is to witness: who
// acts there may have made it.
func (l FlowLog) madeAfter(seen time.Time) bool { return !seen.IsZero() && l.Made.After(seen) }

// interval is the longest that a record is about.
func (l FlowLog) interval() time.Duration {
	if l.Seconds <= 0 {
		return defaultInterval
	}
	return time.Duration(l.Seconds) * time.Second
}

// group is the name of the log group, and the account that owns it where the
// flow log says so.
func (l FlowLog) group() (name, owner string) {
	parts := strings.SplitN(l.To, ":", 7)
	if len(parts) < 7 || parts[0] != "arn" || parts[5] != "log-group" {
		return l.To, ""
	}
	return strings.TrimSuffix(parts[6], ":*"), parts[4]
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// read counts the records of an interface. It says what keeps it from that.
func (p *prover) read(ctx context.Context, l FlowLog, n Interface, t *tally) (reason string) {
	if l.Kind == "s3" {
		return p.readObjects(ctx, l, n, t)
	}
	return p.readGroup(ctx, l, n, t)
}

// unread says what keeps a log from being read.
func unread(what string, err error) string {
	reason := respond.Code(err)
	if call := respond.Called(err); call != "" && reason != "" {
		reason += " for " + call
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = "it took too long"
	case reason == "":
		reason = "AWS did not answer"
	}
	return what + " cannot be read (" + reason + ")"
}
