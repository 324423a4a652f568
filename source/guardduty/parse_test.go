package guardduty

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func FuzzCursor(f *testing.F) {
	f.Add("2026-11-20T12:00:00.000Z")
	f.Add("2026-11-20T12:00:00.000Z first 2026-11-19T12:00:00.000Z")
	f.Add("1970-01-01T00:00:00.000Z first ")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err != nil {
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || again != c {
			t.Errorf("%q is read as %v, printed as %q, and then read as %v, %v", s, c, c.String(), again, err)
		}
	})
}

func FuzzLook(f *testing.F) {
	f.Add([]byte(`{"id":"a","updatedAt":"2026-11-20T12:00:00.000Z","severity":8}`))
	f.Add([]byte(`{"id":1,"updatedAt":1763640000.5,"severity":"8"}`))
	f.Add([]byte(`{"ID":null,"updatedAt":{},"severity":1e999}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		got := look(raw)
		if string(got.raw) != string(raw) {
			t.Error("the bytes changed")
		}
		if math.IsNaN(got.severity) {
			t.Error("severity is not a number")
		}
	})
}

func TestTimesAreReadInBothForms(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 20, 12, 0, 0, 250e6, time.UTC)
	for _, c := range []struct {
		raw  string
		want time.Time
	}{
		{`"2026-11-20T12:00:00.250Z"`, want},
		{`"2026-11-20T13:00:00.25+01:00"`, want},
		{`1795176000.25`, want},
		{`"yesterday"`, time.Time{}},
		{`-1`, time.Time{}},
		{`1e300`, time.Time{}},
		{`null`, time.Time{}},
		{`{}`, time.Time{}},
	} {
		if got := when(json.RawMessage(c.raw)); !got.Equal(c.want) {
			t.Errorf("%s is read as %s", c.raw, got)
		}
	}
}
