package ec2

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

type unmarkParams struct {
	Before map[string]map[string]string `json:"before"` // by resource
	After  map[string]string            `json:"after"`
}

// undoMark takes our tags away again.
func undoMark(s respond.Step, rec playbook.Record) ([]respond.Step, error) {
	var p unmarkParams
	if !rec.Load(respond.SavedBefore, &p.Before) || !rec.Load(respond.SavedAfter, &p.After) || len(p.Before) == 0 {
		return nil, nil
	}
	return restore(s, actUnmark, fmt.Sprintf("tags of guardroom on %s -> as before", respond.Count(len(p.Before), "resource")), p)
}

// unmark restores our tags as they were. A tag that somebody changed is left.
func unmark(x *respond.Exec) (playbook.Outcome, error) {
	var p unmarkParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	ids := slices.Sorted(maps.Keys(p.Before))
	now, err := ourTags(x, ids)
	if err != nil {
		return playbook.Outcome{}, err
	}
	left := 0
	for _, id := range ids {
		tags, there := now[id]
		if !there {
			continue
		}
		var put, drop []types.Tag
		for key, ours := range p.After {
			was, had := p.Before[id][key]
			is, has := tags[key]
			switch {
			case has == had && is == was:
			case !has || is != ours && !(key == respond.TagStatus && slices.Contains(statuses(), is)):
				left++ // somebody changed it since
			case had:
				put = append(put, types.Tag{Key: aws.String(key), Value: aws.String(was)})
			default:
				drop = append(drop, types.Tag{Key: aws.String(key), Value: aws.String(is)})
			}
		}
		if err := retag(x, id, put, drop); err != nil {
			return playbook.Outcome{}, err
		}
	}
	if left > 0 {
		return done(respond.Count(left, "tag was", "tags were") + " changed by somebody since and left")
	}
	return playbook.Outcome{}, nil
}

func retag(x *respond.Exec, id string, put, drop []types.Tag) error {
	if len(put)+len(drop) == 0 {
		return nil
	}
	return change(x, awscalls.AWS.EC2, func(ctx context.Context, c awscalls.EC2) error {
		if len(put) > 0 {
			if _, err := c.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: put}); err != nil {
				return err
			}
		}
		if len(drop) == 0 {
			return nil
		}
		_, err := c.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{id}, Tags: drop})
		return err
	})
}
