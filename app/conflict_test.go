package app

import (
	"bytes"
	"testing"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/source"
)

func TestARevisionThatContradictsTheStoredOneIsRecorded(t *testing.T) {
	a := testApp(t, testConfig(t, ""), map[string]notify.Notifier{"chat": &recorder{}})
	first := testFinding(1, 1, 8, time.Now())
	spelled := bytes.Replace(first, []byte(`"description":"x"`), []byte(`"description":"x","further":{"a":1}`), 1)
	forged := bytes.Replace(first, []byte(`"severity":8`), []byte(`"severity":2`), 1)
	for _, step := range []struct {
		name      string
		body      []byte
		conflicts int
	}{
		{"the first one", first, 0},
		{"the same again", first, 0},
		{"spelled with further fields", spelled, 0},
		{"with a lower severity", forged, 1},
	} {
		if _, err := a.Take(t.Context(), source.Input{Source: "test", Body: step.body}); err != nil {
			t.Fatal(err)
		}
		got := 0
		if err := a.db.AuditRecords(t.Context(), 0, 0, func(r audit.Record) bool {
			if r.Action == "finding.conflict" {
				got++
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if got != step.conflicts {
			t.Errorf("%s: %d conflicts are recorded, want %d", step.name, got, step.conflicts)
		}
	}
	list, err := a.db.Revisions(t.Context(), "00000000000000000000000000000001", 10)
	if err != nil || len(list) != 1 || list[0].Severity != 8 {
		t.Errorf("stored are %+v, %v", list, err)
	}
}
