package ec2

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// proof is what a look says about the only interface.
func (r *rig) proof(p *respond.Plan, records map[string]playbook.Record, last ...respond.Verdict) respond.Verdict {
	r.T.Helper()
	calls := len(r.mutations())
	list, err := respond.Prove(r.T.Context(), r.AWS, r.Actions, p, records, r.Clock.Now(), last)
	if err != nil {
		r.T.Fatal(err)
	}
	if len(list) != 1 {
		r.T.Fatalf("the verdicts are %v", list)
	}
	if len(r.mutations()) != calls {
		r.T.Error("looking for proof changed something")
	}
	return list[0]
}

// watched is an instance with one interface that a flow log sees, alone in a
// public subnet.
func watched(l sim.FlowLogSpec) func(e *sim.Editor) string {
	return func(e *sim.Editor) string {
		id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: e.AddVPC(acct, rgn, sim.VPCSpec{IPv6: true})})})
		l.Resource = e.InterfaceOf(acct, rgn, id, 0)
		e.AddFlowLogOf(acct, rgn, l)
		return id
	}
}

func (r *rig) eni() string {
	r.T.Helper()
	return r.world(r.id).Interfaces[0].ID
}

func TestDefect61IsolatedIsSaidOnlyWhereFlowRecordsShowIt(t *testing.T) {
	t.Parallel()
	for _, page := range []int{0, 1} {
		t.Run(fmt.Sprintf("pages of %d", page), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(sim.FlowLogSpec{Group: "flows"}), func(o *sim.Options) { o.PageSize = page })
			before, eni := "", r.eni()
			r.edit(func(e *sim.Editor) { before = e.OpenFlow(acct, rgn, eni, sim.FlowSpec{}) })
			if before == "" {
				t.Fatal("there was no connection before")
			}
			r.Pass(10 * time.Minute)
			p, records := r.contained()
			said := respond.VerdictsOf(p, records)
			if len(said) != 1 || !strings.HasPrefix(said[0].Word, "isolated (not proven yet: ") || !said[0].Pending {
				t.Errorf("the run says %+v", said)
			}
			r.Pass(time.Minute)
			early := r.proof(p, records, said...)
			if !strings.HasPrefix(early.Word, "isolated (not proven yet: ") || !early.Pending || !early.ProvenAt.IsZero() {
				t.Errorf("before records come it is %+v", early)
			}
			r.Pass(9 * time.Minute)
			v := r.proof(p, records, early)
			if v.Word != respond.Isolated || v.Pending || !v.ProvenAt.Equal(r.Clock.Now()) {
				t.Errorf("with records it is %+v", v)
			}
			first := v.ProvenAt
			r.Pass(time.Hour)
			if v = r.proof(p, records, v); v.Word != respond.Isolated || !v.ProvenAt.Equal(first) {
				t.Errorf("an hour later it is %+v", v)
			}
		})
	}
}

func TestDefect61WhatStillTalksIsOpenWhateverTheGroupsSay(t *testing.T) {
	t.Parallel()
	n := besides(t, true, natElsewhere)
	n.Policy.NACL = "never"
	n.edit(func(e *sim.Editor) { e.AddFlowLog(acct, rgn, n.subnet, "flows") })
	p := n.Plan()
	records := n.run(p)
	n.isolated()
	if !n.alive(n.eni, n.flow) {
		t.Fatal("the connection through the NAT gateway was cut")
	}
	n.Pass(3 * time.Minute)
	if v := n.proof(p, records, respond.VerdictsOf(p, records)...); !v.IsPartly() {
		t.Errorf("before records come it is %+v", v)
	}
	n.Pass(7 * time.Minute)
	v := n.proof(p, records)
	if !v.IsOpen() || !slices.Equal(v.Traffic, []string{evil + " tcp 443 both ways"}) || !strings.Contains(v.Word, v.Traffic[0]) {
		t.Errorf("it is %+v", v)
	}
}

