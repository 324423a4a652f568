package app

import (
	"context"
	"slices"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
	"github.com/guardroom/guardroom/respond/kit"
)

// vault looks at the evidence bucket while the resource is described, and returns
// what to ask for the guard of the plan: none where the plan keeps nothing, or
// where no bucket is configured, as the plan says in other words. It never takes
// longer than kit.VaultLimit from now on, and never refuses.
func (d *desk) vault(ctx context.Context, r respond.Request) func(*respond.Plan) []respond.Guard {
	if d.policy.Evidence.Bucket == "" {
		return func(*respond.Plan) []respond.Guard { return nil }
	}
	answer := make(chan kit.Vault, 1)
	go func() { answer <- kit.LookAtVault(ctx, d.aws, d.policy, kit.HomeOf(d.policy, r.Place(awscalls.Read))) }()
	return func(p *respond.Plan) []respond.Guard {
		if !keeps(d.actions, p) {
			return nil
		}
		return []respond.Guard{(<-answer).Guard()}
	}
}

// keeps reports whether a plan writes into the evidence bucket.
func keeps(actions respond.Actions, p *respond.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s respond.Step) bool {
		calls := actions[s.Action].Calls[awscalls.Forensics]
		return slices.Contains(calls, "S3.PutObject") || slices.Contains(calls, "S3.CreateMultipartUpload")
	})
}
