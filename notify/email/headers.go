package email

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify/message"
)

// headerValue is text that may stand in a header: one line of visible
// characters. The only ways to one are headerOf and headerText, so that CR, LF
// and NUL cannot get in.
type headerValue struct{ s string }

// maxSubject keeps subjects below what clients show and servers fold.
const maxSubject = 200

// headerOf makes s a headerValue.
func headerOf(s string) headerValue {
	s = escape.Visible(s)
	// An encoded word that somebody else wrote would be decoded by the reader's
	// client into whatever it hides.
	s = strings.ReplaceAll(s, "=?", "= ?")
	return headerValue{escape.CutEnd(strings.Join(strings.Fields(s), " "), maxSubject)}
}

func headerText(t message.Text) headerValue {
	return headerOf(t.Render(escape.Visible, harmless))
}

// String returns the value before encoding.
func (h headerValue) String() string { return h.s }

// subject is constant over the life of an incident: several clients thread by
// it. The caller keeps the first one.
func subject(v *message.View) headerValue {
	head := headerText(v.Headline).String()
	switch v.Kind {
	case message.KindIncident:
		return headerOf(fmt.Sprintf("[%s] %s %s", strings.ToUpper(v.OpeningBand.String()), v.Number, head))
	case message.KindTest:
		return headerOf("[TEST] " + head)
	}
	return headerOf(fmt.Sprintf("[%s] %s", strings.ToUpper(v.OpeningBand.String()), head))
}

// envelope holds what is above the body of one mail.
type envelope struct {
	subject   headerValue
	messageID string // without angle brackets
	rootID    string // of the thread; equal to messageID in its first mail
	date      time.Time
	list      headerValue
	incident  headerValue
}

// rootID is the Message-ID of an incident's first mail.
func rootID(v *message.View, domain string) string { return idPart(string(v.Incident)) + "@" + domain }

// replyID is the Message-ID of a later mail.
func replyID(v *message.View, revision int64, domain string) string {
	return fmt.Sprintf("%s.%d@%s", idPart(string(v.Incident)), revision, domain)
}

// idPart makes an id safe for a Message-ID. Incident ids are ULIDs; those of
// notices may hold names.
func idPart(id string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, id)
	if safe == "" {
		return "none"
	}
	return safe
}
