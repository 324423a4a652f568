package incident

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/finding"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// revision makes one revision of a finding.
func revision(id string, count int, severity float64, at time.Time) *finding.Finding {
	return &finding.Finding{ID: finding.ID(id), ARN: "arn:" + id, Type: finding.ParseType("Recon:EC2/Portscan"), AccountID: "111111111111", Region: "eu-west-1",
		Severity: finding.Severity(severity), UpdatedAt: at, FirstSeen: at.Add(-time.Minute), LastSeen: at, Count: count,
		Resource: finding.Resource{Kind: finding.KindInstance, ID: "i-" + id}, Actor: finding.Actor{IPs: []string{"203.0.113.1"}}}
}

// life is one incident with what was told about it.
type life struct {
	*Incident
	timeline []Entry
	newest   map[finding.ID]*finding.Finding // as the store knows them
	peak     finding.Severity
}

func (l *life) join(f *finding.Finding, now time.Time) {
	in := Join{Finding: f, Account: Account{ID: f.AccountID}, Now: now}
	if old := l.newest[f.ID]; old != nil {
		in.Previous = &FindingRef{ID: old.ID, Count: old.Count, UpdatedAt: old.At(), Archived: old.Archived}
		in.Late = !f.Revision().Newer(old.Revision())
	}
	l.add(l.Join(in))
	if !in.Late {
		l.newest[f.ID] = f
	}
	l.peak = max(l.peak, f.Severity)
}

func (l *life) add(entries []Entry) { l.timeline = append(l.timeline, entries...) }

func begin(f *finding.Finding, n Number) *life {
	i, entries := Start(ID(n.String()), n, Join{Finding: f, Account: Account{ID: f.AccountID}, Now: day})
	return &life{Incident: i, timeline: entries, newest: map[finding.ID]*finding.Finding{f.ID: f}, peak: f.Severity}
}

// check holds the incident against everything that must always be true.
func (l *life) check(t *rapid.T) {
	for n, e := range l.timeline {
		if e.Seq != int64(n+1) || e.EventAt.IsZero() || e.RecordedAt.IsZero() || e.Who == "" || e.Text == "" || e.Kind == "" {
			t.Fatalf("entry %d of the timeline: %+v", n+1, e)
		}
	}
	if l.Entries != int64(len(l.timeline)) {
		t.Fatalf("%d entries are counted, %d were told", l.Entries, len(l.timeline))
	}
	if l.Severity != l.peak {
		t.Fatalf("severity %s, the highest of any finding is %s", l.Severity, l.peak)
	}
	closed := l.State == Closed
	if closed != (l.Verdict != NoVerdict) || closed == l.ClosedAt.IsZero() || closed != (l.ClosedBy != "") {
		t.Fatalf("%s with verdict %q at %s by %q", l.State, l.Verdict, l.ClosedAt, l.ClosedBy)
	}
	if (l.Verdict == Merged) != (l.MergedInto > 0) {
		t.Fatalf("verdict %q, merged into %d", l.Verdict, l.MergedInto)
	}
	if l.FindingCount != len(l.newest) && l.MergedInto == 0 {
		t.Fatalf("%d findings are counted, %d joined", l.FindingCount, len(l.newest))
	}
	sum := 0
	for _, f := range l.newest {
		sum += f.Count
	}
	if l.Occurrences != sum && l.MergedInto == 0 {
		t.Fatalf("%d occurrences, the newest revisions have %d", l.Occurrences, sum)
	}
	if len(l.Findings) > maxFindings || len(l.Resources) > maxResources || len(l.Links) > maxLinks {
		t.Fatalf("%d findings, %d resources, %d links are kept", len(l.Findings), len(l.Resources), len(l.Links))
	}
	if (l.State == Contained) == l.ContainedAt.IsZero() && !closed {
		t.Fatalf("%s, contained at %s", l.State, l.ContainedAt)
	}
	if (l.State == Acknowledged) && l.AcknowledgedBy == "" || l.State == Open && l.AcknowledgedBy != "" {
		t.Fatalf("%s and acknowledged by %q", l.State, l.AcknowledgedBy)
	}
	ids := map[finding.ID]bool{}
	for _, r := range l.Findings {
		if f := l.newest[r.ID]; l.MergedInto == 0 && (ids[r.ID] || f == nil || f.Count != r.Count || !f.At().Equal(r.UpdatedAt)) {
			t.Fatalf("it shows %+v twice or not at its newest", r)
		}
		ids[r.ID] = true
	}
	b, err := json.Marshal(l.Incident)
	var back Incident
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if diff := cmp.Diff(*l.Incident, back); err != nil || diff != "" {
		t.Fatalf("it does not survive the store: %v %s", err, diff)
	}
}

