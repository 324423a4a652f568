package finding

import "strings"

// readAnomaly joins service.detection.anomaly with what the older findings keep
// in additionalInfo. It returns nil if there is neither.
func readAnomaly(v value, in info) *Anomaly {
	a := in.anomaly
	for _, entity := range v.object("profiles").children() {
		for _, feature := range entity.children() {
			if feature.kind() == jsonObject {
				a.Profiled = append(a.Profiled, readFact(entity.key(), feature.key(), feature))
				continue
			}
			for _, e := range feature.children() {
				a.Profiled = append(a.Profiled, readFact(entity.key(), feature.key(), e))
			}
		}
	}
	for _, entity := range v.object("unusual").object("behavior").children() {
		for _, feature := range entity.children() {
			a.Unusual = append(a.Unusual, readFact(entity.key(), feature.key(), feature))
		}
	}
	if a.Profiled == nil && a.Unusual == nil && a.APIs == nil {
		return nil
	}
	sortFacts(a.Profiled)
	sortFacts(a.Unusual)
	return &a
}

func readFact(entity, feature string, v value) AnomalyFact {
	f := AnomalyFact{Entity: entity, Feature: feature}
	if v.kind() != jsonObject {
		f.Values = plainValues(v)
		return f
	}
	f.Frequency = v.text("profileSubtype")
	f.Values = v.object("observations").texts("text")
	return f
}

// The keys of the older form are {rare|infrequent|frequent}Profiled{Feature}
// {Scope}Profiling and unusual{Feature}{Scope}Profiling.

func readProfiled(v value) []AnomalyFact {
	var all []AnomalyFact
	for _, m := range v.children() {
		f := AnomalyFact{Feature: m.key(), Values: plainValues(m)}
		if len(f.Values) == 0 {
			continue
		}
		if frequency, rest, ok := cutFold(m.key(), "Profiled"); ok {
			f.Frequency = strings.ToUpper(frequency)
			f.Feature, f.Entity = splitScope(rest)
		}
		all = append(all, f)
	}
	return all
}

func readUnusual(v value) []AnomalyFact {
	var all []AnomalyFact
	for _, m := range v.children() {
		f := AnomalyFact{Feature: lowerFirst(m.key()), Values: plainValues(m)}
		if len(f.Values) == 0 {
			continue
		}
		if before, rest, ok := cutFold(m.key(), "unusual"); ok && before == "" {
			f.Feature, f.Entity = splitScope(rest)
		}
		all = append(all, f)
	}
	return all
}

// cutFold cuts s around the first sep, without regard to case.
func cutFold(s, sep string) (before, after string, ok bool) {
	for i := 0; i+len(sep) <= len(s); i++ {
		if foldEqual(s[i:i+len(sep)], sep) {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// splitScope splits APIsAccountProfiling into APIs and Account.
func splitScope(s string) (feature, scope string) {
	s, ok := strings.CutSuffix(s, "Profiling")
	if !ok {
		return s, ""
	}
	for _, scope := range [...]string{"UserIdentity", "Account", "Cluster", "Organization", "Bucket", "Database", "Instance"} {
		if feature, ok := strings.CutSuffix(s, scope); ok {
			return feature, scope
		}
	}
	return s, ""
}

// plainValues splits the values that one text joins with " , ". Objects become
// name=value.
func plainValues(v value) []string {
	switch v.kind() {
	case jsonNull:
		return nil
	case jsonObject, jsonList:
		var out []string
		for _, p := range flatten(nil, "", v, 0) {
			name := strings.TrimPrefix(p.Name, ".")
			if name == "" {
				out = append(out, p.Value)
			} else {
				out = append(out, name+"="+p.Value)
			}
		}
		return out
	}
	var out []string
	for s := range strings.SplitSeq(v.word(), " , ") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// parseAPIs reads the mini-grammar of anomalousAPIs:
//
//	service:[Api:Result , Api:Result] , service:[Api:Result]
//
// The result is success or an error code. It reports false for anything else.
func parseAPIs(s string) ([]Property, bool) {
	var out []Property
	s = strings.TrimSpace(s)
	for s != "" {
		service, rest, ok := strings.Cut(s, ":[")
		if !ok {
			return nil, false
		}
		calls, after, ok := strings.Cut(rest, "]")
		if !ok {
			return nil, false
		}
		for call := range strings.SplitSeq(calls, ",") {
			call = strings.TrimSpace(call)
			if call == "" {
				continue
			}
			api, result, _ := strings.Cut(call, ":")
			out = append(out, Property{Name: strings.TrimSpace(service) + ":" + strings.TrimSpace(api), Value: strings.TrimSpace(result)})
			if len(out) > maxProperties {
				return out, true
			}
		}
		s = strings.TrimLeft(after, " ,")
	}
	return out, len(out) > 0
}
