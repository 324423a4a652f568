package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
)

// edit replaces parts of the instance's configuration, each of which must be
// there.
func (i *instance) edit(pairs ...string) {
	i.t.Helper()
	b, err := os.ReadFile(i.config)
	if err != nil {
		i.t.Fatal(err)
	}
	text := string(b)
	for n := 0; n+1 < len(pairs); n += 2 {
		if !strings.Contains(text, pairs[n]) {
			i.t.Fatalf("the configuration has no %q", pairs[n])
		}
		text = strings.Replace(text, pairs[n], pairs[n+1], 1)
	}
	if err := os.WriteFile(i.config, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// answer is what the intake said.
type answer struct {
	status                             int
	text                               string
	Accepted, Known, Ignored, Rejected int
	Reasons                            []string
}

// send posts to the intake with the token; headers come in pairs and replace
// those that are always sent.
func (i *instance) send(body io.Reader, headers ...string) answer {
	i.t.Helper()
	req, err := http.NewRequestWithContext(i.t.Context(), http.MethodPost, "http://"+i.address+"/v1/findings", body)
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+intakeToken)
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		// A server that refuses a body may hang up while it is still written.
		return answer{text: err.Error()}
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	a := answer{status: res.StatusCode, text: string(b)}
	_ = json.Unmarshal(b, &a)
	return a
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// spoil replaces the first occurrence of old, which must be there.
func spoil(t testing.TB, body []byte, old, by string) []byte {
	t.Helper()
	if !bytes.Contains(body, []byte(old)) {
		t.Fatalf("%s has no %s", body, old)
	}
	return bytes.Replace(body, []byte(old), []byte(by), 1)
}

// badInput is a finding that something is wrong with, between two good ones.
type badInput struct {
	name string
	make func(f []byte) []byte
	// rejected: it is none; otherwise it is taken in spite of what is odd.
	rejected bool
}

func badInputs(t testing.TB) []badInput {
	in := func(old, by string) func([]byte) []byte {
		return func(f []byte) []byte { return spoil(t, f, old, by) }
	}
	const title = `"title":"Something was seen"`
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	digits := strings.Repeat("9", 100_000)
	long := strings.Repeat("x", 20_000)
	return []badInput{
		{"lists nested a hundred thousand deep", func([]byte) []byte { return []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)) }, true},
		{"objects nested as deep in a field", in(title, `"title":`+deep), true},
		{"a key that comes twice", in(title, title+`,"title":"Something else was seen","severity":7`), false},
		{"bytes that are not UTF-8", in(title, "\"title\":\"a\xff\xfe\xc0\x80b\""), false},
		{"half a surrogate pair", in(title, `"title":"a\ud800b"`), false},
		{"an escaped NUL", in(title, `"title":"a\u0000b"`), false},
		{"an escaped NUL in the name of the resource", in(`"instanceId":"i-`, `"instanceId":"i-\u0000`), false},
		{"an escaped NUL in the id", in(`"id":"`, `"id":"\u0000`), false},
		{"a NUL byte", in(title, "\"title\":\"a\x00b\""), true},
		{"a severity that no number can hold", in(`"severity":5`, `"severity":1e400`), true},
		{"a severity with a hundred thousand digits", in(`"severity":5`, `"severity":`+digits), true},
		{"a severity of zeros", in(`"severity":5`, `"severity":5.`+strings.Repeat("0", 100_000)), false},
		{"a count that no number can hold", in(`"count":1`, `"count":1e400`), false},
		{"a count with a hundred thousand digits", in(`"count":1`, `"count":`+digits), false},
		{"a negative count", in(`"count":1`, `"count":-9223372036854775808`), false},
		{"a port that is too large", in(`"port":22`, `"port":18446744073709551616`), false},
		{"an account id as a number", in(`"accountId":"111111111111"`, `"accountId":111111111111`), true},
		{"a time far away", in(`"eventFirstSeen":"`, `"eventFirstSeen":"9999-12-31T23:59:59-23:59","x":"`), false},
		{"a time before everything", in(`"eventLastSeen":"`, `"eventLastSeen":"0000-01-01T00:00:00Z","x":"`), false},
		{"an update that lies in the future", in(`"updatedAt":"`, `"updatedAt":"9999-12-31T23:59:59Z","x":"`), false},
		{"a time as a number that is none", in(`"createdAt":"`, `"createdAt":1e300,"x":"`), false},
		{"a service that is a list", in(`"service":{`, `"service":[],"x":{`), false},
		{"a resource that is a text", in(`"resource":{`, `"resource":"i-1","x":{`), false},
		{"a very long id", in(`"id":"`, `"id":"`+long), false},
		{"a very long type", in(`"type":"`, `"type":"`+long), false},
		{"a very long region", in(`"region":"`, `"region":"`+long), false},
		{"a very long account", in(`"accountId":"`, `"accountId":"`+long), false},
		{"a very long ARN", in(`"arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/`, `"arn":"arn:aws:guardduty:eu-west-1:111111111111:detector/`+long), false},
		{"a very long instance id", in(`"instanceId":"i-`, `"instanceId":"i-`+long), false},
		{"a very long address", in(`"ipAddressV4":"`, `"ipAddressV4":"`+long), false},
		{"a title of a megabyte", in(title, `"title":"`+strings.Repeat("wide ", 200_000)+`"`), false},
		{"ten thousand tags", in(`"tags":[`, `"tags":[`+strings.Repeat(`{"key":"k","value":"v"},`, 10_000)), false},
		{"a sequence with a very long name", in(`"service":{`, `"associatedAttackSequenceArn":"arn:aws:guardduty:eu-west-1:111111111111:detector/d/finding/`+long+`","service":{`), false},
		{"a value that was cut off", func(f []byte) []byte { return f[:len(f)/2] }, true},
		{"a word where a value belongs", in(`"count":1`, `"count":one two`), true},
		{"text", func([]byte) []byte { return []byte("this is no finding") }, true},
		{"null", func([]byte) []byte { return []byte("null") }, true},
	}
}

