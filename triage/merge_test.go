package triage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

func TestFreshness(t *testing.T) {
	t.Parallel()
	at := func(minutes, count int) finding.Revision {
		return finding.Revision{ID: "f", UpdatedAt: now.Add(time.Duration(minutes) * time.Minute), Count: count}
	}
	for _, c := range []struct {
		name string
		k    Known
		r    finding.Revision
		want Freshness
	}{
		{"nothing is known", Known{}, at(0, 1), First},
		{"a later update", Known{Exists: true, Newest: at(0, 1)}, at(1, 1), Newer},
		{"the same time with a larger count", Known{Exists: true, Newest: at(0, 1)}, at(0, 2), Newer},
		{"the same time with a smaller count", Known{Exists: true, Newest: at(0, 2)}, at(0, 1), Late},
		{"an earlier update with a larger count", Known{Exists: true, Newest: at(1, 1)}, at(0, 9), Late},
		{"the very same", Known{Exists: true, Newest: at(0, 1), HasThis: true}, at(0, 1), Repeat},
		{"an old one that is stored", Known{Exists: true, Newest: at(5, 1), HasThis: true}, at(0, 1), Repeat},
	} {
		if got := Fresh(c.k, c.r); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	const key = "family:portscan|instance|i-1|111111111111|eu-west-1|aws"
	apart := func(c Candidate, d time.Duration) Candidate { c.LastActivity = now.Add(-d); return c }
	archived := func(f *finding.Finding) *finding.Finding { f.Archived = true; return f }
	severe := func(f *finding.Finding) *finding.Finding { f.Severity = 8; return f }
	foreign := func(f *finding.Finding) *finding.Finding { f.AccountID = "999988887777"; return f }
	part := func(f *finding.Finding) *finding.Finding { f.AssociatedSequenceARN = arn("s"); return f }
	sample := func(c Candidate) Candidate { c.Sample = true; return c }
	day := 24 * time.Hour
	own := map[string]incident.Number{"a": 1}
	for _, c := range []struct {
		name      string
		f         *finding.Finding
		x         index
		action    string
		into      incident.Number
		by        string
		continues incident.Number
		absorb    []incident.Number
	}{
		{name: "nothing is known", f: scan("a"), action: Open},
		{name: "its own incident is open", f: scan("a"), x: index{findings: own, incidents: with(open(1))}, action: Join, into: 1, by: ByFinding},
		{name: "its own comes before a key", f: scan("a"), x: index{findings: own, keys: map[string]incident.Number{key: 2}, incidents: with(open(1), open(2))}, action: Join, into: 1, by: ByFinding},
		{name: "a sequence comes before a key", f: scan("a"), x: index{sequences: map[string]incident.Number{arn("a"): 3}, keys: map[string]incident.Number{key: 2}, incidents: with(open(2), open(3))}, action: Join, into: 3, by: BySequence},
		{name: "a sequence takes it from its own incident, which it absorbs", f: scan("a"), x: index{findings: own, sequences: map[string]incident.Number{arn("a"): 3}, incidents: with(open(1), open(3))}, action: Join, into: 3, by: BySequence, absorb: []incident.Number{1}},
		{name: "it names its sequence itself", f: part(scan("a")), x: index{arns: map[string]incident.Number{arn("s"): 3}, incidents: with(open(3))}, action: Join, into: 3, by: BySequence},
		{name: "a closed sequence takes nothing", f: scan("a"), x: index{sequences: map[string]incident.Number{arn("a"): 3}, incidents: with(closed(3, incident.Benign, day))}, action: Open},
		{name: "a sample sequence takes nothing real", f: scan("a"), x: index{sequences: map[string]incident.Number{arn("a"): 3}, incidents: with(sample(open(3)))}, action: Open},
		{name: "the same family on the same resource", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(open(2))}, action: Join, into: 2, by: ByFamilyResource},
		{name: "exactly at the border of the window", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(apart(open(2), day))}, action: Join, into: 2, by: ByFamilyResource},
		{name: "just outside of the window", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(apart(open(2), day+time.Microsecond))}, action: Open},
		{name: "as far in the other direction: it came late", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(apart(open(2), -day))}, action: Join, into: 2, by: ByFamilyResource},
		{name: "too late", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(apart(open(2), -day-time.Microsecond))}, action: Open},
		{name: "the incident about the same is closed", f: scan("a"), x: index{keys: map[string]incident.Number{key: 2}, incidents: with(closed(2, incident.Malicious, time.Hour))}, action: Open, continues: 2},
		{name: "archived, and new", f: archived(scan("a")), action: Record},
		{name: "archived, of an open incident", f: archived(scan("a")), x: index{findings: own, incidents: with(open(1))}, action: Join, into: 1, by: ByFinding},
		{name: "a sequence absorbs what is open", f: sequence("s", "m", "n", "o", "m"), x: index{arns: map[string]incident.Number{arn("m"): 5, arn("n"): 4, arn("o"): 6}, incidents: with(open(4), open(5), closed(6, incident.Benign, day))}, action: Open, absorb: []incident.Number{4, 5}},
		{name: "a sequence absorbs nothing of another account", f: foreign(sequence("s", "m")), x: index{arns: map[string]incident.Number{arn("m"): 5}, incidents: with(open(5))}, action: Open},
		{name: "a sequence absorbs no sample", f: sequence("s", "m"), x: index{arns: map[string]incident.Number{arn("m"): 5}, incidents: with(sample(open(5)))}, action: Open},
		{name: "a new revision of a sequence absorbs more, not itself", f: sequence("a", "m", "n"), x: index{findings: own, arns: map[string]incident.Number{arn("m"): 1, arn("n"): 4}, incidents: with(open(1), open(4))}, action: Join, into: 1, by: ByFinding, absorb: []incident.Number{4}},

		{name: "within seven days it reopens", f: scan("a"), x: index{findings: own, incidents: with(closed(1, incident.Malicious, 7*day))}, action: Reopen, into: 1, by: ByFinding},
		{name: "later it opens a new one that links the old", f: scan("a"), x: index{findings: own, incidents: with(closed(1, incident.Malicious, 7*day+time.Microsecond))}, action: Open, by: ByFinding, continues: 1},
		{name: "a false positive stays closed", f: scan("a"), x: index{findings: own, incidents: with(closed(1, incident.FalsePositive, time.Hour))}, action: Record, into: 1, by: ByFinding},
		{name: "something benign stays closed", f: scan("a"), x: index{findings: own, incidents: with(closed(1, incident.Benign, time.Hour))}, action: Record, into: 1, by: ByFinding},
		{name: "a false positive whose severity rises reopens", f: severe(scan("a")), x: index{findings: own, incidents: with(closed(1, incident.FalsePositive, time.Hour))}, action: Reopen, into: 1, by: ByFinding},
		{name: "a test reopens", f: scan("a"), x: index{findings: own, incidents: with(closed(1, incident.Test, time.Hour))}, action: Reopen, into: 1, by: ByFinding},
		{name: "an archived revision opens nothing again", f: archived(severe(scan("a"))), x: index{findings: own, incidents: with(closed(1, incident.Malicious, time.Hour))}, action: Record, into: 1, by: ByFinding},
		{name: "what is closed comes before its sequence", f: scan("a"), x: index{findings: own, sequences: map[string]incident.Number{arn("a"): 3}, incidents: with(closed(1, incident.FalsePositive, time.Hour), open(3))}, action: Record, into: 1, by: ByFinding},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr := triager(t, Config{})
			p, err := tr.Place(t.Context(), c.x, c.f, tr.Decide(t.Context(), c.f), now)
			if err != nil {
				t.Fatal(err)
			}
			var absorb []incident.Number
			for _, a := range p.Absorb {
				absorb = append(absorb, a.Number)
			}
			if p.Action != c.action || p.Into.Number != c.into || p.By != c.by || p.Continues != c.continues || !slices.Equal(absorb, c.absorb) {
				t.Errorf("%s into %d by %q, continues %d, absorbs %v; %+v", p.Action, p.Into.Number, p.By, p.Continues, absorb, p.Steps)
			}
			if len(p.Steps) == 0 {
				t.Error("nothing says why")
			}
		})
	}
	tr := triager(t, Config{})
	if _, err := tr.Place(t.Context(), index{err: errStore}, scan("a"), Decision{}, now); !errors.Is(err, errStore) {
		t.Errorf("a store that does not answer: %v", err)
	}
}