// TestLife lets anything happen in any order: findings new, newer, late, by the
// dozen; people in every state; merges.
func TestLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		now := day
		l := begin(revision("0", 1, float64(draw("first severity", 10)), day), 1)
		others := Number(1)
		l.check(t)
		before := *l.Incident
		told := len(l.timeline)
		act := func(entries []Entry, err error) {
			l.add(entries)
			if err != nil && len(entries) > 0 {
				t.Fatalf("it refused (%v) and changed something", err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"a finding": func(t *rapid.T) {
				if l.State == Closed {
					return // the caller reopens first, or opens another incident
				}
				at := day.Add(time.Duration(draw("minutes", 600)) * time.Minute)
				l.join(revision(fmt.Sprint(draw("finding", 70)), draw("count", 5)+1, float64(draw("severity", 10)), at), now)
			},
			"acknowledge": func(*rapid.T) { act(l.Acknowledge(fmt.Sprint("p", draw("who", 2)), now)) },
			"assign":      func(*rapid.T) { act(l.Assign(fmt.Sprint("p", draw("owner", 2)), "eve", now)) },
			"note":        func(*rapid.T) { act(l.AddNote("n", "eve", now)) },
			"close": func(t *rapid.T) {
				act(l.Close(rapid.SampledFrom([]Verdict{Malicious, Benign, FalsePositive, Test, Unknown, Merged, NoVerdict}).Draw(t, "verdict"), "n", "eve", now))
			},
			"reopen":  func(*rapid.T) { act(l.Reopen("eve", "w", now)) },
			"contain": func(*rapid.T) { act(l.Contain("c", now), nil) },
			"release": func(*rapid.T) { act(l.Release("r", now), nil) },
			"loosen":  func(*rapid.T) { act(l.Loosen("l", now), nil) },
			"link":    func(*rapid.T) { act(l.LinkTo(Number(1000+draw("other", 40)), "same actor", now), nil) },
			"park":    func(*rapid.T) { act(l.Parked("chat", "no permission", now), nil) },
			"absorb": func(t *rapid.T) {
				if l.State == Closed {
					return
				}
				others++
				other := begin(revision(fmt.Sprint("o", others), draw("count", 5)+1, float64(draw("severity", 10)), now), others)
				mine, theirs := l.Absorb(other.Incident, "w", now)
				l.add(mine)
				other.add(theirs)
				maps.Copy(l.newest, other.newest)
				l.peak = max(l.peak, other.peak)
				other.check(t)
				if _, err := other.Reopen("eve", "", now); err == nil {
					t.Fatal("a merged incident was reopened")
				}
			},
			"archived by others": func(*rapid.T) {
				l.ArchivedByOthers = draw("archived", l.FindingCount)
				all := l.ArchivedByOthers == l.FindingCount
				was := l.State
				l.add(l.CloseArchived(now))
				if was != Closed && (l.State == Closed) != all {
					t.Fatalf("%d of %d archived: %s", l.ArchivedByOthers, l.FindingCount, l.State)
				}
				l.ArchivedByOthers = 0
			},
			"": func(t *rapid.T) {
				l.check(t)
				if l.Severity < before.Severity || l.Revision < before.Revision || len(l.timeline) < told {
					t.Fatalf("severity %s -> %s, revision %d -> %d", before.Severity, l.Severity, before.Revision, l.Revision)
				}
				if len(l.timeline) > told && l.Revision == before.Revision {
					t.Fatal("something was told and the revision is the same")
				}
				if before.State == Closed && l.State != Closed && l.timeline[len(l.timeline)-1].Kind != KindReopened {
					t.Fatal("a closed incident came back without being reopened")
				}
				before, told = *l.Incident, len(l.timeline)
				now = now.Add(time.Minute)
			},
		})
	})
}

// TestOrder gives the same revisions in two orders; what people see at the end
// must be the same.
func TestOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []*finding.Finding
		for f := range rapid.IntRange(1, 4).Draw(t, "findings") {
			severity, at, count := 1.0, day, 0
			for range rapid.IntRange(1, 4).Draw(t, "revisions") {
				severity = min(10, severity+float64(rapid.IntRange(0, 3).Draw(t, "rise")))
				at = at.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "minutes")) * time.Minute)
				count++ // equal times have other counts
				all = append(all, revision(fmt.Sprint(f), count, severity, at))
			}
		}
		run := func(order []*finding.Finding) Incident {
			l := begin(order[0], 1)
			for _, f := range order[1:] {
				l.join(f, day)
			}
			l.check(t)
			return *l.Incident
		}
		a, b := run(all), run(rapid.Permutation(all).Draw(t, "order"))
		for _, i := range []*Incident{&a, &b} {
			i.Entries = 0 // how it came about may differ
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	})
}