func TestWhatIsDroppedBehindTheInterfaceIsPartlyIsolatedUntilNothingIsSentAnyMore(t *testing.T) {
	t.Parallel()
	n := besides(t, true, natElsewhere)
	n.edit(func(e *sim.Editor) { e.AddFlowLog(acct, rgn, n.subnet, "flows") })
	p, records := n.contained()
	n.Pass(10 * time.Minute)
	v := n.proof(p, records)
	if !v.IsPartly() || !strings.Contains(v.Word, "packets leave it and none comes in: network ACL acl-") || !strings.Contains(v.Word, evil+" tcp 443 out") {
		t.Errorf("while packets are sent again it is %+v", v)
	}
	for range 2 {
		n.Pass(time.Hour)
		v = n.proof(p, records, v)
	}
	if v.Word != respond.Isolated {
		t.Errorf("two hours later it is %+v", v)
	}
}

func TestWhatFlowLogsCannotProveIsSaidWithTheReason(t *testing.T) {
	t.Parallel()
	const bucket = "arn:aws:s3:::traffic/vpc"
	for _, c := range []struct {
		name   string
		log    sim.FlowLogSpec
		change func(r *rig)
		want   string
	}{
		{"only what was rejected", sim.FlowLogSpec{Group: "flows", Traffic: "REJECT"}, nil, "records only what was rejected"},
		{"a format without the action", sim.FlowLogSpec{Group: "flows", Format: "${interface-id} ${start}"}, nil, "does not record the field action"},
		{"a format without the start", sim.FlowLogSpec{Group: "flows", Format: "${interface-id} ${action}"}, nil, "does not record the field start"},
		{"a log that cannot deliver", sim.FlowLogSpec{Group: "flows", Broken: "Access error"}, nil, "delivers nothing: Access error"},
		{"a log that delivers nothing", sim.FlowLogSpec{Group: "flows", Silent: true}, nil, "has delivered nothing since"},
		{"a log of another account", sim.FlowLogSpec{Bucket: "arn:aws:logs:eu-central-1:999988887777:log-group:central"}, nil, "delivers to"},
		{"objects that are Parquet", sim.FlowLogSpec{Bucket: bucket, Parquet: true}, nil, "delivers to S3 (traffic) as Parquet"},
		{"objects that do not name the interface", sim.FlowLogSpec{Bucket: bucket, Format: "${start} ${action}"}, nil, "without the field interface-id"},
		{"a bucket that is not there", sim.FlowLogSpec{Bucket: bucket}, nil, "bucket traffic cannot be read (NoSuchBucket for S3.ListObjectsV2)"},
		{"a group that may not be read", sim.FlowLogSpec{Group: "flows"}, func(r *rig) { r.Deny("read", "logs:FilterLogEvents") }, "log group flows cannot be read (AccessDeniedException for CloudWatchLogs.FilterLogEvents)"},
		{"flow logs that may not be described", sim.FlowLogSpec{Group: "flows"}, func(r *rig) { r.Deny("read", "ec2:DescribeFlowLogs") }, "flow logs could not be described"},
		{"records that AWS left out", sim.FlowLogSpec{Group: "flows", Silent: true}, func(r *rig) { r.writes("2 1 ENI - - - - - - - START START - SKIPDATA") }, "AWS left records out"},
		{"records that are none", sim.FlowLogSpec{Group: "flows", Silent: true}, func(r *rig) { r.writes("ACCEPT", "{{.Bad}} $(reboot) ACCEPT") }, "2 records of fl-"},
		{"records of others and of before", sim.FlowLogSpec{Group: "flows", Silent: true}, func(r *rig) {
			r.writes("2 1 eni-other 10.0.0.9 198.51.100.7 1 2 6 1 1 START START ACCEPT OK", "2 1 ENI 10.0.0.9 198.51.100.7 1 2 6 1 1 1 2 ACCEPT OK")
		}, "has delivered nothing since"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(c.log))
			p, records := r.contained()
			r.Pass(40 * time.Minute)
			if c.change != nil {
				c.change(r)
			}
			v := r.proof(p, records)
			if !strings.HasPrefix(v.Word, "isolated (not proven: ") || !strings.Contains(v.Word, c.want) {
				t.Errorf("it is %q, want %q", v.Word, c.want)
			}
		})
	}
}

