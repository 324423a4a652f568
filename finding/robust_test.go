package finding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// outcome is one letter per item: F, R(ejected), I(gnored), S3 reference.
func outcome(items []Item) string {
	var b strings.Builder
	for _, it := range items {
		switch {
		case it.Finding != nil:
			b.WriteByte('F')
		case it.Rejected != nil:
			b.WriteByte('R')
		case it.Ignored != nil:
			b.WriteByte('I')
		default:
			b.WriteByte('S')
		}
	}
	return b.String()
}

func TestOneBadItemNeverHidesItsNeighbours(t *testing.T) {
	t.Parallel()
	f := minimal("")
	indented := func() string {
		var out bytes.Buffer
		_ = json.Indent(&out, []byte(f), "", "  ")
		return out.String()
	}()
	same := func(s string) string { return s }
	for _, c := range []struct{ name, input, want string }{
		{"text between lines", f + "\nnot json\n" + f, "FRF"},
		{"two lines of text", f + "\nnot json\nnor this\n" + f, "FRRF"},
		{"a line that was cut", f + "\n" + f[:60] + "\n" + f, "FRF"},
		{"a line cut after a comma", `{"a":1,` + "\n" + f + "\n" + f, "RFF"},
		{"a line cut after a colon", `{"a":` + "\n" + f + "\n" + f, "RFF"},
		{"a line cut inside a string", `{"a":"b` + "\n" + f + "\n" + f, "RFF"},
		{"a line cut inside a nested object", `{"a":{"b":1` + "\n" + f + "\n" + f, "RFF"},
		{"a line with too much at its end", f + "}\n" + f, "FRF"},
		{"a line with a bare word", `{"a":yes}` + "\n" + f, "RF"},
		{"a line with two words", `{"a":not at all}` + "\n" + f, "RF"},
		{"a line with a quote too many", `{"a":"b"c"}` + "\n" + f, "RF"},
		{"a line with a bad number", `{"a":01}` + "\n" + f, "RF"},
		{"a line with a bad escape", `{"a":"\x"}` + "\n" + f, "RF"},
		{"a line with a tab in a string", "{\"a\":\"\t\"}\n" + f, "RF"},
		{"a line without id", strings.Replace(f, `"id"`, `"no"`, 1) + "\n" + f, "RF"},
		{"a number and a text", "42\n\"x\"\n" + f, "RRF"},
		{"an indented value that is damaged", strings.Replace(indented, `"severity": 5`, `"severity": high score`, 1) + "\n" + indented, "RF"},
		{"an indented value that was cut", indented[:100] + "\n" + f, "RF"},
		{"the last line was cut", f + "\n" + f[:60], "FR"},
		{"an element that is damaged", "[" + f + `,{"a":oh no},` + f + "]", "FRF"},
		{"an element with a bad literal", "[" + f + `,{"a":tru},` + f + "]", "FRF"},
		{"an element that is a number", "[" + f + `,7,null,"x",` + f + "]", "FRRRF"},
		{"an element without severity", "[" + f + "," + strings.Replace(f, `"severity"`, `"x"`, 1) + "," + f + "]", "FRF"},
		{"an indented list with a damaged element", "[\n" + f + ",\n{\"a\":oh no},\n" + f + "\n]\n" + f, "FRFF"},
		{"a list that was cut", "[" + f + "," + f[:50], "FR"},
		{"a list that was cut between elements", "[" + f + "," + f, "FFR"},
		{"a response with a damaged finding", `{"Findings":[` + f + `,{"a":oh no},` + f + `]}`, "FRF"},
		{"a response with a finding without time", `{"Findings":[` + f + `,` + strings.Replace(f, `"updatedAt"`, `"x"`, 1) + `,` + f + `]}`, "FRF"},
		{"a response that was cut", `{"Findings":[` + f + `,` + f[:50], "FR"},
		{"a batch with a poison message", records(t, []string{f, `{"broken`, f, "", "null", f}, same), "FRFRRF"},
		{"a batch with a damaged record", `{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":` + quoted(t, f) + `},{"messageId":oh no},{"messageId":"n","eventSource":"aws:sqs","body":` + quoted(t, f) + `}]}`, "FRF"},
		{"a batch with a record that is no object", `{"Records":[3,{"messageId":"n","eventSource":"aws:sqs","body":` + quoted(t, f) + `},{"eventSource":"aws:sqs","body":7}]}`, "RFR"},
		{"a body with several lines", records(t, []string{f + "\noops\n" + f, f}, same), "FRFF"},
		{"nested too deeply", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000) + "\n" + f, "RF"},
		{"lists nested too deeply", strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "\n" + f, "RF"},
		{"nested beyond what is remembered", strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000) + "\n" + f, "RF"},
		{"lists nested beyond what is remembered", f + "\n" + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "\n" + f, "FRF"},
		{"brackets that never close", strings.Repeat("[", 200000) + "\n" + f, "RF"},
		{"a NUL byte", f + "\n\x00\x00\n" + f, "FRF"},
		{"nothing", " \n\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items, err := DecodeAll([]byte(c.input), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := outcome(items); got != c.want {
				t.Errorf("got %s, want %s\n%.2000s", got, c.want, describe(items))
			}
			var slow []Item
			if err := Decode(iotest.OneByteReader(strings.NewReader(c.input)), Limits{}, func(it Item) bool {
				slow = append(slow, it)
				return true
			}); err != nil || outcome(slow) != c.want {
				t.Errorf("byte by byte: got %s, want %s (%v)", outcome(slow), c.want, err)
			}
		})
	}
}

