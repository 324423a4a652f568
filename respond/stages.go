package respond

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/internal/escape"
)

// StageWords names a stage for people who read it on a phone, and have never seen
// a plan.
func StageWords(stage string) string {
	if w, ok := stageWords()[stage]; ok {
		return w
	}
	return stage
}

// PartWords names what a step is there for in as few words: its stage, and where a
// stage keeps different things, which of them.
func PartWords(id, stage string) string {
	switch {
	case strings.HasSuffix(id, "preserve/trail"):
		return StageWords("trail")
	case strings.HasSuffix(id, "preserve/code"):
		return "the code"
	}
	return StageWords(stage)
}

func stageWords() map[string]string {
	return map[string]string{
		"check": "still as approved", "finding": "the finding", "preflight": "permissions", "record": "before-images", "mark": "tags", "protect": "protection from deletion",
		"service": "out of service", "doors": "public addresses", "groups": "security groups", "open": "passage for the switch", "isolate": "isolation",
		"close": "passage closed", "acl": "network ACLs", "credentials": "credentials", "verify": "second look", "contain": "containment", "preserve": "evidence",
		"volatile": "console and metadata", "trail": "events of CloudTrail", "snapshot": "snapshots", "older": "locks of older snapshots", "lock": "snapshot locks",
		"rekey": "keys of snapshots", "share": "shared snapshots", "copy": "snapshot copies", "lock-copy": "locks of copies", "withdraw": "shares withdrawn",
		"hash": "hashes", "hash-original": "hashes of originals", "compare": "copies compared", "volume": "evidence volumes", "attach": "volumes attached",
		"report": "what was preserved", "seal": "evidence manifest", "restore": "as before", "detach": "volumes detached", "delete": "volumes deleted",
		"terminate": "workstation terminated",
	}
}

// preserves reports whether a step is there for the evidence.
func (s Step) preserves() bool {
	return strings.HasPrefix(s.Action, "forensics.") || s.Stage == "trail" || s.Stage == "preserve"
}

// untitled is a message without the titles that it begins with: every surface
// shows the title of the step before it.
func untitled(message string, titles ...string) string {
	for again := true; again; {
		again = false
		for _, t := range titles {
			if rest, ok := strings.CutPrefix(message, t+": "); ok && t != "" {
				message, again = rest, true
			}
		}
	}
	return message
}

// promises reports whether a hint says that something is asked again by itself,
// which is so only while the run lasts.
func promises(hint string) bool {
	return hint == hintAgain || strings.HasPrefix(hint, "it is asked again")
}

// containing is the command for a plan that contains what a step did not.
func containing(p *Plan, s Step) string {
	name := p.Playbook
	if strings.HasPrefix(s.Action, "ec2.") && s.Part == "" {
		name = "ec2-contain" // evidence need not be preserved again for that
	}
	return planned(p, name)
}

// planned is the command for a plan of a playbook for the same resource, to be
// copied into a shell.
func planned(p *Plan, playbook string) string {
	return fmt.Sprintf("guardroom plan create --incident %s --playbook %s --resource %s", p.Incident, playbook, escape.ShellWord(p.Target.ID))
}

func joinHints(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// missing says how to get what a step of a run that has ended did not do.
func missing(p *Plan, s Step) string {
	name := p.Playbook
	if strings.HasPrefix(s.Action, "forensics.") {
		name = "forensics"
	}
	if p.UndoOf != "" {
		return fmt.Sprintf("the run has ended, and AWS is not asked again: guardroom run undo %s makes the plan for what is left", p.UndoOf)
	}
	return "the run has ended, and AWS is not asked again; a new plan does what is missing: " + planned(p, name)
}
