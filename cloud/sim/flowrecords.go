package sim

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// FlowLogSpec is a flow log. Group or Bucket is where it delivers.
type FlowLogSpec struct {
	// Resource is the VPC, subnet or interface.
	Resource string
	// Traffic is ALL, ACCEPT or REJECT; empty: ALL.
	Traffic string
	// Group is a log group of CloudWatch Logs; Bucket the ARN of a bucket.
	Group, Bucket string
	// Format is as in "${srcaddr} ${dstaddr}"; empty: the default one.
	Format string
	// Broken is why nothing is delivered: "Access error".
	Broken string
	// Silent delivers nothing, and says nothing about it.
	Silent bool
	// Seconds is the longest aggregation interval, 60 or 600; 0: 60.
	Seconds int32
	// Parquet, Hive and Hourly are how objects are written.
	Parquet, Hive, Hourly bool
	// Made is since when there is one; zero: for a month.
	Made time.Time
}

// AddFlowLogOf adds a flow log and returns its id. What goes through interfaces is
// delivered to its log group some minutes later; a bucket gets nothing by itself.
func (e *Editor) AddFlowLogOf(accountID, regionName string, l FlowLogSpec) string {
	s := e.scope(accountID, regionName)
	m := s.past("fl-", "", nil)
	if !l.Made.IsZero() {
		m.Made = l.Made.UTC()
	}
	return keep(&s.FlowLogs, &flowLog{made: m, Resource: l.Resource, Traffic: orText(l.Traffic, "ALL"), Group: l.Group, Destination: l.Bucket,
		Format: l.Format, Broken: l.Broken, Silent: l.Silent, Seconds: l.Seconds, Parquet: l.Parquet, Hive: l.Hive, Hourly: l.Hourly}).ID
}

// RemoveFlowLog removes a flow log, as a colleague would. What it delivered stays.
func (e *Editor) RemoveFlowLog(accountID, regionName, id string) {
	delete(e.scope(accountID, regionName).FlowLogs, id)
}

// defaultFormat is that of flow logs of which nobody said another:
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
const defaultFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

func (l *flowLog) format() string { return orText(l.Format, defaultFormat) }

// every is the aggregation interval, in whole seconds.
func (l *flowLog) every(w *World) time.Duration {
	d := w.times().FlowInterval
	if l.Seconds > 0 {
		d = d * time.Duration(l.Seconds) / 60
	}
	return max(d.Truncate(time.Second), time.Second)
}

// sees reports whether a flow log is about an interface.
func (l *flowLog) sees(n *eni) bool {
	return l.Resource == n.ID || l.Resource == n.Subnet || l.Resource == n.VPC
}

// stream is the name of the log stream of an interface.
func (l *flowLog) stream(n *eni) string { return n.ID + "-" + strings.ToLower(l.Traffic) }

// records are what a flow log has delivered by now about intervals that begin in a
// time: a record for each connection and direction, and one that says so where
// there was none. Nothing to or from the resolver, the metadata service, the time
// service and DHCP is among them, for those are no connections here.
func (s *scope) records(l *flowLog, from, to time.Time) []logEvent {
	if l.Broken != "" || l.Silent {
		return nil
	}
	every := l.every(s.w)
	last := s.now.Add(-s.w.times().FlowRecords).Add(-every)
	if last.After(to) {
		last = to
	}
	var out []logEvent
	for _, n := range inOrder(s.ENIs) {
		if !l.sees(n) {
			continue
		}
		for at := latest(from, l.Made, n.Made).Truncate(every); !at.After(last); at = at.Add(every) {
			out = append(out, s.recordsOf(l, n, at, at.Add(every))...)
		}
	}
	return out
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

// recordsOf are those of one interface and one interval.
func (s *scope) recordsOf(l *flowLog, n *eni, start, end time.Time) []logEvent {
	var out []logEvent
	add := func(fields map[string]string) {
		fields["version"], fields["account-id"], fields["interface-id"], fields["vpc-id"], fields["subnet-id"] = "2", s.a.ID, n.ID, n.VPC, n.Subnet
		if n.Instance != "" {
			fields["instance-id"] = n.Instance
		}
		out = append(out, logEvent{l.stream(n), start, l.line(fields)})
	}
	for _, f := range inOrder(s.Flows) {
		if f.ENI != n.ID || f.Quiet {
			continue
		}
		for _, in := range []bool{f.Inbound, !f.Inbound} {
			accepted, from, to := s.passes(f, n, in, start, end)
			action := "REJECT"
			if accepted {
				action = "ACCEPT"
			}
			if from.IsZero() || l.Traffic != "ALL" && l.Traffic != action {
				continue
			}
			fields := f.fields(in)
			fields["start"], fields["end"], fields["action"] = unix(from), unix(to), action
			add(fields)
		}
	}
	if len(out) == 0 {
		add(map[string]string{"start": unix(start), "end": unix(end), "log-status": "NODATA"})
	}
	return out
}

// passes says whether packets of a flow in one direction were let through in an
// interval, and when the first and the last were; zero: there was none. A flow
// that is cut sends on for a while, and those packets leave the interface where
// nothing on it stops them: what cuts them farther on is not seen.
func (s *scope) passes(f *flow, n *eni, in bool, start, end time.Time) (accepted bool, from, to time.Time) {
	alive := f.Ended.IsZero() || f.Ended.After(start)
	if f.Made.After(end) {
		return false, time.Time{}, time.Time{}
	}
	if alive {
		to = end
		if !f.Ended.IsZero() && f.Ended.Before(end) {
			to = f.Ended
		}
		return true, latest(start, f.Made), to
	}
	if f.Why == "gone" || f.Why == "idle" || start.After(f.Ended.Add(s.w.times().Retransmit)) || in != f.Inbound {
		return false, time.Time{}, time.Time{}
	}
	remote, err := netip.ParseAddr(f.Remote)
	sub := s.Subnets[n.Subnet]
	leaves := err == nil && sub != nil && !in && f.Tracked && s.aclAllows(sub.ACL, true, f.Protocol, remote, f.Port)
	return leaves, start, end
}

// fields are those of a record that the connection gives.
func (f *flow) fields(in bool) map[string]string {
	listens, calls := f.Local, f.Remote
	if !f.Inbound {
		listens, calls = f.Remote, f.Local
	}
	// A packet in the direction of the connection goes to who listens.
	src, dst, from, to := calls, listens, int32(ephemeral), f.Port
	if in != f.Inbound {
		src, dst, from, to = listens, calls, f.Port, int32(ephemeral)
	}
	direction := "egress"
	if in {
		direction = "ingress"
	}
	kind := "IPv4"
	if strings.Contains(f.Remote, ":") {
		kind = "IPv6"
	}
	number := aclProtocols[f.Protocol]
	if f.Protocol == "icmp" {
		from, to = 0, 0
		if kind == "IPv6" {
			number = "58"
		}
	}
	return map[string]string{"srcaddr": src, "dstaddr": dst, "pkt-srcaddr": src, "pkt-dstaddr": dst, "srcport": strconv.Itoa(int(from)), "dstport": strconv.Itoa(int(to)),
		"protocol": number, "packets": "12", "bytes": "4096", "log-status": "OK", "flow-direction": direction, "type": kind}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// line is a record in the format of the log.
func (l *flowLog) line(fields map[string]string) string {
	words := strings.Fields(l.format())
	for i, w := range words {
		v := fields[strings.TrimSuffix(strings.TrimPrefix(w, "${"), "}")]
		if v == "" {
			v = "-"
		}
		words[i] = v
	}
	return strings.Join(words, " ")
}
