package playbook

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Real is the clock of the world. Scale makes waits shorter: 180 makes an hour
// of waiting 20 s; 0 is 1. From is then what Now counts from.
type Real struct {
	NowFunc func() time.Time
	Scale   float64
}

var _ Clock = Real{}

// Now implements Clock.
func (r Real) Now() time.Time {
	if r.NowFunc != nil {
		return r.NowFunc()
	}
	return time.Now().UTC()
}

// Sleep implements Clock.
func (r Real) Sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	if r.Scale > 0 {
		d = time.Duration(float64(d) / r.Scale)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Group implements Clock.
func (Real) Group() Group { return new(sync.WaitGroup) }

// Virtual is a clock that jumps to the next time that anybody waits for as soon
// as everybody waits. The goroutines of its groups and the one that called
// NewVirtual count; each must wait by Sleep or by Wait of a group only.
type Virtual struct {
	mu     sync.Mutex
	now    time.Time
	active int
	queue  sleepers
	seq    int
}

var _ Clock = (*Virtual)(nil)

// NewVirtual returns a clock that stands at start, with one goroutine: the caller.
func NewVirtual(start time.Time) *Virtual { return &Virtual{now: start, active: 1} }

type sleeper struct {
	at   time.Time
	seq  int
	done chan struct{}
	gone bool
}

type sleepers []*sleeper

func (s sleepers) Len() int { return len(s) }
func (s sleepers) Less(i, j int) bool {
	if s[i].at.Equal(s[j].at) {
		return s[i].seq < s[j].seq
	}
	return s[i].at.Before(s[j].at)
}
func (s sleepers) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *sleepers) Push(x any)   { *s = append(*s, x.(*sleeper)) }
func (s *sleepers) Pop() any {
	old := *s
	x := old[len(old)-1]
	*s = old[:len(old)-1]
	return x
}

// Now implements Clock.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Sleep implements Clock. It ignores wake: in virtual time nobody is kept waiting.
func (v *Virtual) Sleep(ctx context.Context, d time.Duration, _ <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	v.mu.Lock()
	v.seq++
	s := &sleeper{at: v.now.Add(d), seq: v.seq, done: make(chan struct{})}
	heap.Push(&v.queue, s)
	v.active--
	v.advance()
	v.mu.Unlock()
	select {
	case <-s.done:
		return ctx.Err()
	case <-ctx.Done():
		v.mu.Lock()
		defer v.mu.Unlock()
		select {
		case <-s.done:
		default:
			s.gone = true
			v.active++
		}
		return ctx.Err()
	}
}

// advance wakes the next sleeper when nobody else can go on.
func (v *Virtual) advance() {
	for v.active == 0 && len(v.queue) > 0 {
		s := heap.Pop(&v.queue).(*sleeper)
		if s.gone {
			continue
		}
		if s.at.After(v.now) {
			v.now = s.at
		}
		v.active++
		close(s.done)
	}
}

// Group implements Clock.
func (v *Virtual) Group() Group { return &virtualGroup{v: v, done: make(chan struct{})} }

type virtualGroup struct {
	v       *Virtual
	count   int
	waiting bool
	done    chan struct{}
}

func (g *virtualGroup) Go(f func()) {
	g.v.mu.Lock()
	g.count++
	g.v.active++
	g.v.mu.Unlock()
	go func() {
		defer func() {
			g.v.mu.Lock()
			defer g.v.mu.Unlock()
			if g.count--; g.count == 0 && g.waiting {
				close(g.done) // the one that waits goes on in our place
				return
			}
			g.v.active--
			g.v.advance()
		}()
		f()
	}()
}

func (g *virtualGroup) Wait() {
	g.v.mu.Lock()
	if g.count == 0 {
		g.v.mu.Unlock()
		return
	}
	g.waiting = true
	g.v.active--
	g.v.advance()
	g.v.mu.Unlock()
	<-g.done
}
