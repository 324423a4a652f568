package config_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
)

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		want  time.Duration
		shown string // empty: wrong
	}{
		{"90s", 90 * time.Second, "1m30s"}, {"5m", 5 * time.Minute, "5m"}, {"24h", 24 * time.Hour, "24h"}, {"1d", 24 * time.Hour, "24h"}, {"7d", 168 * time.Hour, "7d"},
		{"1.5d", 36 * time.Hour, "36h"}, {"0", 0, "0s"}, {"0s", 0, "0s"}, {"250ms", 250 * time.Millisecond, "250ms"}, {"1h10m", 70 * time.Minute, "1h10m"}, {"10m10s", 610 * time.Second, "10m10s"},
		{"100h", 100 * time.Hour, "100h"}, {"48h30m", 48*time.Hour + 30*time.Minute, "48h30m"},
		{"", 0, ""}, {"5", 0, ""}, {"-5m", 0, ""}, {"-1d", 0, ""}, {"1 d", 0, ""}, {"d", 0, ""}, {"40000d", 0, ""}, {"NaNd", 0, ""}, {"infd", 0, ""}, {"1w", 0, ""}, {"9999999999h", 0, ""},
	} {
		have, err := config.ParseDuration(c.text)
		if (err == nil) != (c.shown != "") || have.Std() != c.want {
			t.Errorf("%q: %v, %v", c.text, have, err)
			continue
		}
		if err == nil && have.String() != c.shown {
			t.Errorf("%q prints %q, want %q", c.text, have, c.shown)
		}
		if again, err2 := config.ParseDuration(have.String()); err == nil && (err2 != nil || again != have) {
			t.Errorf("%q does not read back: %v %v", c.text, again, err2)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		want  int64
		shown string
	}{
		{"0", 0, "0"}, {"1048576", 1 << 20, "1MiB"}, {"512KiB", 512 << 10, "512KiB"}, {"10MiB", 10 << 20, "10MiB"}, {"1 GiB", 1 << 30, "1GiB"}, {"10MB", 10_000_000, "10000000"}, {"7B", 7, "7"},
		{"1kb", 0, ""}, {"-1", 0, ""}, {"1.5MiB", 0, ""}, {"", 0, ""}, {"MiB", 0, ""}, {"99999999GiB", 0, ""}, {"9223372036854775808", 0, ""},
	} {
		have, err := config.ParseSize(c.text)
		if (err == nil) != (c.shown != "") || int64(have) != c.want || err == nil && have.String() != c.shown {
			t.Errorf("%q: %v, %v", c.text, have, err)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		count  int
		period time.Duration
		shown  string
	}{
		{"50/min", 50, time.Minute, "50/min"}, {"1/s", 1, time.Second, "1/s"}, {"10/5s", 10, 5 * time.Second, "10/5s"}, {"200/h", 200, time.Hour, "200/h"}, {"3 / minute", 3, time.Minute, "3/min"}, {"2/1h30m", 2, 90 * time.Minute, "2/1h30m"},
		{"50", 0, 0, ""}, {"0/s", 0, 0, ""}, {"-1/s", 0, 0, ""}, {"1/0s", 0, 0, ""}, {"1/day", 0, 0, ""}, {"/s", 0, 0, ""}, {"1e3/s", 0, 0, ""}, {"2000000/s", 0, 0, ""},
	} {
		have, err := config.ParseRate(c.text)
		if (err == nil) != (c.shown != "") || have.Count != c.count || have.Period != c.period || err == nil && have.String() != c.shown {
			t.Errorf("%q: %v, %v", c.text, have, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2027-01-31": "2027-01-31", "2027-01-31T12:00:00Z": "2027-01-31T12:00:00Z", "2027-01-31T12:00:00+02:00": "2027-01-31T10:00:00Z", "2027-01-31T23:59:59Z": "2027-01-31",
		"2027-02-30": "", "31.1.2027": "", "": "", "tomorrow": "",
	} {
		have, err := config.ParseTime(text)
		if (err == nil) != (want != "") || have.String() != want {
			t.Errorf("%q: %v, %v", text, have, err)
		}
		out, err := json.Marshal(have)
		if err != nil || string(out) != `"`+want+`"` {
			t.Errorf("%q as JSON: %s, %v", text, out, err)
		}
	}
	end, err := config.ParseTime("2027-01-31")
	if err != nil || !end.After(time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("a date is not the end of its day: %v", end.Time)
	}
}
