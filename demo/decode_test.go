package demo

import (
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
)

func TestEveryEventIsReadByTheDecoder(t *testing.T) {
	t.Parallel()
	for i, e := range Day(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)) {
		items, err := finding.DecodeAll(e.Body, finding.Limits{})
		if err != nil || len(items) != 1 {
			t.Errorf("event %d (%s): %d items, %v", i, e.Caption, len(items), err)
			continue
		}
		t.Logf("%d %+.200v", i, items[0])
	}
}
