package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const (
	outputMost  = 24000
	errorMost   = 8000
	commentMost = 100
)

// SendCommand implements awscalls.SSM. A repeat runs it again.
func (c ssmClient) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	return do(ctx, c.client, "SSM", "SendCommand", true, in, func(a *account, r *region) (*ssm.SendCommandOutput, error) {
		d, err := r.document(in)
		if err != nil {
			return nil, err
		}
		timeout := time.Hour
		if in.TimeoutSeconds != nil {
			if *in.TimeoutSeconds < 30 || *in.TimeoutSeconds > 2592000 {
				return nil, fail("ValidationException", "1 validation error detected: Value '%d' at 'timeoutSeconds' failed to satisfy constraint", *in.TimeoutSeconds)
			}
			timeout = time.Duration(*in.TimeoutSeconds) * time.Second
		}
		if len(aws.ToString(in.Comment)) > commentMost {
			return nil, fail("ValidationException", "1 validation error detected: Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to 100")
		}
		ids := slices.Clone(in.InstanceIds)
		for _, t := range in.Targets {
			if aws.ToString(t.Key) != "InstanceIds" {
				return nil, fail("InvalidTarget", "the simulation knows the target InstanceIds only")
			}
			ids = append(ids, t.Values...)
		}
		if len(ids) == 0 || len(ids) > 50 {
			return nil, fail("InvalidInstanceId", "between 1 and 50 instances must be named")
		}
		s := c.scope(a, r)
		var bad []string
		for _, id := range ids {
			if !s.online(s.agent(id)) {
				bad = append(bad, id)
			}
		}
		if len(bad) > 0 {
			return nil, fail("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", strings.Join(bad, ", "), a.ID)
		}
		cmd := &Command{
			ID: c.w.uuid(), Document: d.Name, Version: d.Version, Comment: aws.ToString(in.Comment), Parameters: in.Parameters,
			Requested: c.w.now(), Timeout: timeout, Limit: c.w.short(d.Limit), Runs: map[string]*CommandRun{},
		}
		for _, id := range ids {
			cmd.Runs[id] = &CommandRun{Instance: id, Status: "Pending", Next: cmd.Requested.Add(c.w.short(deliverAfter))}
		}
		put(&r.SSM.Commands, cmd.ID, cmd)
		return &ssm.SendCommandOutput{Command: cmd.out()}, nil
	})
}

// document finds and checks the document of a command.
func (r *region) document(in *ssm.SendCommandInput) (*Document, error) {
	name := aws.ToString(in.DocumentName)
	if _, after, ok := strings.Cut(name, ":document/"); ok {
		name = after
	}
	d := r.SSM.Documents[name]
	if d == nil {
		return nil, fail("InvalidDocument", "Document with name %s does not exist.", name)
	}
	if v := aws.ToString(in.DocumentVersion); v != "" && v != d.Version && v != "$LATEST" && v != "$DEFAULT" {
		return nil, fail("InvalidDocumentVersion", "Document version %s is not valid for document %s.", v, name)
	}
	if h := aws.ToString(in.DocumentHash); h != "" && h != d.Hash {
		return nil, fail("InvalidDocument", "The hash of document %s is another.", name)
	}
	for _, p := range keysOf(in.Parameters) {
		if d.Parameters != nil && !slices.Contains(d.Parameters, p) {
			return nil, fail("InvalidParameters", "Parameter %q is not defined in document %s.", p, name)
		}
	}
	return d, nil
}

// status is that of all its runs together.
func (c *Command) status() types.CommandStatus {
	for _, s := range []string{"InProgress", "Pending", "Cancelling", "TimedOut", "Failed", "Cancelled"} {
		for _, r := range c.Runs {
			if r.Status == s {
				return types.CommandStatus(s)
			}
		}
	}
	return types.CommandStatusSuccess
}

func (c *Command) out() *types.Command {
	o := &types.Command{
		CommandId: aws.String(c.ID), DocumentName: aws.String(c.Document), DocumentVersion: aws.String(c.Version), Comment: aws.String(c.Comment), Parameters: c.Parameters,
		RequestedDateTime: aws.Time(c.Requested), ExpiresAfter: aws.Time(c.Requested.Add(c.Timeout + c.Limit)), InstanceIds: keysOf(c.Runs),
		TargetCount: *int32Of(len(c.Runs)), TimeoutSeconds: int32Of(int(c.Timeout.Seconds())), Status: c.status(), StatusDetails: aws.String(string(c.status())),
	}
	for _, r := range c.Runs {
		switch r.Status {
		case "Success", "Cancelled":
			o.CompletedCount++
		case "Failed", "TimedOut":
			o.CompletedCount++
			o.ErrorCount++
		}
	}
	return o
}