func TestBadInputOverHTTPOnSQLite(t *testing.T) {
	t.Parallel()
	badInputOverHTTP(t, "")
}

func TestBadInputOverHTTPOnPostgreSQL(t *testing.T) {
	t.Parallel()
	badInputOverHTTP(t, postgresURL(t))
}

// badInputOverHTTP sends each bad input between two good findings: the good ones
// are taken, the bad one is a finding or is shown among the rejected ones, and
// the vendors get nothing that they refuse.
func badInputOverHTTP(t *testing.T, store string) {
	v := newVendors(t, 100, 0, 1)
	i := newInstance(t, v, settings{scale: 100, store: store, routes: "  - {name: all, to: [tickets, pager]}"})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	good, number, rejected := map[string]string{}, 0, 0
	finding := func() []byte { // all of one kind, an instance
		number += len(kinds)
		return makeRevision(number, 1, 5, first, first).body
	}
	for _, c := range badInputs(t) {
		a, bad, b := finding(), c.make(finding()), finding()
		for _, g := range [][]byte{a, b} {
			good[idOf(t, g)] = c.name
		}
		got := i.send(bytes.NewReader(bytes.Join([][]byte{a, bad, b}, []byte("\n"))))
		want := answer{status: 202, Accepted: 3}
		if c.rejected {
			want.Accepted, want.Rejected = 2, 1
			rejected++
		}
		if got.status != want.status || got.Accepted != want.Accepted || got.Rejected != want.Rejected {
			t.Errorf("%s: answered %d, %d taken, %d rejected, want %d and %d: %.500s", c.name, got.status, got.Accepted, got.Rejected, want.Accepted, want.Rejected, got.text)
		}
		if c.rejected && (len(got.Reasons) != 1 || strings.TrimSpace(got.Reasons[0]) == "" || len(got.Reasons[0]) > 1000) {
			t.Errorf("%s: the reasons are %.2000q", c.name, got.Reasons)
		}
	}
	for _, f := range lines[findingLine](t, i.must("finding", "list", "--json", "--limit", "1000")) {
		delete(good, f.ID)
	}
	for id, name := range good {
		t.Errorf("%s: its neighbour %s is lost", name, id)
	}
	checkRejected(t, i, rejected)
	i.settle()
	for _, d := range lines[delivery](t, i.must("delivery", "list", "--json", "--limit", "1000")) {
		if d.Status != "delivered" {
			t.Errorf("a delivery to %s is %s: %+v", d.Destination, d.Status, d.Error)
		}
	}
	for name, list := range map[string][]string{"jira": v.jira.Violations(), "pagerduty": v.pager.Violations()} {
		for _, s := range list {
			t.Errorf("%s: a limit was broken: %s", name, s)
		}
	}
	for _, args := range [][]string{{"incident", "list"}, {"finding", "list"}, {"delivery", "list"}, {"audit", "tail"}, {"finding", "rejected", "list"}} {
		checkTerminal(t, strings.Join(args, " "), i.must(args...))
	}
	if r := i.run("audit", "verify"); r.code != 0 {
		t.Errorf("audit verify: %s%s", r.out, r.err)
	}
}