// writes puts lines into the stream of the interface, with its id and the time of
// three minutes ago.
func (r *rig) writes(lines ...string) {
	eni, at := r.eni(), r.Clock.Now().Add(-3*time.Minute)
	for i, l := range lines {
		lines[i] = strings.NewReplacer("ENI", eni, "START", fmt.Sprint(at.Unix())).Replace(l)
	}
	r.edit(func(e *sim.Editor) { e.AddLogEvents(acct, rgn, "flows", eni+"-all", at, lines...) })
}

func TestRecordsOfBothFamiliesAndOfOwnFormatsAreRead(t *testing.T) {
	t.Parallel()
	own := "${action} ${flow-direction} ${pkt-srcaddr} ${pkt-dstaddr} ${srcport} ${dstport} ${protocol} ${start} ${tcp-flags}"
	for _, c := range []struct {
		name, format, line, want string
	}{
		{"IPv6", "", "2 1 ENI 2001:db8::7 2001:db8::1 50000 22 6 1 1 START START ACCEPT OK", "2001:db8::7 tcp 22 in"},
		{"an address of IPv4 within IPv6", "", "2 1 ENI ::ffff:198.51.100.9 10.0.0.1 53 50000 17 1 1 START START ACCEPT OK", "198.51.100.9 udp 53 in"},
		{"a ping", "", "2 1 ENI 198.51.100.9 10.0.0.1 0 0 1 1 1 START START ACCEPT OK", "198.51.100.9 icmp in"},
		{"another protocol", "", "2 1 ENI 198.51.100.9 10.0.0.1 - - 47 1 1 START START ACCEPT OK", "198.51.100.9 protocol 47 in"},
		{"a format of its own", own, "ACCEPT egress 10.0.0.1 198.51.100.9 50000 4444 6 START 2", "198.51.100.9 tcp 4444 out"},
		{"nothing about who", "${start} ${action}", "START ACCEPT", "an address that is not recorded protocol 0 in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true, Format: c.format}))
			p, records := r.contained()
			r.Pass(10 * time.Minute)
			r.writes(c.line)
			if v := r.proof(p, records); !v.IsOpen() || !slices.Equal(v.Traffic, []string{c.want}) {
				t.Errorf("it is %+v, want %q", v, c.want)
			}
		})
	}
}

func TestManyPeersAreShownAsAFew(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true}))
	p, records := r.contained()
	r.Pass(10 * time.Minute)
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("2 1 ENI 198.18.%d.%d 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK", i/250, i%250))
	}
	r.writes(lines...)
	v := r.proof(p, records)
	if !v.IsOpen() || len(v.Traffic) != shownPeers+1 || len(v.Word) > 1000 || v.Traffic[0] != "198.18.0.0 tcp 22 in" {
		t.Errorf("it is %d bytes: %+v", len(v.Word), v)
	}
}

