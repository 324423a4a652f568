package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/fault"
)

func TestNumbersAndVerdictsAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Number{"INC-42": 42, "inc-42": 42, "42": 42, "INC-9223372036854775807": 9223372036854775807,
		"": 0, "INC-": 0, "INC-0": 0, "-1": 0, "INC--1": 0, "42x": 0, "9223372036854775808": 0, "INC- 4": 0} {
		got, err := ParseNumber(in)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
	for in, want := range map[string]Verdict{"malicious": Malicious, " False Positive ": FalsePositive, "false-positive": FalsePositive,
		"BENIGN": Benign, "test": Test, "unknown": Unknown, "merged": "", "": "", "no": ""} {
		got, err := ParseVerdict(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

func TestWhatPeopleDo(t *testing.T) {
	t.Parallel()
	ack := func(who string) func(l *life) ([]Entry, error) {
		return func(l *life) ([]Entry, error) { return l.Acknowledge(who, day) }
	}
	end := func(v Verdict) func(l *life) ([]Entry, error) {
		return func(l *life) ([]Entry, error) { return l.Close(v, "note", "eve", day) }
	}
	reopen := func(l *life) ([]Entry, error) { return l.Reopen("eve", "it goes on", day) }
	assign := func(owner string) func(l *life) ([]Entry, error) {
		return func(l *life) ([]Entry, error) { return l.Assign(owner, "eve", day) }
	}
	note := func(text string) func(l *life) ([]Entry, error) {
		return func(l *life) ([]Entry, error) { return l.AddNote(text, "eve", day) }
	}
	for _, c := range []struct {
		name  string
		do    []func(l *life) ([]Entry, error)
		state State
		owner string
		last  string     // the text of the last step's entry; empty: it changed nothing
		code  fault.Code // of the last step; empty: it works
	}{
		{"acknowledging makes an owner", []func(*life) ([]Entry, error){ack("eve")}, Acknowledged, "eve", "acknowledged", ""},
		{"acknowledging again changes nothing", []func(*life) ([]Entry, error){ack("eve"), ack("eve")}, Acknowledged, "eve", "", ""},
		{"another person takes over", []func(*life) ([]Entry, error){ack("eve"), ack("bob")}, Acknowledged, "bob", "taken over from eve", ""},
		{"taking over leaves an assigned owner", []func(*life) ([]Entry, error){assign("ann"), ack("eve"), ack("bob")}, Acknowledged, "ann", "taken over from eve", ""},
		{"a closed one cannot be acknowledged", []func(*life) ([]Entry, error){end(Benign), ack("eve")}, Closed, "", "", fault.Conflict},
		{"closing needs a verdict", []func(*life) ([]Entry, error){end(NoVerdict)}, Open, "", "", fault.Usage},
		{"nobody closes as merged", []func(*life) ([]Entry, error){end(Merged)}, Open, "", "", fault.Usage},
		{"closing says verdict and note", []func(*life) ([]Entry, error){end(FalsePositive)}, Closed, "", "closed as false positive: note", ""},
		{"closing twice changes nothing", []func(*life) ([]Entry, error){end(Benign), end(Benign)}, Closed, "", "", ""},
		{"a closed one gets no other verdict", []func(*life) ([]Entry, error){end(Benign), end(Malicious)}, Closed, "", "", fault.Conflict},
		{"reopening says why", []func(*life) ([]Entry, error){ack("eve"), end(Benign), reopen}, Open, "eve", "reopened: it goes on", ""},
		{"an open one cannot be reopened", []func(*life) ([]Entry, error){reopen}, Open, "", "", fault.Conflict},
		{"a reopened one is acknowledged anew and keeps its owner", []func(*life) ([]Entry, error){ack("eve"), end(Benign), reopen, ack("bob")}, Acknowledged, "eve", "acknowledged", ""},
		{"assigning to nobody", []func(*life) ([]Entry, error){assign("ann"), assign("")}, Open, "", "unassigned", ""},
		{"assigning the same again changes nothing", []func(*life) ([]Entry, error){assign("ann"), assign("ann")}, Open, "ann", "", ""},
		{"a closed one is not assigned", []func(*life) ([]Entry, error){end(Benign), assign("ann")}, Closed, "", "", fault.Conflict},
		{"notes are taken in every state", []func(*life) ([]Entry, error){end(Benign), note("late")}, Closed, "", "late", ""},
		{"an empty note is refused", []func(*life) ([]Entry, error){note("")}, Open, "", "", fault.Usage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := begin(revision("0", 1, 5, day), 1)
			for n, do := range c.do {
				entries, err := do(l)
				l.add(entries)
				if n < len(c.do)-1 {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				text := ""
				if len(entries) > 0 {
					text = entries[len(entries)-1].Text
				}
				code := fault.Code("")
				if err != nil {
					code = fault.CodeOf(err)
				}
				if code != c.code || text != c.last {
					t.Errorf("it says %q, %v", text, err)
				}
			}
			if l.State != c.state || l.Owner != c.owner {
				t.Errorf("it is %s and %q's", l.State, l.Owner)
			}
		})
	}
}

func TestAnAttackSequenceLeadsBeforeWhatItAbsorbed(t *testing.T) {
	t.Parallel()
	seq := revision("s", 1, 9, day)
	seq.Type = finding.ParseType("AttackSequence:EC2/CompromisedInstanceGroup")
	seq.Sequence = &finding.Sequence{Resources: []finding.SequenceResource{{UID: "arn:r", Name: "r", Kind: finding.KindInstance}}}
	member := begin(revision("m", 3, 10, day.Add(time.Hour)), 1)
	if _, err := member.Acknowledge("eve", day); err != nil {
		t.Fatal(err)
	}
	i := begin(seq, 2)
	mine, theirs := i.Absorb(member.Incident, "its finding is part of this attack sequence", day)
	if i.Severity != 10 || i.FindingCount != 2 || i.Occurrences != 4 || len(mine) != 2 || len(theirs) != 1 {
		t.Errorf("%+v %v %v", i.Incident, mine, theirs)
	}
	if member.State != Closed || member.Verdict != Merged || member.MergedInto != 2 || member.Note != "merged into INC-2" {
		t.Errorf("the absorbed one: %+v", member.Incident)
	}
	i.join(revision("late", 1, 10, day.Add(2*time.Hour)), day)
	if i.Lead.FindingID != "s" {
		t.Errorf("%s leads", i.Lead.FindingID)
	}
	if _, err := member.Reopen("eve", "", day); err == nil || !strings.Contains(fault.Of(err).Hint, "INC-2") {
		t.Errorf("reopening the absorbed one: %v", err)
	}
	for hint, err := range map[string]error{
		"guardroom incident ack INC-2":                       second(member.Acknowledge("raj", day)),
		"guardroom incident assign INC-2 raj":                second(member.Assign("raj", "ana", day)),
		"guardroom incident assign INC-2 --nobody":           second(member.Assign("", "ana", day)),
		"guardroom incident close INC-2 --verdict malicious": second(member.Close(Malicious, "", "ana", day)),
		"guardroom incident reopen INC-2":                    second(member.Reopen("eve", "", day)),
	} {
		if f := fault.Of(err); f.Message != "INC-1 is merged into INC-2" || f.Hint != hint {
			t.Errorf("%q, %q; want the hint %q", f.Message, f.Hint, hint)
		}
	}
}

func second(_ []Entry, err error) error { return err }

func TestTheLeadStaysWithTheFindingThatWasWorst(t *testing.T) {
	t.Parallel()
	l := begin(revision("a", 1, 8, day), 1)
	l.join(revision("a", 2, 2, day.Add(time.Hour)), day) // it falls
	l.join(revision("b", 1, 5, day.Add(2*time.Hour)), day)
	if l.Lead.FindingID != "a" || l.Lead.Severity != 2 || l.Severity != 8 {
		t.Errorf("%s leads at %s, the incident has %s", l.Lead.FindingID, l.Lead.Severity, l.Severity)
	}
	l.join(revision("c", 1, 8, day.Add(3*time.Hour)), day)
	if l.Lead.FindingID != "c" {
		t.Errorf("%s leads; among equals the newest should", l.Lead.FindingID)
	}
}

func TestManyFindingsStayCountedWhileFewAreKept(t *testing.T) {
	t.Parallel()
	l := begin(revision("000", 1, 5, day), 1)
	for n := range 300 {
		l.join(revision(fmt.Sprintf("%03d", n+1), 1, 5, day.Add(time.Duration(n)*time.Second)), day)
	}
	if l.FindingCount != 301 || l.Occurrences != 301 || len(l.Findings) != maxFindings || len(l.Resources) != maxResources {
		t.Errorf("%d findings, %d occurrences, %d and %d kept", l.FindingCount, l.Occurrences, len(l.Findings), len(l.Resources))
	}
	if l.Findings[0].ID != "300" || l.Lead.FindingID != "300" {
		t.Errorf("the newest is %s, %s leads", l.Findings[0].ID, l.Lead.FindingID)
	}
	for n := range 100 {
		l.add(l.LinkTo(Number(n+2), "same actor", day))
	}
	if len(l.Links) != maxLinks {
		t.Errorf("%d links", len(l.Links))
	}
	entries := l.Entries
	if l.add(l.LinkTo(2, "same actor", day)); l.Entries != entries {
		t.Error("a link that is known was told again")
	}
}

func TestArchivingIsToldOnce(t *testing.T) {
	t.Parallel()
	l := begin(revision("a", 1, 5, day), 1)
	f := revision("a", 2, 5, day.Add(time.Hour))
	f.Archived = true
	l.join(f, day)
	again := revision("a", 3, 5, day.Add(2*time.Hour))
	again.Archived = true
	l.join(again, day)
	n := 0
	for _, e := range l.timeline {
		if e.Kind == KindArchived {
			n++
		}
	}
	if n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestActionsAndExposureAreWordsFromFacts(t *testing.T) {
	t.Parallel()
	yes := true
	for want, f := range map[string]finding.Finding{
		"s3:PutBucketPolicy (AccessDenied)":       {Action: finding.Action{AWSAPICall: &finding.AWSAPICall{Service: "s3.amazonaws.com", API: "PutBucketPolicy", ErrorCode: "AccessDenied"}}},
		"outbound TCP to port 3333 (blocked)":     {Action: finding.Action{NetworkConnection: &finding.NetworkConnection{Direction: "OUTBOUND", Protocol: "TCP", RemotePort: finding.Port{Port: 3333}, Blocked: &yes}}},
		"inbound TCP to port 22":                  {Action: finding.Action{NetworkConnection: &finding.NetworkConnection{Direction: "INBOUND", Protocol: "TCP", LocalPort: finding.Port{Port: 22}}}},
		"DNS request for x.example":               {Action: finding.Action{DNSRequest: &finding.DNSRequest{Domain: "x.example"}}},
		"get /api/v1/secrets":                     {Action: finding.Action{KubernetesAPICall: &finding.KubernetesAPICall{Verb: "get", RequestURI: "/api/v1/secrets"}}},
		"database logins: 3 failed, 1 successful": {Action: finding.Action{RDSLoginAttempt: &finding.RDSLoginAttempt{Logins: []finding.Login{{Failed: 3, Successful: 1}}}}},
		"": {},
	} {
		if got := actionWords(&f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"INC-42", "inc-1", "42", "INC--1", "", "INC-9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			return
		}
		if again, err := ParseNumber(n.String()); n <= 0 || err != nil || again != n {
			t.Fatalf("%q became %d and %s became %d, %v", s, n, n, again, err)
		}
	})
}
