package storetest

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/store"
)

func auditChain(t *testing.T, s *suite) {
	ctx := t.Context()
	if r := must[audit.Report](t)(s.VerifyAudit(ctx, nil)); !r.OK() || r.Records != 0 {
		t.Errorf("an empty chain: %+v", r)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 25 {
				err := s.Write(ctx, func(tx *store.Tx) error {
					for part := range n%3 + 1 {
						tx.Audit(audit.Record{Who: fmt.Sprint("w", w), Action: "a", Object: fmt.Sprintf("%d/%d", n, part), Why: hostile})
					}
					if n%5 == 4 {
						return errMine
					}
					return nil
				})
				if (err == nil) != (n%5 != 4) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r := must[audit.Report](t)(s.VerifyAudit(ctx, nil))
	if !r.OK() || r.Records == 0 || r.Last.Seq != r.Records {
		t.Fatalf("after eight writers: %+v", r)
	}
	// Records of one transaction stand together and in their order.
	var list []audit.Record
	if err := s.AuditRecords(ctx, 0, 0, func(r audit.Record) bool { list = append(list, r); return true }); err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if part := r.Object[strings.IndexByte(r.Object, '/')+1:]; part != "0" && (list[i-1].Who != r.Who || !strings.HasPrefix(list[i-1].Object, r.Object[:strings.IndexByte(r.Object, '/')+1])) {
			t.Fatalf("record %d (%s %s) stands behind %s %s", r.Seq, r.Who, r.Object, list[i-1].Who, list[i-1].Object)
		}
		if r.Why != cleaned {
			t.Fatalf("record %d says %q", r.Seq, r.Why)
		}
	}
	var got []int64
	if err := s.AuditRecords(ctx, 3, 4, func(r audit.Record) bool { got = append(got, r.Seq); return true }); err != nil || !slices.Equal(got, []int64{4, 5, 6, 7}) {
		t.Errorf("records 4 to 7: %v %v", got, err)
	}
	got = nil
	if err := s.AuditRecords(ctx, 0, 0, func(r audit.Record) bool { got = append(got, r.Seq); return len(got) < 2 }); err != nil || len(got) != 2 {
		t.Errorf("a reader that has enough: %v %v", got, err)
	}
	head := must[audit.Head](t)(s.AuditHead(ctx))
	if head.Seq != r.Records || head.Hash != r.Last.Hash || !head.At.Equal(s.clock.now()) {
		t.Errorf("head %+v of %+v", head, r.Last)
	}
}

// tampering changes the chain by SQL, as somebody with the database in hand
// would, and verify must name what was changed.
func tampering(t *testing.T, s *suite) {
	ctx := t.Context()
	const many = 30
	var heads []audit.Head
	for n := range many {
		s.write(func(tx *store.Tx) error {
			tx.Audit(audit.Record{Who: "eve", Action: "incident.closed", Object: fmt.Sprint("INC-", n), Before: "open", After: "benign", Why: "w"})
			return nil
		})
		if n%7 == 0 {
			heads = append(heads, must[audit.Head](t)(s.AuditHead(ctx)))
		}
	}
	heads = append(heads, must[audit.Head](t)(s.AuditHead(ctx)))
	var whole []audit.Record
	if err := s.AuditRecords(ctx, 0, 0, func(r audit.Record) bool { whole = append(whole, r); return true }); err != nil {
		t.Fatal(err)
	}
	rewritten := func(change func(r *audit.Record)) []audit.Record {
		var head audit.Head
		var out []audit.Record
		for _, r := range whole {
			change(&r)
			r = r.Seal(head)
			head = audit.Head{Seq: r.Seq, Hash: r.Hash}
			out = append(out, r)
		}
		return out
	}
	for _, c := range []struct {
		name string
		do   []string
		kind string // expected
		seq  int64
		// alone: seen without the heads outside.
		alone bool
	}{
		{"a changed text", []string{"UPDATE audit SET after = 'malicious' WHERE seq = 11"}, audit.Changed, 11, true},
		{"a changed person", []string{"UPDATE audit SET who = 'bob' WHERE seq = 1"}, audit.Changed, 1, true},
		{"a changed time", []string{"UPDATE audit SET at = at + 1 WHERE seq = 30"}, audit.Changed, 30, true},
		{"text moved from one field to the next", []string{"UPDATE audit SET before = 'openb', after = 'enign' WHERE seq = 12"}, audit.Changed, 12, true},
		{"one deleted from the middle", []string{"DELETE FROM audit WHERE seq = 17"}, audit.Removed, 17, true},
		{"the first deleted", []string{"DELETE FROM audit WHERE seq = 1"}, audit.Removed, 1, true},
		{"two swapped", []string{"UPDATE audit SET seq = 1000 WHERE seq = 5", "UPDATE audit SET seq = 5 WHERE seq = 9", "UPDATE audit SET seq = 9 WHERE seq = 1000"}, audit.Reordered, 5, true},
		{"the tail cut", []string{"DELETE FROM audit WHERE seq > 25"}, audit.Removed, 26, true},
		{"the tail cut and the head set back", []string{"DELETE FROM audit WHERE seq > 25", "UPDATE audit_head SET seq = 25, hash = (SELECT hash FROM audit WHERE seq = 25)"}, audit.Cut, 30, false},
		{"only the head set back", []string{"UPDATE audit_head SET seq = 25, hash = (SELECT hash FROM audit WHERE seq = 25)"}, audit.Changed, 26, true},
		{"everything removed", []string{"DELETE FROM audit", "UPDATE audit_head SET seq = 0, hash = ''"}, audit.Cut, 30, false},
		{"a record and its hash replaced", nil, audit.Reordered, 15, true},
		{"the whole chain rewritten", nil, audit.Rewritten, 22, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, q := range c.do {
				exec(t, s, q)
			}
			switch c.name {
			case "a record and its hash replaced":
				r := whole[13]
				r.After = "malicious"
				r.Hash = r.Digest()
				replace(t, s, []audit.Record{r})
			case "the whole chain rewritten":
				list := rewritten(func(r *audit.Record) {
					if r.Seq == 20 {
						r.After = "malicious"
					}
				})
				replace(t, s, list)
				exec(t, s, "UPDATE audit_head SET hash = '"+list[many-1].Hash+"'")
			}
			for _, outside := range [][]audit.Head{nil, heads} {
				r := must[audit.Report](t)(s.VerifyAudit(ctx, outside))
				found := slices.ContainsFunc(r.Faults, func(f audit.Fault) bool { return f.Kind == c.kind && f.Seq == c.seq })
				if want := c.alone || outside != nil; found != want || r.OK() == want {
					t.Errorf("with %d heads outside, %s at %d was found: %v; %+v", len(outside), c.kind, c.seq, found, r.Faults)
				}
			}
			restore(t, s, whole)
			if r := must[audit.Report](t)(s.VerifyAudit(ctx, heads)); !r.OK() || r.Heads != len(heads) {
				t.Fatalf("restored, it is whole: %+v", r.Faults)
			}
		})
	}
}

// exec runs a statement past the store.
func exec(t *testing.T, s *suite, query string) {
	t.Helper()
	if err := s.Backend().Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

func quote(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }

func replace(t *testing.T, s *suite, list []audit.Record) {
	t.Helper()
	for _, r := range list {
		exec(t, s, fmt.Sprintf("DELETE FROM audit WHERE seq = %d", r.Seq))
		exec(t, s, fmt.Sprintf("INSERT INTO audit (seq, at, who, action, object, before, after, why, prev, hash) VALUES (%d, %d, %s, %s, %s, %s, %s, %s, %s, %s)",
			r.Seq, r.At.UnixMicro(), quote(r.Who), quote(r.Action), quote(r.Object), quote(r.Before), quote(r.After), quote(r.Why), quote(r.Prev), quote(r.Hash)))
	}
}

func restore(t *testing.T, s *suite, list []audit.Record) {
	t.Helper()
	exec(t, s, "DELETE FROM audit")
	replace(t, s, list)
	last := list[len(list)-1]
	exec(t, s, fmt.Sprintf("UPDATE audit_head SET seq = %d, hash = %s", last.Seq, quote(last.Hash)))
}
