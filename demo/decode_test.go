package demo

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
)

func TestEveryEventIsReadByTheDecoder(t *testing.T) {
	t.Parallel()
	var got [3]int // findings, rejected, ignored
	for i, e := range Day(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)) {
		items, err := finding.DecodeAll(e.Body, finding.Limits{})
		if err != nil || len(items) != 1 {
			t.Errorf("event %d (%s): %d items, %v", i, e.Caption, len(items), err)
			continue
		}
		switch {
		case items[0].Finding != nil:
			got[0]++
		case items[0].Rejected != nil:
			got[1]++
		case items[0].Ignored != nil:
			got[2]++
		}
	}
	if want := [3]int{30, 1, 1}; got != want {
		t.Errorf("findings, rejected, ignored: %v, want %v", got, want)
	}
}
