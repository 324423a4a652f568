package demo

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestDayIsSortedDeterministicAndHasOneBrokenInput(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	day, broken := Day(start), 0
	if !reflect.DeepEqual(day, Day(start)) {
		t.Error("two days differ")
	}
	for i, e := range day {
		if i > 0 && e.At < day[i-1].At {
			t.Errorf("event %d is out of order", i)
		}
		if !json.Valid(e.Body) {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("%d broken inputs, want 1", broken)
	}
}
