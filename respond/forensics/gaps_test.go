package forensics_test

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/forensics"
)

var internalID = regexp.MustCompile(`\b[a-z-]+/(vol|snap|i)-|volatile/|snapshot/set|older/lock|workstation/ready|not begun|step `)

// inWords fails the test unless each gap is in words for people: no name of a
// step, no sentence twice, nothing said by two gaps.
func inWords(t *testing.T, plan *respond.Plan, gaps []evidence.Gap) {
	t.Helper()
	whats, causes := map[string]bool{}, map[string]bool{}
	for _, g := range gaps {
		line := g.What + ": " + g.Why
		if whats[g.What] {
			t.Errorf("two gaps are about %q", g.What)
		}
		whats[g.What] = true
		cause, _, _ := strings.Cut(g.Why, "; so ")
		if causes[cause] {
			t.Errorf("two gaps have the cause %q", cause)
		}
		causes[cause] = true
		if g.What == "" || g.Why == "" || internalID.MatchString(line) {
			t.Errorf("a gap is not in words for people: %q", line)
		}
		for _, s := range plan.Steps {
			if strings.Contains(line, s.Title) || strings.Contains(s.ID, "/") && strings.Contains(line, s.ID) {
				t.Errorf("a gap has the title or the name of the step %s: %q", s.ID, line)
			}
		}
		said := map[string]bool{}
		for _, part := range regexp.MustCompile(`: |; | \(|\)`).Split(line, -1) {
			if len(part) > 12 && said[part] {
				t.Errorf("%q is said twice in %q", part, line)
			}
			said[part] = true
		}
	}
}

func TestWhateverFailsTheGapsAreWordsForPeopleWithEachCauseOnce(t *testing.T) {
	t.Parallel()
	deaf := func(call string) error {
		service, operation, _ := strings.Cut(call, ".")
		return &smithy.OperationError{ServiceID: service, OperationName: operation,
			Err: &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6111}, Err: syscall.ECONNREFUSED}}
	}
	calls := []string{""}
	for _, a := range forensics.Actions() {
		for _, role := range []awscalls.Role{awscalls.Read, awscalls.Act, awscalls.Forensics} {
			for _, c := range a.Calls[role] {
				if !slices.Contains(calls, c) {
					calls = append(calls, c)
				}
			}
		}
	}
	for name, bad := range map[string]func(call string) error{
		"refuses":        func(string) error { return refusal("UnauthorizedOperation") },
		"does not do":    func(string) error { return refusal("UnsupportedOperation") },
		"is not there":   func(string) error { return refusal("NoSuchBucket") },
		"is not reached": deaf,
	} {
		for _, call := range calls {
			if name != "refuses" && call != "" && call != "EC2.LockSnapshot" && call != "EC2.CreateSnapshots" && call != "S3.PutObject" {
				continue
			}
			t.Run(call+" "+name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, quick, toLab, awsKey, with(func(p *respond.Policy) {
					if call == "" || strings.HasPrefix(call, "EBS.") { // where it fails at once
						p.Forensics.Hash = "auto"
					}
				}))
				b.draft()
				b.life.script = func(phase sim.Phase, c sim.Call) error {
					if phase == sim.Before && (call == "" || c.String() == call) {
						return bad(c.String())
					}
					return nil
				}
				records := b.run()
				_, gaps, _ := b.evidence(records)
				inWords(t, b.plan, gaps)
				for _, s := range b.plan.Steps {
					if r := records[s.ID]; r.State != playbook.Completed && len(gaps) == 0 && s.Action != "forensics.withdraw" {
						t.Errorf("%s is %s, and there is no gap", s.ID, r.State)
					}
				}
				if call == "" && name == "is not reached" && (len(gaps) != 1 || !strings.HasPrefix(gaps[0].Why, "AWS did not answer (connection refused); so ")) {
					t.Errorf("AWS did not answer at all, and the gaps are %+v", gaps)
				}
			})
		}
	}
}
