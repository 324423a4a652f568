package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// What the tag guardroom:status says. Whoever looks in the console believes it, so
// it says contained only after the second look.
const (
	statusBegun     = "containing"
	statusContained = "contained"
	statusPartly    = "contained in part"
	statusOpen      = "not contained"
)

func statuses() []string { return []string{statusBegun, statusContained, statusPartly, statusOpen} }

// markStatus says on the resources how it ended, as the second look showed it. It
// does so after an abort too: a tag that says that it goes on would be believed. A
// tag that somebody else has set since is left.
func markStatus(x *respond.Exec) (playbook.Outcome, error) {
	var p markParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	want := statusOpen
	if rec, ok := x.Record(StepVerify); ok && rec.State == playbook.Completed {
		want = statusContained
		var verdicts []respond.Verdict
		if rec.Load(respond.SavedVerdicts, &verdicts); slices.ContainsFunc(verdicts, respond.Verdict.IsPartly) {
			want = statusPartly
		}
	}
	now, err := ourTags(x, p.Resources)
	if err != nil {
		return playbook.Outcome{}, err
	}
	var ours []string
	for _, id := range p.Resources {
		if t := now[id]; t[respond.TagRun] == string(x.RunID) && slices.Contains(statuses(), t[respond.TagStatus]) {
			ours = append(ours, id)
		}
	}
	if len(ours) == 0 {
		return skipped("nothing carries the tags of this run any more")
	}
	err = finish(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		_, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ours, Tags: tagList(map[string]string{respond.TagStatus: want})})
		return err
	})
	if err != nil {
		return playbook.Outcome{}, err
	}
	return done(respond.Count(len(ours), "resource says", "resources say") + " " + want)
}
