package fakeslack

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// A mention calls people: here, channel, everyone, a user, a group. A link to a
// channel is none, but nobody sends one here.
var (
	angle  = regexp.MustCompile(`<[^>]*>?`)
	entity = regexp.MustCompile(`&[a-z]*;?`)
)

// judge lists what Slack takes but nobody should send.
func (s *Server) judge(method string, args map[string]json.RawMessage, post bool) {
	if p := str(args, "parse"); p != "none" {
		s.violate("%s: parse is %q; text of others comes alive without parse none", method, p)
	}
	if truth(args, "link_names") {
		s.violate("%s: link_names turns names in the text of others into mentions", method)
	}
	if post && (str(args, "unfurl_links") != "false" || str(args, "unfurl_media") != "false") {
		s.violate("%s: links unfurl", method)
	}
	var blocks []block
	_ = json.Unmarshal(args["blocks"], &blocks) // checked before
	s.judgeText(method, "text", str(args, "text"), post && len(blocks) == 0)
	for i, b := range blocks {
		s.judgeBlock(method, b, post && i == 0)
	}
	var attachments []attachment
	_ = json.Unmarshal(args["attachments"], &attachments)
	for _, a := range attachments {
		s.judgeText(method, "attachment", a.Text+a.Fallback, false)
		for _, b := range a.Blocks {
			s.judgeBlock(method, b, false)
		}
	}
}

func (s *Server) judgeBlock(method string, b block, mayMention bool) {
	texts := b.Fields
	for _, raw := range b.Elements {
		var t textObject
		if json.Unmarshal(raw, &t) == nil {
			texts = append(texts, t)
		}
	}
	for _, t := range texts {
		s.judgeObject(method, b.Type, t, false)
	}
	if b.Text != nil {
		s.judgeObject(method, b.Type, *b.Text, mayMention && b.Type == "section")
	}
}

func (s *Server) judgeObject(method, where string, t textObject, mayMention bool) {
	if t.Text == nil {
		return
	}
	if t.Type == "plain_text" {
		if t.Emoji == nil || *t.Emoji {
			s.violate("%s: %s: plain_text draws emoji: %.80q", method, where, *t.Text)
		}
		s.judgeHidden(method, where, *t.Text)
		return
	}
	if t.Verbatim == nil || !*t.Verbatim {
		s.violate("%s: %s: mrkdwn without verbatim: %.80q", method, where, *t.Text)
	}
	s.judgeText(method, where, *t.Text, mayMention)
}

// judgeText looks at everything in angle brackets and at every entity. A mention
// belongs at the end of a line of the first block of a new message.
func (s *Server) judgeText(method, where, text string, mayMention bool) {
	s.judgeHidden(method, where, text)
	for _, e := range entity.FindAllString(text, -1) {
		if e != "&amp;" && e != "&lt;" && e != "&gt;" {
			s.violate("%s: %s: a bare ampersand: %.80q", method, where, text)
			break
		}
	}
	for _, at := range angle.FindAllStringIndex(text, -1) {
		tag, rest := text[at[0]:at[1]], text[at[1]:]
		last := rest == "" || strings.HasPrefix(rest, "\n")
		switch {
		case strings.HasPrefix(tag, "<!channel") || strings.HasPrefix(tag, "<!everyone"):
			s.violate("%s: %s: %s calls everybody: %.80q", method, where, tag, text)
		case strings.HasPrefix(tag, "<!here>"), strings.HasPrefix(tag, "<@"), strings.HasPrefix(tag, "<!subteam^"):
			if !mayMention || !last {
				s.violate("%s: %s: the mention %s is out of place: %.80q", method, where, tag, text)
			}
		case !strings.HasSuffix(tag, ">"):
			s.violate("%s: %s: a bare angle bracket: %.80q", method, where, text)
		case !strings.HasPrefix(tag, "<https://") && !strings.HasPrefix(tag, "<http://"):
			s.violate("%s: %s: %s is neither link nor mention: %.80q", method, where, tag, text)
		}
	}
	if strings.Contains(angle.ReplaceAllString(text, ""), ">") {
		s.violate("%s: %s: a bare angle bracket: %.80q", method, where, text)
	}
}

// judgeHidden looks for characters that hide or reorder.
func (s *Server) judgeHidden(method, where, text string) {
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r)) {
			s.violate("%s: %s: the hidden character %U: %.80q", method, where, r, text)
			return
		}
	}
}
