package demo

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/guardroom/guardroom/internal/fakeslack"
)

// What people see of a Slack message, as plain text.

var (
	labelled = regexp.MustCompile(`<https?://[^|>]*\|([^>]*)>`)
	linked   = regexp.MustCompile(`<(https?://[^>]*)>`)
	starred  = regexp.MustCompile(`\*([^*\n]+)\*`)
	slanted  = regexp.MustCompile(`\b_([^_\n]+)_\b`)
	mentions = strings.NewReplacer("<!here>", "@here", "&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// plain is mrkdwn as it is read. Code spans are left as they are, without their
// backticks.
func plain(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if len(l) > 2 && l[0] == '~' && l[len(l)-1] == '~' { // struck through
			l = l[1 : len(l)-1]
		}
		lines[i] = plainLine(l)
	}
	return strings.Join(lines, "\n")
}

func plainLine(s string) string {
	// What is in code spans is put aside: it is no markup, and may stand in bold.
	parts := strings.Split(s, "`")
	text := parts[0]
	for i, p := range parts[1:] {
		if i%2 == 0 {
			text += "\x00"
		} else {
			text += p
		}
	}
	text = labelled.ReplaceAllString(text, "$1")
	text = linked.ReplaceAllString(text, "$1")
	text = starred.ReplaceAllString(text, "$1")
	text = slanted.ReplaceAllString(text, "$1")
	for i := 1; i < len(parts); i += 2 {
		text = strings.Replace(text, "\x00", parts[i], 1)
	}
	return mentions.Replace(text)
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (t slackText) plain() string {
	if t.Type == "mrkdwn" {
		return plain(t.Text)
	}
	return t.Text
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     slackText   `json:"text"`
	Fields   []slackText `json:"fields"`
	Elements []slackText `json:"elements"`
}

// blocks are those of the message and of its attachments, in the order in which
// they are shown. A message that cannot be read has none.
func blocks(m fakeslack.Message) []slackBlock {
	var out []slackBlock
	var attachments []struct {
		Blocks []slackBlock `json:"blocks"`
	}
	if len(m.Blocks) > 0 && json.Unmarshal(m.Blocks, &out) != nil {
		return nil
	}
	if len(m.Attachments) > 0 && json.Unmarshal(m.Attachments, &attachments) != nil {
		return out
	}
	for _, a := range attachments {
		out = append(out, a.Blocks...)
	}
	return out
}

// headline is the first line of a message.
func headline(m fakeslack.Message) string {
	for _, b := range blocks(m) {
		if text := b.Text.plain(); text != "" {
			first, _, _ := strings.Cut(text, "\n")
			return first
		}
	}
	return plain(m.Text)
}

// isStruck reports a message whose first line is struck through.
func isStruck(m fakeslack.Message) bool {
	for _, b := range blocks(m) {
		if b.Text.Text != "" {
			return strings.HasPrefix(b.Text.Text, "~")
		}
	}
	return false
}

// standing is the context line of a message: how things stand.
func standing(m fakeslack.Message) string {
	text := ""
	for _, b := range blocks(m) {
		if b.Type == "context" {
			var parts []string
			for _, e := range b.Elements {
				parts = append(parts, e.plain())
			}
			text = strings.Join(parts, " ")
		}
	}
	return text
}

// wholeMessage is everything that a message shows, line by line.
func wholeMessage(m fakeslack.Message) []string {
	var out []string
	for _, b := range blocks(m) {
		if text := b.Text.plain(); text != "" {
			out = append(out, strings.Split(text, "\n")...)
		}
		for _, f := range b.Fields {
			label, value, found := strings.Cut(f.plain(), "\n")
			if found {
				label += ": "
			}
			out = append(out, label+strings.ReplaceAll(value, "\n", " "))
		}
		for _, e := range b.Elements {
			out = append(out, e.plain())
		}
	}
	if len(out) == 0 {
		out = strings.Split(plain(m.Text), "\n")
	}
	return out
}
