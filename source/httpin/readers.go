package httpin

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// readers bounds how many bodies of strangers are held at once: those from one
// address, and all. When there is no room, the one that has been arriving for
// longest makes room, unless it began just now: a message of SNS arrives at
// once, and who only holds connections open must not keep it out.
type readers struct {
	perAddress, total int
	least             time.Duration // that a body is let arrive undisturbed

	mu    sync.Mutex
	list  []*reader // the one that began first is first
	freed chan struct{}
}

type reader struct {
	address string
	began   time.Time
	arrived bool   // the body is there: it no longer makes room
	cut     func() // ends the arriving of the body; called with readers.mu held
}

func newReaders(total int, least time.Duration) *readers {
	return &readers{perAddress: max(1, total/4), total: total, least: least, freed: make(chan struct{})}
}

// enter waits for room, for no longer than patience, and reports whether there
// was. The caller calls leave with the result.
func (r *readers) enter(ctx context.Context, remote string, patience time.Duration, cut func()) (*reader, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	me := &reader{address: network(remote), cut: cut}
	for {
		freed, wait, ok := r.try(me)
		if ok {
			return me, true
		}
		select {
		case <-freed:
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, false
		}
	}
}

// try enters when there is room, or somebody makes room. Otherwise it says what
// to wait for.
func (r *readers) try(me *reader) (freed <-chan struct{}, wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	near := slices.DeleteFunc(slices.Clone(r.list), func(o *reader) bool { return o.address != me.address })
	crowd := near
	if len(near) < r.perAddress {
		crowd = r.list
		if len(crowd) < r.total {
			crowd = nil
		}
	}
	if crowd != nil {
		slowest := slices.IndexFunc(crowd, func(o *reader) bool { return !o.arrived })
		if slowest < 0 {
			return r.freed, time.Minute, false
		}
		if age := now.Sub(crowd[slowest].began); age < r.least {
			return r.freed, r.least - age, false
		}
		crowd[slowest].cut()
		r.remove(crowd[slowest])
	}
	me.began = now
	r.list = append(r.list, me)
	return nil, 0, true
}

// done says that the body has arrived. It reports false when it had to make room
// before.
func (r *readers) done(me *reader) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	me.arrived = true
	return slices.Contains(r.list, me)
}

// leave gives the place back. Nothing is cut after it returns.
func (r *readers) leave(me *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(me)
}

func (r *readers) remove(o *reader) {
	i := slices.Index(r.list, o)
	if i < 0 {
		return
	}
	r.list = slices.Delete(r.list, i, i+1)
	close(r.freed)
	r.freed = make(chan struct{})
}

// network is what counts as one address: of IPv6 the half that a sender cannot
// choose.
func network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := at.Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	half, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return remote
	}
	return half.String()
}
