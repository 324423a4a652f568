package ec2

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// defaultFormat is that of flow logs of which nobody said another.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
const defaultFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

const (
	// maxRecord is the longest line that is read as a record, maxFields the most
	// fields of a format.
	maxRecord = 8 << 10
	maxFields = 100
	// lastStart is the latest second that a record may begin at: the year 2200.
	lastStart = 7258118400
)

// flowFormat says at which place of a record a field is.
type flowFormat struct {
	at    map[string]int
	count int
}

// readFormat reads a LogFormat. lacks names the field without which nothing can
// be proven; empty: there is none.
func readFormat(s string) (f flowFormat, lacks string) {
	if strings.TrimSpace(s) == "" {
		s = defaultFormat
	}
	return formatOf(strings.Fields(s))
}

// formatOf is the format whose fields are these, as a LogFormat or the first line
// of an object names them.
func formatOf(names []string) (f flowFormat, lacks string) {
	f = flowFormat{at: map[string]int{}, count: len(names)}
	for i, name := range names {
		f.at[strings.TrimSuffix(strings.TrimPrefix(name, "${"), "}")] = i
	}
	if f.count > maxFields {
		return f, "fields: it has too many"
	}
	for _, name := range []string{"start", "action"} {
		if _, ok := f.at[name]; !ok {
			return f, name
		}
	}
	return f, ""
}

// flowRecord is what a record says. What it does not say is zero.
type flowRecord struct {
	Interface string
	Start     time.Time
	Accepted  bool
	Rejected  bool
	NoData    bool // there was no traffic
	Skipped   bool // AWS left records out
	Src, Dst  netip.Addr
	SrcPort   uint16
	DstPort   uint16
	Protocol  uint8
	Direction string // ingress, egress or empty
}

// parse reads a record, which is data of strangers' traffic: whatever is not as
// documented makes it unreadable.
func (f flowFormat) parse(line string) (r flowRecord, ok bool) {
	if len(line) > maxRecord {
		return r, false
	}
	words := strings.Fields(line)
	if len(words) != f.count {
		return r, false
	}
	field := func(name string) string {
		if i, ok := f.at[name]; ok && words[i] != "-" {
			return words[i]
		}
		return ""
	}
	start, err := strconv.ParseInt(field("start"), 10, 64)
	if err != nil || start < 0 || start > lastStart {
		return r, false
	}
	r.Start, r.Interface = time.Unix(start, 0).UTC(), field("interface-id")
	switch field("log-status") {
	case "NODATA":
		r.NoData = true
		return r, true
	case "SKIPDATA":
		r.Skipped = true
		return r, true
	case "OK", "":
	default:
		return r, false
	}
	switch field("action") {
	case "ACCEPT":
		r.Accepted = true
	case "REJECT":
		r.Rejected = true
	case "":
		r.NoData = true // of a format without a status
		return r, true
	default:
		return r, false
	}
	r.Src, ok = address(field("pkt-srcaddr"), field("srcaddr"))
	if !ok {
		return r, false
	}
	if r.Dst, ok = address(field("pkt-dstaddr"), field("dstaddr")); !ok {
		return r, false
	}
	if r.SrcPort, ok = port(field("srcport")); !ok {
		return r, false
	}
	if r.DstPort, ok = port(field("dstport")); !ok {
		return r, false
	}
	if p := field("protocol"); p != "" {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return r, false
		}
		r.Protocol = uint8(n)
	}
	switch d := field("flow-direction"); d {
	case "ingress", "egress", "":
		r.Direction = d
	default:
		return r, false
	}
	return r, true
}

// address is the first that is there; none is no fault.
func address(list ...string) (a netip.Addr, ok bool) {
	for _, s := range list {
		if s == "" {
			continue
		}
		a, err := netip.ParseAddr(s)
		return a.Unmap().WithZone(""), err == nil
	}
	return netip.Addr{}, true
}

func port(s string) (uint16, bool) {
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}
