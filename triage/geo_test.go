package triage

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mmdb makes a database in MaxMind's format that knows one thing about all IPv4
// addresses from 128.0.0.0 upward: https://maxmind.github.io/MaxMind-DB/
func mmdb(data []byte) []byte {
	const nodes = 1
	tree := []byte{0, 0, nodes, 0, 0, nodes + 16} // left: nothing; right: the beginning of the data
	meta := mapOf("node_count", number(6, nodes), "record_size", number(5, 24), "ip_version", number(5, 4), "database_type", text("Test"),
		"languages", []byte{0, 4}, "binary_format_major_version", number(5, 2), "binary_format_minor_version", number(5, 0),
		"build_epoch", append([]byte{8, 2}, binary.BigEndian.AppendUint64(nil, 1)...), "description", []byte{7 << 5})
	return slices.Concat(tree, make([]byte, 16), data, []byte("\xab\xcd\xefMaxMind.com"), meta)
}

func text(s string) []byte {
	if len(s) < 29 {
		return append([]byte{2<<5 | byte(len(s))}, s...)
	}
	return append([]byte{2<<5 | 29, byte(len(s) - 29)}, s...)
}

func number(kind byte, n uint16) []byte {
	return append([]byte{kind<<5 | 2}, binary.BigEndian.AppendUint16(nil, n)...)
}

// mapOf encodes a map from names and encoded values in turn.
func mapOf(pairs ...any) []byte {
	out := []byte{7<<5 | byte(len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		out = append(append(out, text(pairs[i].(string))...), pairs[i+1].([]byte)...)
	}
	return out
}

func TestAddressDataSaysWhereAnActorIs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	city, asn := filepath.Join(folder, "city.mmdb"), filepath.Join(folder, "asn.mmdb")
	write := func(path string, data []byte, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, mmdb(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	country := func(name string) []byte { return mapOf("country", mapOf("names", mapOf("en", text(name)))) }
	write(city, country("Atlantis"), now)
	write(asn, mapOf("autonomous_system_number", number(6, 64500), "autonomous_system_organization", text("Example Net")), now)
	g := NewGeo(city, asn, slog.New(slog.DiscardHandler))
	at := now
	g.now = func() time.Time { return at }
	look := func(ip, known string) Enrichment {
		t.Helper()
		f := scan("a")
		f.Actor.IPs, f.Actor.Country = []string{ip}, known
		var e Enrichment
		if err := g.Enrich(t.Context(), f, &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := look("203.0.113.9", ""); e.Country != "Atlantis" || e.ASN != "64500" || e.Org != "Example Net" {
		t.Errorf("%+v", e)
	}
	if e := look("203.0.113.9", "Elsewhere"); e.Country != "" {
		t.Errorf("what the finding says itself is looked up: %+v", e)
	}
	if e := look("8.8.8.8", ""); e.Country != "" || e.ASN != "" {
		t.Errorf("an address that is not in it: %+v", e)
	}
	if e := look("nonsense", ""); e.Country != "" {
		t.Errorf("no address: %+v", e)
	}
	write(city, country("Lemuria"), now.Add(time.Second))
	at = at.Add(2 * time.Minute)
	if e := look("203.0.113.9", ""); e.Country != "Lemuria" {
		t.Errorf("a changed file is not opened again: %+v", e)
	}
	if err := os.Remove(city); err != nil {
		t.Fatal(err)
	}
	at = at.Add(2 * time.Minute)
	if e := look("203.0.113.9", ""); e.Country != "Lemuria" {
		t.Errorf("a file that is gone meanwhile: %+v", e)
	}
}

func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{"203.0.113.9", "10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120", "::ffff:1.2.3.4/10", "fe80::1%eth0", "1.2.3.4/33", "0/0", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseNetwork(s)
		if err != nil {
			return
		}
		if !p.IsValid() || p != p.Masked() || p.Addr().Zone() != "" {
			t.Fatalf("%q became %v", s, p)
		}
		path := filepath.Join(t.TempDir(), "list")
		if strings.ContainsAny(s, "#\n\r") || s != strings.TrimSpace(s) {
			return // a list takes it for more or less than s
		}
		if err := os.WriteFile(path, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := OpenList("x", path)
		if err != nil || !l.Contains(p.Addr()) {
			t.Fatalf("%q does not contain %s: %v", s, p.Addr(), err)
		}
		if l.Contains(netip.MustParseAddr("198.18.0.1")) != p.Contains(netip.MustParseAddr("198.18.0.1")) {
			t.Fatalf("%q and an address outside", s)
		}
	})
}
