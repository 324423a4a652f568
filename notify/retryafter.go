package notify

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MostWait is the longest that a vendor's wish to wait is honoured at a time.
// After it the vendor is asked again, and may repeat the wish.
const MostWait = time.Hour

// RetryAfter reads the header Retry-After, in seconds or as a date, at most
// MostWait. A date counts from the answer's own Date where there is one, so that
// clocks that differ do not matter, else from now. It is 0 without a wish that
// can be read.
// https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func RetryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := Seconds(value); ok {
		return d
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), MostWait)
}

// Seconds reads a number of seconds, at most MostWait, however long the number
// is. It reports false for what is none, and for one below 0.
func Seconds(value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n > int64(MostWait/time.Second) {
		return MostWait, true // too long a number is a long wait
	}
	return time.Duration(n) * time.Second, true
}
