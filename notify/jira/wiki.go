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

// noformat returns s for the inside of a noformat block: whatever could be the
// end of the block is broken by a zero-width joiner, and so is every mention,
// for Jira may look for those in the text rather than in what it shows. Braces
// that cannot begin a macro stay, so that JSON can be copied.
func noformat(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		next := byte(0)
		if i+1 < len(s) {
			next = s[i+1]
		}
		letter := next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z'
		if s[i] == '{' && letter || s[i] == '[' && next == '~' {
			b.WriteString("\u200d")
		}
	}
	return b.String()
}

// wiki renders t with no part longer than n runes.
func wiki(t message.Text, n int) string {
	one := func(s string) string { return escapeWiki(shorten(s, n)) }
	return t.Render(one, one)
}

// wikiLink is s as a link; as text where the address is none or would end the
// link early.
func wikiLink(s, address string) string {
	if !webAddress(address) || strings.ContainsAny(address, "|[]{}\\ ") {
		return escapeWiki(s)
	}
	return "[" + escapeWiki(s) + "|" + address + "]"
}

// describeWiki is the description of v on Server and Data Center.
func describeWiki(v *message.View, size limits, follows []follow) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("{panel}")
	line("*", escapeWiki(status(v)), "*")
	line(wiki(v.Meaning, size.text))
	if v.MergedInto != "" && webAddress(v.MergedLink) {
		line("See ", wikiLink(v.MergedInto, v.MergedLink))
	}
	for _, f := range follows {
		line("Follows ", wikiLink(f.key, f.url), escapeWiki(f.why()))
	}
	line("{panel}")
	for _, f := range size.facts(v) {
		line("||", escapeWiki(f.Label), "|", wiki(f.Value, size.text), " |")
	}
	wikiRuns(line, v, size)
	if !v.Why.IsEmpty() {
		line("\nh3. Why it matters")
		line(wiki(v.Why, size.text))
	}
	wikiList(line, "Do next", v.DoNext, size)
	wikiList(line, findingsTitle(v), size.lines(v), size)
	if raw := rawFinding(v, size.raw); raw != "" {
		line("\nh3. Raw finding")
		line("{noformat}\n", noformat(raw), "\n{noformat}")
	}
	line("\n----")
	line(footer)
	if webAddress(v.Link) {
		line(wikiLink(openWords(v), v.Link))
	}
	return b.String()
}

func wikiList(line func(...string), title string, items []message.Text, size limits) {
	if len(items) == 0 {
		return
	}
	line("\nh3. ", title)
	for _, t := range items {
		line("* ", wiki(t, size.text))
	}
}
