package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// live lets one thing happen that may happen to an incident in that state. Each
// event gets a text of its own.
func live(s *story, chance *rand.Rand) {
	if s.v.State == incident.Closed {
		if chance.IntN(2) == 0 {
			s.reopen()
		}
	} else {
		switch chance.IntN(10) {
		case 0:
			s.acknowledge()
		case 1:
			if s.v.Severity < 9.5 {
				s.raise(s.v.Severity + 0.5)
			}
		case 2:
			s.happens(incident.KindResourceJoined, false, message.Words("Another resource joined."))
		case 3:
			s.close()
		case 4:
			s.contain()
		case 5, 6:
			s.progresses(chance.IntN(100))
		case 7:
			s.responds(forensic(message.RunPartFailed))
		default:
			s.update(fmt.Sprintf("%d times", s.v.Revision))
		}
	}
	for i, e := range s.v.Events {
		if !strings.HasPrefix(plain(e.Text, 10), "event ") {
			s.v.Events[i].Text = message.Words(fmt.Sprintf("event %d: ", e.Seq)).Join(e.Text)
		}
	}
}

// TestRandomLivesUnderRandomFaults lives through incidents with a third of all
// requests failing, before and after the effect, and some saves and processes
// too. Whatever happens in between, in the end there is one root message that
// shows the newest revision, one message of the run that shows how it stands, and
// each event stands in the thread once.
func TestRandomLivesUnderRandomFaults(t *testing.T) {
	t.Parallel()
	kinds := []fakeslack.Fault{fakeslack.RateLimited, fakeslack.RateLimitedBare, fakeslack.ServerError, fakeslack.ServerErrorAfter, fakeslack.InternalError,
		fakeslack.FatalErrorAfter, fakeslack.ResetBefore, fakeslack.ResetAfter, fakeslack.HalfResponse}
	for seed := range uint64(120) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{PostsPerSecond: 1, CallsPerMinute: 50, Faults: fakeslack.Faults{Seed: seed, Rate: 0.35, Kinds: kinds}})
			chance := rand.New(rand.NewPCG(seed, 1))
			s := newStory()
			known := int64(-1) // last event when the root was posted
			for range 14 {
				live(s, chance)
				if chance.IntN(3) == 0 {
					continue // a revision that nobody looked at
				}
				if chance.IntN(4) == 0 {
					r.failSave = r.saves + 1 + chance.IntN(4)
				}
				_, err := r.try(s.v)
				if st, _ := decodeState(r.state); known < 0 && st.TS != "" {
					known = st.Told
				}
				if err != nil {
					if errors.Is(err, errSave) || chance.IntN(5) == 0 {
						r.restart()
					}
					r.clock.pass(time.Duration(chance.IntN(20)) * time.Second)
				}
			}
			r.failSave = 0
			r.settle(s.v)
			shows(t, r, s.v)
			showsRuns(t, r, s.v)
			all := ""
			for _, m := range r.replies() {
				all += m.Text + "\n"
			}
			for _, e := range s.v.Events {
				n := strings.Count(all, fmt.Sprintf("event %d:", e.Seq))
				if n > 1 || n == 0 && known >= 0 && e.Seq > known && !strings.Contains(all, "more") {
					t.Errorf("event %d stands in the thread %d times (root posted at %d)", e.Seq, n, known)
				}
			}
			r.noViolations()
			if t.Failed() {
				for _, ex := range r.fake.Transcript() {
					t.Logf("%s %s %s -> %d %s (fault %q)", ex.At.Format(time.TimeOnly), ex.Method, ex.Body[:min(len(ex.Body), 100)], ex.Status, ex.Effect, ex.Fault)
				}
			}
		})
	}
}