func idOf(t testing.TB, body []byte) string {
	t.Helper()
	var f struct{ ID string }
	if err := json.Unmarshal(body, &f); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// checkRejected wants so many rejected inputs, each with what a person needs.
func checkRejected(t *testing.T, i *instance, want int) {
	t.Helper()
	type rejected struct {
		ID, Source, Position, Reason string
		Size                         int
		Body                         []byte `json:"body_base64"`
	}
	list := lines[rejected](t, i.must("finding", "rejected", "list", "--json", "--limit", "1000"))
	if len(list) != want {
		t.Errorf("%d inputs are shown as rejected, want %d", len(list), want)
	}
	for _, r := range list {
		if r.ID == "" || r.Source == "" || r.Position == "" || r.Reason == "" || r.Size == 0 {
			t.Errorf("a rejected input is shown as %+v", r)
			continue
		}
		checkTerminal(t, "finding rejected show", i.must("finding", "rejected", "show", r.ID))
		whole := lines[rejected](t, i.must("finding", "rejected", "show", r.ID, "--json"))[0]
		if len(whole.Body) == 0 {
			t.Errorf("the rejected input %s was not kept", r.ID)
		}
	}
}

// checkTerminal wants no byte that a terminal obeys, and nothing that reorders
// what a person reads.
func checkTerminal(t *testing.T, what, out string) {
	t.Helper()
	for _, r := range out {
		if (r < 0x20 && r != '\n') || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || r == 0x200e || r == 0x200f || r == 0x200b {
			t.Errorf("%s printed %U: %.300q", what, r, out)
			return
		}
	}
}

// TestWholeBodiesThatCannotBeUsedAreAnsweredClearly is about what is wrong with
// a body as a whole: nothing of it is taken, and the service lives.
func TestWholeBodiesThatCannotBeUsedAreAnsweredClearly(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{scale: 20})
	i.start()
	if err := i.ready(); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(-time.Hour)
	f := makeRevision(1, 1, 5, first, first).body
	large := bytes.Repeat(append(bytes.Clone(f), '\n'), 50<<20/len(f))
	zip := packed(t, bytes.Repeat(append(bytes.Clone(f), '\n'), 50))
	bomb := packed(t, make([]byte, 200<<20))
	for _, c := range []struct {
		name    string
		body    io.Reader
		headers []string
		status  int
		words   string
	}{
		{"50 MB", bytes.NewReader(large), nil, 413, "larger than"},
		{"50 MB of unknown length", io.MultiReader(bytes.NewReader(large)), nil, 413, "larger than"},
		{"a gzip bomb", bytes.NewReader(bomb), []string{"Content-Encoding", "gzip"}, 413, "larger than"},
		{"a gzip bomb that does not say so", bytes.NewReader(bomb), nil, 413, "larger than"},
		{"gzip that was cut off", bytes.NewReader(zip[:len(zip)/2]), []string{"Content-Encoding", "gzip"}, 400, "damaged"},
		{"gzip without its end", bytes.NewReader(zip[:len(zip)-4]), nil, 400, "damaged"},
		{"another encoding", bytes.NewReader(f), []string{"Content-Encoding", "br"}, 415, "gzip"},
		{"nothing", bytes.NewReader(nil), nil, 400, "empty"},
		{"white space", strings.NewReader(" \r\n\t\n"), nil, 400, "empty"},
		{"no token", bytes.NewReader(f), []string{"Authorization", ""}, 401, "not allowed"},
		{"another token", bytes.NewReader(f), []string{"Authorization", "Bearer " + intakeToken + "x"}, 401, "not allowed"},
		{"the token as a password", bytes.NewReader(f), []string{"Authorization", "Basic " + intakeToken}, 401, "not allowed"},
		{"a key where none is configured", bytes.NewReader(f), []string{"Authorization", "", "X-Api-Key", ""}, 401, "not allowed"},
	} {
		got := i.send(c.body, c.headers...)
		// Who still writes 50 MB may find the connection closed.
		if hungUp := got.status == 0 && c.status == 413; !hungUp && (got.status != c.status || !strings.Contains(got.text, c.words)) {
			t.Errorf("%s: answered %d %.300s, want %d with %q", c.name, got.status, got.text, c.status, c.words)
		}
		if strings.Contains(got.text, intakeToken) {
			t.Errorf("%s: the answer names the token: %s", c.name, got.text)
		}
	}
	if n := len(lines[findingLine](t, i.must("finding", "list", "--json"))); n != 0 {
		t.Errorf("%d findings were taken", n)
	}
	if ok, err := i.post(t.Context(), f); !ok {
		t.Errorf("after all of it: %v", err)
	}
	if kb := peakMemory(t, i); kb > 400<<10 {
		t.Errorf("it needed %d MB at its peak", kb>>10)
	}
}

