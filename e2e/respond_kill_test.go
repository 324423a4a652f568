package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
	pgstore "github.com/guardroom/guardroom/store/postgres"
	"github.com/guardroom/guardroom/store/sqlite"
)

// moment is when the service is killed.
type moment string

const (
	beforeCall  moment = "before the call"
	afterEffect moment = "after AWS acted"      // and before it answered
	afterAnswer moment = "after the answer"     // a while, so also around the checkpoint
	anyTime     moment = "at any time"          // also while it starts
	duringLook  moment = "in a call that looks" // and changes nothing
)

// What a run and its undo get at most; more has no place in them.
const (
	mostKills     = 30
	mostUndoKills = 12
)

// account numbers of the kills' hosts.
var killed = new(atomic.Int64)

// responseKills is how many kills each store gets.
func responseKills(t *testing.T, otherwise uint64) int {
	return int(number(t, "GUARDROOM_RUN_KILLS", otherwise)) //nolint:gosec // a small number
}

// TestCrashesOfAResponseOnSQLite kills the service with SIGKILL at random moments
// of a run on moto, and of the run that undoes it: both complete, and what the
// account looks like is as without a kill.
func TestCrashesOfAResponseOnSQLite(t *testing.T) {
	t.Parallel()
	killResponses(t, func() string { return "" }, responseKills(t, 18))
}

// TestCrashesOfAResponseOnPostgreSQL does it where several workers may share the
// store: a run is taken up again because the session of who had it has ended.
func TestCrashesOfAResponseOnPostgreSQL(t *testing.T) {
	t.Parallel()
	killResponses(t, func() string { return postgresURL(t) }, responseKills(t, 8))
}

