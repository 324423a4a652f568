package slack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/guardroom/guardroom/notify/message"
)

// Limits of Block Kit, https://docs.slack.dev/reference/block-kit/blocks. Our own
// are far below them; these are what a mistake must not reach.
const (
	maxSectionText = 3000
	maxFieldText   = 2000
	maxFields      = 10
)

// textObject is text in a block. Markup is always verbatim: nothing in it
// becomes a link or a channel by itself.
type textObject struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

type block struct {
	Type     string       `json:"type"`
	Text     *textObject  `json:"text,omitempty"`
	Fields   []textObject `json:"fields,omitempty"`
	Elements []textObject `json:"elements,omitempty"`
}

type attachment struct {
	Color  string  `json:"color"`
	Blocks []block `json:"blocks"`
}

// markup returns a text object. A text that is longer than Slack takes is a
// mistake of ours; it is cut off hard.
func markup(s string, limit int) textObject {
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit])
	}
	return textObject{Type: "mrkdwn", Text: s, Verbatim: true}
}

func section(s string) block {
	t := markup(s, maxSectionText)
	return block{Type: "section", Text: &t}
}

// metadata is what finds a message again. Everybody in the workspace can read
// it, so it has ids only.
type metadata struct {
	EventType    string  `json:"event_type"`
	EventPayload payload `json:"event_payload"`
}

type payload struct {
	Delivery string `json:"delivery"`
	Incident string `json:"incident"`
	Seq      int64  `json:"seq,omitempty"`
	Run      string `json:"run,omitempty"`
}

const (
	rootEvent = "guardroom_incident"
	lineEvent = "guardroom_line"
	runEvent  = "guardroom_run"
)

func rootMetadata(v *message.View) *metadata {
	return &metadata{rootEvent, payload{Delivery: v.Delivery, Incident: string(v.Incident)}}
}

func lineMetadata(v *message.View, seq int64) *metadata {
	return &metadata{lineEvent, payload{Delivery: v.Delivery, Incident: string(v.Incident), Seq: seq}}
}

func runMetadata(v *message.View, x message.Run) *metadata {
	return &metadata{runEvent, payload{Delivery: v.Delivery, Incident: string(v.Incident), Run: x.ID}}
}

// outgoing is a message or an edit on its way. Blocks and attachments that are
// nil are left out, which an edit takes as "keep"; empty ones remove.
type outgoing struct {
	Channel        string        `json:"channel,omitempty"`
	TS             string        `json:"ts,omitempty"`
	ThreadTS       string        `json:"thread_ts,omitempty"`
	ReplyBroadcast bool          `json:"reply_broadcast,omitempty"`
	Text           string        `json:"text"`
	Blocks         *[]block      `json:"blocks,omitempty"`
	Attachments    *[]attachment `json:"attachments,omitempty"`
	Metadata       *metadata     `json:"metadata,omitempty"`
	// Parse left out means client in an edit: names and links in the text of
	// others come alive.
	Parse       string `json:"parse"`
	LinkNames   bool   `json:"link_names"`
	UnfurlLinks *bool  `json:"unfurl_links,omitempty"`
	UnfurlMedia *bool  `json:"unfurl_media,omitempty"`
}

// card is a message that was laid out.
type card struct {
	text        string // for notifications
	simple      string // all there is, for when Slack refuses the blocks
	blocks      []block
	attachments []attachment
}

// message returns c as a new message.
func (c card) message() outgoing {
	no := false
	m := outgoing{Text: c.text, Parse: "none", UnfurlLinks: &no, UnfurlMedia: &no}
	if len(c.blocks) > 0 {
		m.Blocks = &c.blocks
	}
	if len(c.attachments) > 0 {
		m.Attachments = &c.attachments
	}
	return m
}

// edit returns c as an edit: what it does not have is removed.
func (c card) edit() outgoing {
	blocks, attachments := append([]block{}, c.blocks...), append([]attachment{}, c.attachments...)
	return outgoing{Text: c.text, Blocks: &blocks, Attachments: &attachments, Parse: "none"}
}

// simplified returns c without blocks.
func (c card) simplified() card { return card{text: c.simple, simple: c.simple} }

// hash tells whether what is shown has changed.
func (c card) hash() string {
	sum := sha256.Sum256(encode(c.edit()))
	return hex.EncodeToString(sum[:12])
}

// encode writes JSON with <, > and & as they are: the vendor's examples do, and
// so do people who read the golden files.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("{}") // structs of strings do not fail
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
