package forensics

import (
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

type trailParams struct {
	Instance string          `json:"instance"`
	Names    []kit.TrailName `json:"names"`
	Regions  []string        `json:"regions"`
	Since    time.Time       `json:"since"`
}

// trail drafts the reading of CloudTrail. Nothing waits for it but the report: the
// events stay where they are whatever becomes of the instance.
func (b *drafting) trail() {
	// The session of an instance's role has the name of the instance.
	p := trailParams{Instance: b.w.Instance, Names: kit.TrailNames(b.w.Instance, b.r.Target.Parts[respond.PartAccessKeyID]), Regions: kit.TrailRegions(b.w.Region), Since: kit.TrailSince(b.r)}
	b.add(respond.Step{ID: StepTrail, Action: actTrail, Role: awscalls.Read, Effect: respond.Creates, After: b.h.AfterAll,
		Title: fmt.Sprintf("%s: keep what CloudTrail shows of its credentials since %s", b.w.Instance, p.Since.Format(time.RFC3339))}, p)
}

// keepTrail keeps the management events that were made with the credentials of
// the instance, a line each. What may not be looked up is a gap, which the report
// states, and no failure.
func keepTrail(x *respond.Exec) (playbook.Outcome, error) {
	var p trailParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	const title = "events of CloudTrail"
	until := x.Started().UTC()
	denied := ""
	o, err := keep(x, "cloudtrail.ndjson", "application/x-ndjson", func() ([]byte, error) {
		t, err := kit.LookUp(x, x.Def.Account, p.Regions, p.Names, p.Since, until)
		if respond.DeniedByAWS(err) {
			denied = short(err)
			return nil, nil
		}
		if err == nil {
			err = x.Save("trail", trailFound{Events: t.Events, Cut: t.Cut})
		}
		return append([]byte{}, t.Lines...), err // none at all is worth keeping, too
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	if denied != "" {
		return playbook.Outcome{State: playbook.Skipped, Message: denied}, nil
	}
	var found trailFound
	x.Load("trail", &found)
	if len(found.Cut) > 0 {
		if err := x.Lack("older events of CloudTrail of "+p.Instance, "there are more than are read at once, by "+strings.Join(found.Cut, ", ")); err != nil {
			return playbook.Outcome{}, err
		}
	}
	i := o.object(x, evidence.Trail, fmt.Sprintf("%s by %s: %d", title, namesOf(p.Names), found.Events), p.Instance, kit.TrailCall, trustAWS)
	i.Gap = "of " + strings.Join(p.Regions, " and ") + " only, and without data events, which are in no event history"
	if err := x.Preserve(i); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("kept %s from %s to %s, SHA-256 %s", count(found.Events, "event"), p.Since.Format(time.RFC3339), until.Format(time.RFC3339), o.SHA256)},
		x.Custody("acquired", i.ID, "", i.Location, title)
}

// trailFound is what is saved of a lookup; the events themselves are an object.
type trailFound struct {
	Events int      `json:"events"`
	Cut    []string `json:"cut,omitempty"`
}

func namesOf(list []kit.TrailName) string {
	var out []string
	for _, n := range list {
		out = append(out, n.Value)
	}
	return strings.Join(out, " or ")
}
