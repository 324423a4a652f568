package forensics

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
)

// words are how people call what a step leaves: beside what it depends on, and by
// itself with the ids of volumes.
type words struct{ one, many, alone, together string }

// wordsOf are those of a stage about one volume; empty for another stage.
func wordsOf(stage string) words {
	switch stage {
	case stageSnapshot:
		return words{"snapshot", "snapshots", "snapshot of %s", "snapshots of %s"}
	case stageLock:
		return words{"lock", "locks", "lock of the snapshot of %s", "locks of the snapshots of %s"}
	case stageLockCopy:
		return words{"lock of the copy", "locks of the copies", "lock of the copy of %s", "locks of the copies of %s"}
	case stageRekey, stageShare, stageCopy:
		return words{"copy", "copies", "copy of the snapshot of %s", "copies of the snapshots of %s"}
	case stageHash:
		return words{"hash", "hashes", "hash of the snapshot of %s", "hashes of the snapshots of %s"}
	case stageOriginal:
		return words{"hash of the original", "hashes of the originals", "hash of the original snapshot of %s", "hashes of the original snapshots of %s"}
	case stageCompare:
		return words{"comparison with the original", "comparisons with the originals", "proof that the copy of %s is like its original", "proof that the copies of %s are like their originals"}
	case stageVolume:
		return words{"working copy", "working copies", "working copy of %s", "working copies of %s"}
	case stageAttach:
		return words{"attachment", "attachments", "attachment of the working copy of %s", "attachments of the working copies of %s"}
	}
	return words{}
}

// instanceWords are how people call what a step takes of the instance.
func instanceWords(id string) string {
	switch id {
	case StepScreenshot:
		return "picture of the console"
	case StepConsole:
		return "console output"
	case StepMetadata:
		return "description by AWS"
	case StepUserData:
		return "user data"
	case StepTrail:
		return "events of CloudTrail"
	case StepMemory:
		return "memory"
	case StepOlder:
		return "locks of older snapshots"
	}
	return ""
}

// loss is what a step of the acquisition did not leave.
type loss struct {
	id    string // of the step
	root  string // the step that it waited for, or itself
	cause string // what that one failed of
}

// volume is the volume that the step is about; empty: none.
func (l loss) volume() string {
	stage, volume, _ := strings.Cut(l.id, "/")
	if wordsOf(stage).one == "" || !strings.HasPrefix(volume, "vol-") {
		return ""
	}
	return volume
}

// lost states what the acquisition lacks: what every step that did not come to its
// end would have left, once for each cause.
func lost(x *respond.Exec, instance string) error {
	for _, g := range gapsOf(losses(x), instance) {
		if err := lack(x, g); err != nil {
			return err
		}
	}
	return notTaken(x, instance)
}

// notTaken states what the evidence bucket did not take, and the store has.
func notTaken(x *respond.Exec, instance string) error {
	var list []loss
	for _, s := range x.Plan.Steps {
		rec, _ := x.Record(localID(s))
		var why string
		if s.Part == x.Def.Part && rec.Load(savedRefused, &why) && rec.State == playbook.Completed {
			list = append(list, loss{id: localID(s), root: localID(s), cause: causeOf(why, s.Title)})
		}
	}
	for _, g := range gapsOf(list, instance) {
		if err := lack(x, evidence.Gap{What: g.What + ", in the evidence bucket", Why: g.Why + "; guardroom's store has what was read"}); err != nil {
			return err
		}
	}
	return nil
}

func lack(x *respond.Exec, g evidence.Gap) error {
	if strings.Contains(g.Why, " S3.") {
		g.Why = "evidence bucket " + x.Policy.Evidence.Bucket + ": " + g.Why
	}
	return x.Lack(g.What, g.Why)
}

// losses are those of the acquisition, in the order of the plan.
func losses(x *respond.Exec) []loss {
	var out []loss
	bad := map[string]loss{}
	without := map[string]string{} // volumes without a snapshot, and why
	for _, s := range x.Plan.Steps {
		id := localID(s)
		if s.Part != x.Def.Part || !strings.HasPrefix(s.Action, "forensics.") || id == StepReport || stageOf(id) == stageWithdraw {
			continue
		}
		rec, ok := x.Record(id)
		l := loss{id: id, root: id, cause: "it was not begun"}
		if ok && rec.Message != "" {
			l.cause = causeOf(rec.Message, s.Title)
		}
		if id == StepSnapshots {
			without = unsnapped(s, rec, l.cause)
			continue
		}
		if rec.State == playbook.Completed {
			continue
		}
		if why, is := without[l.volume()]; is {
			l.root, l.cause = of(stageSnapshot, l.volume()), why
		} else if need := firstBad(s, bad); need != "" {
			l.root, l.cause = bad[need].root, bad[need].cause
		}
		bad[s.ID] = l
		out = append(out, l)
	}
	return out
}

// unsnapped are the volumes of the plan of which the set holds no snapshot.
func unsnapped(s respond.Step, rec playbook.Record, cause string) map[string]string {
	var p setParams
	if err := json.Unmarshal(s.Params, &p); err != nil {
		return nil // the step says so, and those that need it
	}
	var failed map[string]string
	var by map[string]made
	rec.Load(savedFailed, &failed)
	rec.Load(savedSnapshots, &by)
	if rec.State == playbook.Completed {
		cause = notAttached
	}
	out := map[string]string{}
	for _, v := range p.Volumes {
		if why := failed[v.ID]; why != "" {
			out[v.ID] = why
		} else if _, ok := by[v.ID]; !ok || rec.State != playbook.Completed {
			out[v.ID] = cause
		}
	}
	return out
}