func TestTheMergeIsConfigurable(t *testing.T) {
	t.Parallel()
	x := index{keys: map[string]incident.Number{"resource:instance|i-1|111111111111|eu-west-1|aws": 7}, incidents: with(open(7))}
	other := scan("b")
	other.Type = finding.ParseType("CryptoCurrency:EC2/BitcoinTool.B")
	for name, c := range map[string]struct {
		merge config.Merge
		into  incident.Number
	}{
		"not by default":             {config.Merge{}, 0},
		"by resource":                {config.Merge{Keys: []string{ByFamilyResource, ByResource}}, 7},
		"by nothing but the finding": {config.Merge{Keys: []string{ByFinding}}, 0},
		"in a short window":          {config.Merge{Keys: []string{ByResource}, Window: config.Duration(time.Minute)}, 7},
	} {
		tr := triager(t, Config{Triage: config.Triage{Merge: c.merge}})
		p, err := tr.Place(t.Context(), x, other, tr.Decide(t.Context(), other), now)
		if err != nil || p.Into.Number != c.into {
			t.Errorf("%s: into %d, %v", name, p.Into.Number, err)
		}
	}
	late := scan("c")
	late.LastSeen = now.Add(-2 * time.Minute)
	tr := triager(t, Config{Triage: config.Triage{Merge: config.Merge{Keys: []string{ByResource}, Window: config.Duration(time.Minute)}}})
	if p, err := tr.Place(t.Context(), x, late, tr.Decide(t.Context(), late), now); err != nil || p.Action != Open || !hasStep(p.Steps, "merge", "apart") {
		t.Errorf("outside of the short window: %+v %v", p, err)
	}
	short := triager(t, Config{Incidents: config.Incidents{ReopenWithin: config.Duration(time.Hour)}})
	own := index{findings: map[string]incident.Number{"a": 1}, incidents: with(closed(1, incident.Malicious, 2*time.Hour))}
	if p, err := short.Place(t.Context(), own, scan("a"), Decision{}, now); err != nil || p.Continues != 1 {
		t.Errorf("reopen_within of an hour: %+v %v", p, err)
	}
}

