package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/store"
)

// mostConfirmed is how many findings of an incident are compared at most, the most
// severe first.
const mostConfirmed = 50

// leading returns the finding that responses to an incident are about: the most
// severe that GuardDuty itself has confirmed, as GuardDuty last said it. Whoever may
// write to a queue can send one that is more severe, with another resource, archived
// or a sample: it leads what people read of the incident, and no response. Where
// nothing is confirmed it is the incident's lead, as anybody sent it last.
func (d *desk) leading(ctx context.Context, i *incident.Incident) (f *finding.Finding, confirmed bool, err error) {
	ids, err := d.store.ConfirmedOf(ctx, i.Number, mostConfirmed)
	if err != nil {
		return nil, false, err
	}
	var list []*finding.Finding
	for _, id := range ids {
		f, confirmed, err := d.findingOf(ctx, i, id)
		if err != nil {
			return nil, false, err
		}
		if confirmed {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return d.findingOf(ctx, i, i.Lead.FindingID)
	}
	return slices.MinFunc(list, rank), true, nil
}

// rank puts before others what counts, an attack sequence, the more severe, the
// newer, and then the smaller id: as it is decided what leads an incident.
func rank(a, b *finding.Finding) int {
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(yes(a.Archived || a.Sample), yes(b.Archived || b.Sample)),
		cmp.Compare(yes(b.Type.IsSequence()), yes(a.Type.IsSequence())),
		cmp.Compare(b.Severity, a.Severity),
		b.At().Compare(a.At()),
		cmp.Compare(a.ID, b.ID))
}

// ofPlan returns the finding that a plan was made for.
func (d *desk) ofPlan(ctx context.Context, i *incident.Incident, plan *respond.Plan) (*finding.Finding, bool, error) {
	if plan.Finding == "" {
		return d.leading(ctx, i) // a plan of an older guardroom
	}
	return d.findingOf(ctx, i, plan.Finding)
}

// findingOf returns a finding of an incident as GuardDuty itself last said it, where
// it has. Without that, it is the newest that anybody sent, and not confirmed.
func (d *desk) findingOf(ctx context.Context, i *incident.Incident, id finding.ID) (f *finding.Finding, confirmed bool, err error) {
	raw, confirmed, err := d.store.ConfirmedFinding(ctx, id)
	if err != nil {
		return nil, false, err
	}
	if !confirmed {
		rev, ok, err := d.store.NewestRevisionOf(ctx, id)
		if err != nil {
			return nil, false, err
		}
		if !ok || len(rev.Raw) == 0 {
			return nil, false, fault.New(fault.NotFound, fmt.Sprintf("finding %s of %s is not in the store any more", id, i.Number), "import it again: guardroom finding import FILE")
		}
		if raw, err = store.Unpack(rev.Raw); err != nil {
			return nil, false, err
		}
	}
	err = finding.Decode(bytes.NewReader(raw), finding.Limits{}, func(item finding.Item) bool { f = item.Finding; return f == nil })
	if err == nil && f == nil {
		err = errors.New("it is no finding")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read finding %s of %s: %w", id, i.Number, err)
	}
	row, _, err := d.store.GetFinding(ctx, f.ID)
	f.Archived = row.ArchivedConfirmed || f.Archived && !confirmed && row.Archived
	return f, confirmed, err
}

// unconfirmedLead says where a plan is not about the finding that people read of.
func unconfirmedLead(q safety.Question) []string {
	lead := q.Incident.Lead
	if lead.FindingID == "" || lead.FindingID == q.Finding.ID || !q.Confirmed {
		return nil
	}
	return []string{fmt.Sprintf("finding %s (%s) leads %s; this plan is about the confirmed finding %s (%s)", lead.FindingID, lead.Type, q.Incident.Number, q.Finding.ID, q.Finding.Type.Name)}
}
