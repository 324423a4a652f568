package fakeslack

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits of Block Kit: https://docs.slack.dev/reference/block-kit/blocks
const (
	maxBlocks      = 50
	maxSectionText = 3000
	maxFields      = 10
	maxField       = 2000
	maxHeader      = 150
	maxContext     = 10
	maxActions     = 25
	maxID          = 255
	maxButton      = 75
	maxValue       = 2000
	maxURL         = 3000
)

// textObject is text in a block. Pointers tell what was left out.
type textObject struct {
	Type     string  `json:"type"`
	Text     *string `json:"text"`
	Emoji    *bool   `json:"emoji"`
	Verbatim *bool   `json:"verbatim"`
}

type block struct {
	Type     string            `json:"type"`
	BlockID  string            `json:"block_id"`
	Text     *textObject       `json:"text"`
	Fields   []textObject      `json:"fields"`
	Elements []json.RawMessage `json:"elements"`
	ImageURL string            `json:"image_url"`
	AltText  string            `json:"alt_text"`
}

type attachment struct {
	Color    string  `json:"color"`
	Fallback string  `json:"fallback"`
	Text     string  `json:"text"`
	Blocks   []block `json:"blocks"`
}

// checkMessage returns Slack's word for what is wrong with a message, and why.
func checkMessage(args map[string]json.RawMessage) (word, why string) {
	var blocks []block
	if raw, found := args["blocks"]; found && string(raw) != "null" {
		if err := json.Unmarshal(raw, &blocks); err != nil {
			return "invalid_blocks_format", err.Error()
		}
	}
	var attachments []attachment
	if raw, found := args["attachments"]; found && string(raw) != "null" {
		if err := json.Unmarshal(raw, &attachments); err != nil {
			return "invalid_attachments", err.Error()
		}
	}
	if str(args, "text") == "" && len(blocks) == 0 && len(attachments) == 0 {
		return "no_text", "nothing to show"
	}
	if len(attachments) > maxAttachments {
		return "too_many_attachments", fmt.Sprintf("%d attachments", len(attachments))
	}
	ids := map[string]bool{}
	if why := checkBlocks(blocks, ids); why != "" {
		return "invalid_blocks", why
	}
	for _, a := range attachments {
		if a.Text == "" && a.Fallback == "" && len(a.Blocks) == 0 {
			return "no_text", "an attachment without content"
		}
		if why := checkBlocks(a.Blocks, ids); why != "" {
			return "invalid_blocks", "in an attachment: " + why
		}
	}
	if n := utf8.RuneCount(args["blocks"]) + utf8.RuneCount(args["attachments"]); n > maxWhole {
		return "msg_blocks_too_long", fmt.Sprintf("%d characters of blocks", n)
	}
	return checkMetadata(args["metadata"])
}

func checkMetadata(raw json.RawMessage) (word, why string) {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "{}" {
		return "", ""
	}
	var m struct {
		EventType    string         `json:"event_type"`
		EventPayload map[string]any `json:"event_payload"`
	}
	switch err := json.Unmarshal(raw, &m); {
	case err != nil:
		return "invalid_metadata_format", err.Error()
	case m.EventType == "" || m.EventPayload == nil:
		return "invalid_metadata_format", "event_type or event_payload is missing"
	case len(raw) > maxMetadata:
		return "metadata_too_large", fmt.Sprintf("%d bytes", len(raw))
	}
	return "", ""
}

// knownBlocks are those that chat.postMessage takes; alert, card and carousel
// are refused.
func knownBlocks() []string {
	return []string{"section", "context", "divider", "header", "image", "actions", "rich_text", "plan", "task_card", "file", "video", "table", "markdown"}
}

