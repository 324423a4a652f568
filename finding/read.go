package finding

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// readFinding reads one finding. Account and region are those of the envelope,
// used where neither the finding nor its ARN has them. The error names every
// required field that is missing or wrong.
func readFinding(v value, account, region string) (*Finding, error) {
	t := v.t
	t.root, t.warnings = v.i, nil
	var problems []string
	required := func(name string) string {
		m := v.get(name)
		switch m.kind() {
		case jsonNull:
			return ""
		case jsonString:
			return strings.TrimSpace(m.unquoted(true))
		}
		problems = append(problems, fmt.Sprintf("%s is %s, not a text", name, m.node().kind))
		return ""
	}
	missing := func(name, got, more string) {
		if got == "" && !hasPrefix(problems, name+" is ") {
			problems = append(problems, name+" is missing"+more)
		}
	}

	f := &Finding{
		ID:        ID(required("id")),
		ARN:       v.text("arn"),
		AccountID: required("accountId"),
		Region:    required("region"),
		Partition: v.text("partition"),
	}
	typ := required("type")
	missing("id", string(f.ID), "")
	missing("type", typ, "")
	f.Type = ParseType(typ)

	own := *f // before the gaps are filled
	a, okARN := parseARN(f.ARN)
	if okARN {
		f.AccountID = orElse(f.AccountID, a.account)
		f.Region = orElse(f.Region, a.region)
		f.Partition = orElse(f.Partition, a.partition)
	}
	if f.AccountID == "" && account != "" {
		f.AccountID = account
		v.warn("accountId is missing: taken from the envelope")
	}
	if f.Region == "" && region != "" {
		f.Region = region
		v.warn("region is missing: taken from the envelope")
	}
	f.Partition = orElse(f.Partition, partitionOf(f.Region))
	missing("accountId", f.AccountID, ", and neither the ARN nor the envelope has it")
	missing("region", f.Region, ", and neither the ARN nor the envelope has it")

	var err error
	if f.Severity, err = readSeverity(v.get("severity")); err != nil {
		problems = append(problems, err.Error())
	}

	service := v.object("service")
	before := len(t.warnings)
	f.CreatedAt, f.UpdatedAt = v.time("createdAt"), v.time("updatedAt")
	f.FirstSeen, f.LastSeen = service.time("eventFirstSeen"), service.time("eventLastSeen")
	if f.CreatedAt.IsZero() && f.UpdatedAt.IsZero() && f.FirstSeen.IsZero() && f.LastSeen.IsZero() {
		problem := "updatedAt is missing, and so is every other time"
		if len(t.warnings) > before {
			problem = "no usable time: " + strings.Join(t.warnings[before:], ", ")
		}
		problems = append(problems, problem)
	}
	if problems != nil {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	if len(f.AccountID) != 12 || !allDigits(f.AccountID) {
		v.warn("accountId %.40q is not 12 digits", f.AccountID)
	}

	f.Title, f.Description = v.text("title"), v.text("description")
	f.AssociatedSequenceARN = v.text("associatedAttackSequenceArn")
	f.Count = max(1, service.integer("count"))
	f.Archived = service.isTrue("archived")
	f.Role = Role(service.text("resourceRole"))
	if r := Role(strings.ToUpper(string(f.Role))); r == RoleActor || r == RoleTarget {
		f.Role = r
	}
	f.DetectorID = service.text("detectorId")
	f.Feature = service.text("featureName")
	if f.DetectorID == "" && okARN {
		f.DetectorID, _, _ = a.findingARN()
	}

	readResources(f, v.object("resource"))
	f.Action = readAction(service)
	if d := service.object("runtimeDetails"); d.present() {
		f.Runtime = readRuntime(d)
	}
	f.Scan = readScan(service)
	detection := service.object("detection")
	if s := detection.object("sequence"); s.present() {
		f.Sequence = readSequence(s)
	}
	f.Threats = readThreats(service.object("evidence"))
	info := readAdditionalInfo(service, t.depth)
	f.Extra = info.extra
	f.Anomaly = readAnomaly(detection.object("anomaly"), info)
	f.Sample = isSample(f, v, info)
	completeResources(f)
	f.Actor = readActor(f, info)
	checkARN(f, &own, a, okARN, v)
	checkSides(f, v)

	f.Raw = []byte(v.raw())
	f.Warnings = t.warnings
	if f.Warnings == nil {
		f.Warnings = []string{}
	}
	return f, nil
}

func readSeverity(m value) (Severity, error) {
	switch m.kind() {
	case jsonNull:
		return 0, errors.New("severity is missing")
	case jsonNumber:
		n, err := strconv.ParseFloat(m.raw(), 64)
		if err != nil {
			return 0, fmt.Errorf("severity %.40s is not between 0 and 10", m.raw())
		}
		return CheckSeverity(n + 0) // a negative zero becomes 0
	}
	return 0, fmt.Errorf("severity is %s, not a number", m.kind())
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func hasPrefix(all []string, prefix string) bool {
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
