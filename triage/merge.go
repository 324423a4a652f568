package triage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Key is a merge key: findings with an equal key are about the same thing.
type Key struct{ Kind, Value string }

// The kinds of keys that the configuration names. The first two always apply.
const (
	ByFinding        = "finding"
	BySequence       = "sequence"
	ByFamilyResource = "family_resource" // the same type family on the same resource
	ByResource       = "resource"        // the same resource, whatever the family
	ByActor          = "actor"           // links incidents, never merges them
)

// defaultKeys are used when the configuration names none.
var defaultKeys = []string{ByFinding, BySequence, ByFamilyResource, ByActor}

// Candidate is what triage wants to know of an incident.
type Candidate struct {
	ID           incident.ID
	Number       incident.Number
	State        incident.State
	Severity     finding.Severity
	Verdict      incident.Verdict
	LastActivity time.Time
	ClosedAt     time.Time
	Sample       bool
}

// Index finds incidents inside the accept transaction. Every method follows
// merges to the incident that lives on, and answers false when there is none.
type Index interface {
	// IncidentOfFinding returns the incident that holds a finding.
	IncidentOfFinding(ctx context.Context, id finding.ID) (Candidate, bool, error)
	// IncidentOfARN returns the incident that holds the finding with this ARN.
	IncidentOfARN(ctx context.Context, arn string) (Candidate, bool, error)
	// IncidentOfKey returns the newest incident that holds a merge key.
	IncidentOfKey(ctx context.Context, key string) (Candidate, bool, error)
	// IncidentsOfActor returns the numbers of the newest incidents of an actor,
	// at most 5.
	IncidentsOfActor(ctx context.Context, key string, since time.Time) ([]incident.Number, error)
	// SequenceOf returns the incident of the attack sequence that names the
	// finding with this ARN.
	SequenceOf(ctx context.Context, findingARN string) (Candidate, bool, error)
}

// The actions of a Placement.
const (
	Open   = "open"   // a new incident
	Join   = "join"   // into an open one
	Reopen = "reopen" // a closed one, which it then joins
	Record = "record" // nothing changes; kept with Into, if there is one
)

// Placement says where a finding belongs.
type Placement struct {
	Action    string
	Into      Candidate // for Join, Reopen, and Record where there is one
	By        string    // which key decided
	Absorb    []Candidate
	Continues incident.Number // Open: the closed incident that the new one links
	Links     []incident.Link
	Steps     []Step
}

func (p *Placement) step(decision, format string, args ...any) {
	p.Steps = append(p.Steps, Step{Stage: "merge", Decision: decision, Reason: fmt.Sprintf(format, args...)})
}

// ActorWindow is how far back a common actor links incidents.
const ActorWindow = 7 * 24 * time.Hour

const (
	defaultWindow       = 24 * time.Hour
	defaultReopenWithin = 7 * 24 * time.Hour
)

// Place finds the incident that a finding belongs to, in the order: its id,
// its attack sequence, its merge keys within the window. An actor in common only
// links. It changes nothing; f must be a new or newer revision.
func (t *Triager) Place(ctx context.Context, ix Index, f *finding.Finding, d Decision, now time.Time) (Placement, error) {
	p, err := t.place(ctx, ix, f, d, now)
	if err != nil {
		return p, fmt.Errorf("place finding %s: %w", f.ID, err)
	}
	if p.Action == Record {
		return p, nil
	}
	if err := t.absorb(ctx, ix, f, &p); err != nil {
		return p, fmt.Errorf("place finding %s: %w", f.ID, err)
	}
	if err := t.link(ctx, ix, d, now, &p); err != nil {
		return p, fmt.Errorf("place finding %s: %w", f.ID, err)
	}
	return p, nil
}

func (t *Triager) place(ctx context.Context, ix Index, f *finding.Finding, d Decision, now time.Time) (Placement, error) {
	own, has, err := ix.IncidentOfFinding(ctx, f.ID)
	if err != nil {
		return Placement{}, err
	}
	// A sample and a real finding are never one, whatever their ids say.
	has = has && own.Sample == f.Sample
	if has && own.State == incident.Closed {
		return t.afterClosing(f, own, d, now), nil
	}
	seq, inSequence, err := sequenceOf(ctx, ix, f)
	if err != nil {
		return Placement{}, err
	}
	inSequence = inSequence && seq.State != incident.Closed && seq.Sample == f.Sample
	switch {
	case inSequence && has && own.Number != seq.Number:
		p := Placement{Action: Join, Into: seq, By: BySequence, Absorb: []Candidate{own}}
		p.step("join", "%s is an attack sequence that names this finding; it absorbs %s", seq.Number, own.Number)
		return p, nil
	case has:
		p := Placement{Action: Join, Into: own, By: ByFinding}
		p.step("join", "%s holds earlier revisions of this finding", own.Number)
		return p, nil
	case f.Archived:
		p := Placement{Action: Record}
		p.step("record", "archived in GuardDuty: it opens no incident")
		return p, nil
	case inSequence:
		p := Placement{Action: Join, Into: seq, By: BySequence}
		p.step("join", "%s is an attack sequence that names this finding", seq.Number)
		return p, nil
	}
	return t.byKey(ctx, ix, f, d)
}

