package jira

import (
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// special are the characters that mean something in wiki markup:
// https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
const special = `\{}[]|*_-+^~!?#@:()`

// escapeWiki returns s as one line that Jira shows as it is written. Special
// characters become character references rather than being preceded by a
// backslash, because two backslashes are a line break and a backslash before
// some of them is shown.
func escapeWiki(s string) string {
	s = escape.Visible(s)
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '&' || r == '<' || r == '>' || strings.ContainsRune(special, r):
			reference(&b, r)
		case i == 0 && (r == 'h' || r == 'b'): // h1. and bq. at the start of a line
			reference(&b, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func reference(b *strings.Builder, r rune) {
	const digits = "0123456789"
	b.WriteString("&#")
	if r >= 100 {
		b.WriteByte(digits[r/100%10])
	}
	b.WriteByte(digits[r/10%10])
	b.WriteByte(digits[r%10])
	b.WriteByte(';')
}

// noformat returns s for the inside of a noformat block: every end of the
// block in it is broken by a zero-width joiner.
func noformat(s string) string {
	return strings.ReplaceAll(s, "{", "{\u200d")
}

func wiki(t message.Text) string { return t.Render(escapeWiki, escapeWiki) }

// describeWiki is the description of v on Server and Data Center.
func describeWiki(v *message.View) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("{panel}")
	line("*", escapeWiki(status(v)), "*")
	line(wiki(v.Meaning))
	line("{panel}")
	for _, f := range v.Facts {
		line("||", escapeWiki(f.Label), "|", wiki(f.Value), " |")
	}
	if !v.Why.IsEmpty() {
		line("\nh3. Why it matters")
		line(wiki(v.Why))
	}
	wikiList(line, "Do next", v.DoNext)
	wikiList(line, "Findings", v.Findings)
	if raw := rawFinding(v); raw != "" {
		line("\nh3. Raw finding")
		line("{noformat}\n", noformat(raw), "\n{noformat}")
	}
	line("\n----")
	line(footer)
	if v.Link != "" {
		line("[Open the incident|", v.Link, "]")
	}
	return b.String()
}

func wikiList(line func(...string), title string, items []message.Text) {
	if len(items) == 0 {
		return
	}
	line("\nh3. ", title)
	for _, t := range items {
		line("* ", wiki(t))
	}
}
