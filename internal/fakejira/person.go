package fakejira

import (
	"encoding/json"
	"slices"
)

// What people do in Jira. Each reports whether there is such an issue.

// EditDescription is a person replacing the description by a text.
func (s *Server) EditDescription(key, text string) bool {
	return s.person(key, func(i *issue) {
		i.Description, i.Text = s.written(text), text
	})
}

// TickTask is a person ticking the first open task of the description. It
// reports false also where there is none.
func (s *Server) TickTask(key string) bool {
	ticked := false
	s.person(key, func(i *issue) {
		var doc adfNode
		if json.Unmarshal([]byte(i.Description), &doc) != nil {
			return
		}
		if ticked = doc.tick(); ticked {
			i.Description = doc.encode()
		}
	})
	return ticked
}

// EditSummary is a person changing the summary.
func (s *Server) EditSummary(key, summary string) bool {
	return s.person(key, func(i *issue) { i.Summary = summary })
}

// SetPriority is a person choosing a priority by name.
func (s *Server) SetPriority(key, name string) bool {
	return s.person(key, func(i *issue) { i.Priority = name })
}

// AddComment is a person saying something.
func (s *Server) AddComment(key, text string) bool {
	return s.person(key, func(i *issue) { s.addComment(i, "ana", s.written(text), text) })
}

// SetStatus is a person or a rule of the site changing the status, whatever the
// workflow says.
func (s *Server) SetStatus(key, name string) bool {
	known := false
	s.person(key, func(i *issue) {
		if st := s.opts.Workflow.status(name); st != nil {
			i.status, known = st, true
		}
	})
	return known
}

// Delete is a person deleting an issue.
func (s *Server) Delete(key string) bool {
	return s.person(key, func(i *issue) { i.deletedAt = s.opts.Now() })
}

// Move is a person moving an issue to another project. It returns the new key;
// the id stays, and the old key still leads to it.
func (s *Server) Move(key, project string) (newKey string) {
	s.person(key, func(i *issue) {
		if p := s.project(project); p != nil {
			i.earlier = append(slices.Clone(i.earlier), i.Key)
			i.project, i.Project, i.Key = p, p.Key, s.nextKey(p)
			newKey = i.Key
		}
	})
	return newKey
}

// LoginPage makes every request be answered by a page of HTML, as behind a
// single sign-on that has lost the session.
func (s *Server) LoginPage(on bool) {
	s.switchTo(&s.login, on)
}

// Captcha makes every request be refused until a person has logged in once, as
// Server and Data Center do after wrong passwords.
func (s *Server) Captcha(on bool) { s.switchTo(&s.captcha, on) }

// ReadOnly takes away the permission to write anything.
func (s *Server) ReadOnly(on bool) { s.switchTo(&s.readOnly, on) }

// NoComments takes away the permission to comment.
func (s *Server) NoComments(on bool) { s.switchTo(&s.noComments, on) }

func (s *Server) switchTo(what *bool, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = on
}

// SetToken changes the credential that is taken from now on.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Token = token
}

func (s *Server) person(key string, change func(*issue)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(key)
	if i == nil {
		return false
	}
	change(i)
	s.touch(i)
	return true
}

// written is a person's text in the form of the dialect.
func (s *Server) written(text string) string {
	if s.opts.Dialect == DataCenter {
		return normalWiki(text)
	}
	doc := adfNode{Type: "doc", Version: 1, Content: []adfNode{{Type: "paragraph", Content: []adfNode{{Type: "text", Text: text}}}}}
	return doc.encode()
}
