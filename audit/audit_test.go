package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/internal/fault"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// exported are records as lines of JSON, as they are exported.
func exported(t interface{ Fatal(args ...any) }, list ...Record) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range list {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// chain makes a chain of n records and the head after each.
func chain(n int) ([]Record, []Head) {
	var list []Record
	var heads []Head
	head := Head{}
	for i := range n {
		r := Record{At: start.Add(time.Duration(i) * time.Second), Who: "eve", Action: "incident.closed", Object: fmt.Sprint("INC-", i), After: "benign"}.Seal(head)
		head = Head{Seq: r.Seq, Hash: r.Hash, At: r.At}
		list, heads = append(list, r), append(heads, head)
	}
	return list, heads
}

func check(list []Record, head Head, heads []Head) Report {
	v := NewVerifier(1, "", heads)
	for _, r := range list {
		v.Add(r)
	}
	return v.Report(head)
}

func TestTheEncodingIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	// Computed outside, from the description in doc.go:
	//	printf 'guardroom audit record 1\n' and the numbers and texts, sha256sum
	r := Record{Seq: 1, At: time.UnixMicro(1772366400123456).UTC(), Who: "eve", Action: "incident.closed", Object: "INC-1", Before: "open", After: "benign", Why: "ü"}
	const want = "1d63cb69763c24238f2eaf07b7b4e7f0a9dd2a638b1423f6250b630b3ffb7df3"
	if got := r.Digest(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEveryFieldIsCovered(t *testing.T) {
	t.Parallel()
	r, _ := chain(1)
	for name, change := range map[string]func(r *Record){
		"seq": func(r *Record) { r.Seq++ }, "at": func(r *Record) { r.At = r.At.Add(time.Microsecond) },
		"who": func(r *Record) { r.Who += "x" }, "action": func(r *Record) { r.Action += "x" }, "object": func(r *Record) { r.Object += "x" },
		"before": func(r *Record) { r.Before += "x" }, "after": func(r *Record) { r.After += "x" }, "why": func(r *Record) { r.Why += "x" },
		"prev":                     func(r *Record) { r.Prev += "x" },
		"text moved between two":   func(r *Record) { r.Action, r.Object = r.Action+r.Object[:1], r.Object[1:] },
		"fields changed for empty": func(r *Record) { r.Before, r.After = r.After, r.Before },
	} {
		x := r[0]
		change(&x)
		if x.Digest() == r[0].Hash {
			t.Errorf("%s can be changed without a trace", name)
		}
	}
}

// One tampering of any kind is always found and a record near it is named;
// an untouched chain never is.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "records")
		list, heads := chain(n)
		last := heads[n-1]
		if r := check(list, last, heads); !r.OK() || r.Records != int64(n) || r.Last != last {
			t.Fatalf("a whole chain: %+v", r)
		}
		at := rapid.IntRange(0, n-1).Draw(t, "at")
		mark := func(r *Record) { r.After = "malicious" }
		var want Fault
		outside := []Head{}
		switch kind := rapid.SampledFrom([]string{"changed", "removed", "swapped", "replaced", "cut", "rewritten"}).Draw(t, "kind"); kind {
		case "changed":
			mark(&list[at])
			want = Fault{Seq: int64(at + 1), Kind: Changed}
		case "removed":
			list = slices.Delete(list, at, at+1)
			want = Fault{Seq: int64(at + 1), Kind: Removed}
		case "swapped":
			other := (at + rapid.IntRange(1, n-1).Draw(t, "distance")) % n
			list[at], list[other] = list[other], list[at]
			list[at].Seq, list[other].Seq = int64(at+1), int64(other+1)
			want = Fault{Seq: int64(at + 1), Kind: Reordered}
		case "replaced":
			// With its own hash made to fit: the next one gives it away, or the
			// store's head.
			mark(&list[at])
			list[at].Hash = list[at].Digest()
			want = Fault{Seq: int64(at + 2), Kind: Reordered}
			if at == n-1 {
				want = Fault{Seq: int64(n), Kind: Changed}
			}
		case "cut":
			// The store's own head is set back with it.
			list = list[:at]
			outside, last = heads[n-1:], Head{}
			if at > 0 {
				last = heads[at-1]
			}
			want = Fault{Seq: int64(n), Kind: Cut}
		case "rewritten":
			var head Head
			for i := range list {
				if i == at {
					mark(&list[i])
				}
				list[i] = list[i].Seal(head)
				head = Head{Seq: list[i].Seq, Hash: list[i].Hash, At: list[i].At}
			}
			outside, last = heads[at:at+1], head
			want = Fault{Seq: int64(at + 1), Kind: Rewritten}
		}
		r := check(list, last, outside)
		if !slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Kind == want.Kind && f.Seq == want.Seq && f.Message != "" }) {
			t.Fatalf("want %s at %d, got %+v", want.Kind, want.Seq, r.Faults)
		}
	})
}

func TestAReportStaysReadable(t *testing.T) {
	t.Parallel()
	list, heads := chain(1000)
	for i := range list {
		list[i].Who = "bob"
	}
	if r := check(list, heads[999], nil); len(r.Faults) != maxFaults || r.Records != 1000 {
		t.Errorf("%d faults, %d records", len(r.Faults), r.Records)
	}
	// A gap of a billion is one fault, not a billion.
	list, heads = chain(2)
	list[1].Seq = 1_000_000_000
	r := check(list, heads[1], nil)
	if len(r.Faults) > 3 || r.Faults[0].Seq != 2 || r.Faults[0].Kind != Removed {
		t.Errorf("%+v", r.Faults)
	}
}

