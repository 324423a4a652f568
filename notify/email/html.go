package email

import (
	"fmt"
	"html"
	"strings"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// rich renders t for HTML: our words and the values of others are both text.
func rich(t message.Text) string { return t.Render(html.EscapeString, richValue) }

func richValue(s string) string { return html.EscapeString(harmless(s)) }

// style is for clients that prefer dark; everything else is inline, because
// many clients throw style sheets away.
const style = `<style>@media (prefers-color-scheme: dark) {` +
	` body, .page { background: #1b1b1f !important; color: #e6e6e6 !important; }` +
	` .label, .small { color: #a8a8b0 !important; } a { color: #8ab4f8 !important; } }</style>`

// htmlPart is the same message in one column, without images and without
// anything to load.
func htmlPart(b body) string {
	v := b.view
	var w htmlWriter
	w.add(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">`)
	w.add(`<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">`)
	w.add(`<title>` + html.EscapeString(subject(v).String()) + `</title>` + style + `</head>`)
	w.add(`<body style="margin:0;padding:0;background:#ffffff;color:#1d1c1d">`)
	w.add(`<div class="page" style="max-width:600px;padding:16px;font:15px/1.45 sans-serif;background:#ffffff;color:#1d1c1d">`)

	head := rich(v.Headline)
	if v.State == incident.Closed {
		head = `<s>` + head + `</s>`
	}
	word := ""
	if s := severityWord(v); s != "" {
		word = `<td style="padding:2px 8px;white-space:nowrap;font-weight:bold;color:#ffffff;background:` +
			colour(v) + `">` + html.EscapeString(s) + `</td>`
	}
	w.add(`<table role="presentation" cellspacing="0" cellpadding="0"><tr>` + word +
		`<td style="padding:2px 8px;font-weight:bold">` + head + `</td></tr></table>`)
	if len(b.news) > 0 {
		w.heading("What happened")
		w.add(`<ul style="margin:4px 0;padding-left:20px">`)
		for _, e := range b.news {
			w.add(`<li>` + html.EscapeString(b.clock(e.At)) + ` ` + rich(e.Text) + `</li>`)
		}
		w.add(`</ul>`)
	}
	w.paragraph(rich(v.Meaning))
	w.section("Do next", v.DoNext)
	if len(v.Facts) > 0 {
		w.add(`<table cellspacing="0" cellpadding="0" style="margin:12px 0;font:inherit">`)
		for _, f := range v.Facts {
			w.add(`<tr><th scope="row" class="label" style="padding:2px 12px 2px 0;text-align:left;vertical-align:top;font-weight:normal;color:#616061">` +
				html.EscapeString(f.Label) + `</th><td style="padding:2px 0;word-break:break-word">` + rich(f.Value) + `</td></tr>`)
		}
		w.add(`</table>`)
	}
	if !v.Why.IsEmpty() {
		if v.Kind == message.KindIncident {
			w.heading("Why it matters")
		}
		w.paragraph(rich(v.Why))
	}
	if v.ClosingNote != "" && !b.newsSayWhy() {
		w.heading("Closing note")
		w.paragraph(richValue(v.ClosingNote))
	}
	w.section(findingsHeading(v), v.Findings)
	for _, l := range links(v) {
		w.paragraph(fmt.Sprintf(`<a href="%s">%s</a>`, html.EscapeString(l.url), html.EscapeString(l.label)))
	}
	w.add(`<p class="small" style="margin:12px 0;font-size:13px;color:#616061">` + contextText(v, rich) + `<br>` +
		html.EscapeString(signature) + `</p></div></body></html>`)
	return w.String()
}

// colour is that of the severity while it is open, of the state afterwards: the
// same values as in the other destinations, darkened where white text needs it.
func colour(v *message.View) string {
	switch v.State {
	case incident.Contained:
		return "#1264a3"
	case incident.Closed:
		return "#1e7a58"
	}
	switch v.Band {
	case finding.Critical:
		return "#5b1a8e"
	case finding.High:
		return "#a30200"
	case finding.Medium:
		return "#8a5f00"
	}
	return "#616061"
}

// htmlWriter collects lines. What is added must be escaped already.
type htmlWriter struct{ strings.Builder }

func (w *htmlWriter) add(s string) { w.WriteString(s + "\n") }

func (w *htmlWriter) heading(s string) {
	w.add(`<p style="margin:12px 0 0;font-weight:bold">` + html.EscapeString(s) + `</p>`)
}

func (w *htmlWriter) paragraph(escaped string) {
	if escaped != "" {
		w.add(`<p style="margin:4px 0">` + escaped + `</p>`)
	}
}

func (w *htmlWriter) section(heading string, lines []message.Text) {
	if len(lines) == 0 {
		return
	}
	w.heading(heading)
	w.add(`<ul style="margin:4px 0;padding-left:20px">`)
	for _, t := range lines {
		w.add(`<li>` + rich(t) + `</li>`)
	}
	w.add(`</ul>`)
}
