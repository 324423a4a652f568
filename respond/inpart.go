package respond

import (
	"fmt"
	"strings"
)

// InPart returns those lines of what is still open, as Verdict.String makes them,
// that say of something that it is isolated but in part: where there are any, the
// run has contained in part, and people must be told so.
func InPart(stillOpen []string) []string {
	var out []string
	for _, line := range stillOpen {
		if strings.Contains(line, " is "+partly) {
			out = append(out, line)
		}
	}
	return out
}

// ContainedWords is the line about a containment for people: that it is whole, or
// in part and what is left. target is what people call the resource.
func ContainedWords(target string, run RunID, stillOpen []string) string {
	left := InPart(stillOpen)
	if len(left) == 0 {
		return fmt.Sprintf("%s is contained, as a second look at AWS showed (%s)", target, run)
	}
	more := ""
	if n := len(left) - 3; n > 0 {
		left, more = left[:3], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Sprintf("%s is contained in part (%s): %s%s", target, run, strings.ReplaceAll(strings.Join(left, "; "), " is "+partly, ": "), more)
}
