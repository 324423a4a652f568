package iam

import (
	"time"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

const actTrail = "iam.trail"

// trail adds the step that keeps what CloudTrail shows of somebody. It comes when
// they are contained, so that it holds nothing up and shows the end as well.
func (d draft) trail(p kit.TrailParams) {
	var after []string
	for _, s := range d.Steps {
		if s.Contains {
			after = append(after, s.ID)
		}
	}
	d.Add(respond.Step{ID: "preserve/trail", Action: actTrail, Stage: "preserve", Title: p.Title(), Effect: respond.Creates, After: after}, p)
}

func keepTrail() respond.Action {
	return respond.Action{Name: actTrail, Do: kit.Do(kit.KeepTrail), Options: playbook.Options{Timeout: time.Hour},
		Calls: map[awscalls.Role][]string{awscalls.Read: {kit.TrailCall}, awscalls.Forensics: kit.KeepCalls()}}
}