func sequenceOf(ctx context.Context, ix Index, f *finding.Finding) (Candidate, bool, error) {
	if f.Type.IsSequence() {
		return Candidate{}, false, nil
	}
	if OfAccount(f.AssociatedSequenceARN, f.AccountID) {
		if c, ok, err := ix.IncidentOfARN(ctx, f.AssociatedSequenceARN); err != nil || ok {
			return c, ok, err
		}
	}
	return ix.SequenceOf(ctx, f.ARN)
}

func (t *Triager) byKey(ctx context.Context, ix Index, f *finding.Finding, d Decision) (Placement, error) {
	window := t.cfg.Triage.Merge.Window.Std()
	if window <= 0 {
		window = defaultWindow
	}
	var p Placement
	for _, kind := range t.mergeKeys() {
		for _, k := range d.Keys {
			if k.Kind != kind {
				continue
			}
			c, ok, err := ix.IncidentOfKey(ctx, k.Value)
			if err != nil {
				return p, err
			}
			if !ok {
				continue
			}
			apart := f.At().Sub(c.LastActivity).Abs()
			if !f.LastSeen.IsZero() {
				apart = f.LastSeen.Sub(c.LastActivity).Abs()
			}
			switch {
			case apart > window:
				p.step("apart", "%s has the same %s, but %s lie between them (window %s)", c.Number, keyWords[kind], apart.Round(time.Minute), window)
			case c.State == incident.Closed:
				p.Continues = c.Number
				p.step("closed", "%s has the same %s and is closed (%s)", c.Number, keyWords[kind], c.Verdict.Words())
			default:
				p.Action, p.Into, p.By, p.Continues = Join, c, kind, 0
				p.step("join", "%s has the same %s within %s", c.Number, keyWords[kind], window)
				return p, nil
			}
		}
	}
	p.Action = Open
	p.step("open", "nothing open is about the same")
	return p, nil
}

var keyWords = map[string]string{ByFamilyResource: "type family and resource", ByResource: "resource"}

// afterClosing decides what a new revision of a closed incident's finding does.
func (t *Triager) afterClosing(f *finding.Finding, c Candidate, d Decision, now time.Time) Placement {
	// The finding's own severity counts: another one may have been the reason
	// for the incident's.
	before := c.Severity
	if d.Before != nil {
		before = *d.Before
	}
	within := t.cfg.Incidents.ReopenWithin.Std()
	if within <= 0 {
		within = defaultReopenWithin
	}
	harmless := c.Verdict == incident.FalsePositive || c.Verdict == incident.Benign
	var p Placement
	switch {
	case f.Archived:
		p = Placement{Action: Record, Into: c, By: ByFinding}
		p.step("record", "%s is closed and the finding is archived", c.Number)
	case now.Sub(c.ClosedAt) > within:
		p = Placement{Action: Open, By: ByFinding, Continues: c.Number}
		p.step("open", "%s was closed more than %s ago; the new incident links it", c.Number, within)
	case harmless && f.Severity <= before:
		p = Placement{Action: Record, Into: c, By: ByFinding}
		p.step("record", "%s was closed as %s and the severity did not rise", c.Number, c.Verdict.Words())
	default:
		p = Placement{Action: Reopen, Into: c, By: ByFinding}
		p.step("reopen", "%s was closed as %s and its finding goes on", c.Number, c.Verdict.Words())
	}
	return p
}

// OfAccount reports whether an ARN is of an account. A sequence is about one
// account: one that names findings of another is not believed.
func OfAccount(arn, account string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && account != "" && parts[4] == account
}

// absorb lists the incidents of the findings that an attack sequence names.
func (t *Triager) absorb(ctx context.Context, ix Index, f *finding.Finding, p *Placement) error {
	if !f.Type.IsSequence() || f.Sequence == nil {
		return nil
	}
	for _, s := range f.Sequence.Signals {
		if s.Type != "FINDING" || s.UID == "" || s.UID == f.ARN {
			continue
		}
		if !OfAccount(s.UID, f.AccountID) {
			p.step("left alone", "%.120s is of another account than this sequence", s.UID)
			continue
		}
		c, ok, err := ix.IncidentOfARN(ctx, s.UID)
		if err != nil {
			return err
		}
		same := slices.ContainsFunc(p.Absorb, func(o Candidate) bool { return o.Number == c.Number })
		if !ok || same || c.Number == p.Into.Number || c.Sample != f.Sample || c.State == incident.Closed {
			continue
		}
		p.Absorb = append(p.Absorb, c)
		p.step("absorb", "%s holds a finding that this sequence names", c.Number)
	}
	// The order of locks: by number.
	slices.SortFunc(p.Absorb, func(a, b Candidate) int { return cmp.Compare(a.Number, b.Number) })
	return nil
}

