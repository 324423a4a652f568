package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// shaped gives the deliveries of an app these statuses, one each, and returns
// their ids.
func shaped(t *testing.T, a *App, statuses ...notify.Status) []string {
	t.Helper()
	for n := range statuses {
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: testFinding(n+1, 1, 5, time.Now())}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := a.Store().Deliveries(t.Context(), store.DeliveryFilter{})
	if err != nil || len(list) != len(statuses) {
		t.Fatalf("%d deliveries, %v", len(list), err)
	}
	var ids []string
	for i, d := range list {
		d.Status, d.Armed = statuses[i], false
		ids = append(ids, d.ID)
		if err := a.Store().Write(t.Context(), func(tx *store.Tx) error { return tx.PutDelivery(t.Context(), d, false) }); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func of(checks []api.Check, area string) (out []api.Check) {
	for _, c := range checks {
		if c.Area == area {
			out = append(out, c)
		}
	}
	return out
}

func TestDoctorFailsWhileDeliveriesWaitForAPerson(t *testing.T) {
	t.Parallel()
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	if got := of(a.Doctor(t.Context()), "destination"); len(got) != 0 {
		t.Errorf("nothing waits, and doctor says %+v", got)
	}
	shaped(t, a, notify.Parked, notify.Parked, notify.Unknown, notify.Delivered, notify.Dropped)
	want := []api.Check{{Area: "destination", What: "chat: deliveries",
		Message: "2 parked and 1 unknown: they wait for a person, and what they should show is not shown there",
		Hint:    "guardroom delivery list --destination chat --status parked,unknown"}}
	if diff := cmp.Diff(want, of(a.Doctor(t.Context()), "destination")); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

func TestDoctorRepeatsTheWarningsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "")
	cfg.Listen.Address = ":8080"
	cfg.Sources.HTTP.BearerToken = config.NewSecret("letmein")
	a := testApp(t, cfg, map[string]notify.Notifier{"chat": &recorder{}})
	paths := map[string]bool{}
	for _, c := range of(a.Doctor(t.Context()), "config") {
		if !c.OK || !c.Warning || c.Message == "" || c.Hint == "" {
			t.Errorf("%+v", c)
		}
		paths[c.What] = true
	}
	if !paths["listen.address"] || !paths["sources.http.bearer_token"] {
		t.Errorf("warned about: %v", paths)
	}
}

func TestADeliveryWhoseDestinationIsGoneIsNotRetried(t *testing.T) {
	t.Parallel()
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	id := shaped(t, a, notify.Parked)[0]
	a.command.types = map[string]string{"other": "slack"} // as after a change of the configuration
	_, err := a.command.Retry(t.Context(), id, "alice")
	if err == nil {
		t.Fatal("it was freed, and nobody will deliver it")
	}
	if f := fault.Of(err); f.Code != fault.NotFound || f.Hint != "configured are [other]" {
		t.Errorf("%+v", f)
	}
	if d, err := a.Store().GetDelivery(t.Context(), id); err != nil || d.Status != notify.Parked || d.Armed {
		t.Errorf("%+v, %v", d, err)
	}
}
