package finding

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// time returns the member as UTC time, to the millisecond.
func (v value) time(name string) time.Time { return v.get(name).asTime() }

func (v value) asTime() time.Time {
	switch v.kind() {
	case jsonNull:
		return time.Time{}
	case jsonNumber:
		if at, ok := epoch(v.raw()); ok {
			return at
		}
		v.warn("%s is not a time that makes sense: read as none", v)
		return time.Time{}
	case jsonString:
		s := v.unquoted(true)
		if strings.TrimSpace(s) == "" {
			return time.Time{}
		}
		at, zone, ok := parseTime(s)
		if !ok {
			v.warn("%s is not a time: read as none", v)
			return time.Time{}
		}
		if !zone {
			v.warn("%s has no time zone: read as UTC", v)
		}
		return at
	}
	v.wrong("a time")
	return time.Time{}
}

// epoch reads a number as seconds, or as milliseconds from 10^11 upward.
func epoch(s string) (time.Time, bool) {
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(f > 0 && f < 1e14):
		return time.Time{}, false
	case f < 1e11:
		f *= 1000
	}
	return time.UnixMilli(int64(math.Round(f))).UTC(), true
}

// parseTime reads RFC 3339 with a T or a space, with or without a fraction and
// a zone, and digits as epoch. Without a zone it assumes UTC and reports
// zone as false.
func parseTime(s string) (at time.Time, zone, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) < 19 || s[4] != '-' {
		at, ok = epoch(s)
		return at, true, ok
	}
	year, ok1 := number(s[:4])
	month, ok2 := number(s[5:7])
	day, ok3 := number(s[8:10])
	hour, ok4 := number(s[11:13])
	minute, ok5 := number(s[14:16])
	second, ok6 := number(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || s[7] != '-' || s[13] != ':' || s[16] != ':' ||
		s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return time.Time{}, false, false
	}
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false, false
	}
	rest := s[19:]
	nanos := 0
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		i, scale := 1, 100_000_000
		for ; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			nanos += int(rest[i]-'0') * scale
			scale /= 10
		}
		if i == 1 {
			return time.Time{}, false, false
		}
		rest = rest[i:]
	}
	offset, zone, ok := parseZone(strings.TrimLeft(rest, " "))
	if !ok {
		return time.Time{}, false, false
	}
	at = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if at.Day() != day && second < 60 {
		return time.Time{}, false, false // 30 February
	}
	at = at.Add(-offset).Truncate(time.Millisecond)
	if at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, false, false
	}
	return at, zone, true
}

func parseZone(s string) (offset time.Duration, zone, ok bool) {
	switch {
	case s == "":
		return 0, false, true
	case s == "Z" || s == "z" || s == "UTC":
		return 0, true, true
	case s[0] != '+' && s[0] != '-':
		return 0, false, false
	}
	digits := strings.Replace(s[1:], ":", "", 1)
	if len(digits) == 2 {
		digits += "00"
	}
	if len(digits) != 4 {
		return 0, false, false
	}
	h, ok1 := number(digits[:2])
	m, ok2 := number(digits[2:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false, false
	}
	offset = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true, true
}

func number(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
