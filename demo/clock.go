package demo

import (
	"sync"
	"time"
)

// daylight is the clock of the story. It goes as fast as the real one, and
// jumps forward from one event to the next; never back. It is safe for
// concurrent use.
type daylight struct {
	now func() time.Time // the real one

	mu   sync.Mutex
	at   time.Time // of the story, when
	real time.Time // it was this in reality
	last time.Time // the latest that was told
}

func newDaylight(start time.Time, now func() time.Time) *daylight {
	return &daylight{now: now, at: start, real: now()}
}

// jump moves the clock to t, unless it is later already.
func (d *daylight) jump(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.After(d.read()) {
		d.at, d.real = t, d.now()
	}
}

// Now is the time of the story, in UTC.
func (d *daylight) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.read(); t.After(d.last) {
		d.last = t
	}
	return d.last
}

func (d *daylight) read() time.Time { return d.at.Add(d.now().Sub(d.real)).UTC() }
