package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
	"github.com/guardroom/guardroom/store"
)

// detection is what GuardDuty said of the leading finding, as a run found it.
type detection struct {
	Finding finding.ID `json:"finding"`
	// Raw is its JSON, packed; empty: the store has none any more.
	Raw       []byte    `json:"raw,omitempty"`
	Confirmed bool      `json:"confirmed"` // by GuardDuty itself
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	Received  time.Time `json:"received,omitzero"` // of what is not confirmed
	Source    string    `json:"source,omitempty"`
}

// beside is what a run does besides the steps of its plan: where it preserves
// anything, the finding is evidence as well, and no step waits for it.
func (r *runs) beside(plan *respond.Plan) []respond.Beside {
	keeps := func(s respond.Step) bool {
		return strings.HasPrefix(s.Action, "forensics.") || slices.Contains(r.actions[s.Action].Calls[awscalls.Forensics], "S3.PutObject")
	}
	if plan.UndoOf != "" || !slices.ContainsFunc(plan.Steps, keeps) {
		return nil
	}
	return []respond.Beside{{
		Step: respond.Step{ID: respond.StepFinding, Title: respond.TitleFinding, Account: plan.Target.Account, Region: plan.Target.Region,
			Role: awscalls.Forensics, Effect: respond.Creates},
		Options: playbook.Options{Timeout: 10 * time.Minute}, Do: r.keepFinding,
	}}
}

// keepFinding writes the finding into the evidence bucket. What it is about to
// write is in the record of the step first: after a crash the same bytes are
// written, whatever GuardDuty said meanwhile. A bucket that does not take it is a
// gap: the store has it.
func (r *runs) keepFinding(x *respond.Exec) (playbook.Outcome, error) {
	d, err := respond.Once(x, respond.SavedBefore, func() (d detection, err error) {
		err = x.Look(func(ctx context.Context) error {
			d, err = r.detected(ctx, x.Plan)
			return err
		})
		return d, err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	raw, err := store.Unpack(d.Raw)
	if err != nil {
		return playbook.Outcome{}, playbook.Permanent(fmt.Errorf("unpack the finding: %w", err))
	}
	what := "finding " + string(d.Finding)
	if len(raw) == 0 {
		const why = "the store does not have its JSON any more"
		return playbook.Outcome{State: playbook.Skipped, Message: why}, x.Lack(what, why)
	}
	p := kit.Piece{Name: "guardduty.json", Kind: evidence.Detection, Source: string(d.Finding), Type: "application/json", Body: bytes.NewReader(raw)}
	p.Title, p.How, p.Trust = d.words()
	err = kit.Keep(x, p)
	switch {
	case err == nil:
		return playbook.Outcome{Message: fmt.Sprintf("%s, SHA-256 %s", p.Title, evidence.Digest(raw))}, nil
	case errors.Is(err, playbook.ErrAborted), errors.Is(err, playbook.ErrFenced), errors.Is(err, playbook.ErrStopped),
		respond.Transient(err) && x.Attempt() < 3:
		return playbook.Outcome{}, err
	}
	message := what + " is in guardroom's store only: " + respond.Cause(err)
	return playbook.Outcome{State: playbook.Skipped, Message: message}, x.Lack(what+", in the evidence bucket", respond.Cause(err)+"; guardroom's store has it")
}

// words are the title, the source and how far it can be relied on.
func (d detection) words() (title, how, trust string) {
	title = "finding " + string(d.Finding)
	if !d.UpdatedAt.IsZero() {
		title += " of " + d.UpdatedAt.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if d.Confirmed {
		return title + ", as GuardDuty itself says it", "GuardDuty.GetFindings", "aws api"
	}
	return title + ", the newest revision that was received, not confirmed by GuardDuty", "received from " + d.Source + " at " + d.Received.UTC().Format(time.RFC3339), "as received"
}

// detected reads the leading finding of a plan's incident: as GuardDuty itself
// said it, or else the newest revision in the store.
func (d *desk) detected(ctx context.Context, plan *respond.Plan) (detection, error) {
	i, err := d.store.GetIncident(ctx, plan.Incident)
	if err != nil {
		return detection{}, err
	}
	out := detection{Finding: i.Lead.FindingID}
	raw, confirmed, err := d.store.ConfirmedFinding(ctx, out.Finding)
	if err != nil {
		return out, err
	}
	if confirmed {
		out.Confirmed, out.Raw = true, store.Pack(raw)
		// One that cannot be read is kept as it is, without its time.
		_ = finding.Decode(bytes.NewReader(raw), finding.Limits{}, func(item finding.Item) bool {
			if item.Finding != nil {
				out.UpdatedAt = item.Finding.At()
			}
			return false
		})
		return out, nil
	}
	rev, ok, err := d.store.NewestRevisionOf(ctx, out.Finding)
	if err != nil || !ok {
		return out, err
	}
	out.Raw, out.UpdatedAt, out.Received, out.Source = rev.Raw, rev.UpdatedAt, rev.ReceivedAt, rev.Source
	return out, nil
}
