package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/guardroom/guardroom/internal/width"
)

func screen(columns int) (*env, *bytes.Buffer) {
	var b bytes.Buffer
	return &env{Globals: &Globals{}, stdout: &b, stderr: &b, width: columns, now: func() time.Time { return time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC) }}, &b
}

func incidents(e *env) *table {
	t := newTable("incident", "state", "what", "owner", "active").cut("what", 20).drop("owner").below("what")
	now := e.now()
	t.row("INC-1", "open", "UnauthorizedAccess:EC2/SSHBruteForce web-1 (i-0123456789abcdef0)", "ana", e.moment(now.Add(-12*time.Minute)))
	t.row("INC-12345", "closed, false positive", "Recon:EC2/Portscan", "", e.moment(now.Add(-72*time.Hour)))
	return t
}

func TestATableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		columns int
		want    string
	}{
		{"elsewhere nothing is left out", 0, `
incident   state                   what                                                              owner  active
INC-1      open                    UnauthorizedAccess:EC2/SSHBruteForce web-1 (i-0123456789abcdef0)  ana    11:48 UTC (12 min ago)
INC-12345  closed, false positive  Recon:EC2/Portscan                                                       2026-05-03 12:00 UTC (3 d ago)
`},
		{"a little too wide makes times short", 130, `
incident   state                   what                                                              owner  active
INC-1      open                    UnauthorizedAccess:EC2/SSHBruteForce web-1 (i-0123456789abcdef0)  ana    12 min ago
INC-12345  closed, false positive  Recon:EC2/Portscan                                                       2026-05-03
`},
		{"then text is cut, as far as it says something", 90, `
incident   state                   what                                  owner  active
INC-1      open                    UnauthorizedAcces…0123456789abcdef0)  ana    12 min ago
INC-12345  closed, false positive  Recon:EC2/Portscan                           2026-05-03
`},
		{"then the least important column goes", 72, `
incident   state                   what                       active
INC-1      open                    Unauthorized…6789abcdef0)  12 min ago
INC-12345  closed, false positive  Recon:EC2/Portscan         2026-05-03
`},
		{"then the long text goes below, whole", 60, `
incident   state                   active
  what
INC-1      open                    12 min ago
  UnauthorizedAccess:EC2/SSHBruteForce web-1
  (i-0123456789abcdef0)
INC-12345  closed, false positive  2026-05-03
  Recon:EC2/Portscan
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, b := screen(c.columns)
			incidents(e).print(e)
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSentencesBreakInTheirColumnAndGoBelowWhenItIsTooNarrow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		columns int
		want    string
	}{
		{70, `
      area         result
FAIL  destination  Slack cannot be reached: the name hooks.example is
                   not known here
                   hint: check the network
`},
		{50, `
      area
  result
FAIL  destination
  Slack cannot be reached: the name hooks.example
  is not known here
  hint: check the network
`},
	} {
		e, b := screen(c.columns)
		table := newTable("", "area", "result").wrap().below("result")
		table.row("FAIL", "destination", "Slack cannot be reached: the name hooks.example is not known here")
		table.row("", "", "hint: check the network")
		table.print(e)
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), b.String()); diff != "" {
			t.Errorf("at %d columns: %s", c.columns, diff)
		}
	}
}

func TestAnEmptyColumnTakesNoPlaceOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	e, b := screen(20)
	table := newTable("id", "nothing here", "status")
	table.row("01234567", "", "parked")
	table.print(e)
	if want := "id        status\n01234567  parked\n"; b.String() != want {
		t.Errorf("%q", b.String())
	}
}

// Whatever the terminal and the values: ids stay whole, and no line is wider
// than the terminal unless it is one that cannot be broken.
func TestIDsStayWholeAtAnyWidth(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[a-z:/]{0,30}( [a-z]{1,12}){0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(40, 200).Draw(t, "columns")
		e, b := screen(columns)
		table := newTable("id", "what", "who", "text").cut("what", 16).cut("who", 8).wrap().drop("who").below("text", "what")
		ids := rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{26}`), 1, 5).Draw(t, "ids")
		for _, id := range ids {
			table.row(id, word.Draw(t, "what"), word.Draw(t, "who"), word.Draw(t, "text"))
		}
		table.print(e)
		for _, id := range ids {
			if !strings.Contains(b.String(), id) {
				t.Fatalf("%s is cut:\n%s", id, b)
			}
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if width.Of(line) > columns && strings.Contains(strings.TrimSpace(line), " ") {
				t.Fatalf("a line of %d columns at %d: %q", width.Of(line), columns, line)
			}
		}
	})
}
