package message

import (
	"fmt"
	"time"
)

// clock prints a moment: 10:42 UTC, with the date when it is not today.
func clock(t, now time.Time) string {
	t = t.UTC()
	if sameDay(t, now) {
		return t.Format("15:04") + " UTC"
	}
	return t.Format("2006-01-02 15:04") + " UTC"
}

// span prints two moments with as few dates as are needed.
func span(first, last, now time.Time) string {
	first, last = first.UTC(), last.UTC()
	switch {
	case sameDay(first, now) && sameDay(last, now):
		return first.Format("15:04") + " and " + clock(last, now)
	case sameDay(first, last):
		return first.Format("2006-01-02 15:04") + " and " + last.Format("15:04") + " UTC"
	}
	return first.Format("2006-01-02 15:04") + " and " + last.Format("2006-01-02 15:04") + " UTC"
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Truncate(24 * time.Hour).Equal(b.UTC().Truncate(24 * time.Hour))
}

func sameMinute(a, b time.Time) bool {
	return a.UTC().Truncate(time.Minute).Equal(b.UTC().Truncate(time.Minute))
}

// length prints a duration as people say it: under 1 min, 12 min, 3 h, 4 d.
// A clock that went backwards gives "under 1 min".
func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under 1 min"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
}