// link names the other incidents of the same actor.
func (t *Triager) link(ctx context.Context, ix Index, d Decision, now time.Time, p *Placement) error {
	if !slices.Contains(t.mergeKeys(), ByActor) {
		return nil
	}
	for _, key := range d.ActorKeys {
		list, err := ix.IncidentsOfActor(ctx, key, now.Add(-ActorWindow))
		if err != nil {
			return err
		}
		for _, n := range list {
			known := n == p.Into.Number || slices.ContainsFunc(p.Links, func(l incident.Link) bool { return l.Number == n }) ||
				slices.ContainsFunc(p.Absorb, func(o Candidate) bool { return o.Number == n })
			if known {
				continue
			}
			_, actor, _ := strings.Cut(key, ":")
			p.Links = append(p.Links, incident.Link{Number: n, Why: "same actor " + actor})
			p.step("link", "%s has the same actor %s", n, actor)
		}
	}
	return nil
}

func (t *Triager) mergeKeys() []string {
	if len(t.cfg.Triage.Merge.Keys) == 0 {
		return defaultKeys
	}
	return t.cfg.Triage.Merge.Keys
}

// keys are the merge keys and actor keys of a finding. Placeholders never are
// keys, nor is an unknown resource: many findings would be one incident.
func (t *Triager) keys(f *finding.Finding) ([]Key, []string) {
	var keys []Key
	if identity := identity(f); identity != "" && !f.Type.IsSequence() {
		parts := []string{string(f.Resource.Kind), identity, f.AccountID, f.Region, cmp.Or(f.Partition, "aws")}
		if f.Sample {
			// Samples and the real thing are never one incident.
			parts = append(parts, "sample")
		}
		for _, kind := range t.mergeKeys() {
			switch kind {
			case ByFamilyResource:
				keys = append(keys, Key{Kind: kind, Value: bounded("family:" + strings.ToLower(f.Type.Family) + "|" + strings.Join(parts, "|"))})
			case ByResource:
				keys = append(keys, Key{Kind: kind, Value: bounded("resource:" + strings.Join(parts, "|"))})
			}
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Value, b.Value) })
	if f.Sample {
		return keys, nil
	}
	return keys, actorKeys(f)
}

// identity is what tells one resource from another of its kind.
func identity(f *finding.Finding) string {
	r := f.Resource
	id := cmp.Or(r.ARN, r.ID)
	switch {
	case r.Instance != nil:
		id = r.Instance.ID
	case r.AccessKey != nil:
		// An access key of a role lives for hours; the principal stays.
		principal, _, _ := strings.Cut(r.AccessKey.PrincipalID, ":")
		id = cmp.Or(principal, strings.Trim(r.AccessKey.UserType+"/"+r.AccessKey.UserName, "/"), r.AccessKey.AccessKeyID)
	case r.ECSCluster != nil && r.ECSCluster.Task != nil && r.ECSCluster.Task.ARN != "":
		id = r.ECSCluster.Task.ARN
	case r.Lambda != nil && r.Lambda.ARN != "":
		// arn:…:function:name[:version]
		if parts := strings.Split(r.Lambda.ARN, ":"); len(parts) > 7 {
			id = strings.Join(parts[:7], ":")
		}
	case r.EKSCluster != nil:
		for _, c := range f.Context {
			if c.Kind == finding.KindWorkload {
				id += "/" + c.ID
				break
			}
		}
	}
	if placeholder(id) {
		return ""
	}
	return id
}

// placeholder reports whether an identity is one that generated findings carry.
func placeholder(s string) bool {
	return s == "" || s == "i-99999999" || strings.HasPrefix(s, "GeneratedFinding") || strings.Contains(s, "/GeneratedFinding")
}

// actorKeys name who did it, where that tells one actor from others: public
// addresses, registrable domains, foreign accounts.
func actorKeys(f *finding.Finding) []string {
	var out []string
	for _, ip := range f.Actor.IPs {
		if a, err := netip.ParseAddr(ip); err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() {
			out = append(out, "ip:"+a.Unmap().String())
		}
	}
	for _, d := range f.Actor.Domains {
		d = strings.ToLower(strings.TrimSuffix(d, "."))
		if placeholder(d) || strings.HasPrefix(d, "generatedfinding") {
			continue
		}
		if r, err := publicsuffix.EffectiveTLDPlusOne(d); err == nil {
			d = r
		}
		out = append(out, "domain:"+d)
	}
	if a := f.Actor.AccountID; a != "" && a != f.AccountID {
		out = append(out, "account:"+a)
	}
	for i, s := range out {
		out[i] = bounded(s)
	}
	return unique(out)
}

// bounded keeps keys short: names in them are written by others.
func bounded(s string) string {
	if len(s) <= 300 {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:64] + "…" + hex.EncodeToString(sum[:])
}