// ListCommands implements awscalls.SSM; the newest come first.
func (c ssmClient) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return do(ctx, c.client, "SSM", "ListCommands", false, in, func(_ *account, r *region) (*ssm.ListCommandsOutput, error) {
		cmds := inOrder(r.SSM.Commands)
		slices.Reverse(cmds)
		if id := aws.ToString(in.CommandId); id != "" && r.SSM.Commands[id] == nil {
			return nil, fail("InvalidCommandId", "%s", id)
		}
		var all []types.Command
		for _, cmd := range cmds {
			if id := aws.ToString(in.CommandId); id != "" && id != cmd.ID {
				continue
			}
			if id := aws.ToString(in.InstanceId); id != "" && cmd.Runs[id] == nil {
				continue
			}
			wanted := true
			for _, f := range in.Filters {
				is, err := cmd.is(f)
				if err != nil {
					return nil, err
				}
				wanted = wanted && is
			}
			if wanted {
				all = append(all, *cmd.out())
			}
		}
		page, next, err := pageOf(all, in.NextToken, aws.ToInt32(in.MaxResults), 50, "InvalidNextToken")
		return &ssm.ListCommandsOutput{Commands: page, NextToken: next}, err
	})
}

func (c *Command) is(f types.CommandFilter) (bool, error) {
	want := aws.ToString(f.Value)
	switch f.Key {
	case types.CommandFilterKeyDocumentName:
		return c.Document == want, nil
	case types.CommandFilterKeyStatus:
		return string(c.status()) == want, nil
	case types.CommandFilterKeyInvokedAfter, types.CommandFilterKeyInvokedBefore:
		t, err := time.Parse(time.RFC3339, want)
		if err != nil {
			return false, fail("ValidationException", "%s is no time", want)
		}
		return c.Requested.After(t) == (f.Key == types.CommandFilterKeyInvokedAfter), nil
	}
	return false, fail("InvalidFilterKey", "the simulation does not know the filter %s", f.Key)
}

// GetCommandInvocation implements awscalls.SSM. For the first seconds there is none.
func (c ssmClient) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return do(ctx, c.client, "SSM", "GetCommandInvocation", false, in, func(_ *account, r *region) (*ssm.GetCommandInvocationOutput, error) {
		cmd := r.SSM.Commands[aws.ToString(in.CommandId)]
		if cmd == nil || cmd.Runs[aws.ToString(in.InstanceId)] == nil || c.w.now().Before(cmd.Requested.Add(c.w.short(appears))) {
			return nil, fail("InvocationDoesNotExist", "")
		}
		run := cmd.Runs[*in.InstanceId]
		out := &ssm.GetCommandInvocationOutput{
			CommandId: in.CommandId, InstanceId: in.InstanceId, Comment: aws.String(cmd.Comment), DocumentName: aws.String(cmd.Document), DocumentVersion: aws.String(cmd.Version),
			Status: types.CommandInvocationStatus(run.Status), StatusDetails: aws.String(orText(run.Details, run.Status)), ResponseCode: -1,
			StandardOutputContent: aws.String(cut(run.Output, outputMost)), StandardErrorContent: aws.String(cut(run.Error, errorMost)),
			ExecutionStartDateTime: aws.String(""), ExecutionEndDateTime: aws.String(""), ExecutionElapsedTime: aws.String(""),
		}
		if !run.Started.IsZero() {
			out.ExecutionStartDateTime = aws.String(run.Started.Format("2006-01-02T15:04:05.000Z"))
		}
		if !run.Ended.IsZero() {
			if run.Status == "Success" || run.Status == "Failed" {
				out.ResponseCode = run.Code
			}
			out.ExecutionEndDateTime = aws.String(run.Ended.Format("2006-01-02T15:04:05.000Z"))
			out.ExecutionElapsedTime = aws.String(fmt.Sprintf("PT%.3fS", run.Ended.Sub(run.Started).Seconds()))
		}
		return out, nil
	})
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most]
}

// CancelCommand implements awscalls.SSM. What has ended stays as it is.
func (c ssmClient) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, _ ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	return do(ctx, c.client, "SSM", "CancelCommand", true, in, func(_ *account, r *region) (*ssm.CancelCommandOutput, error) {
		cmd := r.SSM.Commands[aws.ToString(in.CommandId)]
		if cmd == nil {
			return nil, fail("InvalidCommandId", "%s", aws.ToString(in.CommandId))
		}
		ids := in.InstanceIds
		if len(ids) == 0 {
			ids = keysOf(cmd.Runs)
		}
		for _, id := range ids {
			run := cmd.Runs[id]
			if run == nil {
				return nil, fail("InvalidInstanceId", "%s", id)
			}
			if run.Ended.IsZero() {
				run.end(c.w.now(), "Cancelled", "Cancelled")
			}
		}
		return &ssm.CancelCommandOutput{}, nil
	})
}
