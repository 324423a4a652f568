package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/lambdahost"
)

// BenchmarkStart measures the time from the start of the process to ready, with
// a store that is there, three destinations and an HTTP entrance, and what the
// process then holds in memory while it has nothing to do.
func BenchmarkStart(b *testing.B) {
	v := newVendors(b, 1, 0, 1)
	i := newInstance(b, v, settings{})
	i.start()
	if err := i.ready(); err != nil {
		b.Fatal(err)
	}
	_ = i.kill(syscall.SIGTERM)
	var took []time.Duration
	var memory []int
	for b.Loop() {
		began := time.Now()
		i.start()
		if err := i.ready(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(time.Second)
		memory = append(memory, memoryOf(b, i.cmd.Process.Pid, "VmRSS:"))
		_ = i.kill(syscall.SIGTERM)
	}
	slices.Sort(took)
	slices.Sort(memory)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms/ready")
	b.ReportMetric(float64(memory[len(memory)/2])/1024, "MB/idle")
}

// memoryOf is a line about the memory of a process, VmRSS: or RssAnon:, in KiB.
func memoryOf(b *testing.B, pid int, name string) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("no " + name)
	return 0
}

// BenchmarkLambdaInit measures the time from the start of the process to its
// first request for an event, as Lambda counts it: a cold start with an empty
// temporary folder, and one with the store of an earlier start in it.
func BenchmarkLambdaInit(b *testing.B) {
	v := newVendors(b, 1, 0, 1)
	for _, name := range []string{"new store", "store is there"} {
		b.Run(name, func(b *testing.B) {
			i := newInstance(b, v, settings{})
			var took []time.Duration
			for b.Loop() {
				if name == "new store" {
					i = newInstance(b, v, settings{})
				}
				h := lambdahost.Start(b, lambdahost.Options{Program: binary, Env: []string{"GUARDROOM_CONFIG=" + i.config}})
				took = append(took, h.Init)
				if err := h.Terminate(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms/init")
		})
	}
}

// BenchmarkBurst sends 10,000 distinct revisions of one finding over HTTP, on 16
// connections, and counts what Slack saw of them.
func BenchmarkBurst(b *testing.B) {
	const revisions = 10_000
	for b.Loop() {
		v := newVendors(b, 1, 0, 1)
		i := newInstance(b, v, settings{more: "log: {level: error}"})
		text, err := os.ReadFile(i.config)
		if err != nil {
			b.Fatal(err)
		}
		// A key may be there once only.
		if err := os.WriteFile(i.config, bytes.Replace(text, []byte("log: {level: warn, format: text}\n"), nil, 1), 0o600); err != nil {
			b.Fatal(err)
		}
		i.start()
		if err := i.ready(); err != nil {
			b.Fatal(err)
		}
		first := time.Now().Add(-24 * time.Hour)
		var next atomic.Int64
		var senders sync.WaitGroup
		began := time.Now()
		for range 16 {
			senders.Go(func() {
				for n := int(next.Add(1)); n <= revisions; n = int(next.Add(1)) {
					if ok, err := i.post(b.Context(), makeRevision(0, n, 8, first, first.Add(time.Duration(n)*time.Second)).body); !ok {
						b.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
		took := time.Since(began)
		for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if lines := strings.TrimSpace(i.must("delivery", "list", "--behind", "--json")); lines == "" {
				break
			}
			if time.Now().After(until) {
				b.Fatal("the deliveries did not catch up")
			}
		}
		messages := v.slack.Messages()
		if len(messages) != 1 {
			b.Fatalf("%d messages", len(messages))
		}
		if last := string(messages[0].Attachments); !strings.Contains(last, fmt.Sprintf("%d times", revisions)) {
			b.Errorf("the last edit does not show the last revision: %s", last)
		}
		if f := lines[findingLine](b, i.must("finding", "list", "--json"))[0]; f.Revisions != revisions || f.Count != revisions {
			b.Errorf("stored are %d revisions, the newest at count %d", f.Revisions, f.Count)
		}
		b.ReportMetric(float64(revisions)/took.Seconds(), "revisions/s")
		b.ReportMetric(float64(messages[0].Edits), "edits")
		_ = i.kill(syscall.SIGTERM)
	}
}