// killResponses makes a number of kills, on as many hosts as that takes.
func killResponses(t *testing.T, storeOf func() string, most int) {
	seed := seed(t)
	random := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a test
	all := &killer{random: random, changed: map[string]bool{}, places: map[string]map[moment]int{}}
	for host := 1; all.kills < most && !t.Failed(); host++ {
		before := all.kills
		t.Run(fmt.Sprintf("host %d", host), func(t *testing.T) { all.response(t, storeOf(), most-all.kills) })
		if all.kills == before {
			t.Fatal("no kill fell upon a whole run and its undo: the proxy does not see the calls")
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(all.places)) {
		t.Logf("%-50s %v", operation, all.places[operation])
	}
	for _, operation := range slices.Sorted(maps.Keys(all.changed)) {
		if all.places[operation] == nil {
			t.Logf("%-50s called, and no kill fell upon it", operation)
		}
	}
	t.Logf("%d kills, %d of them inside a call that changes something or right after it", all.kills, all.inCall)
	// Two of each deck of eight fall elsewhere, beside those while it starts.
	if elsewhere := all.strikes - all.inCall; elsewhere > 2*((all.strikes+7)/8) {
		t.Errorf("only %d of %d kills fell upon a call that changes something", all.inCall, all.strikes)
	}
}

// killer kills a service, and keeps count.
type killer struct {
	random *rand.Rand
	host   *host
	kills  int
	// strikes are the kills but for those while the service starts.
	strikes int
	inCall  int
	last    string
	// moments are those to come: a shuffled deck, dealt again when it is empty, so
	// that few kills fall upon each kind of moment as well.
	moments []moment
	// changed are the operations that changed something, killed at or not.
	changed map[string]bool

	mu     sync.Mutex
	places map[string]map[moment]int // where kills fell
}

// response is one run and its undo under kills, seen from outside.
func (k *killer) response(t *testing.T, at string, left int) {
	h := newHost(t, fmt.Sprintf("2230%08d", killed.Add(1)), true)
	h.store, k.host = at, h
	before := h.outside()
	h.serve("")
	incident := h.attack()
	h.must("incident", "ack", incident)
	run := h.approve(h.plan("--incident", incident))
	undoShare := min(mostUndoKills, max(1, left/3))
	k.carryOut(t, run, min(mostKills, left-undoShare))
	d := h.look(run)
	completed(t, d)
	if !d.Run.Contained {
		t.Errorf("the run does not say that the instance is contained: %s", d.Run.Summary)
	}
	h.checkContained(run)
	h.checkPreserved(run)
	h.checkNothingTwice(false)
	h.checkEvidence(incident, run)

	undo := h.approve(lines[api.PlanDetail](t, h.must("run", "undo", run, "--json"))[0])
	k.carryOut(t, undo, undoShare)
	completed(t, h.look(undo))
	h.checkAsBefore(before)
	h.checkNothingTwice(true)
	if r := h.look(run).Run; r.State != respond.RunUndone || string(r.UndoneBy) != undo {
		t.Errorf("the run is %s, undone by %q", r.State, r.UndoneBy)
	}
	h.checkTold(incident, run, undo)
	h.checkRoles(incident)
	if r := h.run("evidence", "verify", incident); r.code != 0 {
		t.Errorf("evidence verify ended with %d\n%s%s", r.code, r.out, r.err)
	}
	if out := h.must("audit", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Errorf("audit verify says %s", out)
	}
	if t.Failed() {
		t.Logf("the service printed last:\n%s", h.out)
	}
	_ = h.kill(syscall.SIGTERM)
	h.checkNothingOwed()
	for _, c := range h.proxy.Calls() {
		if changes(c) && c.Service != "STS" && c.Service != "sqs" {
			k.changed[c.String()] = true
		}
	}
}

// carryOut kills the service until the run has ended, or most kills were made,
// and lets the run end then.
func (k *killer) carryOut(t *testing.T, run string, most int) {
	t.Helper()
	began := time.Now()
	for n := 0; n < most && k.strike(run); n++ {
		k.kills, k.strikes, k.moments = k.kills+1, k.strikes+1, k.moments[1:]
		k.host.start()
		// One in six is killed again while it starts.
		if k.random.IntN(6) == 0 {
			time.Sleep(time.Duration(k.random.IntN(250)) * time.Millisecond)
			_ = k.host.kill(syscall.SIGKILL)
			k.kills++
			k.note("start", anyTime)
			k.host.start()
		}
		if err := k.host.ready(); err != nil {
			t.Fatalf("after kill %d: %v", k.kills, err)
		}
		t.Logf("%6.1f s: kill %d, %s", time.Since(began).Seconds(), k.kills, k.last)
	}
	k.host.follow(run)
	t.Logf("%6.1f s: the run ended", time.Since(began).Seconds())
}

// strike kills the service once, and reports whether it did before the run ended.
func (k *killer) strike(run string) bool {
	if len(k.moments) == 0 {
		k.moments = []moment{beforeCall, afterEffect, afterAnswer, beforeCall, afterEffect, afterAnswer, duringLook, anyTime}
		k.random.Shuffle(len(k.moments), func(i, j int) { k.moments[i], k.moments[j] = k.moments[j], k.moments[i] })
	}
	when := k.moments[0] // it stays the next one where it does not come before the run ends
	// Every other kill looks for a place where none has fallen yet.
	nth, pause, fresh := 1+k.random.IntN(4), time.Duration(0), k.random.IntN(2) == 0
	switch when {
	case afterAnswer:
		pause = time.Duration(k.random.IntN(40)) * time.Millisecond
	case duringLook:
		nth = 1 + k.random.IntN(40)
	case anyTime:
		pause = time.Duration(k.random.IntN(2500)) * time.Millisecond
	}
	struck, dead := make(chan string, 1), make(chan struct{})
	var once sync.Once
	shoot := func(what string) {
		once.Do(func() {
			k.host.shoot()
			struck <- what
			<-dead // until then nobody gets an answer
		})
	}
	fault := proxy.Fault{}
	switch when {
	case beforeCall, duringLook:
		fault.Lost, fault.Hold = proxy.BeforeIt, func(c proxy.Call) { shoot(c.String()) }
	case afterEffect:
		fault.Lost, fault.Acted = proxy.AfterIt, func(c proxy.Call) { shoot(c.String()) }
	case afterAnswer:
		fault.Acted = func(c proxy.Call) { time.AfterFunc(pause, func() { shoot(c.String()) }) }
	}
	if when == anyTime {
		time.AfterFunc(pause, func() { shoot("any") })
	} else {
		k.host.proxy.Add(proxy.Rule{Nth: nth, Fault: fault, Match: func(c proxy.Call) bool {
			return c.Service != "STS" && c.Service != "sqs" && changes(c) == (when != duringLook) && (!fresh || k.fresh(c, when))
		}})
	}
	defer k.host.proxy.ClearRules()
	defer close(dead)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case what := <-struck:
			_ = k.host.kill(syscall.SIGKILL) // until it is gone
			k.note(what, when)
			return true
		case <-look.C:
		}
		r := k.host.run("run", "show", run, "--json")
		if r.code != 0 || !lines[api.RunDetail](k.host.t, r.out)[0].Run.State.Ended() {
			continue // also where it was killed while it answered
		}
		once.Do(func() {}) // nothing is to be killed any more
		select {
		case what := <-struck:
			_ = k.host.kill(syscall.SIGKILL)
			k.note(what, when)
			return true
		default:
			return false
		}
	}
}

