package fakeslack

import (
	"encoding/json"
	"slices"
)

// Delete is a person deleting a message. It reports whether it was there.
func (s *Server) Delete(channel, ts string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.message(channel, ts)
	if m == nil {
		return false
	}
	m.Deleted = true
	return true
}

// Say is a person or another app posting to a channel; metadata may be nil. It
// returns the ts.
func (s *Server) Say(channel, text string, metadata json.RawMessage) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Message{Channel: channel, Text: text, Metadata: metadata}
	s.add(m)
	return m.TS
}

// SetChannel replaces what the workspace knows of the channel with this id, or
// adds it.
func (s *Server) SetChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.channels {
		if old.ID == c.ID {
			*old = c
			return
		}
	}
	s.channels = append(s.channels, &c)
}

// SetScopes replaces the scopes of the bot, as a reinstallation does.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Scopes = slices.Clone(scopes)
}

// SetToken replaces the bot's token, as a rotation does.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Token = token
}
