package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// evidence shows what was preserved of an incident, what was not, and that it is
// still what it was.
func (s *show) evidence(ctx context.Context, n incident.Number) error {
	items, err := s.room.Reader().Evidence(ctx, n)
	if err != nil {
		return err
	}
	slices.SortStableFunc(items, func(a, b store.Preserved) int { return evidence.InOrder(a.Item, b.Item) })
	var working []string
	for _, i := range items {
		if i.SHA256 == "" && (i.Working || i.Kind == evidence.Workstation) {
			working = append(working, i.Title+" "+i.Location)
			continue
		}
		s.screen.line("evidence", evidenceWords(i.Item))
	}
	if len(working) > 0 {
		s.screen.line("to work on", strings.Join(working, "; "))
	}
	gaps, err := s.room.Reader().Gaps(ctx, n)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		s.screen.line("lacks", g.What+": "+g.Why)
	}
	report, err := s.room.Responses().VerifyEvidence(ctx, n, mei)
	if err != nil {
		return err
	}
	good := 0
	for _, i := range report.Items {
		if i.Good {
			good++
		}
	}
	s.result.Evidence, s.result.EvidenceChecked = len(items), good
	if !report.Good() {
		return fault.New(fault.Corrupt, "the evidence differs: "+report.Problems[0].What+": "+report.Problems[0].Why, "guardroom evidence verify "+n.String())
	}
	s.screen.line("verified", fmt.Sprintf("the manifest, its signature and every hash, computed again from what is stored: %d are good, 0 differ", good))
	return s.audited(ctx)
}

func evidenceWords(i evidence.Item) string {
	text := i.Title
	if !strings.HasPrefix(i.Location, "s3://") {
		text += " is " + i.Location
	}
	if i.SHA256 == "" {
		return text + ", no hash: " + i.Gap
	}
	text += ", sha256 " + i.SHA256[:16]
	if i.LockMode != "" {
		text += ", locked until " + i.LockUntil.UTC().Format(time.DateOnly)
	}
	return text
}

// audited checks the audit chain while the room is open.
func (s *show) audited(ctx context.Context) error {
	report, err := s.room.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	if !report.OK() {
		return fault.New(fault.Corrupt, "the audit chain is broken: "+report.Faults[0].Message, "guardroom audit verify")
	}
	s.screen.line("audit", fmt.Sprintf("%d records, and the chain is whole", report.Records))
	return nil
}