func TestTheLineOfABadItemIsReported(t *testing.T) {
	t.Parallel()
	f := minimal("")
	items, err := DecodeAll([]byte(f+"\n\n{\"a\":\n"+f+"\nnot json\n"), Limits{})
	if err != nil || outcome(items) != "FRFR" {
		t.Fatalf("%v %s", err, describe(items))
	}
	for i, want := range []int{1, 3, 4, 5} {
		if got := items[i].Position.Line; got != want {
			t.Errorf("item %d is on line %d, want %d", i, got, want)
		}
	}
	if got := string(items[3].Rejected.Raw); got != "not json" {
		t.Errorf("raw is %q", got)
	}
}

// TestAWrongTypeInAnyFieldIsAWarningOrAClearRefusal replaces each value of each
// fixture by values of other types.
func TestAWrongTypeInAnyFieldIsAWarningOrAClearRefusal(t *testing.T) {
	t.Parallel()
	required := map[string]bool{".id": true, ".type": true, ".accountId": true, ".region": true, ".severity": true}
	for name, input := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var root any
			if err := json.Unmarshal(input, &root); err != nil {
				t.Fatal(err)
			}
			n := 0
			var walk func(v any, path string, set func(any))
			try := func(path string) {
				n++
				b, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				items, err := DecodeAll([]byte(minimal("")+"\n"+string(b)+"\n"+minimal("")), Limits{})
				if err != nil || len(items) != 3 || items[0].Finding == nil || items[2].Finding == nil {
					t.Fatalf("%s: %v %s", path, err, describe(items))
				}
				switch it := items[1]; {
				case it.Rejected != nil:
					if !required[path] || !strings.Contains(it.Rejected.Reason, path[1:]) {
						t.Errorf("%s: rejected with %q", path, it.Rejected.Reason)
					}
				case it.Finding == nil:
					t.Errorf("%s: %s", path, describe(items))
				}
			}
			walk = func(v any, path string, set func(any)) {
				for _, wrong := range []any{nil, true, 7, -1e300, "words", []any{}, []any{1, "x", nil}, map[string]any{}, map[string]any{"a": map[string]any{"b": 1}}} {
					set(wrong)
					if path != "" {
						try(path)
					}
				}
				set(v)
				switch v := v.(type) {
				case map[string]any:
					for k, e := range v {
						walk(e, path+"."+k, func(x any) { v[k] = x })
					}
				case []any:
					for i, e := range v {
						walk(e, fmt.Sprintf("%s[%d]", path, i), func(x any) { v[i] = x })
					}
				}
			}
			// A fixture has a type with its slash, and stays recognisable.
			delete(root.(map[string]any), "arn")
			walk(root, "", func(any) {})
			if n == 0 {
				t.Error("nothing was tried")
			}
		})
	}
}