func checkBlocks(blocks []block, ids map[string]bool) string {
	if len(blocks) > maxBlocks {
		return fmt.Sprintf("%d blocks", len(blocks))
	}
	for i, b := range blocks {
		if b.BlockID != "" {
			if utf8.RuneCountInString(b.BlockID) > maxID || ids[b.BlockID] {
				return fmt.Sprintf("block %d: block_id is too long or not unique", i)
			}
			ids[b.BlockID] = true
		}
		if why := b.check(); why != "" {
			return fmt.Sprintf("block %d (%s): %s", i, b.Type, why)
		}
	}
	return ""
}

func (b block) check() string {
	switch b.Type {
	case "section":
		return b.checkSection()
	case "header":
		if b.Text == nil || b.Text.Type != "plain_text" {
			return "a header needs plain_text"
		}
		return b.Text.check(maxHeader)
	case "context":
		if len(b.Elements) == 0 || len(b.Elements) > maxContext {
			return fmt.Sprintf("%d elements", len(b.Elements))
		}
		return b.checkContext()
	case "actions":
		if len(b.Elements) == 0 || len(b.Elements) > maxActions {
			return fmt.Sprintf("%d elements", len(b.Elements))
		}
		return b.checkActions()
	case "image":
		if b.ImageURL == "" || b.AltText == "" {
			return "image_url and alt_text are needed"
		}
	default:
		if !slices.Contains(knownBlocks(), b.Type) {
			return "not a block that chat.postMessage takes"
		}
	}
	return ""
}

func (b block) checkSection() string {
	if b.Text == nil && len(b.Fields) == 0 {
		return "text or fields are needed"
	}
	if b.Text != nil {
		if why := b.Text.check(maxSectionText); why != "" {
			return why
		}
	}
	if len(b.Fields) > maxFields {
		return fmt.Sprintf("%d fields", len(b.Fields))
	}
	for i, f := range b.Fields {
		if why := f.check(maxField); why != "" {
			return fmt.Sprintf("field %d: %s", i, why)
		}
	}
	return ""
}

func (b block) checkContext() string {
	for i, raw := range b.Elements {
		var t textObject
		if err := json.Unmarshal(raw, &t); err != nil {
			return err.Error()
		}
		if t.Type == "image" {
			continue
		}
		if why := t.check(maxSectionText); why != "" {
			return fmt.Sprintf("element %d: %s", i, why)
		}
	}
	return ""
}

// checkActions looks at buttons; what else may stand there guardroom never sends.
func (b block) checkActions() string {
	ids := map[string]bool{}
	for i, raw := range b.Elements {
		var e struct {
			Type     string      `json:"type"`
			Text     *textObject `json:"text"`
			ActionID string      `json:"action_id"`
			Value    string      `json:"value"`
			URL      string      `json:"url"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return err.Error()
		}
		if e.ActionID != "" && (ids[e.ActionID] || utf8.RuneCountInString(e.ActionID) > maxID) {
			return fmt.Sprintf("element %d: action_id is too long or not unique", i)
		}
		ids[e.ActionID] = true
		if e.Type != "button" {
			continue
		}
		switch {
		case e.Text == nil || e.Text.Type != "plain_text":
			return fmt.Sprintf("element %d: a button needs plain_text", i)
		case utf8.RuneCountInString(e.Value) > maxValue, utf8.RuneCountInString(e.URL) > maxURL:
			return fmt.Sprintf("element %d: value or url is too long", i)
		}
		if why := e.Text.check(maxButton); why != "" {
			return fmt.Sprintf("element %d: %s", i, why)
		}
	}
	return ""
}

func (t textObject) check(limit int) string {
	switch {
	case t.Type != "mrkdwn" && t.Type != "plain_text":
		return fmt.Sprintf("text of type %q", t.Type)
	case t.Text == nil || *t.Text == "":
		return "text is empty"
	case utf8.RuneCountInString(*t.Text) > limit:
		return fmt.Sprintf("%d characters of text", utf8.RuneCountInString(*t.Text))
	case t.Type == "mrkdwn" && t.Emoji != nil:
		return "emoji on mrkdwn"
	case t.Type == "plain_text" && t.Verbatim != nil:
		return "verbatim on plain_text"
	}
	return ""
}