// peakMemory is the most memory that the process had, in kB.
func peakMemory(t *testing.T, i *instance) (kb int) {
	t.Helper()
	i.mu.Lock()
	pid := i.cmd.Process.Pid
	i.mu.Unlock()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if s, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(s, &kb); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kb
}

// TestImportOfLargeAndDamagedFiles takes files as people have them: 10,000
// findings in one list with a broken one in the middle, a byte order mark, lines
// of Windows, gzip that was cut.
func TestImportOfLargeAndDamagedFiles(t *testing.T) {
	t.Parallel()
	v := newVendors(t, 20, 0, 1)
	first := time.Now().Add(-time.Hour)
	some := func(from, n int) [][]byte {
		var out [][]byte
		for k := range n {
			out = append(out, makeRevision(from+k, 1, 5, first, first).body)
		}
		return out
	}
	list := func(bad string) []byte {
		all := some(0, 10_000)
		all[5_000] = []byte(bad)
		return []byte("[" + string(bytes.Join(all, []byte(",\n"))) + "]")
	}
	zip := packed(t, bytes.Join(some(0, 200), []byte("\n")))
	for _, c := range []struct {
		name            string
		body            []byte
		taken, rejected int
		atLeast         bool // so many or more are taken: what a cut leaves
	}{
		{"10,000 in a list, the middle one without severity", list(`{"id":"a","type":"A:B/C","accountId":"111111111111","region":"eu-west-1","updatedAt":"2026-01-01T00:00:00Z"}`), 9_999, 1, false},
		{"10,000 in a list, the middle one no JSON", list(`{"id":"a","type":oh no}`), 9_999, 1, false},
		{"a byte order mark and lines of Windows", append([]byte("\xef\xbb\xbf"), bytes.Join(some(0, 20), []byte("\r\n"))...), 20, 0, false},
		{"concatenated", bytes.Join(some(0, 20), nil), 20, 0, false},
		{"gzip that was cut", zip[:len(zip)/2], 1, 1, true},
		{"one value of 50 MB beside good ones", []byte(string(some(0, 1)[0]) + "\n{\"id\":\"" + strings.Repeat("x", 50<<20) + "\"}\n" + string(some(1, 1)[0])), 2, 1, false},
		{"empty", nil, 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := newInstance(t, v, settings{routes: "  - {name: nobody, to: [], stop: true}"})
			path := filepath.Join(i.dir, "in.json")
			if err := os.WriteFile(path, c.body, 0o600); err != nil {
				t.Fatal(err)
			}
			r := i.run("finding", "import", path, "--json")
			if len(c.body) == 0 {
				if r.code == 2 || strings.Contains(r.err, "panic") {
					t.Errorf("it ended with %d: %s", r.code, r.err)
				}
				return
			}
			type imported struct{ Accepted, Rejected int }
			got := lines[imported](t, r.out)
			if len(got) == 0 {
				t.Fatalf("it ended with %d and said %s%s", r.code, r.out, r.err)
			}
			if n := got[0].Accepted; n != c.taken && !(c.atLeast && n >= c.taken) || got[0].Rejected != c.rejected && !(c.atLeast && r.code == 1) {
				t.Errorf("%d taken, %d rejected, want %d and %d\n%s", n, got[0].Rejected, c.taken, c.rejected, r.err)
			}
			if want := min(1, c.rejected); r.code != want {
				t.Errorf("it ended with %d, want %d\n%s", r.code, want, r.err)
			}
			if c.rejected > 0 && !c.atLeast {
				checkRejected(t, i, c.rejected)
			}
		})
	}
}