// firstBad is the first step that a step needs and that did not come to its end.
func firstBad(s respond.Step, bad map[string]loss) string {
	for _, n := range s.Needs {
		if _, is := bad[n]; is {
			return n
		}
	}
	return ""
}

// gapsOf says in words what is lost: one gap for each cause, with all that would
// have come of it.
func gapsOf(list []loss, instance string) []evidence.Gap {
	var out []evidence.Gap
	var causes []string
	for _, l := range list {
		if !slices.Contains(causes, l.cause) {
			causes = append(causes, l.cause)
		}
	}
	for _, cause := range causes {
		var roots, rest []loss
		for _, l := range list {
			switch {
			case l.cause != cause:
			case l.id == l.root:
				roots = append(roots, l)
			default:
				rest = append(rest, l)
			}
		}
		out = append(out, evidence.Gap{What: missed(roots, instance), Why: cause + follows(roots, rest)})
	}
	return out
}

// missed names what the steps would have left.
func missed(roots []loss, instance string) string {
	var parts, ofInstance []string
	for _, l := range roots {
		if w := instanceWords(l.id); w != "" {
			ofInstance = append(ofInstance, w)
		}
	}
	if len(ofInstance) > 0 {
		parts = append(parts, listOfWords(ofInstance)+" of "+instance)
	}
	if slices.ContainsFunc(roots, func(l loss) bool { return stageOf(l.id) == StepWorkstation }) {
		parts = append(parts, "workstation")
	}
	for _, g := range byWords(roots) {
		text := g.words.alone
		if len(g.volumes) > 1 {
			text = g.words.together
		}
		parts = append(parts, fmt.Sprintf(text, listOfWords(g.volumes)))
	}
	return strings.Join(parts, "; ")
}

// follows says what else is missing because of it.
func follows(roots, rest []loss) string {
	first, groups := byWords(roots), byWords(rest)
	groups = slices.DeleteFunc(groups, func(g called) bool {
		return slices.ContainsFunc(first, func(f called) bool { return f.words == g.words })
	})
	if len(groups) == 0 {
		return ""
	}
	var origin, volumes []string
	for _, g := range first {
		origin = append(origin, g.volumes...)
	}
	for _, l := range rest {
		if v := l.volume(); v != "" && !slices.Contains(volumes, v) {
			volumes = append(volumes, v)
		}
	}
	slices.Sort(volumes)
	own := !slices.ContainsFunc(volumes, func(v string) bool { return !slices.Contains(origin, v) })
	var nouns []string
	for _, g := range groups {
		noun := g.words.one
		if len(volumes) > 1 {
			noun = g.words.many
		}
		nouns = append(nouns, noun)
	}
	verb := " are missing as well"
	if len(nouns) == 1 && len(volumes) == 1 {
		verb = " is missing as well"
	}
	switch {
	case own && len(volumes) == 1:
		return "; so its " + listOfWords(nouns) + verb
	case own:
		return "; so their " + listOfWords(nouns) + verb
	}
	return "; so the " + listOfWords(nouns) + " of " + listOfWords(volumes) + verb
}

// called is the volumes of which the same is missing.
type called struct {
	words   words
	volumes []string
}

// byWords puts together what has the same words.
func byWords(list []loss) []called {
	var out []called
	for _, l := range list {
		v := l.volume()
		if v == "" {
			continue
		}
		w := wordsOf(stageOf(l.id))
		i := slices.IndexFunc(out, func(c called) bool { return c.words == w })
		if i < 0 {
			i, out = len(out), append(out, called{words: w})
		}
		if !slices.Contains(out[i].volumes, v) {
			out[i].volumes = append(out[i].volumes, v)
		}
	}
	for _, c := range out {
		slices.Sort(c.volumes)
	}
	return out
}

var (
	// answered is where the words of AWS, or about it, begin in an error.
	answered = regexp.MustCompile(`AWS answered [A-Z]|[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+(: no answer \(| was answered with HTTP status )`)
	silent   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+: no answer \((.*?)( by [^ )]+)?\)$`)
)

// causeOf is what a step failed of, without what it was about to do.
func causeOf(message string, title string) string {
	for _, before := range []string{title + ": ", title + ": ", "cannot, because ", "not begun: ", "stopped: "} {
		message = strings.TrimPrefix(message, before)
	}
	if at := answered.FindStringIndex(message); at != nil {
		message = message[at[0]:]
	}
	if why := silent.FindStringSubmatch(message); why != nil {
		return "AWS did not answer (" + why[1] + ")"
	}
	return message
}

// listOfWords is a, b and c.
func listOfWords(list []string) string {
	n := len(list)
	if n < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
}

var volumeID = regexp.MustCompile(`\bvol-[0-9a-z]+\b`)

// putTogether makes one gap of those that differ in the volume only.
func putTogether(list []evidence.Gap) []evidence.Gap {
	var out []evidence.Gap
	volumes := map[int][]string{}
	form := func(g evidence.Gap) (string, []string) {
		return volumeID.ReplaceAllString(g.What, "%"), volumeID.FindAllString(g.What, -1)
	}
	for _, g := range list {
		what, ids := form(g)
		i := slices.IndexFunc(out, func(o evidence.Gap) bool { return o.Why == g.Why && o.What == what })
		if i < 0 || len(ids) != 1 {
			i, out = len(out), append(out, evidence.Gap{What: what, Why: g.Why})
			if len(ids) != 1 {
				out[i].What = g.What
				continue
			}
		}
		volumes[i] = append(volumes[i], ids[0])
	}
	for i, ids := range volumes {
		slices.Sort(ids)
		out[i].What = strings.Replace(out[i].What, "%", listOfWords(ids), 1)
	}
	return out
}
