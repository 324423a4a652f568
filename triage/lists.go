package triage

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/guardroom/guardroom/finding"
)

// List is a local list of addresses: one address or network a line, # begins a
// comment. A changed file is read again within ten seconds.
type List struct {
	name, path string
	now        func() time.Time
	check      once

	mu       sync.RWMutex
	modified time.Time
	size     int64
	lengths  []int // the prefix lengths that occur; those of IPv6 plus 1000
	lookup   map[netip.Prefix]bool
}

var _ Enricher = (*List)(nil)

const reloadEvery = 10 * time.Second

// OpenList reads the list. A line that is neither address nor network is an
// error that names it.
func OpenList(name, path string) (*List, error) {
	l := &List{name: name, path: path, now: time.Now}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("address list %s: %w", name, err)
	}
	return l, nil
}

// Name implements Enricher.
func (l *List) Name() string { return "list " + l.name }

// Enrich implements Enricher.
func (l *List) Enrich(_ context.Context, f *finding.Finding, e *Enrichment) error {
	var trouble error
	if l.check.due(l.now(), reloadEvery) {
		// A file that was broken meanwhile leaves the list as it was.
		trouble = l.reload()
	}
	for _, ip := range f.Actor.IPs {
		if a, err := netip.ParseAddr(ip); err == nil && l.Contains(a) {
			e.ActorLists = []string{l.name}
			break
		}
	}
	if trouble != nil {
		e.Notes = append(e.Notes, "the list could not be read again: "+trouble.Error())
	}
	return nil
}

// Contains reports whether the address is in one of the list's networks. It
// takes one look per prefix length that occurs in the list.
func (l *List) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, n := range l.lengths {
		is6 := n >= 1000
		if is6 != a.Is6() {
			continue
		}
		p, err := a.Prefix(n % 1000)
		if err == nil && l.lookup[p] {
			return true
		}
	}
	return false
}

func (l *List) reload() error {
	info, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	l.mu.RLock()
	same := info.ModTime().Equal(l.modified) && info.Size() == l.size
	l.mu.RUnlock()
	if same {
		return nil
	}
	return l.load()
}

func (l *List) load() error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	lookup, lengths := map[netip.Prefix]bool{}, []int{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := parseNetwork(text)
		if err != nil {
			return fmt.Errorf("%s:%d: %q is neither an address nor a network", l.path, n, text)
		}
		lookup[p] = true
		length := p.Bits()
		if p.Addr().Is6() {
			length += 1000
		}
		lengths = append(lengths, length)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	slices.Sort(lengths)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lookup, l.lengths, l.modified, l.size = lookup, slices.Compact(lengths), info.ModTime(), info.Size()
	return nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Geo looks addresses up in MaxMind-format files. A missing file switches the
// look-up off, said once; a changed one is opened again.
type Geo struct {
	cityPath, asnPath string
	log               *slog.Logger
	now               func() time.Time
	check             once

	mu        sync.RWMutex
	city, asn *maxminddb.Reader
	modified  map[string]time.Time
	said      map[string]bool
}

var _ Enricher = (*Geo)(nil)

// NewGeo opens the files that are there; an empty path means none.
func NewGeo(city, asn string, log *slog.Logger) *Geo {
	g := &Geo{cityPath: city, asnPath: asn, log: log, now: time.Now, modified: map[string]time.Time{}, said: map[string]bool{}}
	g.open()
	return g
}

// Name implements Enricher.
func (g *Geo) Name() string { return "geoip" }

// Enrich implements Enricher for the actor's first address.
func (g *Geo) Enrich(_ context.Context, f *finding.Finding, e *Enrichment) error {
	if len(f.Actor.IPs) == 0 {
		return nil
	}
	if g.check.due(g.now(), time.Minute) {
		g.open()
	}
	a, err := netip.ParseAddr(f.Actor.IPs[0])
	if err != nil {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.city != nil && f.Actor.Country == "" {
		var record struct {
			Country struct {
				Names map[string]string `maxminddb:"names"`
			} `maxminddb:"country"`
		}
		if err := g.city.Lookup(a).Decode(&record); err != nil {
			return fmt.Errorf("look up the country: %w", err)
		}
		e.Country = record.Country.Names["en"]
	}
	if g.asn != nil && f.Actor.ASN == "" {
		var record struct {
			Number uint32 `maxminddb:"autonomous_system_number"`
			Org    string `maxminddb:"autonomous_system_organization"`
		}
		if err := g.asn.Lookup(a).Decode(&record); err != nil {
			return fmt.Errorf("look up the network: %w", err)
		}
		if record.Number > 0 {
			e.ASN, e.Org = fmt.Sprint(record.Number), record.Org
		}
	}
	return nil
}

func (g *Geo) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.city = g.openOne(g.cityPath, g.city)
	g.asn = g.openOne(g.asnPath, g.asn)
}

// openOne opens a file that is new or changed and keeps the reader otherwise.
// The old reader is left to the garbage collector: a look-up may still use it.
func (g *Geo) openOne(path string, old *maxminddb.Reader) *maxminddb.Reader {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && old != nil && info.ModTime().Equal(g.modified[path]) {
		return old
	}
	var r *maxminddb.Reader
	if err == nil {
		// Into memory: a mapped file that somebody overwrites in place would
		// crash the process.
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			r, err = maxminddb.OpenBytes(b)
		}
	}
	if err != nil {
		if !g.said[path] {
			g.said[path] = true
			g.log.Warn("address data cannot be opened; findings are not enriched with it", "file", path, "error", err)
		}
		return old
	}
	g.said[path], g.modified[path] = false, info.ModTime()
	return r
}
