package notify

import (
	"testing"
	"time"
)

func TestTempoDividesWaitsAndSparesLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		tempo        Tempo
		d            time.Duration
		scale, limit time.Duration
	}{
		{"no tempo is the real one", 0, time.Minute, time.Minute, time.Minute},
		{"at the real tempo nothing changes", 1, time.Minute, time.Minute, time.Minute},
		{"a long limit is divided", 2, time.Minute, 30 * time.Second, 30 * time.Second},
		{"a limit is not divided below what a busy machine needs", 200, 90 * time.Second, 450 * time.Millisecond, 20 * time.Second},
		{"a limit that is shorter already stays", 200, 2 * time.Second, 10 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.tempo.Scale(c.d); got != c.scale {
				t.Errorf("a wait of %s is %s, want %s", c.d, got, c.scale)
			}
			if got := c.tempo.Limit(c.d); got != c.limit {
				t.Errorf("a limit of %s is %s, want %s", c.d, got, c.limit)
			}
		})
	}
}
