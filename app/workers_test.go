package app

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// summary describes all incidents without what may differ from run to run
// (numbers, times of processing).
func summary(t *testing.T, a *App) []string {
	t.Helper()
	list, err := a.db.Incidents(t.Context(), store.IncidentFilter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		var ids []string
		for _, f := range i.Findings {
			ids = append(ids, fmt.Sprintf("%s@%d", f.ID, f.Count))
		}
		slices.Sort(ids)
		out = append(out, fmt.Sprintf("%s sev=%s n=%d occ=%d lead=%s %s", i.Family, i.Severity, i.FindingCount, i.Occurrences, i.Lead.FindingID, strings.Join(ids, ",")))
	}
	slices.Sort(out)
	return out
}

func TestTwoWorkersThatAcceptTheSameFindingsEndWithTheSameIncidents(t *testing.T) {
	url := postgresURL(t)
	start := time.Now().Add(-time.Hour)
	// 1,000 revisions of 400 findings on 100 instances, so that they meet.
	var all [][]byte
	for n := range 1000 {
		f := n % 400
		b := testFinding(f, n/400+1, float64(2+f%7), start.Add(time.Duration(n)*time.Second))
		b = bytes.ReplaceAll(b, fmt.Appendf(nil, "i-%017x", f), fmt.Appendf(nil, "i-%017x", f%100))
		all = append(all, b)
	}
	single := testApp(t, testConfig(t, postgresURL(t)), map[string]notify.Notifier{"chat": &recorder{}})
	for _, b := range all {
		if _, err := single.Take(t.Context(), source.Input{Source: "test", Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	want := summary(t, single)

	var workers sync.WaitGroup
	for w := range 2 {
		a := testApp(t, testConfig(t, url), map[string]notify.Notifier{"chat": &recorder{}})
		mine := slices.Clone(all)
		r := rand.New(rand.NewPCG(uint64(w), 7))
		r.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		queue := make(chan []byte)
		for range 4 {
			workers.Go(func() {
				for b := range queue {
					if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: b}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		workers.Go(func() {
			for _, b := range mine {
				queue <- b
			}
			close(queue)
		})
		if w == 1 {
			workers.Wait()
			got := summary(t, a)
			if !slices.Equal(got, want) {
				t.Errorf("%d incidents, one worker made %d", len(got), len(want))
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Errorf("two:\n%s\none:\n%s", got[i], want[i])
						break
					}
				}
			}
			if report, err := a.VerifyAudit(t.Context()); err != nil || !report.OK() {
				t.Errorf("%+v, %v", report, err)
			}
		}
	}
}
