package jira

import (
	"fmt"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/notify/message"
)

// maxItems of evidence in a table. The manifest has them all.
const maxItems = 40

// shownRuns are the responses that a description shows, the newest first. A plan
// that waits is among them; one that came to nothing is not.
func (l limits) shownRuns(v *message.View) []message.Run {
	var out []message.Run
	for _, r := range slices.Backward(v.Runs) {
		if len(out) < l.runs && (r.ID != "" || r.State == message.RunNeedsApproval) {
			out = append(out, r)
		}
	}
	return out
}

// evidence is every item of the runs, the oldest first.
func evidence(v *message.View) []message.RunEvidence {
	var out []message.RunEvidence
	for _, r := range v.Runs {
		out = append(out, r.Evidence...)
	}
	return out
}

func (l limits) items(v *message.View) (shown []message.RunEvidence, left int) {
	all := evidence(v)
	shown = all[:min(len(all), maxItems, 2*l.rows)]
	return shown, len(all) - len(shown)
}

// lead is the first lines of a run: what, how far, by whose authority.
func lead(r message.Run, v *message.View) []message.Text {
	if r.State == message.RunNeedsApproval {
		return []message.Text{r.Waits(v.UpdatedAt).Words("."), message.Words("Approve: ").Join(r.Command())}
	}
	return []message.Text{r.Headline().Words(". ").Join(r.Pace(v.UpdatedAt, true)).Words("."), r.Authority(v.UpdatedAt).Words(", ").Value(r.ID)}
}

// stageWords is a stage without per cent: those never reach Jira.
func stageWords(s message.RunStage) string {
	out := s.Name + ": " + string(s.State)
	if c := s.Count(); c != "" {
		out += ", " + c
	}
	return out
}

// adfRuns are the sections of the responses, and the table of evidence.
func adfRuns(v *message.View, size limits) []node {
	var out []node
	for i, r := range size.shownRuns(v) {
		if i == 0 {
			out = append(out, heading("Response"))
		}
		for _, t := range lead(r, v) {
			out = append(out, paragraph(plain(t, size.text)))
		}
		if len(r.Stages) > 0 && r.ID != "" {
			out = append(out, adfStages(r, i))
		}
		if lines := r.Outcome(v.UpdatedAt); len(lines) > 0 {
			list := block("bulletList")
			for _, t := range lines {
				list.Content = append(list.Content, block("listItem", paragraph(plain(t, size.text))))
			}
			out = append(out, list)
		}
	}
	items, left := size.items(v)
	if len(items) == 0 {
		return out
	}
	rows := []node{block("tableRow", block("tableHeader", paragraph("Evidence")), block("tableHeader", paragraph("Where")), block("tableHeader", paragraph("SHA-256")))}
	for _, e := range items {
		rows = append(rows, block("tableRow", block("tableCell", paragraph(orDash(e.Kind))), block("tableCell", paragraph(orDash(cut(where(e), size.text)))),
			block("tableCell", adfHash(e, size))))
	}
	content := []node{block("table", rows...)}
	if left > 0 {
		content = append(content, paragraph(fmt.Sprintf("and %d more; the manifest has them all", left)))
	}
	return append(out, block("expand", content...).with("title", "Evidence"))
}

// adfStages gives ids that are the same at every rendering.
func adfStages(r message.Run, n int) node {
	id := fmt.Sprintf("guardroom-run-%d", n+1)
	list := block("taskList").with("localId", id)
	for i, s := range r.Stages {
		item := block("taskItem", text(cut(stageWords(s), 100)))
		state := "TODO"
		if s.State == message.RunCompleted || s.State == message.RunSkipped || s.State == message.RunUndone {
			state = "DONE"
		}
		item.Attrs = map[string]any{"localId": fmt.Sprintf("%s-%d", id, i+1), "state": state}
		list.Content = append(list.Content, item)
	}
	return list
}

func adfHash(e message.RunEvidence, size limits) node {
	if e.SHA256 != "" {
		return block("paragraph", text(cut(e.SHA256, 64), mark{Type: "code"}))
	}
	return paragraph(orDash(cut(e.Gap, size.text)))
}

func where(e message.RunEvidence) string {
	if e.Location != "" {
		return e.Location
	}
	return e.Title
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

// wikiRuns is adfRuns for Server and Data Center.
func wikiRuns(line func(...string), v *message.View, size limits) {
	for i, r := range size.shownRuns(v) {
		if i == 0 {
			line("\nh3. Response")
		}
		for _, t := range lead(r, v) {
			line(wiki(t, size.text))
		}
		if r.ID != "" {
			for _, s := range r.Stages {
				line("* ", escapeWiki(shorten(stageWords(s), 100)))
			}
		}
		for _, t := range r.Outcome(v.UpdatedAt) {
			line("- ", wiki(t, size.text))
		}
	}
	items, left := size.items(v)
	if len(items) == 0 {
		return
	}
	line("\nh3. Evidence")
	line("||Evidence||Where||SHA-256||")
	for _, e := range items {
		last := e.SHA256
		if last == "" {
			last = e.Gap
		}
		line("|", escapeWiki(orDash(e.Kind)), "|", escapeWiki(orDash(shorten(where(e), size.text))), "|", escapeWiki(orDash(shorten(last, size.text))), " |")
	}
	if left > 0 {
		line(fmt.Sprintf("and %d more; the manifest has them all", left))
	}
}
