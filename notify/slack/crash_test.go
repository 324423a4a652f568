package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fakeslack"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
)

// chapters is the life that the crash tests live through; each line of the
// thread has a text of its own.
func chapters() []*message.View {
	s := newStory()
	views := []*message.View{s.v}
	for _, step := range []func(){
		func() { s.acknowledge() },
		func() { s.raise(9.4) },
		func() { s.update("8 times") },
		func() { s.plans() },
		func() { s.begins() },
		func() { s.progresses(80) },
		func() {
			s.happens(incident.KindResourceJoined, false, message.Words("Another resource joined: ").Value("i-0aaa").Words("."))
		},
		func() { s.ends(message.RunPartFailed) },
		func() { s.close() },
	} {
		step()
		views = append(views, s.v)
	}
	return views
}

// told checks that each event stands in the thread exactly once.
func told(t *testing.T, r *room, v *message.View) {
	t.Helper()
	var all []string
	for _, m := range r.replies() {
		if !strings.Contains(string(m.Metadata), runEvent) {
			all = append(all, m.Text)
		}
	}
	text := strings.Join(all, "\n")
	for _, e := range v.Events {
		if e.Kind == incident.KindRunStarted {
			continue // the message of the run says so
		}
		if n := strings.Count(text, plain(e.Text, maxEventText)); n != 1 {
			t.Errorf("event %d stands in the thread %d times: %s", e.Seq, n, text)
		}
	}
}

// shows checks that the root message is what v wants.
func shows(t *testing.T, r *room, v *message.View) {
	t.Helper()
	m := r.only()
	got, want := string(m.Blocks)+string(m.Attachments), ""
	for _, mention := range []string{"", r.n.mention(v, false)} {
		c := r.n.root(v, dressing{mention: mention})
		if want = string(encode(c.blocks)) + string(encode(c.attachments)); want == got {
			return
		}
	}
	t.Errorf("Slack shows\n%s\nwant\n%s", got, want)
}

// TestACrashAtEverySave lets the store fail, before and after it has written, at
// each save of an incident's life. A new process continues with what was saved.
func TestACrashAtEverySave(t *testing.T) {
	t.Parallel()
	views := chapters()
	last := views[len(views)-1]
	whole := newRoom(t, fakeslack.Options{})
	for _, v := range views {
		whole.show(v)
	}
	if whole.saves < 28 {
		t.Fatalf("only %d saves", whole.saves)
	}
	for at := 1; at <= whole.saves; at++ {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("save %d, written %t", at, written), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, fakeslack.Options{})
				if written {
					r.lateSave = at
				} else {
					r.failSave = at
				}
				for _, v := range views {
					r.settle(v)
				}
				shows(t, r, last)
				showsRuns(t, r, last)
				told(t, r, last)
				r.noViolations()
			})
		}
	}
}

// TestAKillInsideEveryCall ends the process while a request is under way, before
// and after its effect. Nothing is saved any more by the one that was killed.
func TestAKillInsideEveryCall(t *testing.T) {
	t.Parallel()
	views := chapters()
	last := views[len(views)-1]
	errKilled := errors.New("killed")
	for _, stage := range []string{"received", "effect"} {
		for at := int32(1); at <= 16; at++ {
			t.Run(fmt.Sprintf("call %d, %s", at, stage), func(t *testing.T) {
				t.Parallel()
				var calls atomic.Int32
				var kill atomic.Pointer[context.CancelFunc]
				var dead atomic.Bool
				r := newRoom(t, fakeslack.Options{Hook: func(s, path string) {
					if s == stage && strings.Contains(path, "chat.") && calls.Add(1) == at {
						dead.Store(true)
						(*kill.Load())()
					}
				}})
				for _, v := range views {
					for range 40 {
						ctx, cancel := context.WithCancel(context.Background())
						kill.Store(&cancel)
						dead.Store(false)
						_, err := r.n.Reconcile(ctx, notify.Request{View: v, State: r.state, Save: func(_ context.Context, s any) error {
							if dead.Load() {
								return errKilled
							}
							raw, err := json.Marshal(s)
							r.state = raw
							return err
						}})
						cancel()
						if err == nil {
							break
						}
						if dead.Load() {
							r.restart()
						}
						r.clock.pass(max(notify.AsError(err).After, settle))
					}
				}
				if calls.Load() < at && stage == "effect" && at <= 14 {
					t.Fatalf("only %d calls", calls.Load())
				}
				shows(t, r, last)
				showsRuns(t, r, last)
				told(t, r, last)
				r.noViolations()
			})
		}
	}
}

func TestAnAttemptIsNotLookedForBeforeItHasSettled(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{}, func(c *Config) { c.TimeScale = 10 })
	r.fake.Fail(fakeslack.ResetAfter)
	r.fails(mining(), notify.Retry)
	r.restart()
	e := r.fails(mining(), notify.Retry)
	if e.After <= 0 || e.After > settle/10 || r.calls("conversations.history") != 0 {
		t.Errorf("after %s, %d looks", e.After, r.calls("conversations.history"))
	}
	r.clock.pass(e.After)
	r.show(mining())
	r.only()
}

