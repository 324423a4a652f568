package fakeslack

import (
	"encoding/json"
	"slices"
	"strconv"
)

// readable returns the channel when the bot may read what was said there.
func (s *Server) readable(method, channel string) (*Channel, *answer) {
	if a := s.need("channels:history", "groups:history"); a != nil {
		return nil, a
	}
	if !idForm.MatchString(channel) {
		return nil, s.refuse(method, "channel_not_found", "%q is no channel id", channel)
	}
	c := s.find(channel, false)
	if c == nil || c.Private && !c.Member {
		return nil, word(method, "channel_not_found")
	}
	scope := "channels:history"
	if c.Private {
		scope = "groups:history"
	}
	if a := s.need(scope); a != nil {
		return nil, a
	}
	if !c.Member {
		return nil, word(method, "not_in_channel")
	}
	return c, nil
}

// page cuts one page out of a list and returns the cursor of the next.
func page[T any](args map[string]json.RawMessage, all []T, usual, most int) (part []T, cursor string, ok bool) {
	limit, from := usual, 0
	if v := str(args, "limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > most {
			return nil, "", false
		}
		limit = n
	}
	if v := str(args, "cursor"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > len(all) {
			return nil, "", false
		}
		from = n
	}
	to := min(from+limit, len(all))
	if to < len(all) {
		cursor = strconv.Itoa(to)
	}
	return all[from:to], cursor, true
}

// within reports whether ts lies in the asked range. Stamps of this server have
// the same length, so that they compare as strings; those asked may be shorter.
func within(args map[string]json.RawMessage, ts string) bool {
	value, _ := strconv.ParseFloat(ts, 64)
	inclusive := truth(args, "inclusive")
	if v := str(args, "oldest"); v != "" {
		oldest, err := strconv.ParseFloat(v, 64)
		if err == nil && (value < oldest || value == oldest && !inclusive) {
			return false
		}
	}
	if v := str(args, "latest"); v != "" {
		latest, err := strconv.ParseFloat(v, 64)
		if err == nil && (value > latest || value == latest && !inclusive) {
			return false
		}
	}
	return true
}

func (s *Server) history(args map[string]json.RawMessage) *answer {
	const method = "conversations.history"
	if wait := s.overCalls(method); wait != "" {
		return limited(wait)
	}
	c, a := s.readable(method, str(args, "channel"))
	if a != nil {
		return a
	}
	var found []map[string]any
	for _, m := range s.messages {
		if m.Channel == c.ID && !m.Deleted && (m.ThreadTS == "" || m.Broadcast) && within(args, m.TS) {
			found = append(found, m.public(truth(args, "include_all_metadata")))
		}
	}
	slices.Reverse(found) // newest first
	return s.paged(method, args, found, "messages", 100, 999)
}

func (s *Server) replies(args map[string]json.RawMessage) *answer {
	const method = "conversations.replies"
	if wait := s.overCalls(method); wait != "" {
		return limited(wait)
	}
	c, a := s.readable(method, str(args, "channel"))
	if a != nil {
		return a
	}
	ts := str(args, "ts")
	root := s.message(c.ID, ts)
	if root == nil {
		return word(method, "thread_not_found")
	}
	metadata := truth(args, "include_all_metadata")
	found := []map[string]any{root.public(metadata)}
	for _, m := range s.messages {
		if m.Channel == c.ID && !m.Deleted && m.ThreadTS == ts && within(args, m.TS) {
			found = append(found, m.public(metadata))
		}
	}
	return s.paged(method, args, found, "messages", 1000, 1000)
}

func (s *Server) paged(method string, args map[string]json.RawMessage, all []map[string]any, key string, usual, most int) *answer {
	part, cursor, ok := page(args, all, usual, most)
	if !ok {
		return s.refuse(method, "invalid_cursor", "limit %q, cursor %q", str(args, "limit"), str(args, "cursor"))
	}
	if part == nil {
		part = []map[string]any{}
	}
	return reply(map[string]any{
		key: part, "has_more": cursor != "", "response_metadata": map[string]any{"next_cursor": cursor},
	}, "")
}

func (c *Channel) public() map[string]any {
	return map[string]any{"id": c.ID, "name": c.Name, "is_private": c.Private, "is_archived": c.Archived, "is_member": c.Member}
}

func (s *Server) info(args map[string]json.RawMessage) *answer {
	const method = "conversations.info"
	if a := s.need("channels:read", "groups:read"); a != nil {
		return a
	}
	c := s.find(str(args, "channel"), false)
	if c == nil || c.Private && !c.Member {
		return word(method, "channel_not_found")
	}
	return reply(map[string]any{"channel": c.public()}, "")
}

func (s *Server) list(args map[string]json.RawMessage) *answer {
	const method = "conversations.list"
	if a := s.need("channels:read", "groups:read"); a != nil {
		return a
	}
	if wait := s.overCalls(method); wait != "" {
		return limited(wait)
	}
	var found []map[string]any
	for _, c := range s.channels {
		scope := "channels:read"
		if c.Private {
			scope = "groups:read"
		}
		if slices.Contains(s.opts.Scopes, scope) && (!c.Private || c.Member) && (!c.Archived || !truth(args, "exclude_archived")) {
			found = append(found, c.public())
		}
	}
	return s.paged(method, args, found, "channels", 100, 999)
}

func (s *Server) authTest() *answer {
	return reply(map[string]any{
		"url": workspaceAddress, "team": "Example", "user": "guardroom",
		"team_id": "T0FAKE001", "user_id": "U0FAKEBOT1", "bot_id": "B0FAKEBOT1",
	}, "")
}
