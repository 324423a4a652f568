package finding

import "strings"

// placeholder begins the made-up words of CreateSampleFindings.
const placeholder = "GeneratedFinding"

// isSample reports whether GuardDuty was asked to generate the finding, or
// somebody made it by hand from such a one. Any one sign is enough.
//
// One exception, because samples never page: words that an attacker can choose
// (user agents, tags, names of files, domains) are no sign. A user's name is
// one only where the principal is none of a real user.
func isSample(f *Finding, v value, in info) bool {
	if in.sample || in.hole || strings.HasPrefix(strings.TrimSpace(f.Title), "[SAMPLE]") {
		return true
	}
	if in := f.Instance(); in != nil && in.ID == "i-99999999" {
		return true
	}
	return strings.Contains(v.raw(), placeholder) && hasPlaceholder(v)
}

func hasPlaceholder(v value) bool {
	t := v.t
	last := t.nodes[v.i].after
	looked := 0
	for i := v.i; i < last; i++ {
		n := &t.nodes[i]
		if n.kind != jsonString || !strings.HasPrefix(t.src[n.start:n.end], placeholder) {
			continue
		}
		if looked++; looked > maxUnique {
			return false
		}
		if !chosenByAttacker(value{t, i}) {
			return true
		}
	}
	return false
}

// chosenByAttacker reports whether somebody outside can choose the text.
func chosenByAttacker(v value) bool {
	for at := v; at.i >= v.t.root && at.i >= 0; at = (value{v.t, at.node().parent}) {
		if at.node().parent < 0 || at.i == v.t.root {
			return false
		}
		switch strings.ToLower(at.key()) {
		case "useragent", "fulluseragent", "tags", "domain", "domainwithsuffix", "runtimedetails",
			"requesturi", "parameters", "resourcename", "kubernetesworkloaddetails", "containers", "containerdetails",
			"s3objectdetails", "threats", "scandetections", "user", "application", "database", "kubernetesuserdetails",
			"title", "description", "profiledbehavior", "unusualbehavior", "profiles", "behavior":
			return true
		case "username":
			if id := (value{v.t, at.node().parent}).get("principalId").word(); realPrincipal(id) {
				return true
			}
		}
	}
	return false
}

// realPrincipal reports whether an id has the form of IAM's.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func realPrincipal(id string) bool {
	id, _, _ = strings.Cut(id, ":")
	return len(id) >= 16 && (strings.HasPrefix(id, "AIDA") || strings.HasPrefix(id, "AROA")) || len(id) == 12 && allDigits(id)
}
