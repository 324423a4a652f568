package ec2

import (
	"encoding/json"
	"fmt"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/kit"
)

type instanceParams struct {
	Instance string `json:"instance"`
}

// record describes everything once more, keeps it in the journal and writes it
// to the evidence bucket. A bucket that refuses is a gap in the evidence and
// stops nothing: the plan holds the description too.
func record(x *respond.Exec) (playbook.Outcome, error) {
	var p instanceParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	w, err := respond.Once(x, SavedWorld, func() (*World, error) { return describeIn(x, p.Instance) })
	if err != nil {
		return playbook.Outcome{}, err
	}
	raw, err := json.Marshal(w)
	if err != nil {
		return playbook.Outcome{}, playbook.Permanent(fmt.Errorf("write the before-image: %w", err))
	}
	const title = "the instance as it was before"
	err = kit.KeepJSON(x, "before.json", evidence.BeforeImage, title, w.ARN, "EC2.DescribeInstances and what is around it", raw)
	message := fmt.Sprintf("%s, %s, %s", respond.Count(len(w.Interfaces), "interface"), respond.Count(len(w.Volumes), "volume"), respond.Count(len(w.Addresses), "address", "addresses"))
	switch {
	case err == nil:
		return done(message)
	case ends(err) || respond.Transient(err) && x.Attempt() < 3:
		return playbook.Outcome{}, err
	}
	if err := x.Lack(title+", in the evidence bucket", respond.Cause(err)+"; it is in the record of the run"); err != nil {
		return playbook.Outcome{}, err
	}
	return done(message + "; the evidence bucket did not take it, it is kept in the record of the run")
}
