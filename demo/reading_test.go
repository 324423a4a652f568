package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/internal/fakejira"
	"github.com/guardroom/guardroom/internal/fakeslack"
)

func TestMrkdwnIsReadAsPeopleSeeIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"bold and a labelled link", "*HIGH 8.0*  <https://g.example/INC-1|INC-1> Mining", "HIGH 8.0  INC-1 Mining"},
		{"a bare link", "<https://g.example>", "https://g.example"},
		{"a mention", "Mining\nwhat it is <!here>", "Mining\nwhat it is @here"},
		{"entities come last", "`&lt;!channel&gt;` &amp;lt;", "<!channel> &lt;"},
		{"stars in a code span stay", "on `*a*` *b*", "on *a* b"},
		{"a line that is struck through", "~*LOW* gone~\nnext ~ line", "LOW gone\nnext ~ line"},
		{"a code span in bold", "*Containment of web-1 (`i-1`): done*", "Containment of web-1 (i-1): done"},
		{"an underscore inside a word stays", "snake_case_name and _slanted_", "snake_case_name and slanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := plain(c.in); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func posted(head, context, seen string, edits int) fakeslack.Message {
	blocks, _ := json.Marshal([]object{{"type": "section", "text": object{"type": "mrkdwn", "text": head}}})
	attachments, _ := json.Marshal([]object{{"blocks": []object{
		{"type": "section", "fields": []object{{"type": "mrkdwn", "text": "*Seen*\n" + seen}}},
		{"type": "context", "elements": []object{{"type": "mrkdwn", "text": context}}}}}})
	return fakeslack.Message{TS: "1.1", Blocks: blocks, Attachments: attachments, Edits: edits}
}

func TestAnEditSaysWhatChangedForPeople(t *testing.T) {
	t.Parallel()
	before := posted("*LOW* INC-1 A", "Open · unassigned · 2 min", "once", 0)
	for _, c := range []struct {
		name string
		now  fakeslack.Message
		want string
	}{
		{"another headline", posted("*HIGH* INC-1 A", "Open · unassigned · 2 min", "once", 1), "edited: HIGH INC-1 A"},
		{"a fact", posted("*LOW* INC-1 A", "Open · unassigned · 3 min", "12 times", 1), "edited: Seen: 12 times"},
		{"somebody took it", posted("*LOW* INC-1 A", "Acknowledged by ana 07:12 UTC · 2 min", "once", 1), "edited: Acknowledged by ana 07:12 UTC"},
		{"only time went on and a ticket was named", posted("*LOW* INC-1 A", "Open · unassigned · SEC-1 · PagerDuty · 12 min", "once", 1), ""},
		{"it was closed", posted("~*LOW* INC-1 A~", "Closed as benign by mei · 2 min", "once", 1), "edited: struck through, Closed as benign by mei"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := edited(before, c.now); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestAnIssueSaysWhatChangedForPeople(t *testing.T) {
	t.Parallel()
	old := fakejira.Issue{Key: "SEC-1", Status: "To Do", Summary: "a", Writes: 1}
	now := old
	now.Status, now.Writes = "Done", 2
	now.Comments = []fakejira.Comment{{Text: "ana closed it.\nGuardroom"}}
	if diff := cmp.Diff([]row{{label: "jira", who: "SEC-1", text: "To Do -> Done; comment: ana closed it."}}, issueNews(old, now), cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	now.Comments = append(now.Comments, fakejira.Comment{Text: "Evidence is ready."})
	want := []row{{label: "jira", who: "SEC-1", text: "To Do -> Done; comment: ana closed it."}, {label: "jira", who: "SEC-1", text: "comment: Evidence is ready."}}
	if diff := cmp.Diff(want, issueNews(old, now), cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	now = old
	now.Writes = 2
	if got := issueNews(old, now); len(got) != 0 {
		t.Errorf("a description that was brought up to date has a row: %v", got)
	}
}

func TestRowsThatSayTheSameAreOne(t *testing.T) {
	t.Parallel()
	say := func(label, who, text string) row { return row{label: label, who: who, text: text} }
	got := grouped([]row{say("slack", "INC-10", "closed"), say("slack", "INC-9", "closed"), say("slack", "INC-2", "opened"), say("jira", "INC-1", "closed"), say("slack", "", "x"), say("slack", "", "x")})
	want := []row{say("slack", "INC-9, INC-10", "closed"), say("slack", "INC-2", "opened"), say("jira", "INC-1", "closed"), say("slack", "", "x"), say("slack", "", "x")}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
}

func TestInBriefEverythingNewIsOneRow(t *testing.T) {
	t.Parallel()
	edit := row{label: "slack", who: "INC-1", text: "edited"}
	got := brief([]row{{label: "slack", text: "long", fresh: "#soc @here"}, edit, {label: "jira", text: "long", fresh: "SEC-1"}})
	if diff := cmp.Diff([]row{{label: "told", text: "#soc @here, SEC-1"}, edit}, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]row{edit}, brief([]row{edit}), cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
}

func TestADescriptionIsReadAsPeopleSeeIt(t *testing.T) {
	t.Parallel()
	const adf = `{"type":"doc","version":1,"content":[
		{"type":"panel","content":[{"type":"paragraph","content":[{"type":"text","text":"HIGH, "},{"type":"text","text":"open"}]}]},
		{"type":"table","content":[{"type":"tableRow","content":[{"type":"tableHeader","content":[{"type":"paragraph","content":[{"type":"text","text":"Actor"}]}]},{"type":"tableCell","content":[{"type":"paragraph","content":[{"type":"text","text":"192.0.2.1"}]}]}]}]},
		{"type":"heading","attrs":{"level":3},"content":[{"type":"text","text":"Do next"}]},
		{"type":"taskList","content":[{"type":"taskItem","attrs":{"state":"TODO"},"content":[{"type":"text","text":"look"}]},{"type":"taskItem","attrs":{"state":"DONE"},"content":[{"type":"text","text":"act"}]}]},
		{"type":"expand","attrs":{"title":"Raw finding"},"content":[{"type":"codeBlock","content":[{"type":"text","text":"{}"}]}]},
		{"type":"rule"}]}`
	want := []string{"HIGH, open", "Actor: 192.0.2.1", "", "Do next", "[ ] look", "[x] act", "", "v Raw finding", "(the finding as GuardDuty sent it)", "----"}
	if diff := cmp.Diff(want, document(adf)); diff != "" {
		t.Error(diff)
	}
	long := `{"type":"doc","content":[{"type":"expand","attrs":{"title":"Evidence"},"content":[` + strings.TrimSuffix(strings.Repeat(`{"type":"paragraph","content":[{"type":"text","text":"x"}]},`, 9), ",") + `]}]}`
	if diff := cmp.Diff([]string{"", "v Evidence", "x", "x", "x", "x", "x", "(4 more)"}, document(long)); diff != "" {
		t.Error(diff)
	}
	if got := document("no document"); got != nil {
		t.Errorf("%q out of nothing", got)
	}
}

func TestTheClockOfTheStoryOnlyGoesForward(t *testing.T) {
	t.Parallel()
	real := monday
	d := newDaylight(monday, func() time.Time { return real })
	d.jump(monday.Add(time.Hour))
	real = real.Add(3 * time.Second)
	if got, want := d.Now(), monday.Add(time.Hour+3*time.Second); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
	d.jump(monday) // back
	real = real.Add(-time.Minute)
	if got, want := d.Now(), monday.Add(time.Hour+3*time.Second); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
}
