package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	maxPeers   = 200 // that are told apart
	shownPeers = 5
)

// tally counts what flow records say about one interface since a time.
type tally struct {
	iface string
	own   []netip.Addr
	from  time.Time
	since time.Time // events and objects of before are not read

	records    int // of any kind, of the time
	accepted   int
	skipped    int
	unreadable int
	in, out    int
	peers      map[peer]way
	first      time.Time // of what was accepted
	newest     time.Time // start of any
}

// peer is whom the interface talks to, and about what: the port is that of who
// listens, as far as numbers tell.
type peer struct {
	addr     netip.Addr
	protocol uint8
	port     uint16
}

type way struct{ in, out bool }

func newTally(n Interface, from time.Time) *tally {
	t := &tally{iface: n.ID, from: from, since: from, peers: map[peer]way{}}
	for _, s := range slices.Concat(n.IPv4, n.IPv6) {
		if a, err := netip.ParseAddr(s); err == nil {
			t.own = append(t.own, a.Unmap())
		}
	}
	return t
}

// take counts a line of a flow log. Lines about other interfaces and from before
// the time are left out.
func (t *tally) take(f flowFormat, line string) {
	r, ok := f.parse(line)
	switch {
	case !ok:
		t.unreadable++
		return
	case r.Interface != "" && r.Interface != t.iface, !r.Start.After(t.from):
		return
	}
	t.records++
	if r.Start.After(t.newest) {
		t.newest = r.Start
	}
	switch {
	case r.Skipped:
		t.skipped++
	case r.Accepted:
		t.accept(r)
	}
}

// enough reports whether more records would say nothing new.
func (t *tally) enough() bool {
	return len(t.peers) >= maxPeers || t.in > 0 && len(t.peers) > shownPeers
}

// end is until when the records that were read say something, and not later than
// now, whatever a line says.
func (t *tally) end(l FlowLog, now time.Time) time.Time {
	if end := t.newest.Add(l.interval()); end.Before(now) {
		return end
	}
	return now
}

func (t *tally) accept(r flowRecord) {
	t.accepted++
	if t.first.IsZero() || r.Start.Before(t.first) {
		t.first = r.Start
	}
	leaves := r.Direction == "egress" || r.Direction == "" && r.Src.IsValid() && slices.Contains(t.own, r.Src)
	p := peer{addr: r.Src, protocol: r.Protocol, port: min(r.SrcPort, r.DstPort)}
	if leaves {
		t.out++
		p.addr = r.Dst
	} else {
		t.in++
	}
	w, known := t.peers[p]
	if !known && len(t.peers) >= maxPeers {
		return
	}
	w.in, w.out = w.in || !leaves, w.out || leaves
	t.peers[p] = w
}

// lines are whom it talks to, made of addresses and numbers only, the last one
// for those that are too many.
func (t *tally) lines() []string {
	list := make([]peer, 0, len(t.peers))
	for p := range t.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b peer) int {
		if c := a.addr.Compare(b.addr); c != 0 {
			return c
		}
		if a.protocol != b.protocol {
			return int(a.protocol) - int(b.protocol)
		}
		return int(a.port) - int(b.port)
	})
	var out []string
	for i, p := range list {
		if i == shownPeers {
			out = append(out, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		out = append(out, p.String()+" "+t.peers[p].String())
	}
	return out
}

// String is the peer in words: 198.51.100.7 tcp 443.
func (p peer) String() string {
	name := fmt.Sprintf("protocol %d", p.protocol)
	switch p.protocol {
	case 1, 58:
		name = "icmp"
	case 6:
		name = "tcp"
	case 17:
		name = "udp"
	}
	addr := "an address that is not recorded"
	if p.addr.IsValid() {
		addr = p.addr.String()
	}
	if p.port == 0 {
		return addr + " " + name
	}
	return fmt.Sprintf("%s %s %d", addr, name, p.port)
}

func (w way) String() string {
	switch {
	case w.in && w.out:
		return "both ways"
	case w.in:
		return "in"
	}
	return "out"
}

// beyond reports whether packets only leave, and only to addresses for which f says so.
func (t *tally) beyond(f func(netip.Addr) bool) bool {
	if t.out == 0 || t.in > 0 || len(t.peers) >= maxPeers {
		return false
	}
	for p := range t.peers {
		if !p.addr.IsValid() || !f(p.addr) {
			return false
		}
	}
	return true
}

// through says what goes through, in words.
func (t *tally) through() string {
	return fmt.Sprintf("flow records since %s UTC show traffic: %s", t.first.UTC().Format("15:04:05"), strings.Join(t.lines(), "; "))
}
