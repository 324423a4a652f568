package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

const mask = "***"

// Secret is a value that is never printed. In YAML it is a reference
// (${env:NAME}, ${file:PATH}, ${ssm:NAME}, ${secretsmanager:NAME}) or plain
// text. Two secrets with the same value need not be equal by ==.
type Secret struct {
	// A pointer, because fmt prints the fields of a struct without asking its
	// methods where the verb is wrong, but follows no pointer inside of it.
	text *secretText
}

type secretText struct {
	ref   string // as written
	value string // resolved
}

func newSecret(ref, value string) Secret {
	if ref == "" && value == "" {
		return Secret{}
	}
	return Secret{text: &secretText{ref: ref, value: value}}
}

// NewSecret returns a secret that holds value, for tests and defaults.
func NewSecret(value string) Secret { return newSecret(value, value) }

// Reveal returns the value. Call it only where the value is used. It is empty
// for a secret that is not set, or not resolved.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text.value
}

// Reference returns what the configuration says, which may be a reference; it
// may be the secret itself, so it is as secret as the value.
func (s Secret) Reference() string {
	if s.text == nil {
		return ""
	}
	return s.text.ref
}

// IsSet reports whether a value was configured.
func (s Secret) IsSet() bool { return s.text != nil }

// String masks the value.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return mask
}

// GoString masks the value for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalJSON masks the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML masks the value.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue masks the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Duration is a time.Duration written as 90s, 5m, 24h or 7d.
type Duration time.Duration

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String prints the duration as it would be written: 90s, 5m, 24h, 7d.
func (d Duration) String() string {
	t := time.Duration(d)
	if t > 24*time.Hour && t%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(t/(24*time.Hour)), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ParseDuration reads what time.ParseDuration reads, and whole days as 7d.
func ParseDuration(s string) (Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseFloat(n, 64)
		if err != nil || !(days >= 0 && days <= 36500) { // also catches NaN
			return 0, fmt.Errorf("%q is not a duration; write 90s, 5m, 24h or 7d", s)
		}
		return Duration(days * float64(24*time.Hour)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write 90s, 5m, 24h or 7d", s)
	}
	return Duration(d), nil
}

// Size is a number of bytes written as 512KiB, 10MiB or 1GiB.
type Size int64

// String prints the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Rate is so many in a period, written as 50/min, 1/s or 10/5s.
type Rate struct {
	Count  int
	Period time.Duration
}

// IsZero reports that no rate was configured.
func (r Rate) IsZero() bool { return r.Count == 0 }

// String prints the rate as it would be written: 50/min; empty for none.
func (r Rate) String() string {
	if r.IsZero() {
		return ""
	}
	period := Duration(r.Period).String()
	switch r.Period {
	case time.Second:
		period = "s"
	case time.Minute:
		period = "min"
	case time.Hour:
		period = "h"
	}
	return strconv.Itoa(r.Count) + "/" + period
}

// MarshalText writes the rate as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Time is a date (2027-01-31, the end of that day in UTC) or an RFC 3339 time.
type Time struct{ time.Time }

// String prints the time as it would be written: a date where it is the end of
// a day, else RFC 3339; empty for none.
func (t Time) String() string {
	switch u := t.UTC(); {
	case t.IsZero():
		return ""
	case u.Format(time.TimeOnly) == "23:59:59":
		return u.Format(time.DateOnly)
	default:
		return u.Format(time.RFC3339)
	}
}

// MarshalText writes the time as String does.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON writes the time as String does.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// ParseSize reads a number of bytes: 1048576, 512KiB, 10MiB, 1GiB.
func ParseSize(s string) (Size, error) {
	units := []struct {
		name  string
		bytes int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1000}, {"MB", 1_000_000}, {"GB", 1_000_000_000}, {"B", 1}, {"", 1}}
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			if err != nil || v < 0 || v > (1<<50)/u.bytes {
				break
			}
			return Size(v * u.bytes), nil
		}
	}
	return 0, fmt.Errorf("%q is not a size; write 512KiB, 10MiB or 1GiB", s)
}

// ParseRate reads so many in a period: 50/min, 1/s, 10/5s, 200/h.
func ParseRate(s string) (Rate, error) {
	wrong := fmt.Errorf("%q is not a rate; write 50/min, 1/s or 10/5s", s)
	count, period, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n <= 0 || n > 1_000_000 {
		return Rate{}, wrong
	}
	period = strings.TrimSpace(period)
	if p, ok := map[string]time.Duration{"s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute,
		"minute": time.Minute, "h": time.Hour, "hour": time.Hour}[period]; ok {
		return Rate{Count: n, Period: p}, nil
	}
	d, err := time.ParseDuration(period)
	if err != nil || d <= 0 {
		return Rate{}, wrong
	}
	return Rate{Count: n, Period: d}, nil
}

// ParseTime reads a date, which means the end of that day in UTC, or an RFC
// 3339 time.
func ParseTime(s string) (Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return Time{t.Add(24*time.Hour - time.Second)}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Time{}, fmt.Errorf("%q is neither a date (2027-01-31) nor a time (2027-01-31T12:00:00Z)", s)
	}
	return Time{t.UTC()}, nil
}
