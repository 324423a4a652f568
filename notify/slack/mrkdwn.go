package slack

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// Slack's markup: https://docs.slack.dev/messaging/formatting-message-text
//
// Three characters are escaped, which is enough against mentions and links. It
// does nothing against *, _, ~ and :emoji:, so values of others stand in code
// spans, in which there are no backticks.
func entities(s string) string {
	if !strings.ContainsAny(s, "&<>") {
		return s
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// mrkdwn returns t as markup of at most limit characters. It is the only way
// from a Text into markup.
func mrkdwn(t message.Text, limit int) string {
	p := &pen{left: limit, code: true}
	return t.Render(p.words, p.value)
}

// plain returns t for notifications and screen readers: without code spans, and
// with nothing in it that could become a link.
func plain(t message.Text, limit int) string {
	p := &pen{left: limit}
	return t.Render(p.words, p.value)
}

// pen writes the parts of one Text within a limit.
type pen struct {
	left    int
	code    bool // values go into code spans
	last    rune // the last character written
	spanned bool // the last part was a value
}

func (p *pen) words(s string) string {
	s = strings.ReplaceAll(escape.Visible(s), "`", "'")
	// Slack sees a code span only where no letter touches its backticks.
	if first, _ := utf8.DecodeRuneInString(s); p.code && p.spanned && wordy(first) {
		s = " " + s
	}
	return p.write(fit(s, p.left, escape.CutEnd), false)
}

func (p *pen) value(s string) string {
	s = escape.Visible(s)
	if !p.code {
		return p.write(fit(escape.Defang(s), p.left, escape.CutMiddle), true)
	}
	s = strings.TrimSpace(strings.ReplaceAll(s, "`", "'"))
	if s == "" {
		s = "(blank)"
	}
	before := "`"
	if p.spanned || wordy(p.last) {
		before = " `"
	}
	room := p.left - utf8.RuneCountInString(before) - 1
	inner := fit(s, room, escape.CutMiddle)
	if inner == "" {
		p.left = 0
		return ""
	}
	return p.write(before+inner+"`", true)
}

func (p *pen) write(s string, value bool) string {
	if s == "" {
		return ""
	}
	p.left -= utf8.RuneCountInString(s)
	p.last, _ = utf8.DecodeLastRuneInString(s)
	p.spanned = value
	if p.last == '…' && !value {
		p.left = 0 // what was cut is the end
	}
	return s
}

func wordy(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r) || r == '_' || r == '*' || r == '~'
}

// fit escapes s and cuts it until the result has at most limit characters. An
// entity is never split.
func fit(s string, limit int, cut func(string, int) string) string {
	n := min(limit, utf8.RuneCountInString(s))
	for n > 0 {
		out := entities(cut(s, n))
		over := utf8.RuneCountInString(out) - limit
		if over <= 0 {
			return out
		}
		n -= max(1, over/5)
	}
	return ""
}

// line returns words of our own as markup on one line.
func line(s string, limit int) string { return mrkdwn(message.Words(s), limit) }

// linkURL returns raw in a form that can stand in markup and in JSON, or nothing
// when it is no web address or is longer than limit.
func linkURL(raw string, limit int) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	s := strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20", "`", "%60", `"`, "%22").Replace(u.String())
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return ""
		}
	}
	if len(s) > limit {
		return ""
	}
	return s
}

// linked returns the label as a link, or alone where there is no address. The
// label must be markup already, without | and angle brackets.
func linked(address, label string) string {
	if address == "" || label == "" || strings.ContainsAny(label, "|<>") {
		return label
	}
	return "<" + entities(address) + "|" + label + ">"
}
