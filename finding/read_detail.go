package finding

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

func itoa(i int) string { return strconv.Itoa(i) }

// readThreats reads the threat lists; lists that repeat are joined.
func readThreats(evidence value) []Threat {
	var all []Threat
	for _, e := range evidence.objects("threatIntelligenceDetails") {
		t := Threat{ListName: e.text("threatListName"), FileSHA256: e.text("threatFileSha256")}
		at := -1
		for i := range min(len(all), maxUnique) {
			if all[i].ListName == t.ListName && all[i].FileSHA256 == t.FileSHA256 {
				at = i
			}
		}
		if at < 0 {
			all = append(all, t)
			at = len(all) - 1
		}
		for _, name := range e.texts("threatNames") {
			all[at].Names = addOnce(all[at].Names, name)
		}
	}
	return all
}

// maxUnique bounds the lists without duplicates; more is no real finding.
const maxUnique = 1000

// addOnce appends s unless it is empty or there already.
func addOnce(all []string, s string) []string {
	if s == "" || len(all) >= maxUnique {
		return all
	}
	if slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}

// readScan reads whichever block of a malware scan there is.
func readScan(service value) *Scan {
	if d := service.object("ebsVolumeScanDetails"); d.present() {
		return readVolumeScan(d)
	}
	if d := service.object("malwareScanDetails"); d.present() {
		return readMalwareScan(d)
	}
	return nil
}

func readVolumeScan(d value) *Scan {
	det := d.object("scanDetections")
	byName := det.object("threatDetectedByName")
	s := &Scan{
		ID: d.text("scanId"), Type: d.text("scanType"), TriggerFindingID: d.text("triggerFindingId"),
		StartedAt: d.time("scanStartedAt"), CompletedAt: d.time("scanCompletedAt"), Sources: d.texts("sources"),
		FilesScanned: det.object("scannedItemCount").integer("files"),
		ThreatFiles:  det.object("threatsDetectedItemCount").integer("files"),
		Truncated:    byName.isTrue("shortened"),
	}
	for _, e := range byName.objects("threatNames") {
		m := MalwareThreat{Name: e.text("name"), Severity: e.text("severity"), Count: e.integer("itemCount")}
		for _, p := range e.objects("filePaths") {
			m.Files = append(m.Files, MalwareFile{
				Path: p.text("filePath"), Name: p.text("fileName"), SHA256: p.text("hash"), Resource: p.text("volumeArn"),
			})
		}
		s.Threats = append(s.Threats, m)
	}
	if h := det.object("highestSeverityThreatDetails"); h.present() && len(s.Threats) == 0 {
		s.Threats = append(s.Threats, MalwareThreat{Name: h.text("threatName"), Severity: h.text("severity"), Count: h.integer("count")})
	}
	return s
}

