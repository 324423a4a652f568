package ec2

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit/kittest"
)

// said puts a record into the stream of the interface that begins at a time.
func (r *rig) said(at time.Time, action, status string) {
	eni := r.eni() // before the edit, which holds the world
	line := fmt.Sprintf("2 1 %s 198.51.100.9 10.0.0.1 50000 22 6 1 1 %d %d %s %s", eni, at.Unix(), at.Unix(), action, status)
	r.edit(func(e *sim.Editor) {
		e.AddLogEvents(acct, rgn, "flows", eni+"-all", r.Clock.Now().Add(-time.Minute), line)
	})
}

func TestTrafficThatWasSeenIsOpenAlthoughTheLogCannotBeReadToItsEnd(t *testing.T) {
	t.Parallel()
	const accepted = "2 1 ENI 198.51.100.9 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK"
	for name, c := range map[string]struct {
		log   sim.FlowLogSpec
		write func(r *rig)
	}{
		"a page that is refused": {sim.FlowLogSpec{Group: "flows", Silent: true}, func(r *rig) {
			r.writes(slices.Repeat([]string{accepted}, 10)...)
			var mu sync.Mutex
			pages := 0
			r.Hook(func(phase sim.Phase, c sim.Call) error {
				mu.Lock()
				defer mu.Unlock()
				if phase != sim.Before || c.Operation != "FilterLogEvents" {
					return nil
				}
				if pages++; pages > 3 {
					return errors.New("connection reset by peer")
				}
				return nil
			})
		}},
		"more pages than are read": {sim.FlowLogSpec{Group: "flows", Silent: true}, func(r *rig) {
			r.writes(slices.Repeat([]string{accepted}, 2*maxPages)...)
		}},
		"an object that is broken": {sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic"}, func(r *rig) {
			at := r.Clock.Now().Add(-9 * time.Minute).UTC()
			line := strings.NewReplacer("ENI", r.eni(), "START", fmt.Sprint(at.Add(-time.Minute).Unix())).Replace(accepted)
			folder := "AWSLogs/" + acct + "/vpcflowlogs/" + rgn + at.Format("/2006/01/02/")
			name := folder + acct + "_vpcflowlogs_" + rgn + "_" + r.world(r.id).FlowLogs[0].ID + "_" + at.Format("20060102T1504Z")
			const header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
			r.edit(func(e *sim.Editor) {
				e.AddBucket(acct, sim.Bucket{Name: "traffic", Region: rgn})
				e.PutObject("traffic", name+"_0a.log.gz", sim.Object{Body: packed(r.T.(*testing.T), header, line)})
				e.PutObject("traffic", name+"_0b.log.gz", sim.Object{Body: []byte("no gzip")})
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(c.log), func(o *sim.Options) { o.PageSize = 1 })
			p, records := r.contained()
			r.Pass(40 * time.Minute)
			c.write(r)
			v := r.proof(p, records)
			if !v.IsOpen() || !slices.Equal(v.Traffic, []string{"198.51.100.9 tcp 22 in"}) {
				t.Errorf("it is %+v", v)
			}
		})
	}
}

func TestNothingIsReadOnceAFewAreKnownWhomItTalksTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true}), func(o *sim.Options) { o.PageSize = 1 })
	p, records := r.contained()
	r.Pass(10 * time.Minute)
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("2 1 ENI 198.18.0.%d 10.0.0.1 50000 22 6 1 1 START START ACCEPT OK", i))
	}
	r.writes(lines...)
	var mu sync.Mutex
	pages := 0
	r.Hook(func(phase sim.Phase, c sim.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if phase == sim.Before && c.Operation == "FilterLogEvents" {
			pages++
		}
		return nil
	})
	if v := r.proof(p, records); !v.IsOpen() || pages > shownPeers+2 {
		t.Errorf("after %d pages it is %+v", pages, v)
	}
}

func TestARecordThatComesLateIsCountedByTheNextLook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		newest, late time.Duration // before the first look
		word         string
	}{
		"it began before the end of the interval":             {3 * time.Minute, 24 * time.Minute, respond.Isolated},
		"the newest record is an hour old":                    {time.Hour, 70 * time.Minute, respond.Isolated},
		"a line that pretends to be of the future is no help": {-100 * 365 * 24 * time.Hour, 24 * time.Minute, respond.Isolated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true, Seconds: 600}))
			p, records := r.contained()
			r.Pass(3 * time.Hour)
			look := r.Clock.Now()
			r.said(look.Add(-c.newest), "-", "NODATA")
			first := r.proof(p, records)
			if first.Word != c.word || first.Until.After(look) {
				t.Fatalf("the first look says %+v", first)
			}
			r.Pass(5 * time.Minute)
			r.said(look.Add(-c.late), "ACCEPT", "OK")
			if v := r.proof(p, records, first); !v.IsOpen() {
				t.Errorf("the next look says %+v", v)
			}
		})
	}
}