// packed is a file as flow logs write it to S3.
func packed(t *testing.T, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFlowRecordsInABucketAreRead(t *testing.T) {
	t.Parallel()
	const header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
	plainKey := "AWSLogs/" + acct + "/vpcflowlogs/" + rgn + "/YYYY/MM/DD/"
	hiveKey := "AWSLogs/aws-account-id=" + acct + "/aws-service=vpcflowlogs/aws-region=" + rgn + "/year=YYYY/month=MM/day=DD/hour=HH/"
	for _, c := range []struct {
		name, line, key string
		log             sim.FlowLogSpec
		want            string
	}{
		{"nothing but what is rejected", "2 1 ENI 198.51.100.9 10.0.0.1 50000 22 6 1 1 START START REJECT OK", plainKey, sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic"}, "isolated"},
		{"no traffic at all", "2 1 ENI - - - - - - - START START - NODATA", "vpc/" + plainKey, sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic/vpc"}, "isolated"},
		{"traffic, by the hour", "2 1 ENI 198.51.100.9 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK", hiveKey, sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic", Hive: true, Hourly: true}, "open: flow records since "},
		{"traffic of others", "2 1 eni-0 198.51.100.9 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK", plainKey, sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic"}, "isolated (not proven: "},
		{"a folder of another day", "2 1 ENI 198.51.100.9 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK", "AWSLogs/" + acct + "/vpcflowlogs/" + rgn + "/YYYY/MM/00/", sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic"}, "isolated (not proven: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(c.log))
			p, records := r.contained()
			r.Pass(40 * time.Minute)
			now, flowLog := r.Clock.Now(), r.world(r.id).FlowLogs[0].ID
			line := strings.NewReplacer("ENI", r.eni(), "START", fmt.Sprint(now.Add(-10*time.Minute).Unix())).Replace(c.line)
			at := now.Add(-9 * time.Minute).UTC()
			name := strings.NewReplacer("YYYY", at.Format("2006"), "MM", at.Format("01"), "DD", at.Format("02"), "HH", at.Format("15")).Replace(c.key) + acct + "_vpcflowlogs_" + rgn + "_" + flowLog + "_" + at.Format("20060102T1504Z") + "_0a1b2c3d.log.gz"
			r.edit(func(e *sim.Editor) {
				e.AddBucket(acct, sim.Bucket{Name: "traffic", Region: rgn})
				e.PutObject("traffic", name, sim.Object{Body: packed(t, header, line)})
			})
			if v := r.proof(p, records); !strings.HasPrefix(v.Word, c.want) || c.want == "isolated" && v.Word != c.want {
				t.Errorf("it is %q, want %q", v.Word, c.want)
			}
		})
	}
}

func TestAnObjectThatUnpacksToTooMuchIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	n := Interface{ID: "eni-1"}
	lines := []string{"interface-id start action"}
	for range 1000 {
		lines = append(lines, "eni-1 1764100000 REJECT")
	}
	body := packed(t, lines...)
	tl := newTally(n, time.Time{})
	if read, err := readLines(bytes.NewReader(body), 1<<20, n, tl); err != nil || tl.records != 1000 || read < 20_000 {
		t.Errorf("read %d bytes, %d records: %v", read, tl.records, err)
	}
	tl = newTally(n, time.Time{})
	if _, err := readLines(bytes.NewReader(body), 1000, n, tl); err == nil || tl.records > 50 {
		t.Errorf("%d records were read: %v", tl.records, err)
	}
	for name, body := range map[string][]byte{"no gzip": []byte("plain"), "no header": packed(t, "eni-1 1764100000 REJECT"), "a line without an end": packed(t, lines[0], strings.Repeat("x", 1<<20))} {
		if _, err := readLines(bytes.NewReader(body), 1<<30, n, newTally(n, time.Time{})); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func FuzzAFlowRecordIsReadOrRefused(f *testing.F) {
	for _, l := range []string{
		"2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"2 123456789010 eni-1235b8ca - - - - - - - 1431280876 1431280934 - NODATA",
		"2 123456789010 eni-1235b8ca - - - - - - - 1431280876 1431280934 - SKIPDATA",
		"2 1 eni-1 2001:db8::1%eth0 ::ffff:1.2.3.4 -1 99999 300 x y 99999999999999 0 ACCEPT OK",
		"", " ", strings.Repeat("- ", 200), "ACCEPT\x00\xff",
	} {
		f.Add("", l)
	}
	f.Add("${start} ${action}", "1 ACCEPT")
	f.Add("${start} ${start} ${action}", "1 2 ACCEPT")
	f.Fuzz(func(t *testing.T, format, line string) {
		n := Interface{ID: "eni-1", IPv4: []string{"10.0.0.1"}}
		fm, lacks := readFormat(format)
		if lacks != "" {
			return
		}
		r, ok := fm.parse(line)
		if ok && (r.Start.IsZero() || r.Start.Year() > 2200 || r.Accepted && (r.Rejected || r.NoData || r.Skipped)) {
			t.Errorf("%q is %+v", line, r)
		}
		tl := newTally(n, time.Time{})
		for range 3 {
			tl.take(fm, line)
		}
		for _, l := range append(tl.lines(), tl.through()) {
			if len(l) > 500 || strings.ContainsFunc(l, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune("<>&$`{}%*_|", c) }) {
				t.Errorf("the line %q is shown", l)
			}
		}
	})
}
