package ec2

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// A group whose answer was lost may not be shown for a while: what is owed for it
// stays owed until then.
func TestAGroupThatIsNotShownYetStaysOwed(t *testing.T) {
	t.Parallel()
	w, err := sim.New(sim.Options{Clock: playbook.NewVirtual(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	params, err := json.Marshal(named{VPC: "vpc-1", Name: "guardroom-convert-run_1", Run: "run_1"})
	if err != nil {
		t.Fatal(err)
	}
	opened := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	o := respond.Owed{Kind: closeGroup, Params: params, OpenedAt: opened, Place: awscalls.Place{Account: "111122223333", Region: "eu-central-1", Role: awscalls.Act, Incident: "INC-42"}}
	if err := closeOwedGroup(t.Context(), w.AWS(), o, opened.Add(20*time.Second)); fault.CodeOf(err) != fault.Unavailable || !respond.Transient(err) {
		t.Errorf("after 20 s: %v", err)
	}
	if err := closeOwedGroup(t.Context(), w.AWS(), o, opened.Add(2*time.Minute)); err != nil {
		t.Errorf("after two minutes: %v", err)
	}
}
