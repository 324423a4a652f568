package notify

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify/message"
)

// stopped is a ledger with one delivery, which remembers how its work ended.
type stopped struct {
	Ledger
	status Status
	fault  Fault
}

func (s *stopped) Claim(_ context.Context, id string, generation int64, _ string) (Delivery, error) {
	return Delivery{ID: id, Generation: generation}, nil
}

func (s *stopped) Stop(_ context.Context, _ string, _ int64, status Status, fault Fault) error {
	s.status, s.fault = status, fault
	return nil
}

type plainViews struct{}

func (plainViews) View(context.Context, Delivery) (*message.View, error) { return &message.View{}, nil }

type silent struct{}

func (silent) Delivered(string, time.Duration) {}
func (silent) DeliveryFailed(string, string)   {}

// failing is a destination that answers with the same failure always.
type failing struct {
	Notifier
	err *Error
}

func (f failing) Reconcile(context.Context, Request) (Outcome, error) { return Outcome{}, f.err }

func TestAHintNamesTheDeliveryAndTheDestination(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, hint, want string
		class            Class
	}{
		{"a command without the delivery gets it", "mend it, then: guardroom delivery retry", "mend it, then: guardroom delivery retry dlv-7", Park},
		{"showing as well", "report this with the output of: guardroom delivery show", "report this with the output of: guardroom delivery show dlv-7", Park},
		{"what is undecided as well", "where it is missing: guardroom delivery retry", "where it is missing: guardroom delivery retry dlv-7", Undecided},
		{"one that has it keeps it", "if there is none: guardroom delivery retry dlv-7", "if there is none: guardroom delivery retry dlv-7", Undecided},
		{"the destination is named", "set token, then: guardroom destination test NAME", "set token, then: guardroom destination test chat", Pause},
		{"and for resuming", "correct url, then: guardroom destination resume NAME", "correct url, then: guardroom destination resume chat", Pause},
		{"words without a command stay", "give the account the permission", "give the account the permission", Park},
		{"a hint with NAME elsewhere stays", "set NAME in the file", "set NAME in the file", Park},
		{"no hint stays none", "", "", Park},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ledger := &stopped{}
			d := &Deliverer{Ledger: ledger, Views: plainViews{}, Worker: "w", Now: time.Now, Observer: silent{}, Logger: slog.New(slog.DiscardHandler),
				Destinations: map[string]*Destination{"chat": {Name: "chat", Gate: NewGate(0, 0, 0),
					Notifier: failing{err: &Error{Class: tt.class, Reason: "invalid", Message: "no", Hint: tt.hint}}}}}
			if err := d.Deliver(t.Context(), "chat", "dlv-7", 1); err != nil {
				t.Fatal(err)
			}
			if string(ledger.status) != string(tt.class) || ledger.fault.Hint != tt.want {
				t.Errorf("%s: %q, want %q", ledger.status, ledger.fault.Hint, tt.want)
			}
		})
	}
}
