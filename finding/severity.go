package finding

import "fmt"

// Severity is GuardDuty's severity, 0 to 10.0. Only values for which
// ParseSeverity returned no error occur in a Finding.
type Severity float64

// Band is one of the five bands of severity, in rising order.
type Band int

// The bands. The intervals are half open, so that none lies between 3.9 and
// 4.0: https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html
const (
	Informational Band = iota // 0 ≤ s < 1
	Low                       // 1 ≤ s < 4
	Medium                    // 4 ≤ s < 7
	High                      // 7 ≤ s < 9
	Critical                  // 9 ≤ s ≤ 10
)

var bandNames = [...]string{"Informational", "Low", "Medium", "High", "Critical"}

// String returns the label as GuardDuty writes it: Informational, Low, Medium,
// High or Critical.
func (b Band) String() string {
	if b < Informational || b > Critical {
		return fmt.Sprintf("Band(%d)", int(b))
	}
	return bandNames[b]
}

// ParseBand reads a label without regard to case. It reports false for any
// other word.
func ParseBand(s string) (Band, bool) {
	for i, name := range bandNames {
		if equalFold(name, s) {
			return Band(i), true
		}
	}
	return 0, false
}

// CheckSeverity returns v as Severity, or an error when it is not a number
// from 0 to 10.
func CheckSeverity(v float64) (Severity, error) {
	if !(v >= 0 && v <= 10) { // also catches NaN
		return 0, fmt.Errorf("severity %v is not between 0 and 10", v)
	}
	return Severity(v), nil
}

// Band returns the band of s.
func (s Severity) Band() Band {
	switch {
	case s < 1:
		return Informational
	case s < 4:
		return Low
	case s < 7:
		return Medium
	case s < 9:
		return High
	}
	return Critical
}

// Label returns the name of the band of s.
func (s Severity) Label() string { return s.Band().String() }

// String prints s with one decimal: 8.0.
func (s Severity) String() string { return fmt.Sprintf("%.1f", float64(s)) }

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i]|0x20, b[i]|0x20
		if x != y {
			return false
		}
	}
	return true
}