func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	f := minimal("")
	big := minimal(`"title":"` + strings.Repeat("x", 10<<20) + `"`)
	t.Run("a finding of 10 MB is refused and its neighbours are kept", func(t *testing.T) {
		t.Parallel()
		for _, input := range []string{f + "\n" + big + "\n" + f, "[" + f + "," + big + "," + f + "]", `{"Findings":[` + f + "," + big + "," + f + "]}", records(t, []string{f, big, f}, envelope)} {
			items, err := DecodeAll([]byte(input), Limits{})
			if err != nil || outcome(items) != "FRF" {
				t.Fatalf("%v %s", err, outcome(items))
			}
			if r := items[1].Rejected; !strings.Contains(r.Reason, "larger than 4194304 bytes") || len(r.Raw) != maxRejectedRaw {
				t.Errorf("reason %q, %d bytes", r.Reason, len(r.Raw))
			}
		}
	})
	t.Run("an input of 50 MB in one response is read element by element", func(t *testing.T) {
		t.Parallel()
		input := `{"findings":[` + strings.Repeat(f+",", 50<<20/len(f)) + f + `]}`
		n := 0
		if err := Decode(strings.NewReader(input), Limits{}, func(it Item) bool {
			n++
			return it.Finding != nil
		}); err != nil || n != 50<<20/len(f)+1 {
			t.Errorf("%d findings, %v", n, err)
		}
	})
	t.Run("more bytes than the limit", func(t *testing.T) {
		t.Parallel()
		n := 0
		err := Decode(strings.NewReader(strings.Repeat(f+"\n", 10)), Limits{MaxBytes: int64(3*len(f) + 10)}, func(it Item) bool {
			n++
			return true
		})
		if !errors.Is(err, errTooLarge) || n != 3 {
			t.Errorf("%d findings, %v", n, err)
		}
		if _, err := DecodeAll([]byte(f), Limits{MaxBytes: 10}); !errors.Is(err, errTooLarge) {
			t.Errorf("all at once: %v", err)
		}
	})
	t.Run("a small gzip of many bytes", func(t *testing.T) {
		t.Parallel()
		err := Decode(bytes.NewReader(zipped(t, strings.Repeat(" ", 2<<20))), Limits{MaxBytes: 1 << 20}, func(Item) bool { return true })
		if !errors.Is(err, errTooLarge) {
			t.Error(err)
		}
	})
	t.Run("exactly the limit", func(t *testing.T) {
		t.Parallel()
		n := 0
		if err := Decode(strings.NewReader(f), Limits{MaxBytes: int64(len(f))}, func(Item) bool { n++; return true }); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("more findings than the limit", func(t *testing.T) {
		t.Parallel()
		n := 0
		err := Decode(strings.NewReader(strings.Repeat(f+"\n", 5)), Limits{MaxFindings: 2}, func(Item) bool { n++; return true })
		if !errors.Is(err, errTooMany) || n != 2 {
			t.Errorf("%d findings, %v", n, err)
		}
	})
	t.Run("the caller stops", func(t *testing.T) {
		t.Parallel()
		n := 0
		if err := Decode(strings.NewReader("["+strings.Repeat(f+",", 5)+f+"]"), Limits{}, func(Item) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("%d findings, %v", n, err)
		}
	})
	t.Run("input made to be slow is read in linear time", func(t *testing.T) {
		t.Parallel()
		for _, input := range []string{
			strings.Repeat("{\"a\":[\n", 200_000), strings.Repeat("{\"a\":\n", 200_000), strings.Repeat("[1,\n", 200_000),
			strings.Repeat("{\"a\":[oh no,\n", 200_000),
			minimal(`"resource":{"instanceDetails":{"tags":[` + strings.Repeat("1,", 1_000_000) + `1]}}`),
			minimal(`"resource":{"accessKeyDetails":{` + strings.Repeat(`"userName":1,`, 200_000) + `"userName":2}}`),
		} {
			if _, err := DecodeAll([]byte(input+"\n"+f), Limits{}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("warnings are bounded", func(t *testing.T) {
		t.Parallel()
		if f := one(t, []byte(minimal(`"resource":{"instanceDetails":{"tags":[`+strings.Repeat("1,", 500)+`1]}}`))); len(f.Warnings) > maxWarnings+1 {
			t.Errorf("%d warnings", len(f.Warnings))
		}
	})
}

func TestAReaderThatFailsIsAnErrorAndDamagedGzipIsNot(t *testing.T) {
	t.Parallel()
	f := minimal("")
	broken := errors.New("connection reset")
	n := 0
	err := Decode(io.MultiReader(strings.NewReader(f+"\n"+f[:40]), iotest.ErrReader(broken)), Limits{}, func(it Item) bool {
		if it.Finding == nil {
			t.Errorf("yielded %s", describe([]Item{it}))
		}
		n++
		return true
	})
	if !errors.Is(err, broken) || n != 1 {
		t.Errorf("%d items, %v", n, err)
	}

	packed := zipped(t, f+"\n")
	for name, input := range map[string][]byte{
		"cut": append(bytes.Clone(packed), packed[:len(packed)-10]...), "garbage behind": append(bytes.Clone(packed), "garbage"...),
	} {
		items, err := DecodeAll(input, Limits{})
		if err != nil || len(items) < 2 || items[0].Finding == nil || items[len(items)-1].Rejected == nil {
			t.Errorf("%s: %v %s", name, err, describe(items))
		}
	}
	if items, err := DecodeAll([]byte{0x1f, 0x8b, 1, 2}, Limits{}); err != nil || outcome(items) != "R" {
		t.Errorf("no gzip at all: %v %s", err, describe(items))
	}
}

func TestItemsDoNotReferToTheInput(t *testing.T) {
	t.Parallel()
	input := []byte(minimal(`"title":"abc"`) + "\noops\n")
	items, err := DecodeAll(input, Limits{})
	if err != nil || outcome(items) != "FR" {
		t.Fatal(err, describe(items))
	}
	for i := range input {
		input[i] = 'x'
	}
	if f := items[0].Finding; f.Title != "abc" || !json.Valid(f.Raw) || string(items[1].Rejected.Raw) != "oops" {
		t.Errorf("%q %s %q", f.Title, f.Raw, items[1].Rejected.Raw)
	}
}

func FuzzDecode(f *testing.F) {
	all := fixtures(f)
	for _, input := range all {
		f.Add(input)
	}
	var some []string
	for _, name := range []string{"dns-request", "port-probe"} {
		some = append(some, compact(f, all[name]))
	}
	for _, wrap := range wrappings(f) {
		f.Add(wrap(some))
	}
	f.Add([]byte(minimal("") + "\n{\"a\":\n[" + minimal(`"title":"\u0000"`) + ",{oh no},\xff]"))
	f.Add([]byte(`{"Findings":[` + minimal("") + `,{"a":oh no}]}`))
	f.Fuzz(readsAgain)
}

// readsAgain checks what holds for every input: nothing panics, what was found
// can be printed, Raw reads as the same finding, and reading in pieces makes no
// difference.
func readsAgain(t *testing.T, input []byte) {
	limits := Limits{MaxBytes: 1 << 20, MaxFinding: 64 << 10, MaxFindings: 1000, MaxDepth: 64}
	items, err := DecodeAll(input, limits)
	if err != nil && !errors.Is(err, errTooMany) && !errors.Is(err, errTooLarge) {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.Finding == nil {
			continue
		}
		if _, err := json.Marshal(Print(it.Finding, false)); err != nil {
			t.Fatal(err)
		}
		// What the envelope gave is not in Raw.
		if hasWarning(it.Finding, "taken from the envelope") || len(it.Finding.Warnings) > maxWarnings {
			continue
		}
		var again []Item
		if again, err = DecodeAll(it.Finding.Raw, limits); err != nil {
			t.Fatal(err)
		}
		if len(again) != 1 || again[0].Finding == nil {
			if it.Wrapping != nil && bytes.Contains(input, []byte("etail-")) {
				continue // only its envelope said that it is a finding
			}
			t.Fatalf("Raw is not read again: %s", describe(again))
		}
		if diff := cmp.Diff(it.Finding, again[0].Finding); diff != "" {
			t.Fatalf("Raw is read differently (-first +again):\n%s", diff)
		}
	}
	n := 0
	if err := Decode(iotest.HalfReader(bytes.NewReader(input)), limits, func(it Item) bool {
		if n < len(items) && outcome([]Item{it}) != outcome(items[n:n+1]) {
			t.Fatalf("item %d is %s as a stream, %s at once", n, describe([]Item{it}), describe(items[n:n+1]))
		}
		n++
		return true
	}); err == nil && n != len(items) && len(input) <= 1<<20 {
		t.Fatalf("%d items as a stream, %d at once", n, len(items))
	}
}
