package respond

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Subject is what a plan is about, in the words of people: payments-api-3
// (i-0f3c9d2a1b), or where only one session of a role is denied, that session: the
// role itself is not contained, and its other sessions go on.
func Subject(p *Plan) string {
	if s, ok := session(p); ok {
		return s
	}
	name := targetName(p.Target)
	if n := len(p.Parts) - 1; n > 0 { // the target is one of them
		name += fmt.Sprintf(" and %d more", n)
	}
	return name
}

// GoesOn is what goes on although the subject of the plan is contained; empty
// where nothing of the target does.
func GoesOn(p *Plan) string {
	if _, ok := session(p); ok {
		return "other sessions of " + p.Target.Name + " go on"
	}
	return ""
}

// session names the one session that a plan denies, where that is all it contains.
func session(p *Plan) (string, bool) {
	if len(p.Parts) > 0 {
		return "", false
	}
	for _, s := range p.Steps {
		var of struct {
			Role   string `json:"role"`
			UserID string `json:"user_id"`
		}
		if s.Action != "iam.deny-session" || json.Unmarshal(s.Params, &of) != nil {
			continue
		}
		if _, name, ok := strings.Cut(of.UserID, ":"); ok {
			return "session " + name + " of role " + of.Role, true
		}
	}
	return "", false
}
