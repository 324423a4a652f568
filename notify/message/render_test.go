package message_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// plain prints everything that people read of a view.
func plain(v *message.View) string {
	text := func(t message.Text) string {
		return t.Render(func(s string) string { return s }, escape.Visible)
	}
	var b strings.Builder
	row := func(label, s string) {
		if s != "" {
			fmt.Fprintf(&b, "%-10s %s\n", label, s)
		}
	}
	row("headline", text(v.Headline))
	row("sentence", text(v.Sentence))
	row("opening", v.OpeningBand.String())
	row("meaning", text(v.Meaning))
	row("why", text(v.Why))
	for _, t := range v.DoNext {
		row("do next", text(t))
	}
	for _, f := range v.Facts {
		row("fact", f.Label+": "+text(f.Value))
	}
	context := make([]string, len(v.Context))
	for i, t := range v.Context {
		context[i] = text(t)
	}
	row("context", strings.Join(context, " · "))
	for _, t := range v.Findings {
		row("finding", text(t))
	}
	for _, e := range v.Events {
		mark := " "
		if e.Alerts {
			mark = "!"
		}
		row("event", fmt.Sprintf("%s%d %s [%s] %s", mark, e.Seq, e.At.Format(time.RFC3339), text(e.Who), text(e.Text)))
	}
	row("guardduty", v.GuardDutyURL)
	return b.String()
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}
