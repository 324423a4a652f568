package respond

import (
	"fmt"
	"time"
)

const noEstimate = "first time here: no estimate"

// took is how long something took, or has taken so far: 3 m 12 s, 2 h 5 m, 4 d.
func took(started, ended, now time.Time) string {
	if started.IsZero() {
		return ""
	}
	if ended.IsZero() {
		ended = now
	}
	return Length(ended.Sub(started))
}

// Length prints a duration as people say it: 45 s, 3 m 12 s, 2 h 5 m, 4 d. A
// clock that went backwards gives 0 s.
func Length(d time.Duration) string {
	d = max(d, 0)
	two := func(n int64, unit string, m int64, small string) string {
		if m == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, m, small)
	}
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 60*60:
		return two(s/60, "m", s%60, "s")
	case s < 48*60*60:
		return two(s/3600, "h", s%3600/60, "m")
	}
	return fmt.Sprintf("%d d", s/86400)
}

// span is an expected time as a range: about 9 to 25 min. It is empty where
// nothing is expected.
func span(shortest, longest int64) string {
	if shortest <= 0 && longest <= 0 {
		return ""
	}
	longest = max(longest, shortest)
	if shortest <= 0 {
		shortest = longest
	}
	unit, size := "s", int64(1)
	switch {
	case longest >= 2*60*60:
		unit, size = "h", 3600
	case longest >= 2*60:
		unit, size = "min", 60
	}
	from, to := shortest/size, (longest+size-1)/size
	switch {
	case from == to:
		return fmt.Sprintf("about %d %s", to, unit)
	case from == 0:
		return fmt.Sprintf("up to %d %s", to, unit)
	}
	return fmt.Sprintf("about %d to %d %s", from, to, unit)
}

// slow says that something takes more than twice the longest expected time. It
// is no error.
func slow(started time.Time, longest int64, now time.Time) string {
	if started.IsZero() || longest <= 0 || now.Sub(started) <= 2*time.Duration(longest)*time.Second {
		return ""
	}
	return "slower than usual (" + Length(now.Sub(started)) + ")"
}

func count(n int, what string) string { return Count(n, what) }

// Count counts things for people: 1 gap, 2 gaps. many is the plural where it is
// not one with an s.
func Count(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