func TestACommonActorOnlyLinks(t *testing.T) {
	t.Parallel()
	x := index{actors: map[string][]incident.Number{"ip:203.0.113.9": {4, 5}, "domain:example.com": {5, 6}}, incidents: with(open(4), open(5), open(6))}
	f := scan("a")
	f.Actor.Domains = []string{"c2.example.com"}
	tr := triager(t, Config{})
	p, err := tr.Place(t.Context(), x, f, tr.Decide(t.Context(), f), now)
	if err != nil || p.Action != Open || len(p.Links) != 3 {
		t.Fatalf("%+v %v", p, err)
	}
	for _, l := range p.Links {
		if l.Why != "same actor 203.0.113.9" && l.Why != "same actor example.com" {
			t.Errorf("%s: %s", l.Number, l.Why)
		}
	}
	without := triager(t, Config{Triage: config.Triage{Merge: config.Merge{Keys: []string{ByFamilyResource}}}})
	if p, err := without.Place(t.Context(), x, f, without.Decide(t.Context(), f), now); err != nil || len(p.Links) != 0 {
		t.Errorf("switched off: %+v %v", p.Links, err)
	}
}

func TestKeysTellOneThingFromAnother(t *testing.T) {
	t.Parallel()
	tr := triager(t, Config{})
	base := tr.Decide(t.Context(), scan("a"))
	if len(base.Keys) != 1 || len(base.ActorKeys) != 1 {
		t.Fatalf("%+v %v", base.Keys, base.ActorKeys)
	}
	for name, c := range map[string]struct {
		change func(f *finding.Finding)
		same   bool
		none   bool
	}{
		"another finding":              {func(f *finding.Finding) { f.ID, f.ARN = "b", arn("b") }, true, false},
		"another mechanism":            {func(f *finding.Finding) { f.Type = finding.ParseType("Recon:EC2/Portscan.Custom") }, true, false},
		"another purpose":              {func(f *finding.Finding) { f.Type = finding.ParseType("Impact:EC2/Portscan") }, true, false},
		"another family":               {func(f *finding.Finding) { f.Type = finding.ParseType("Recon:EC2/PortProbe") }, false, false},
		"another instance":             {func(f *finding.Finding) { f.Resource.Instance.ID = "i-2" }, false, false},
		"another account":              {func(f *finding.Finding) { f.AccountID = "2" }, false, false},
		"another region":               {func(f *finding.Finding) { f.Region = "us-east-1" }, false, false},
		"another partition":            {func(f *finding.Finding) { f.Partition = "aws-cn" }, false, false},
		"a sample of the same":         {func(f *finding.Finding) { f.Sample = true }, false, false},
		"a resource that is not named": {func(f *finding.Finding) { f.Resource = finding.Resource{Kind: finding.KindInstance} }, false, true},
		"a placeholder":                {func(f *finding.Finding) { f.Resource.Instance.ID = "i-99999999" }, false, true},
		"an attack sequence":           {func(f *finding.Finding) { f.Type = finding.ParseType("AttackSequence:EC2/X") }, false, true},
	} {
		f := scan("a")
		c.change(f)
		d := tr.Decide(t.Context(), f)
		if (len(d.Keys) == 0) != c.none || !c.none && (d.Keys[0] == base.Keys[0]) != c.same {
			t.Errorf("%s: %+v", name, d.Keys)
		}
	}
	for name, c := range map[string]struct {
		change func(f *finding.Finding)
		want   []string
	}{
		"private and odd addresses": {func(f *finding.Finding) {
			f.Actor.IPs = []string{"10.0.0.1", "127.0.0.1", "169.254.1.1", "::1", "fe80::1", "nonsense", "0.0.0.0", "2001:db8::1", "203.0.113.9"}
		}, []string{"ip:2001:db8::1", "ip:203.0.113.9"}},
		"domains by who registered them": {func(f *finding.Finding) {
			f.Actor.IPs, f.Actor.Domains = nil, []string{"A.B.Example.co.uk.", "b.example.co.uk", "GeneratedFindingDomainName", "localhost"}
		}, []string{"domain:example.co.uk", "domain:localhost"}},
		"a foreign account": {func(f *finding.Finding) { f.Actor.IPs, f.Actor.AccountID = nil, "999999999999" }, []string{"account:999999999999"}},
		"its own account":   {func(f *finding.Finding) { f.Actor.IPs, f.Actor.AccountID = nil, f.AccountID }, nil},
		"a sample":          {func(f *finding.Finding) { f.Sample = true }, nil},
	} {
		f := scan("a")
		c.change(f)
		if got := tr.Decide(t.Context(), f).ActorKeys; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	long := scan("a")
	long.Resource.Instance.ID = string(make([]byte, 5000))
	if k := tr.Decide(t.Context(), long).Keys[0].Value; len(k) > 300 {
		t.Errorf("a key of %d bytes", len(k))
	}
}