// TestAnyTypeInAnyFieldThroughTheProgram has the program itself read every
// fixture with every field replaced by something of each other type.
func TestAnyTypeInAnyFieldThroughTheProgram(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../finding/testdata/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	good := makeRevision(1, 1, 5, time.Now(), time.Now()).body
	var in bytes.Buffer
	total := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root map[string]any
		if err := json.Unmarshal(b, &root); err != nil {
			t.Fatal(err)
		}
		everyField(root, func() {
			line, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			items, err := finding.DecodeAll(bytes.Join([][]byte{good, line, good}, []byte("\n")), finding.Limits{})
			if err != nil || len(items) != 3 || items[0].Finding == nil || items[2].Finding == nil {
				t.Fatalf("%v, %d items: %.500s", err, len(items), line)
			}
			if items[1].Finding == nil && (items[1].Rejected == nil || items[1].Rejected.Reason == "") {
				t.Fatalf("neither a finding nor rejected: %.500s", line)
			}
			// One in nine goes through the program too.
			if total++; total%9 == 0 {
				in.Write(line)
				in.WriteByte('\n')
			}
		})
	}
	v := newVendors(t, 20, 0, 1)
	i := newInstance(t, v, settings{routes: "  - {name: nobody, to: [], stop: true}"})
	path := filepath.Join(i.dir, "in.jsonl")
	if err := os.WriteFile(path, in.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := i.run("finding", "import", path, "--json")
	type imported struct{ Accepted, Known, Ignored, Rejected int }
	got := lines[imported](t, r.out)
	if len(got) != 1 {
		t.Fatalf("it ended with %d and said %s%s", r.code, r.out, r.err)
	}
	if n := got[0].Accepted + got[0].Known + got[0].Ignored + got[0].Rejected; n != total/9 {
		t.Errorf("%d of %d lines are accounted for: %+v", n, total/9, got[0])
	}
	t.Logf("%d variants in all, %d through the program: %+v", total, total/9, got[0])
	checkRejected(t, i, got[0].Rejected)
	for _, args := range [][]string{{"finding", "list", "--limit", "10000"}, {"incident", "list", "--all", "--limit", "10000"}} {
		checkTerminal(t, strings.Join(args, " "), i.must(args...))
	}
}

// everyField puts something of every other type into each member below root,
// calls try, and puts back what was there.
func everyField(root map[string]any, try func()) {
	wrong := []any{nil, 7, "words", []any{1, "x", nil}, map[string]any{"a": map[string]any{"b": 1}}}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, old := range v {
				for _, w := range wrong {
					v[k] = w
					try()
				}
				v[k] = old
				walk(old)
			}
		case []any:
			for n, old := range v {
				for _, w := range wrong {
					v[n] = w
					try()
				}
				v[n] = old
				walk(old)
			}
		}
	}
	walk(root)
}
