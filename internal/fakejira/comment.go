package fakejira

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// comment is POST /issue/{key}/comment.
func (s *Server) comment(i *issue, body []byte) *answer {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(body, &in); err != nil {
		return s.refuse(http.StatusBadRequest, "Can not deserialize: %v", err)
	}
	for k := range in {
		if k != "body" && k != "visibility" && k != "properties" {
			return s.refuse(http.StatusBadRequest, "Unrecognized field %q", k)
		}
	}
	text, plain, problem := s.richText(i, in["body"])
	if problem != "" {
		return badFields(map[string]string{"comment": problem})
	}
	if plain == "" {
		s.violate("400: an empty comment")
		return badFields(map[string]string{"comment": "Comment body can not be empty!"})
	}
	c := s.addComment(i, "guardroom", text, plain)
	return reply(http.StatusCreated, s.showComment(c), "commented "+i.Key)
}

func (s *Server) addComment(i *issue, author, body, text string) Comment {
	s.lastID++
	c := Comment{ID: strconv.Itoa(s.lastID), Author: author, Body: body, Text: text, At: s.opts.Now().UTC()}
	i.Comments = append(i.Comments, c)
	s.touch(i)
	return c
}

func (s *Server) showComment(c Comment) map[string]any {
	var body any = c.Body
	if s.opts.Dialect == Cloud {
		body = json.RawMessage(c.Body)
	}
	return map[string]any{"id": c.ID, "author": map[string]string{"displayName": c.Author}, "body": body}
}

// listComments pages as Jira does: at most 100 a page here, oldest first unless
// asked otherwise.
func (s *Server) listComments(i *issue, r *http.Request) *answer {
	q := r.URL.Query()
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	start, most := number("startAt", 0), min(number("maxResults", 50), 100)
	shown := []map[string]any{}
	for n := start; n < len(i.Comments) && len(shown) < most; n++ {
		at := n
		if q.Get("orderBy") == "-created" {
			at = len(i.Comments) - 1 - n
		}
		shown = append(shown, s.showComment(i.Comments[at]))
	}
	return reply(http.StatusOK, map[string]any{"startAt": start, "maxResults": most, "total": len(i.Comments), "comments": shown}, "")
}
