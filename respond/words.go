package respond

import (
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/playbook"
)

func summarize(state RunState, steps int, counts map[playbook.State]int, failed []string, stays string) string {
	s := fmt.Sprintf("%d of %s completed", counts[playbook.Completed], count(steps, "step"))
	if n := counts[playbook.Skipped]; n > 0 {
		s += fmt.Sprintf(", %d skipped", n)
	}
	if len(failed) > 0 {
		s += fmt.Sprintf(", %d failed: %s", len(failed), strings.Join(failed, ", "))
	}
	if state == RunAborted {
		s += "; aborted, " + stays
	}
	return s
}