// nasty draws text as attackers and odd programs write it.
func nasty() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"<!channel>", "<!here>", "<@U1>", "`", "``", "&", "<", ">", "\u202e", "|", "\n", " ", "", "*_~", ":skull:", "https://evil.example/a|b", "\xff"}),
		rapid.Custom(func(t *rapid.T) string {
			piece := rapid.SampledFrom([]string{"&", "<", "`", "ü", "\u202e", "\U000e0041", "a", `"`, `\`, "<!everyone>"}).Draw(t, "piece")
			return strings.Repeat(piece, rapid.IntRange(0, 11_000).Draw(t, "times"))
		}),
	)
}

func anyText() *rapid.Generator[message.Text] {
	return rapid.Custom(func(t *rapid.T) message.Text {
		var x message.Text
		for range rapid.IntRange(0, 5).Draw(t, "parts") {
			if rapid.Bool().Draw(t, "ours") {
				x = x.Words(rapid.SampledFrom([]string{" (", ")", ", ", "AS", "s", "Bitcoin mining from ", "R&D <team>", strings.Repeat("word ", 2000)}).Draw(t, "words"))
			} else {
				x = x.Value(nasty().Draw(t, "value"))
			}
		}
		return x
	})
}

func anyView() *rapid.Generator[*message.View] {
	return rapid.Custom(func(t *rapid.T) *message.View {
		text := func(name string) message.Text { return anyText().Draw(t, name) }
		raw := func(name string) string { return nasty().Draw(t, name) }
		sev := finding.Severity(rapid.Float64Range(0, 10).Draw(t, "severity"))
		v := &message.View{
			Kind:     rapid.SampledFrom([]message.Kind{message.KindIncident, message.KindDigest, message.KindNotice, message.KindTest}).Draw(t, "kind"),
			Delivery: "d", Incident: "i", Number: "INC-42", Severity: sev, Band: sev.Band(),
			State:   rapid.SampledFrom([]incident.State{incident.Open, incident.Acknowledged, incident.Contained, incident.Closed}).Draw(t, "state"),
			Verdict: rapid.SampledFrom([]incident.Verdict{"", incident.Benign, incident.FalsePositive, "odd<!here>"}).Draw(t, "verdict"),
			Sample:  rapid.Bool().Draw(t, "sample"),
			Link:    rapid.SampledFrom([]string{"", "https://guardroom.example/i/1", "javascript:x", "https://x.example/?a=1&b=<c>|d"}).Draw(t, "link"), GuardDutyURL: raw("guardduty"),
			Headline: text("headline"), Sentence: text("sentence"), Meaning: text("meaning"), Why: text("why"), ClosingNote: raw("note"),
		}
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			v.Facts = append(v.Facts, message.Fact{Label: rapid.SampledFrom([]string{"Account", "Region", "Actor", "", strings.Repeat("long ", 100)}).Draw(t, "label"), Value: text("fact")})
			v.Context, v.DoNext, v.Findings = append(v.Context, text("context")), append(v.DoNext, text("step")), append(v.Findings, text("finding"))
			v.Elsewhere = append(v.Elsewhere, message.Reference{Type: "jira", Label: raw("label"), URL: raw("url")})
			v.Events = append(v.Events, message.Event{Seq: int64(i + 1), Kind: incident.KindSeverityRaised, Alerts: rapid.Bool().Draw(t, "alerts"), Text: text("event")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "runs") {
			v.Runs = append(v.Runs, anyRun(fmt.Sprint("run_", i)).Draw(t, "run"))
		}
		return v
	})
}

func anyRun(id string) *rapid.Generator[message.Run] {
	states := rapid.SampledFrom([]message.RunState{message.RunWaiting, message.RunRunning, message.RunCompleted, message.RunFailed, message.RunPartFailed, message.RunAborted, message.RunUndone, "odd"})
	return rapid.Custom(func(t *rapid.T) message.Run {
		raw := func(name string) string { return nasty().Draw(t, name) }
		r := message.Run{ID: id, Plan: raw("plan"), Digest: raw("digest"), What: "Containment", Target: raw("target"), State: states.Draw(t, "state"), Requester: raw("requester"),
			Connect: raw("connect"), Contained: rapid.Bool().Draw(t, "contained"), AbortedBy: raw("who"), AbortWhy: raw("why"), Next: raw("next"), Cost: "about 31 USD a month"}
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			r.Approvals = append(r.Approvals, message.RunApproval{Who: raw("approver"), At: start})
			r.Stages = append(r.Stages, message.RunStage{Name: "snapshot", State: states.Draw(t, "stage"), Total: 3, Percent: -1})
			r.Steps = append(r.Steps, message.RunStep{Stage: "snapshot", Title: raw("title"), State: states.Draw(t, "step"), Percent: 5, Message: raw("message"), Safe: raw("safe"), Hint: raw("hint")})
			r.Evidence = append(r.Evidence, message.RunEvidence{Kind: "workstation", Location: raw("location"), Title: raw("what"), Gap: raw("gap"), SHA256: raw("hash")})
			r.Gaps, r.StillOpen = append(r.Gaps, message.RunGap{What: raw("lacks"), Why: raw("because")}), append(r.StillOpen, raw("open"))
		}
		return r
	})
}

// TestAnyViewStaysWithinTheLimits has a Slack that enforces them judge whatever
// a view may hold.
func TestAnyViewStaysWithinTheLimits(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		v := anyView().Draw(rt, "view")
		r.state = nil
		first := *v
		first.Events = nil
		for _, w := range []*message.View{&first, v} {
			if _, err := r.try(w); err != nil {
				rt.Fatalf("Slack does not take it: %v", err)
			}
		}
		if got := r.fake.Violations(); len(got) > 0 {
			rt.Fatalf("violations: %q", got)
		}
		c := r.n.root(v, dressing{mention: "<!here>", continues: "continues an earlier message"})
		if n := characters(c); n > 6000 {
			rt.Fatalf("%d characters", n)
		}
		for _, x := range v.Runs {
			c := r.n.runCard(x, false)
			if n := characters(c); n > 6000 {
				rt.Fatalf("%d characters of a run", n)
			}
			if n := utf8.RuneCountInString(c.simple); n > 4000 {
				rt.Fatalf("%d characters of a run as plain text", n)
			}
		}
		if n := utf8.RuneCountInString(smallPrint(v, dressing{})); n > maxContext+maxDeepLink+maxOthers*maxOther+200 {
			rt.Fatalf("%d characters of small print", n)
		}
		if n := utf8.RuneCountInString(c.simple); n > 4000 {
			rt.Fatalf("%d characters of plain text", n)
		}
	})
}

// characters counts everything that is text.
func characters(c card) int {
	n := 0
	for _, b := range append(append([]block{}, c.blocks...), attached(c)...) {
		if b.Text != nil {
			n += utf8.RuneCountInString(b.Text.Text)
		}
		for _, t := range append(b.Fields, b.Elements...) {
			n += utf8.RuneCountInString(t.Text)
		}
	}
	return n
}

func attached(c card) []block {
	var out []block
	for _, a := range c.attachments {
		out = append(out, a.Blocks...)
	}
	return out
}

// TestEveryFaultWithEveryCall has each fault hit each of the calls that make a
// message, an edit and a line.
func TestEveryFaultWithEveryCall(t *testing.T) {
	t.Parallel()
	for _, f := range fakeslack.AllFaults() {
		for at := range 3 {
			t.Run(fmt.Sprintf("%s at call %d", f, at), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, fakeslack.Options{}, func(c *Config) {
					if f == fakeslack.TimeoutAfter {
						c.Timeout = 2 * time.Second // for the calls that are answered too
					}
				})
				faults := make([]fakeslack.Fault, at+1)
				faults[at] = f
				r.fake.Fail(faults...)
				s := newStory()
				r.settle(s.v)
				r.settle(s.acknowledge().v)
				shows(t, r, s.v)
				told(t, r, s.v)
				r.noViolations()
			})
		}
	}
}

// FuzzMarkup checks that no value of others leaves its code span, mentions,
// links, hides or is too long.
func FuzzMarkup(f *testing.F) {
	f.Add("payments-api-3", "AS", 200)
	f.Add("<!channel>`<@U1>", " (", 30)
	f.Add("\u202ea\nb\x00\xff", "s", 7)
	f.Add(strings.Repeat("&<>`", 3000), "", 3000)
	f.Add("", "`", 0)
	f.Add("https://evil.example|x", "x", 2)
	f.Fuzz(func(t *testing.T, value, ours string, limit int) {
		limit %= 4000
		text := message.Value(value).Words(ours).Value(value).Value(value)
		got := mrkdwn(text, limit)
		if n := utf8.RuneCountInString(got); n > max(limit, 0) {
			t.Fatalf("%d characters, limit %d: %q", n, limit, got)
		}
		if strings.Count(got, "`")%2 != 0 || strings.Contains(got, "``") {
			t.Fatalf("a code span is open: %q", got)
		}
		check(t, got)
		outside := ""
		for i, s := range strings.Split(got, "`") {
			if i%2 == 0 {
				outside += s
			}
		}
		if own := strings.ReplaceAll(entities(visible(ours)), "`", "'"); !strings.HasSuffix(outside, "…") && strings.Trim(strings.ReplaceAll(outside, own, ""), " ") != "" {
			t.Fatalf("%q stands outside of code in %q", outside, got)
		}
		check(t, plain(text, limit))
		raw, err := json.Marshal(got)
		if err != nil || !utf8.Valid(raw) {
			t.Fatalf("not JSON: %v", err)
		}
	})
}

func visible(s string) string {
	p := &pen{left: 1 << 30}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(p.words(s))
}

func check(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) || strings.ContainsAny(s, "<>\n\r") {
		t.Fatalf("markup of others: %q", s)
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(s)
	if strings.Contains(rest, "&") {
		t.Fatalf("half an entity: %q", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Fatalf("a hidden character %U: %q", r, s)
		}
	}
}

// TestAtAHundredTimesTheTempo runs on the real clock, with the fake's limits and
// our waits at one scale, and with many deliveries at once.
func TestAtAHundredTimesTheTempo(t *testing.T) {
	t.Parallel()
	const scale, incidents = 100, 12
	fake, err := fakeslack.New(fakeslack.Options{TimeScale: scale, Faults: fakeslack.Faults{Seed: 5, Rate: 0.3, Kinds: []fakeslack.Fault{
		fakeslack.RateLimited, fakeslack.ServerErrorAfter, fakeslack.ResetBefore, fakeslack.ResetAfter, fakeslack.HalfResponse}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	n, err := New(Config{Slack: config.Slack{Token: config.NewSecret(fakeslack.DefaultToken), Channel: "soc", APIURL: fake.URL()}, TimeScale: scale, Timeout: 5 * time.Second}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range incidents {
		wg.Go(func() {
			s := newStory()
			s.v.Delivery, s.v.Incident = fmt.Sprintf("dlv-%d", i), incident.ID(fmt.Sprintf("inc-%d", i))
			var state json.RawMessage
			for _, step := range []func(){func() {}, func() { s.acknowledge() }, func() { s.close() }} {
				step()
				for tries := 0; ; tries++ {
					_, err := n.Reconcile(t.Context(), notify.Request{View: s.v, State: state, Save: func(_ context.Context, v any) (err error) {
						state, err = json.Marshal(v)
						return err
					}})
					if err == nil {
						break
					}
					e := notify.AsError(err)
					if e.Class != notify.Retry || tries > 300 {
						t.Errorf("%s: %v", e.Class, err)
						return
					}
					<-time.After(max(e.After, time.Second/scale))
				}
			}
		})
	}
	wg.Wait()
	all := fake.Messages()
	if len(all) != incidents {
		t.Errorf("%d root messages, want %d", len(all), incidents)
	}
	for _, m := range all {
		if !strings.Contains(string(m.Blocks), "*Closed as false positive*") || len(fake.Replies(m.Channel, m.TS)) != 2 {
			t.Errorf("%d lines under %s", len(fake.Replies(m.Channel, m.TS)), m.Blocks)
		}
	}
	for _, v := range fake.Violations() {
		t.Errorf("violation: %s", v)
	}
}
