package config_test

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
)

func TestProtectedHoursHaveDaysAndATimeZone(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	office := config.ProtectedHours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, Hours: "08:00-18:00", TimeZone: "Europe/Berlin"}
	night := config.ProtectedHours{Days: []string{"fri"}, Hours: "22:00-06:00"}
	for _, c := range []struct {
		name string
		p    config.ProtectedHours
		at   string
		want bool
	}{
		{"in summer Berlin is two hours ahead", office, "2026-07-15T06:00:00Z", true},
		{"and one in winter", office, "2026-12-16T06:30:00Z", false},
		{"its end does not belong to it", office, "2026-12-16T17:00:00Z", false},
		{"not on Sunday", office, "2026-12-20T10:00:00Z", false},
		{"a night begins on its day", night, "2026-11-27T23:00:00Z", true},
		{"and ends on the next", night, "2026-11-28T05:59:00Z", true},
		{"the night before does not count", night, "2026-11-27T05:00:00Z", false},
		{"the next night neither", night, "2026-11-28T23:00:00Z", false},
		{"no days are all days", config.ProtectedHours{Hours: "00:00-24:00"}, "2026-11-29T23:59:59Z", true},
		{"what cannot be read holds always", config.ProtectedHours{Hours: "soon"}, "2026-11-29T12:00:00Z", true},
		{"so does a zone that nobody knows", config.ProtectedHours{Hours: "01:00-02:00", TimeZone: "Mars/Base"}, "2026-11-29T12:00:00Z", true},
	} {
		if got := c.p.Contains(at(c.at)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	day := func(s string) config.Time {
		v, err := config.ParseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	f := config.Freeze{From: day("2026-12-24"), To: day("2026-12-26")}
	for s, want := range map[string]bool{"2026-12-23T23:59:59Z": false, "2026-12-24T00:00:00Z": true, "2026-12-26T23:59:59Z": true, "2026-12-27T00:00:00Z": false} {
		if got := f.Contains(at(s)); got != want {
			t.Errorf("the freeze at %s: %v", s, got)
		}
	}
}
