package evidence

import (
	"testing"
	"time"
)

// A manifest that an older guardroom sealed has none of the newer fields, and reads
// the same; the next revision keeps the approvals of the one before.
func TestAnOlderManifestVerifiesAndApprovalsAdd(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)
	const old = `{"audit_hash":"","case":{"accounts":[],"incident":"INC-1","regions":[]},"custody":[],"gaps":[],"items":[],"revision":1,"runs":["run_1"],"schema":1,"sealed_at":"2026-11-26T01:00:00Z","sealed_by":"guardroom/run_1"}`
	raw := []byte(`{"case":{"accounts":[],"incident":"INC-1","regions":[]},"custody":[],"gaps":[],"items":[],"revision":1,"runs":["run_1"],"schema":1,"sealed_at":"2026-11-26T01:00:00Z","sealed_by":"guardroom/run_1"}`)
	if _, err := Decode([]byte(old)); err == nil {
		t.Error("an empty field that no guardroom writes was taken")
	}
	if _, err := Decode(raw); err != nil {
		t.Fatal(err)
	}
	first := Approval{Run: "run_2", Plan: "pln_2", Digest: "d", Who: "raj", How: "socket", At: at}
	two, err := Build(raw, Parts{Case: Case{Incident: "INC-1"}, Run: "run_2", Approvals: []Approval{first}, With: "guardroom 1.2"}, at)
	if err != nil {
		t.Fatal(err)
	}
	b, err := two.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	three, err := Build(b, Parts{Case: Case{Incident: "INC-1"}, Run: "run_3", Approvals: []Approval{first, {Run: "run_3", Plan: "pln_3", Digest: "e", Who: "kim", How: "token", At: at}}, With: "guardroom 1.3"}, at)
	if err != nil {
		t.Fatal(err)
	}
	if len(three.Approvals) != 2 || three.Approvals[0] != first || three.SealedWith != "guardroom 1.3" {
		t.Errorf("%+v", three)
	}
}

// What made an item is not replaced by who spoke of it later.
func TestTheToolOfAnItemStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, now, want string }{
		{"avml 0.14", "guardroom 1.2", "avml 0.14"}, {"guardroom 1.2", "avml 0.14", "avml 0.14"}, {"", "guardroom 1.2", "guardroom 1.2"}, {"guardroom 1.2", "", "guardroom 1.2"},
	} {
		if got := Merge(Item{Tool: c.old}, Item{Tool: c.now}).Tool; got != c.want {
			t.Errorf("%q then %q: %q", c.old, c.now, got)
		}
	}
}
