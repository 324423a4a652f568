package forensics

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// send signs the addresses and sends the command. AWS takes no token for it: a
// mark in its comment tells it from others.
func send(x *respond.Exec, p memoryParams, a acquisition, mark string) ([]string, error) {
	var lines strings.Builder
	var tool, list string
	name := key(x, fmt.Sprintf("memory/parts-%d.txt", x.Attempt()))
	until := func(o *s3.PresignOptions) { o.Expires = addressesLive }
	sign := func(f func(ctx context.Context, s awscalls.Presigner) error) error {
		return x.Look(func(ctx context.Context) error {
			s, err := x.AWS.Presign(ctx, vault(x))
			if err != nil {
				return err
			}
			return f(ctx, s)
		})
	}
	err := sign(func(ctx context.Context, s awscalls.Presigner) error {
		lines.Reset()
		for n := 1; n <= p.Parts; n++ {
			u, err := s.PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String(a.Bucket), Key: aws.String(a.Key), UploadId: aws.String(a.Upload), PartNumber: aws.Int32(int32(n))}, until) //nolint:gosec // at most 10000
			if err != nil {
				return err
			}
			lines.WriteString(u.URL + "\n")
		}
		t, err := s.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(a.Bucket), Key: aws.String(p.Tool)}, until)
		if err != nil {
			return err
		}
		l, err := s.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(a.Bucket), Key: aws.String(name)}, until)
		if err != nil {
			return err
		}
		tool, list = t.URL, l.URL
		return nil
	})
	if err != nil {
		return nil, err
	}
	data := []byte(lines.String())
	if _, err := put(x, stored{Key: name, SHA256: evidence.Digest(data), Bytes: int64(len(data))}, "text/plain", data); err != nil {
		return nil, err
	}
	var id string
	err = x.Change(func(ctx context.Context) error {
		c, err := x.AWS.SSM(ctx, x.Place())
		if err != nil {
			return err
		}
		out, err := c.SendCommand(ctx, &ssm.SendCommandInput{InstanceIds: []string{p.Instance}, DocumentName: aws.String(p.Document), DocumentVersion: aws.String(p.Version),
			DocumentHash: aws.String(p.Hash), DocumentHashType: ssmtypes.DocumentHashTypeSha256, Comment: aws.String(mark), TimeoutSeconds: aws.Int32(300),
			Parameters: map[string][]string{"Tool": {tool}, "ToolSHA256": {p.ToolSHA256}, "Parts": {list}, "PartBytes": {fmt.Sprint(p.PartBytes)}}})
		if err == nil && out.Command != nil {
			id = aws.ToString(out.Command.CommandId)
		}
		return err
	})
	return []string{id}, err
}

// sentBefore finds the command of this step by its mark.
func sentBefore(x *respond.Exec, p memoryParams, mark string) ([]string, error) {
	var found []string
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.SSM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
		if err != nil {
			return err
		}
		found = nil
		in := &ssm.ListCommandsInput{InstanceId: aws.String(p.Instance)}
		for {
			out, err := c.ListCommands(ctx, in)
			if err != nil {
				return err
			}
			for _, cmd := range out.Commands {
				if aws.ToString(cmd.Comment) == mark {
					found = append(found, aws.ToString(cmd.CommandId))
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return nil
			}
			in.NextToken = out.NextToken
		}
	})
	return found, err
}

func invocation(x *respond.Exec, p memoryParams, id string) (*ssm.GetCommandInvocationOutput, error) {
	var out *ssm.GetCommandInvocationOutput
	err := x.Look(func(ctx context.Context) error {
		c, err := x.AWS.SSM(ctx, x.In(awscalls.Read, x.Def.Account, x.Def.Region))
		if err != nil {
			return err
		}
		out, err = c.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: aws.String(id), InstanceId: aws.String(p.Instance)})
		return err
	})
	return out, err
}
