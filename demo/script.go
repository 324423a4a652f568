package demo

import (
	"slices"
	"time"
)

// script is the whole day in order of time.
func script(start time.Time) []beat {
	return slices.Concat(earlyMorning(start), morning(start), noon(start), afternoon(start))
}

// by is somebody who acts on the incident of a finding.
func by(who string, do Verb, finding, text, verdict string) *Act {
	return &Act{Who: who, Do: do, Finding: FindingID(finding), Text: text, Verdict: verdict}
}

const awsCLI = "aws-cli/2.27.4 Python/3.12 Linux/6.8 exe/x86_64"