func TestAMissingMessageIsPostedAfterTwoLooks(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.ResetBefore)
	r.fails(mining(), notify.Retry)
	r.clock.pass(settle)
	r.fails(mining(), notify.Retry)
	if len(r.fake.Messages()) != 0 {
		t.Fatal("posted again at the first look")
	}
	r.clock.pass(confirm)
	out := r.show(mining())
	r.only()
	if len(out.Warnings) != 0 || r.calls("conversations.history") != 2 {
		t.Errorf("warnings %q, %d looks", out.Warnings, r.calls("conversations.history"))
	}
}

func TestAMessageIsFoundInABusyChannel(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	r.fake.Fail(fakeslack.ResetAfter)
	r.fails(mining(), notify.Retry)
	for i := range 450 {
		r.fake.Say(fakeslack.DefaultChannel, fmt.Sprintf("chatter %d", i), nil)
	}
	r.clock.pass(settle)
	r.show(mining())
	if n := len(r.fake.Messages()); n != 451 || r.calls("conversations.history") != 3 {
		t.Errorf("%d messages, %d pages", n, r.calls("conversations.history"))
	}
}

func TestWithoutTheScopeAMessageIsPostedAgainOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		scopes []string
		member bool
	}{
		{"no history scope", []string{"chat:write", "channels:read"}, true},
		{"no way from the name to the id", []string{"chat:write", "channels:history"}, true},
		{"not in the channel", []string{"chat:write", "chat:write.public", "channels:history", "channels:read"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{Scopes: tt.scopes, Channels: []fakeslack.Channel{{ID: fakeslack.DefaultChannel, Name: "soc", Member: tt.member}}})
			r.fake.Fail(fakeslack.ResetAfter)
			r.fails(mining(), notify.Retry)
			r.clock.pass(settle)
			out := r.show(mining())
			if len(r.fake.Messages()) != 2 || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "there may be two messages") {
				t.Errorf("%d messages, warnings %q", len(r.fake.Messages()), out.Warnings)
			}
			r.noViolations()

			// A second time nobody knows, a person must look.
			r = newRoom(t, fakeslack.Options{Scopes: tt.scopes, Channels: []fakeslack.Channel{{ID: fakeslack.DefaultChannel, Name: "soc", Member: tt.member}}})
			r.fake.Fail(fakeslack.ResetAfter, fakeslack.ServerErrorAfter)
			r.fails(mining(), notify.Retry)
			r.clock.pass(settle)
			r.fails(mining(), notify.Retry)
			r.clock.pass(settle)
			r.restart()
			e := r.fails(mining(), notify.Undecided)
			if len(r.fake.Messages()) != 2 || !strings.Contains(e.Hint, "INC-42") {
				t.Errorf("%d messages, %+v", len(r.fake.Messages()), e)
			}
			for _, m := range r.fake.Messages() {
				r.fake.Delete(m.Channel, m.TS)
			}
			raw, err := AllowCreate(r.state)
			if err != nil {
				t.Fatal(err)
			}
			r.state = raw
			r.show(mining())
			r.only()
		})
	}
}

func TestALineIsPostedTwiceAtMost(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{Scopes: []string{"chat:write", "channels:read"}})
	s := newStory()
	r.show(s.v)
	r.fake.Fail(fakeslack.NoFault, fakeslack.ResetAfter, fakeslack.ResetAfter)
	s.acknowledge()
	var out notify.Outcome
	r.settle(s.v)
	out = r.settle(s.v)
	if n := len(r.replies()); n != 2 || len(out.Warnings) == 0 {
		t.Errorf("%d lines, warnings %q", n, out.Warnings)
	}
	r.settle(s.close().v)
	if n := len(r.replies()); n != 3 {
		t.Errorf("%d lines", n)
	}
	r.noViolations()
}

// An edit that arrived without our learning of it must not be forgotten when the
// incident goes back to what it was before.
func TestAnEditOfUnknownOutcomeIsNotTakenForTheOldContent(t *testing.T) {
	t.Parallel()
	r := newRoom(t, fakeslack.Options{})
	s := newStory()
	first := s.v
	r.show(first)
	r.fake.Fail(fakeslack.ResetAfter)
	r.fails(s.update("8 times").v, notify.Retry)
	back := *first
	back.Revision = 3
	r.restart()
	r.show(&back)
	shows(t, r, &back)
	if m := r.only(); m.Edits != 2 {
		t.Errorf("%d edits, want the unknown one and its correction", m.Edits)
	}
}

// What stands there for Slack may not have every call. A look that is refused
// for good must not park the message that it was for.
func TestARefusedLookIsNoReasonToGiveUp(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"unknown_method", "invalid_arguments", "method_deprecated"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, fakeslack.Options{})
			r.fake.Fail(fakeslack.ResetBefore)
			r.fails(mining(), notify.Retry)
			r.fake.FailOn("conversations.history", fakeslack.Refuse(word))
			r.clock.pass(settle)
			out := r.show(mining())
			r.only()
			if len(out.Warnings) != 1 {
				t.Errorf("warnings %q", out.Warnings)
			}
		})
	}
}