func (k *killer) note(what string, when moment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.places[what] == nil {
		k.places[what] = map[moment]int{}
	}
	k.places[what][when]++
	k.last = what + " " + string(when)
	if when != anyTime && when != duringLook {
		k.inCall++
	}
}

// fresh reports whether no kill fell upon a call of this operation at this moment.
func (k *killer) fresh(c proxy.Call, when moment) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.places[c.String()][when] == 0
}

// changes reports whether a call changes something in the account.
func changes(c proxy.Call) bool {
	return !c.DryRun && !slices.ContainsFunc([]string{"Describe", "Get", "List", "Head"}, func(p string) bool { return strings.HasPrefix(c.Operation, p) })
}

// checkNothingTwice looks at the whole account, tags or not: what was made twice
// by a step that was killed carries none, or those of the same run. An undo gives
// the working copies back and keeps the snapshots.
func (h *host) checkNothingTwice(undone bool) {
	h.t.Helper()
	t, ctx, c := h.t, h.t.Context(), ec2.NewFromConfig(h.owner)
	of, sources := map[string]int{}, map[string]int{}
	for _, s := range got[*ec2.DescribeSnapshotsOutput](t)(c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots {
		if v := aws.ToString(s.VolumeId); slices.Contains(h.volumes, v) {
			of[v]++
			sources[aws.ToString(s.SnapshotId)] = 0
		}
	}
	for _, v := range h.volumes {
		if of[v] != 1 {
			t.Errorf("the account has %d snapshots of %s", of[v], v)
		}
	}
	for _, v := range got[*ec2.DescribeVolumesOutput](t)(c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes {
		if n, is := sources[aws.ToString(v.SnapshotId)]; is {
			sources[aws.ToString(v.SnapshotId)] = n + 1
		}
	}
	copies := 1
	if undone {
		copies = 0
	}
	for id, n := range sources {
		if n != copies {
			t.Errorf("the account has %d volumes of snapshot %s", n, id)
		}
	}
	machines := 0
	net := types.Filter{Name: aws.String("subnet-id"), Values: []string{h.forensicNet}}
	for _, r := range got[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{net}})).Reservations {
		for _, i := range r.Instances {
			if i.State.Name != types.InstanceStateNameTerminated && i.State.Name != types.InstanceStateNameShuttingDown {
				machines++
			}
		}
	}
	if machines != copies {
		t.Errorf("%d instances are in the forensic subnet", machines)
	}
	contain := 0
	for _, g := range got[*ec2.DescribeSecurityGroupsOutput](t)(c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{h.vpc}}}})).SecurityGroups {
		switch name := aws.ToString(g.GroupName); {
		case strings.HasPrefix(name, "guardroom-contain"):
			contain++
		case strings.HasPrefix(name, "guardroom"):
			t.Errorf("the group %s is left", name)
		}
	}
	if contain > 1 {
		t.Errorf("%d groups contain", contain)
	}
}

// checkNothingOwed reads the store of a service that has ended: nothing is left
// that somebody would have to close.
func (h *host) checkNothingOwed() {
	h.t.Helper()
	t, ctx := h.t, h.t.Context()
	var b store.Backend
	var err error
	if h.store == "" {
		b, err = sqlite.Open(ctx, filepath.Join(h.dir, "guardroom.db"), time.Minute)
	} else {
		b, err = pgstore.Open(ctx, h.store)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.New(ctx, b, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	owed, err := db.OwedOf(ctx, "")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, o := range owed {
		t.Errorf("owed is %s: %s (%d attempts, %s)", o.ID, o.Why, o.Attempts, o.Error)
	}
}
