package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/internal/escape"
	"github.com/guardroom/guardroom/notify"
)

// defaultPriorities are the names that an account begins with.
var defaultPriorities = [...]string{
	finding.Informational: "", finding.Low: "P4", finding.Medium: "P3", finding.High: "P2", finding.Critical: "P1",
}

// priorityName returns the configured name for a band.
func priorityName(configured map[string]string, b finding.Band) string {
	for word, name := range configured {
		if strings.EqualFold(word, b.String()) {
			return name
		}
	}
	if b < finding.Informational || b > finding.Critical {
		return ""
	}
	return defaultPriorities[b]
}

// priorities knows the account's list for an hour.
type priorities struct {
	configured map[string]string
	now        func() time.Time
	keep       time.Duration
	list       func(context.Context) (map[string]string, error)

	mu     sync.Mutex
	ids    map[string]string // lower-case name -> id
	until  time.Time
	warned map[string]bool
}

func newPriorities(configured map[string]string, now func() time.Time, scale float64, list func(context.Context) (map[string]string, error)) *priorities {
	return &priorities{configured: configured, now: now, keep: time.Duration(float64(time.Hour) / scale), list: list, warned: map[string]bool{}}
}

// of returns the id of the priority for b, or nothing and, once for each
// reason, a warning. A page without priority is better than none, so no failure
// here holds it up.
func (p *priorities) of(ctx context.Context, b finding.Band) (id, warning string) {
	name := priorityName(p.configured, b)
	if name == "" {
		return "", ""
	}
	ids, err := p.current(ctx)
	if err != nil {
		return "", p.warn("list", fmt.Sprintf("the priority was left out: %v", err))
	}
	if id := ids[strings.ToLower(name)]; id != "" {
		return id, ""
	}
	return "", p.warn(name, fmt.Sprintf("the priority was left out: the account has none named %q", escape.Visible(name)))
}

func (p *priorities) current(ctx context.Context) (map[string]string, error) {
	p.mu.Lock()
	ids, fresh := p.ids, p.now().Before(p.until)
	p.mu.Unlock()
	if ids != nil && fresh {
		return ids, nil
	}
	got, err := p.list(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if p.ids != nil {
			return p.ids, nil // an old list is better than none
		}
		return nil, err
	}
	p.ids, p.until = got, p.now().Add(p.keep)
	delete(p.warned, "list")
	return got, nil
}

func (p *priorities) warn(reason, text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warned[reason] {
		return ""
	}
	p.warned[reason] = true
	return text
}

// listPriorities reads the account's priorities. An account in which they are
// switched off answers 404: it has none.
func (r *rest) listPriorities(ctx context.Context) (map[string]string, error) {
	var list struct {
		Priorities []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"priorities"`
	}
	err := r.get(ctx, "/priorities?limit=100", "list the priorities", &list)
	if e := (*notify.Error)(nil); errors.As(err, &e) && e.Reason == "not_found" {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, p := range list.Priorities {
		ids[strings.ToLower(p.Name)] = p.ID
	}
	return ids, nil
}
