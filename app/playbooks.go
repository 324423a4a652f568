package app

import (
	"context"
	"slices"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/block"
	"github.com/guardroom/guardroom/respond/ec2"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/respond/host"
	"github.com/guardroom/guardroom/respond/iam"
	"github.com/guardroom/guardroom/respond/lambda"
	"github.com/guardroom/guardroom/respond/manual"
	"github.com/guardroom/guardroom/respond/s3"
	"github.com/guardroom/guardroom/respond/sharing"
)

// playbooks are all responses, the preferred one for a resource first.
func playbooks() []respond.Playbook {
	single := slices.Concat([]respond.Playbook{host.Playbook(), ec2.Playbook(), forensics.Playbook()},
		iam.Playbooks(), s3.Playbooks(), []respond.Playbook{lambda.Playbook()}, sharing.Playbooks())
	sequence := respond.Sequence{Parts: append(slices.Clone(single), manual.Playbook())}
	return append(single, block.Playbook(), sequence, manual.Playbook())
}

// actions are all that plans may do.
func actions(fetch lambda.Fetch) respond.Actions {
	return respond.NewActions(ec2.Actions(), forensics.Actions(), iam.Actions(), s3.Actions(), lambda.Actions(fetch), sharing.Actions(), block.Actions())
}

// closings are how what runs opened is closed, by its kind.
func closings() map[string]respond.Closing {
	out := map[string]respond.Closing{}
	for _, c := range slices.Concat(ec2.Closings(), forensics.Closings(), iam.Closings(), s3.Closings(), lambda.Closings(), sharing.Closings(), block.Closings()) {
		out[c.Kind] = c
	}
	return out
}

// drift says in what a contained resource is not any more as a run left it.
func drift(ctx context.Context, a awscalls.AWS, p *respond.Plan, records map[string]playbook.Record) ([]string, error) {
	return respond.Check(ctx, a, actions(nil), p, records)
}