func readMalwareScan(d value) *Scan {
	s := &Scan{
		ID: d.text("scanId"), Type: d.text("scanType"), Category: d.text("scanCategory"),
		TriggerFindingID: d.text("triggerFindingId"),
		StartedAt:        d.time("scanStartedAt"), CompletedAt: d.time("scanCompletedAt"),
		TriggerType:         d.object("scanConfiguration").text("triggerType"),
		BaselineResourceARN: d.object("scanConfiguration").object("incrementalScanDetails").text("baselineResourceArn"),
		UniqueThreats:       d.integer("uniqueThreatCount"),
	}
	for _, e := range d.objects("threats") {
		m := MalwareThreat{Name: e.text("name"), Severity: e.text("severity"), Count: e.integer("count")}
		s.Sources = addOnce(s.Sources, e.text("source"))
		hash := e.text("hash")
		for _, p := range e.objects("itemDetails") {
			path := p.text("itemPath")
			m.Files = append(m.Files, MalwareFile{
				Path: path, Name: lastPart(path), SHA256: orElse(p.text("hash"), hash), Resource: p.text("resourceArn"),
			})
		}
		for _, p := range e.objects("itemPaths") {
			path := p.text("nestedItemPath")
			f := MalwareFile{Path: path, Name: lastPart(path), SHA256: orElse(p.text("hash"), hash)}
			known := false
			for _, g := range m.Files[:min(len(m.Files), maxUnique)] {
				known = known || g.Path == f.Path && g.SHA256 == f.SHA256
			}
			if !known {
				m.Files = append(m.Files, f)
			}
		}
		if len(m.Files) == 0 && hash != "" {
			m.Files = []MalwareFile{{SHA256: hash}}
		}
		s.ThreatFiles += max(m.Count, len(m.Files))
		s.Threats = append(s.Threats, m)
	}
	s.Truncated = s.UniqueThreats > len(s.Threats)
	return s
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// info is what service.additionalInfo says, its two forms merged.
type info struct {
	extra     []Property
	sample    bool
	hole      bool // a placeholder stood in the JSON text
	userAgent string
	anomaly   Anomaly
}

// readAdditionalInfo merges the members of additionalInfo with those in its
// value, which is a JSON object in a string. The members beside it win, because
// they are typed.
func readAdditionalInfo(service value, depth int) info {
	var in info
	v := service.object("additionalInfo")
	if !v.present() {
		return in
	}
	var seen map[string]bool // members beside the text
	inner := v.get("value")
	packed := inner.kind() == jsonString && strings.HasPrefix(strings.TrimSpace(inner.unquoted(false)), "{")
	for _, m := range v.children() {
		key := lowerFirst(m.key())
		if packed && (strings.EqualFold(key, "value") || strings.EqualFold(key, "type")) {
			continue
		}
		if packed {
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[strings.ToLower(key)] = true
		}
		in.member(key, m)
	}
	if packed {
		t := v.t.spare()
		if err := t.parse(inner.unquoted(false), depth); err != nil {
			inner.warn("service.additionalInfo.value is damaged JSON: kept as text")
			in.extra = append(in.extra, Property{Name: "value", Value: inner.unquoted(true)})
		} else {
			in.hole = hasPlaceholder(t.rootValue())
			for _, m := range t.rootValue().children() {
				if key := lowerFirst(m.key()); !seen[strings.ToLower(key)] {
					in.member(key, m)
				}
			}
			for _, w := range t.warnings {
				inner.warn("service.additionalInfo.value: %s", w)
			}
		}
	}
	sortProperties(in.extra)
	sortFacts(in.anomaly.Profiled)
	sortFacts(in.anomaly.Unusual)
	return in
}

func (in *info) member(key string, m value) {
	switch strings.ToLower(key) {
	case "sample":
		in.sample = m.kind() == jsonTrue || m.kind() == jsonString && strings.EqualFold(m.unquoted(true), "true")
	case "useragent":
		if m.kind() == jsonObject {
			in.userAgent = m.text("fullUserAgent")
		} else {
			in.userAgent = m.word()
		}
	case "profiledbehavior":
		if m.kind() == jsonObject {
			in.anomaly.Profiled = append(in.anomaly.Profiled, readProfiled(m)...)
			return
		}
	case "unusualbehavior":
		if m.kind() == jsonObject {
			in.anomaly.Unusual = append(in.anomaly.Unusual, readUnusual(m)...)
			return
		}
	case "anomalies":
		if apis := m.get("anomalousAPIs"); apis.kind() == jsonString {
			if list, ok := parseAPIs(apis.unquoted(true)); ok {
				in.anomaly.APIs = append(in.anomaly.APIs, list...)
				for _, other := range m.children() {
					if !strings.EqualFold(other.key(), "anomalousAPIs") {
						in.extra = flatten(in.extra, key+"."+lowerFirst(other.key()), other, 0)
					}
				}
				return
			}
		}
	}
	in.extra = flatten(in.extra, key, m, 0)
}

func sortFacts(all []AnomalyFact) {
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if a.Entity != b.Entity {
			return a.Entity < b.Entity
		}
		if a.Feature != b.Feature {
			return a.Feature < b.Feature
		}
		return a.Frequency < b.Frequency
	})
}
