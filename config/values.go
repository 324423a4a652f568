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
// text.
type Secret struct {
	ref   string // as written
	value string // resolved
}

// NewSecret returns a secret that holds value, for tests and defaults.
func NewSecret(value string) Secret { return Secret{ref: value, value: value} }

// Reveal returns the value. Call it only where the value is used.
func (s Secret) Reveal() string { return s.value }

// Reference returns what the configuration says, which may be a reference; it
// may be the secret itself, so it is as secret as the value.
func (s Secret) Reference() string { return s.ref }

// IsSet reports whether a value was configured.
func (s Secret) IsSet() bool { return s.ref != "" || s.value != "" }

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

// String prints the duration as it would be written.
func (d Duration) String() string { return time.Duration(d).String() }

// ParseDuration reads what time.ParseDuration reads, and whole days as 7d.
func ParseDuration(s string) (Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseFloat(n, 64)
		if err != nil || days < 0 || days > 36500 {
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

// Rate is so many in a period, written as 50/min, 1/s or 10/5s.
type Rate struct {
	Count  int
	Period time.Duration
}

// IsZero reports that no rate was configured.
func (r Rate) IsZero() bool { return r.Count == 0 }

// Time is a date (2027-01-31, the end of that day in UTC) or an RFC 3339 time.
type Time struct{ time.Time }