func TestALookThatCouldNotReadDoesNotForgetWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true}))
	p, records := r.contained()
	r.Pass(20 * time.Minute)
	r.said(r.Clock.Now().Add(-5*time.Minute), "ACCEPT", "OK")
	v := r.proof(p, records)
	if !v.IsOpen() {
		t.Fatalf("with traffic it is %+v", v)
	}
	r.Pass(2 * time.Hour)
	v = r.proof(p, records, v) // its window begins before the first look, and has that traffic in it
	r.Pass(time.Hour)
	v = r.proof(p, records, v) // nothing was delivered since
	if v.IsOpen() || v.IsProven() {
		t.Errorf("without records it is %+v", v)
	}
	r.said(r.Clock.Now().Add(-3*time.Minute), "-", "NODATA")
	if v = r.proof(p, records, v); !v.IsProven() {
		t.Errorf("later it is %+v", v)
	}
}

func TestTheVerdictNamesTheLogAndOneThatIsYoungerThanTheActivityIsNoWitnessAlone(t *testing.T) {
	t.Parallel()
	young := kittest.Start.Add(-30 * time.Minute)
	for name, c := range map[string]struct {
		logs   []sim.FlowLogSpec
		proven bool
		names  []int
		says   string
	}{
		"an old one":                            {logs: []sim.FlowLogSpec{{}}, proven: true, names: []int{0}},
		"a young one":                           {logs: []sim.FlowLogSpec{{Made: young}}, says: "was made at "},
		"a young one beside an old silent one":  {logs: []sim.FlowLogSpec{{Silent: true, Group: "others"}, {Made: young}}, says: "has delivered nothing since"},
		"a young one beside one that delivers":  {logs: []sim.FlowLogSpec{{Group: "others"}, {Made: young}}, proven: true, names: []int{0, 1}},
		"one of the day before it was seen too": {logs: []sim.FlowLogSpec{{Made: young.Add(-24 * time.Hour)}}, proven: true, names: []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ids []string
			r := newRig(t, func(e *sim.Editor) string {
				id := e.AddInstance(acct, rgn, sim.InstanceSpec{Subnet: e.AddSubnet(acct, rgn, sim.SubnetSpec{VPC: e.AddVPC(acct, rgn, sim.VPCSpec{})})})
				for _, l := range c.logs {
					l.Resource = e.InterfaceOf(acct, rgn, id, 0)
					if l.Group == "" {
						l.Group = "flows"
					}
					ids = append(ids, e.AddFlowLogOf(acct, rgn, l))
				}
				return id
			})
			p, records := r.contained()
			r.Pass(40 * time.Minute)
			v := r.proof(p, records)
			if v.IsProven() != c.proven {
				t.Fatalf("it is %+v", v)
			}
			if !c.proven && (v.By != "" || !strings.HasPrefix(v.Word, "isolated (not proven: ") || !strings.Contains(v.Word, c.says) || !strings.Contains(v.Word, ids[len(ids)-1]+" was made at "+young.UTC().Format("2006-01-02 15:04:05")+" UTC, after the activity began")) {
				t.Errorf("it is %+v", v)
			}
			for _, i := range c.names {
				if !strings.Contains(v.By, ids[i]) || !strings.HasSuffix(v.By, " until "+clock(v.Until)) {
					t.Errorf("it is by %q until %s, want %s", v.By, v.Until, ids[i])
				}
			}
		})
	}
}

func TestTrafficToEndpointsWhileMemoryWasTakenIsNoTrafficAfterTheIsolation(t *testing.T) {
	t.Parallel()
	x := newEndpointed(t, func(e *sim.Editor, x *endpointed) {
		e.AddFlowLogOf(acct, rgn, sim.FlowLogSpec{Resource: x.eni, Group: "flows", Silent: true, Seconds: 60})
	})
	asked := 0
	x.remember(func() {
		if asked++; asked == 3 { // two minutes after the isolation
			x.said(x.Clock.Now(), "ACCEPT", "OK")
		}
	})
	p := x.Plan()
	records := x.run(p)
	x.well(records)
	if asked != 3 {
		t.Fatalf("it was asked %d times", asked)
	}
	of := func() respond.Verdict {
		list, err := respond.Prove(t.Context(), x.AWS, x.Actions, p, records, x.Clock.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(v respond.Verdict) bool { return v.What == x.eni })
		return list[i]
	}
	x.Pass(10 * time.Minute)
	x.said(x.Clock.Now().Add(-2*time.Minute), "-", "NODATA")
	if v := of(); !v.IsProven() {
		t.Errorf("after memory was taken it is %+v", v)
	}
	x.said(x.Clock.Now().Add(-time.Minute), "ACCEPT", "OK")
	if v := of(); !v.IsOpen() {
		t.Errorf("with traffic of later it is %+v", v)
	}
}

