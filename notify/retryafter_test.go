package notify

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsHonouredUpToAnHour(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, value, date string
		want              time.Duration
	}{
		{"nothing is no wish", "", "", 0},
		{"seconds", "7", "", 7 * time.Second},
		{"ten minutes are ten minutes", "600", "", 10 * time.Minute},
		{"white space does not matter", " 30 ", "", 30 * time.Second},
		{"a day is asked again after an hour", "86400", "", time.Hour},
		{"a large number is a long wait, not a short one", "999999999", "", time.Hour},
		{"a number beyond all integers as well", "99999999999999999999999", "", time.Hour},
		{"0 is no wish", "0", "", 0},
		{"a number below 0 is no wish", "-5", "", 0},
		{"words are no wish", "soon", "", 0},
		{"a date", "Sun, 01 Nov 2026 12:01:30 GMT", "", 90 * time.Second},
		{"a date that has passed", "Sun, 01 Nov 2026 11:00:00 GMT", "", 0},
		{"a date counts from the vendor's own clock", "Sun, 01 Nov 2026 15:00:20 GMT", "Sun, 01 Nov 2026 15:00:00 GMT", 20 * time.Second},
		{"a date in the far future", "Sun, 01 Nov 2099 12:00:00 GMT", "", time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			h.Set("Retry-After", c.value)
			if c.date != "" {
				h.Set("Date", c.date)
			}
			if got := RetryAfter(h, now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
