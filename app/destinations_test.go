package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
)

type counting struct{ n int }

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.n++
	return httptest.NewRecorder().Result(), nil
}

func TestSlacksMessagesAndOtherCallsHaveAPaceEach(t *testing.T) {
	t.Parallel()
	messages, calls := &counting{}, &counting{}
	b := bySlackMethod{messages: messages, calls: calls}
	for _, u := range []string{"https://slack.com/api/chat.postMessage", "https://hooks.slack.com/services/T/B/x", "https://slack.com/api/chat.update",
		"https://slack.com/api/conversations.history", "https://slack.com/api/auth.test"} {
		res, err := b.RoundTrip(httptest.NewRequest(http.MethodPost, u, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if messages.n != 2 || calls.n != 3 {
		t.Errorf("%d messages and %d other calls", messages.n, calls.n)
	}
}

// Whatever the burst, no period of the vendor holds more than it allows.
func TestPacesStayBelowWhatVendorsAllow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pace    pace
		period  time.Duration
		allowed float64
	}{
		"slack messages":   {paces["slack"], time.Second, 1},
		"slack other":      {slackCalls, time.Minute, 50},
		"pagerduty events": {paces["pagerduty"], time.Minute, 120},
	} {
		rate := float64(c.pace.count) / c.pace.period.Seconds()
		if most := rate*c.period.Seconds() + float64(c.pace.burst) - 1; most > c.allowed {
			t.Errorf("%s: %g within %s, allowed are %g", name, most, c.period, c.allowed)
		}
	}
}

func TestAConfiguredPaceIsKeptByEveryCall(t *testing.T) {
	t.Parallel()
	d := config.Destination{Name: "chat", Type: "slack", RateLimit: config.Rate{Count: 1, Period: time.Second}}
	if _, ok := paced(d, gateOf(d, notify.Tempo(1)), 1, &counting{}).(bySlackMethod); ok {
		t.Error("rate_limit does not hold for all calls")
	}
}

func TestASlowDestinationGetsLittleWorkAtATime(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Destinations = []config.Destination{{Name: "chat", Type: "slack"}, {Name: "slow", Type: "jira", RateLimit: config.Rate{Count: 2, Period: time.Minute}},
		{Name: "hook", Type: "webhook"}}
	got := fewer(cfg)
	if got["chat"] != 4 || got["slow"] != 1 {
		t.Errorf("%v", got)
	}
	if _, limited := got["hook"]; limited {
		t.Error("a destination without a pace is limited")
	}
}
