package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
)

// evidence shows what was preserved of an incident, what was not, and that it is
// still what it was.
func (s *show) evidence(ctx context.Context, n incident.Number) error {
	items, err := s.room.Reader().Evidence(ctx, n)
	if err != nil {
		return err
	}
	for _, i := range items {
		s.screen.line("evidence", evidenceWords(i.Item))
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
	good, unchecked := 0, 0
	for _, i := range report.Items {
		switch {
		case i.Good:
			good++
		case strings.HasPrefix(i.How, "not checked"):
			unchecked++
		}
	}
	s.result.Evidence, s.result.EvidenceChecked = len(items), good
	if !report.Good() {
		return fault.New(fault.Corrupt, "the evidence differs: "+report.Problems[0].What+": "+report.Problems[0].Why, "guardroom evidence verify "+n.String())
	}
	s.screen.line("verified", fmt.Sprintf("%d checked again, signatures and hashes from what is stored, and all are good; %s not (working copies and tools)", good, count(unchecked, "is", "are")))
	return s.audited(ctx)
}

func evidenceWords(i evidence.Item) string {
	text := i.Title
	if i.Location != "" {
		text += ", " + i.Location
	}
	if i.SHA256 != "" {
		return text + ", sha256 " + i.SHA256[:8]
	}
	return text + ", no hash: " + i.Gap
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