func TestSealingCleansWhatNoDatabaseKeeps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		r := Record{At: start.Add(7 * time.Nanosecond).In(time.FixedZone("x", 3600)), Who: s, Why: s}.Seal(Head{})
		if r.Digest() != r.Hash || r.At.Location() != time.UTC || r.At.Nanosecond()%1000 != 0 || strings.ContainsRune(r.Who, 0) {
			t.Fatalf("%+v", r)
		}
		report, err := VerifyExport(strings.NewReader(exported(t, r)), nil)
		if err != nil || !report.OK() || report.Last.Hash != r.Hash {
			t.Fatalf("its export: %+v, %v", report, err)
		}
	})
}

func TestAnExportIsVerifiedOffline(t *testing.T) {
	t.Parallel()
	list, heads := chain(20)
	whole := exported(t, list...)
	line := func(n int) string { return strings.SplitAfter(whole, "\n")[n-1] }
	for name, c := range map[string]struct {
		text string
		kind string
		seq  int64
		none bool // found only with a head outside
	}{
		"untouched":           {whole, "", 0, false},
		"a changed line":      {strings.Replace(whole, "INC-4", "INC-5", 1), Changed, 5, false},
		"a line gone":         {strings.Replace(whole, line(7), "", 1), Removed, 7, false},
		"two lines swapped":   {strings.Replace(whole, line(7)+line(8), line(8)+line(7), 1), Reordered, 7, false},
		"a line twice":        {strings.Replace(whole, line(7), line(7)+line(7), 1), Reordered, 7, false},
		"the end cut":         {strings.TrimSuffix(whole, line(19)+line(20)), Cut, 20, true},
		"another time zone":   {strings.Replace(whole, "2026-03-01T12:00:04.123456Z", "2026-03-01T13:00:04.123456+01:00", 1), "", 0, false},
		"empty lines between": {strings.ReplaceAll(whole, "\n", "\n\n"), "", 0, false},
	} {
		for _, outside := range [][]Head{nil, heads[19:]} {
			r, err := VerifyExport(strings.NewReader(c.text), outside)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			found := slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Kind == c.kind && f.Seq == c.seq })
			if want := c.kind != "" && (!c.none || outside != nil); found != want || r.OK() == want {
				t.Errorf("%s, %d heads: %+v", name, len(outside), r.Faults)
			}
		}
	}
	for name, text := range map[string]string{
		"no JSON":            line(1) + "nonsense\n",
		"no record":          line(1) + "{}\n",
		"a member too many":  line(1) + strings.Replace(line(2), `"who"`, `"note":"x","who"`, 1),
		"two on one line":    line(1) + strings.TrimSpace(line(2)) + line(3),
		"the error of a API": line(1) + `{"error":{"message":"x"}}` + "\n",
	} {
		_, err := VerifyExport(strings.NewReader(text), nil)
		if fault.CodeOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeadsAreKeptInAFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	k := FileKeeper{Path: filepath.Join(t.TempDir(), "new", "heads")}
	if got, err := k.Heads(ctx); err != nil || got != nil {
		t.Errorf("before the first: %v %v", got, err)
	}
	_, heads := chain(3)
	for _, h := range heads[:2] {
		if err := k.Keep(ctx, h); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(k.Path)
	if err != nil {
		t.Fatal(err)
	}
	// A crash cut the last line short: it was not kept, and the next one is.
	if err := os.WriteFile(k.Path, b[:len(b)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Heads(ctx); err != nil || !cmp.Equal(got, heads[:1]) {
		t.Errorf("with half a line: %v %v", got, err)
	}
	if err := k.Keep(ctx, heads[2]); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Heads(ctx); err != nil || !cmp.Equal(got, []Head{heads[0], heads[2]}) {
		t.Errorf("after it: %v %v", got, err)
	}
	// Anything else that is no head was put there by somebody.
	if err := os.WriteFile(k.Path, append([]byte("nonsense\n"), b...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Heads(ctx); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a changed file: %v", err)
	}
	if err := os.WriteFile(k.Path, bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(ctx, heads[0]); err == nil {
		t.Error("it cut a file that is none of ours")
	}
	folder := FileKeeper{Path: t.TempDir()}
	if err := folder.Keep(ctx, heads[0]); err == nil {
		t.Error("a folder keeps nothing")
	}
	if _, err := folder.Heads(ctx); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder holds nothing: %v", err)
	}
}

func FuzzVerifyExport(f *testing.F) {
	list, _ := chain(3)
	f.Add([]byte(exported(f, list...)))
	f.Add([]byte(`{"seq":-1,"hash":"x"}`))
	f.Add([]byte(`{"seq":9223372036854775807,"hash":"x"}` + "\n" + `{"seq":1,"hash":"x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := VerifyExport(bytes.NewReader(in), nil)
		if err == nil && r.OK() && r.Records > 0 && r.Last.Seq != r.Records {
			t.Errorf("%d records end at %d and nothing is wrong", r.Records, r.Last.Seq)
		}
	})
}