func TestRecordsOfBeforeTheIsolationHideNothingOfLater(t *testing.T) {
	t.Parallel()
	const accepted = "2 1 %s 198.51.100.9 10.0.0.1 50000 22 6 1 1 %d %d ACCEPT OK"
	for name, dated := range map[string]time.Duration{"dated before it": -2 * time.Minute, "dated after it": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true}), func(o *sim.Options) { o.PageSize = 1 })
			p, records := r.contained()
			eni, begun := r.eni(), r.Clock.Now().Add(-3*time.Minute)
			line := fmt.Sprintf(accepted, eni, begun.Unix(), begun.Unix())
			r.edit(func(e *sim.Editor) {
				e.AddLogEvents(acct, rgn, "flows", eni+"-all", r.Clock.Now().Add(dated), slices.Repeat([]string{line}, 2*maxPages)...)
			})
			r.Pass(40 * time.Minute)
			r.said(r.Clock.Now().Add(-3*time.Minute), "ACCEPT", "OK")
			if v := r.proof(p, records); !v.IsOpen() || !slices.Equal(v.Traffic, []string{"198.51.100.9 tcp 22 in"}) {
				t.Errorf("it is %+v", v)
			}
		})
	}
	t.Run("and nothing is proven later", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, watched(sim.FlowLogSpec{Group: "flows", Silent: true}), func(o *sim.Options) { o.PageSize = 1 })
		p, records := r.contained()
		eni, begun := r.eni(), r.Clock.Now().Add(-3*time.Minute)
		line := fmt.Sprintf(accepted, eni, begun.Unix(), begun.Unix())
		r.edit(func(e *sim.Editor) {
			e.AddLogEvents(acct, rgn, "flows", eni+"-all", begun, slices.Repeat([]string{line}, 2*maxPages)...)
		})
		r.Pass(40 * time.Minute)
		r.said(r.Clock.Now().Add(-3*time.Minute), "-", "NODATA")
		if v := r.proof(p, records); !v.IsProven() {
			t.Errorf("it is %+v", v)
		}
	})
}

func TestObjectsOfBeforeTheIsolationHideNothingOfLater(t *testing.T) {
	t.Parallel()
	const header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
	r := newRig(t, watched(sim.FlowLogSpec{Bucket: "arn:aws:s3:::traffic"}))
	p, records := r.contained()
	eni, flowLog, begun := r.eni(), r.world(r.id).FlowLogs[0].ID, r.Clock.Now()
	record := func(at time.Time) string {
		return fmt.Sprintf("2 1 %s 198.51.100.9 10.0.0.1 50000 22 6 1 1 %d %d ACCEPT OK", eni, at.Unix(), at.Unix())
	}
	object := func(e *sim.Editor, i int, at time.Time, line string) {
		name := "AWSLogs/" + acct + "/vpcflowlogs/" + rgn + at.UTC().Format("/2006/01/02/") + acct + "_vpcflowlogs_" + rgn + "_" + flowLog + "_" + at.UTC().Format("20060102T1504Z") + fmt.Sprintf("_%04d.log.gz", i)
		e.PutObject("traffic", name, sim.Object{Body: packed(t, header, line)})
	}
	r.Pass(40 * time.Minute)
	now := r.Clock.Now()
	r.edit(func(e *sim.Editor) {
		e.AddBucket(acct, sim.Bucket{Name: "traffic", Region: rgn})
		for i := range maxObjects + 1 {
			object(e, i, begun.Add(5*time.Minute), record(begun.Add(-time.Minute)))
		}
		object(e, 0, now.Add(-2*time.Minute), record(now.Add(-3*time.Minute)))
	})
	if v := r.proof(p, records); !v.IsOpen() || !slices.Equal(v.Traffic, []string{"198.51.100.9 tcp 22 in"}) {
		t.Errorf("it is %+v", v)
	}
}
