package demo

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/finding/catalog"
)

var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// decoded is what the decoder makes of the whole day.
func decoded(t *testing.T) (findings []*finding.Finding, rejected []string, ignored []string) {
	t.Helper()
	for _, e := range Day(monday) {
		if e.Body == nil {
			continue
		}
		err := finding.Decode(bytes.NewReader(e.Body), finding.Limits{}, func(i finding.Item) bool {
			switch {
			case i.Finding != nil:
				findings = append(findings, i.Finding)
			case i.Rejected != nil:
				rejected = append(rejected, i.Rejected.Reason)
			case i.Ignored != nil:
				ignored = append(ignored, i.Ignored.DetailType)
			}
			return true
		})
		if err != nil {
			t.Errorf("%s: %v", e.At, err)
		}
	}
	return findings, rejected, ignored
}

func TestTheSameStartGivesTheSameDayInOrder(t *testing.T) {
	t.Parallel()
	day := Day(monday)
	if !reflect.DeepEqual(day, Day(monday)) {
		t.Error("two tellings differ")
	}
	if !slices.IsSortedFunc(day, func(a, b Event) int { return int(a.At - b.At) }) {
		t.Error("the events are not in order")
	}
	if n := len(day); n < 60 || n > 90 {
		t.Errorf("%d events", n)
	}
	if reflect.DeepEqual(day, Day(monday.AddDate(0, 0, 1))) {
		t.Error("another start gives the same day")
	}
}

func TestTheDayIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	findings, rejected, ignored := decoded(t)
	if got, want := []int{len(findings), len(rejected), len(ignored)}, []int{68, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("findings, rejected, ignored: %v, want %v; %q", got, want, rejected)
	}
	for _, f := range findings {
		want := 0
		if f.Type.Purpose == "Impact" && f.Type.Resource == "QuantumLedger" {
			want = 2 // its resource and its action are unknown, and that is said
		}
		if len(f.Warnings) != want {
			t.Errorf("%s: warnings %q", f.Type.Name, f.Warnings)
		}
		if f.Title == "" || f.Region != region || f.DetectorID != detector || f.FirstSeen.IsZero() || f.LastSeen.Before(f.FirstSeen) {
			t.Errorf("%s lacks what every finding has", f.Type.Name)
		}
		if f.Resource.Kind == finding.KindUnknown {
			t.Errorf("%s has no resource", f.Type.Name)
		}
	}
}

func TestTheDayHasEveryKindOfResourceAndAction(t *testing.T) {
	t.Parallel()
	findings, _, _ := decoded(t)
	kinds, actions := map[finding.ResourceKind]bool{}, map[finding.ActionKind]bool{}
	samples, archivedOnes, sequences, runtimes, scans, anomalies, threats := 0, 0, 0, 0, 0, 0, 0
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	for _, f := range findings {
		kinds[f.Resource.Kind] = true
		for _, r := range f.Context {
			kinds[r.Kind] = true
		}
		actions[f.Action.Kind] = true
		count(&samples, f.Sample)
		count(&archivedOnes, f.Archived)
		count(&sequences, f.Sequence != nil && len(f.Sequence.Signals) > 2 && len(f.Sequence.Resources) > 0)
		count(&runtimes, f.Runtime != nil && len(f.Runtime.Process.Lineage) > 0)
		count(&scans, f.Scan != nil && len(f.Scan.Threats) > 0)
		count(&anomalies, f.Anomaly != nil && len(f.Anomaly.Unusual) > 0)
		count(&threats, len(f.Threats) > 0)
	}
	for _, k := range []finding.ResourceKind{finding.KindInstance, finding.KindAccessKey, finding.KindS3Bucket, finding.KindS3Object, finding.KindEKSCluster,
		finding.KindWorkload, finding.KindECSCluster, finding.KindECSTask, finding.KindContainer, finding.KindDBInstance, finding.KindLimitlessDB, finding.KindLambda,
		finding.KindEBSVolume, finding.KindEBSSnapshot, finding.KindImage, finding.KindRecoveryPoint, finding.KindAttackSequence, finding.KindOther} {
		if !kinds[k] {
			t.Errorf("no resource of kind %s", k)
		}
	}
	for _, k := range []finding.ActionKind{finding.ActionNone, finding.ActionAWSAPICall, finding.ActionNetworkConnection, finding.ActionPortProbe, finding.ActionDNSRequest,
		finding.ActionKubernetesAPICall, finding.ActionRDSLoginAttempt, finding.ActionOther} {
		if !actions[k] {
			t.Errorf("no action of kind %q", k)
		}
	}
	got := []int{samples, archivedOnes, sequences, runtimes, scans, anomalies, threats}
	if want := []int{1, 2, 3, 3, 7, 5, 4}; !slices.Equal(got, want) {
		t.Errorf("samples, archived, sequences, runtimes, scans, anomalies, threat lists: %v, want %v", got, want)
	}
}

func TestEveryTypeButTheOneOfTheFutureIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	findings, _, _ := decoded(t)
	types := map[string]bool{}
	for _, f := range findings {
		types[f.Type.Name] = true
		e := catalog.Explain(f.Type)
		if f.Type.Resource == "QuantumLedger" {
			if e.Known != catalog.Guess {
				t.Errorf("%s is known by now: invent another", f.Type.Name)
			}
			continue
		}
		if e.Known != catalog.Exact || e.Status != "active" {
			t.Errorf("%s: %s, %s", f.Type.Name, e.Known, e.Status)
		}
		if e.Varies || e.Severity == "varies" {
			continue
		}
		if want := strings.ToLower(f.Severity.Label()); e.Severity != want {
			t.Errorf("%s has severity %s; the catalogue says %s", f.Type.Name, want, e.Severity)
		}
	}
	if len(types) < 40 {
		t.Errorf("only %d types: %q", len(types), slices.Sorted(maps.Keys(types)))
	}
}

func TestEveryActIsAboutAFindingThatCameBefore(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	acts := 0
	for _, e := range Day(monday) {
		if e.Act != nil {
			acts++
			if !known[e.Act.Finding] {
				t.Errorf("%s: nobody can act on %s yet", e.At, e.Act.Finding)
			}
			continue
		}
		_ = finding.Decode(bytes.NewReader(e.Body), finding.Limits{}, func(i finding.Item) bool {
			if i.Finding != nil {
				known[string(i.Finding.ID)] = true
			}
			return true
		})
	}
	if acts < 8 {
		t.Errorf("%d acts", acts)
	}
}
