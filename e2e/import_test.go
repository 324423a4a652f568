package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakepagerduty"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

// mixedFile writes 200 lines of findings: new ones, later revisions, repeats,
// late ones, several wrappings, and a sample, an archived one and an event that
// is none. It returns what a correct store must know of each finding.
func mixedFile(t *testing.T, seed uint64) (path string, newest map[string]revision) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	start := time.Now().Add(-10 * time.Hour)
	newest = map[string]revision{}
	var all []revision
	counts, severities := map[int]int{}, map[int]float64{}
	for len(all) < 190 {
		n := random.IntN(70)
		if counts[n] == 0 {
			severities[n] = float64(2 + random.IntN(7))
		}
		counts[n]++
		if random.IntN(6) == 0 {
			severities[n] = min(9.5, severities[n]+1.5)
		}
		r := makeRevision(n, counts[n], severities[n], start, start.Add(time.Duration(len(all))*time.Minute))
		all = append(all, r)
		newest[r.id] = r
	}
	// Some come late: neighbours change places.
	for range 20 {
		i := random.IntN(len(all) - 1)
		all[i], all[i+1] = all[i+1], all[i]
	}
	for range 7 {
		all = append(all, all[random.IntN(len(all))]) // the same once more
	}
	var b bytes.Buffer
	for i, r := range all {
		b.Write(wrap(t, i, r.body))
		b.WriteByte('\n')
	}
	sample := makeRevision(900, 1, 8, start, start)
	b.Write(bytes.Replace(sample.body, []byte(`"archived":false`), []byte(`"archived":false,"additionalInfo":{"sample":true}`), 1))
	archived := makeRevision(901, 1, 8, start, start)
	b.WriteByte('\n')
	b.Write(bytes.Replace(archived.body, []byte(`"archived":false`), []byte(`"archived":true`), 1))
	b.WriteString("\n" + `{"version":"0","id":"1","detail-type":"AWS API Call via CloudTrail","source":"aws.guardduty","account":"111111111111","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{"eventName":"ArchiveFindings"}}` + "\n")
	path = filepath.Join(t.TempDir(), "mixed.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, newest
}

// wrap puts a finding into one of the wrappings in which they come.
func wrap(t *testing.T, n int, body []byte) []byte {
	t.Helper()
	text := func(b []byte) string {
		q, err := json.Marshal(string(b))
		if err != nil {
			t.Fatal(err)
		}
		return string(q)
	}
	event := fmt.Appendf(nil, `{"version":"0","id":"00000000-0000-4000-8000-%012d","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111111111111","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":%s}`, n, body)
	switch n % 5 {
	case 1:
		return event
	case 2:
		return fmt.Appendf(nil, `{"Type":"Notification","MessageId":"m%d","TopicArn":"arn:aws:sns:eu-west-1:111111111111:t","Message":%s}`, n, text(event))
	case 3:
		return fmt.Appendf(nil, `{"Records":[{"messageId":"m%d","eventSource":"aws:sqs","body":%s}]}`, n, text(event))
	case 4:
		return fmt.Appendf(nil, `{"Findings":[%s]}`, body)
	}
	return body
}

// TestImportOfMixedFindingsAgainstFailingVendors is the main path as a batch:
// 200 findings, vendors that fail at random before and after the effect, an
// index in Jira that lags, and a process killed between what Jira made and its
// being recorded. In the end everything is shown once and up to date.
func TestImportOfMixedFindingsAgainstFailingVendors(t *testing.T) {
	t.Parallel()
	seed := seed(t)
	const scale = 50
	v := newVendors(t, scale, 0.25, seed)
	i := newInstance(t, v, settings{scale: scale})
	path, newest := mixedFile(t, seed)

	// The first run is killed when Jira has made its third issue and not said so.
	var created atomic.Int64
	killed := make(chan struct{})
	i.start("finding", "import", path, "--wait")
	v.intercept(func(vendor, stage, path string) {
		if vendor == "jira" && stage == "effect" && strings.HasSuffix(path, "/issue") && created.Add(1) == 3 {
			i.shoot()
			close(killed)
		}
	})
	select {
	case <-killed:
	case <-time.After(patience):
		t.Fatalf("no third issue was made\n%s", i.out)
	}
	v.intercept(nil)
	_ = i.kill(syscall.SIGKILL)

	first := i.run("finding", "import", path, "--wait")
	t.Logf("second run:\n%s%s", first.out, first.err)
	if first.code != 0 && !strings.Contains(first.err, "a person must look") {
		t.Fatalf("the import ended with %d", first.code)
	}
	v.slack.SetFaults(fakeslack.Faults{})
	v.jira.SetFaults(fakejira.Faults{})
	v.pager.SetFaults(fakepagerduty.Faults{})
	// What could not be decided is decided by a person, who finds nothing or the
	// one issue.
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--status", "unknown,parked,paused", "--json", "--limit", "1000")) {
		t.Logf("%s to %s is %s: %+v", d.ID, d.Destination, d.Status, d.Error)
		i.must("delivery", "retry", d.ID)
	}
	last := i.run("finding", "import", path, "--wait")
	if last.code != 0 {
		t.Fatalf("the last import ended with %d\n%s%s", last.code, last.out, last.err)
	}
	stored := map[string]findingLine{}
	for _, f := range lines[findingLine](t, i.must("finding", "list", "--json", "--limit", "1000")) {
		stored[f.ID] = f
	}
	for id, r := range newest {
		if f := stored[id]; f.Count != r.count || f.Incident == 0 {
			t.Errorf("finding %s is stored at count %d in INC-%d, want count %d", id, f.Count, f.Incident, r.count)
		}
	}
	checkVendors(t, i, v)
	if r := i.run("audit", "verify"); r.code != 0 {
		t.Errorf("audit verify: %s%s", r.out, r.err)
	}
}
