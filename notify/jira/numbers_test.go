package jira

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// anotherView is a view of the nth other incident.
func anotherView(n int) *message.View {
	v := *sampleView()
	v.Delivery, v.Number = fmt.Sprint("d-other-", n), fmt.Sprint("INC-", 500+n)
	v.Incident = v.Incident[:len(v.Incident)-4] + incident.ID(fmt.Sprint(9000+n))
	v.Headline = message.Words("Another one ").Value(fmt.Sprint(n))
	return &v
}

// other makes an issue for another incident with the same notifier.
func (r *room) other(n int) {
	r.t.Helper()
	mine := r.state
	r.state = nil
	r.show(anotherView(n))
	r.state = mine
}

// A search that knows nothing for an hour is no reason to bother a person: the
// numbers of the project tell whether the issue exists.
func TestTheNumbersDecideWhatTheSearchDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault        fakejira.Fault
		before, then int // issues of others made before and after the attempt
		creates      int // for our incident
	}{
		{fakejira.ServerError, 1, 0, 2},
		{fakejira.ResetBefore, 3, 2, 2},
		{fakejira.ResetBefore, 0, 1, 2},
		{fakejira.ServerErrorAfter, 1, 0, 1},
		{fakejira.ResetAfter, 3, 2, 1},
		{fakejira.ResetAfter, 0, 1, 1},
	} {
		t.Run(fmt.Sprintf("%s, %d before and %d then", tt.fault, tt.before, tt.then), func(t *testing.T) {
			t.Parallel()
			dialects(t, func(t *testing.T, d fakejira.Dialect) {
				r := newRoom(t, fakejira.Options{Dialect: d, IndexLag: time.Hour})
				for n := range tt.before {
					r.other(n)
				}
				failCreate(r, tt.fault)
				if _, err := r.try(sampleView()); asError(t, err).Class != notify.Retry {
					t.Fatal(err)
				}
				for n := range tt.then {
					r.other(tt.before + n)
				}
				out := r.show(sampleView())
				ours := 0
				for _, i := range r.fake.Issues() {
					for _, l := range i.Labels {
						if l == label {
							ours++
						}
					}
				}
				if ours != 1 || out.Reference == "" || r.creates() != tt.before+tt.then+tt.creates {
					t.Errorf("%d issues, outcome %+v, %d creates", ours, out, r.creates())
				}
				r.noViolations()
			})
		})
	}
}

// After a start nothing is known of the project but what the search finds.
func TestTheNumbersDecideAfterAStart(t *testing.T) {
	t.Parallel()
	for f, creates := range map[fakejira.Fault]int{fakejira.ResetBefore: 2, fakejira.ResetAfter: 1} {
		r := newRoom(t, fakejira.Options{})
		for n := range 30 {
			r.other(n)
		}
		r.clock.pass(time.Hour)
		r.fake.SetIndexLag(time.Hour)
		r.configure() // a new notifier
		failCreate(r, f)
		if _, err := r.try(sampleView()); asError(t, err).Class != notify.Retry {
			t.Fatal(err)
		}
		r.configure()
		if out := r.show(sampleView()); out.Reference != "SEC-31" || len(r.fake.Issues()) != 31 || r.creates() != 30+creates {
			t.Errorf("%s: outcome %+v, %d issues, %d creates", f, out, len(r.fake.Issues()), r.creates())
		}
		reads := 0
		for _, ex := range r.fake.Transcript() {
			if ex.Method == "GET" && strings.Contains(ex.Path, "/issue/SEC-") {
				reads++
			}
		}
		if reads > 2*numberGap {
			t.Errorf("%d issues were read by their number", reads)
		}
		r.noViolations()
	}
}

// Reading many numbers is not begun anew at each failure.
func TestTheNumbersAreReadInSpiteOfFailures(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakejira.Options{})
	for n := range 40 {
		r.other(n)
	}
	r.clock.pass(time.Minute) // all of them are recent: none may be left out
	r.configure()
	failCreate(r, fakejira.ResetBefore)
	if _, err := r.try(sampleView()); asError(t, err).Class != notify.Retry {
		t.Fatal(err)
	}
	r.configure()
	r.fake.SetFaults(fakejira.Faults{Seed: 7, Rate: 0.3, Kinds: []fakejira.Fault{fakejira.ServerError, fakejira.HalfResponse, fakejira.ResetBefore}})
	for range 100 {
		if r.creates() == 42 {
			break
		}
		_, err := r.settle(sampleView())
		if err != nil && asError(t, err).Class == notify.Undecided {
			t.Fatal(err)
		}
	}
	r.fake.SetFaults(fakejira.Faults{})
	if out := r.show(sampleView()); out.Reference != "SEC-41" || len(r.fake.Issues()) != 41 {
		t.Errorf("outcome %+v, %d issues", out, len(r.fake.Issues()))
	}
	r.noViolations()
}

func TestNewer(t *testing.T) {
	t.Parallel()
	for _, tt := range [][3]string{
		{"", "SEC-1", "SEC-1"}, {"SEC-9", "SEC-10", "SEC-10"}, {"SEC-10", "SEC-9", "SEC-10"}, {"SEC-1", "", "SEC-1"},
		{"SEC-5", "OPS-1", "OPS-1"}, {"A-B-7", "A-B-8", "A-B-8"}, {"SEC-1", "nonsense", "SEC-1"}, {"", "-4", ""},
	} {
		if got := newer(tt[0], tt[1]); got != tt[2] {
			t.Errorf("newer(%q, %q) = %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}
