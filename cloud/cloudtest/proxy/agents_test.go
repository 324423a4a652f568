package proxy_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud/cloudtest/proxy"
)

func TestCommandsRunWhereAnAgentAnswers(t *testing.T) {
	t.Parallel()
	var asked proxy.Command
	w := newWorld(t, proxy.Options{Timing: proxy.Timing{Invocation: 2 * time.Second}, Agent: func(c proxy.Command) proxy.Result {
		asked = c
		return proxy.Result{Status: "Failed", Stdout: "out", Stderr: "err", Code: 3, Takes: time.Minute}
	}})
	ctx, c := t.Context(), w.ssm()
	i := aws.ToString(w.instance(t, "a").InstanceId)
	send := func() (*ssm.SendCommandOutput, error) {
		return c.SendCommand(ctx, &ssm.SendCommandInput{InstanceIds: []string{i}, DocumentName: aws.String("guardroom-memory"), DocumentVersion: aws.String("3"), DocumentHash: aws.String("abc"), DocumentHashType: types.DocumentHashTypeSha256,
			Comment: aws.String("run/step"), Parameters: map[string][]string{"a": {"b"}}})
	}
	_, err := send()
	wantCode(t, err, "InvalidInstanceId")
	w.SetAgent(proxy.Agent{InstanceID: i, Account: w.account, Region: region, Offline: true, Version: "3.3", Platform: "Linux"})
	_, err = send()
	wantCode(t, err, "InvalidInstanceId")
	w.SetAgent(proxy.Agent{InstanceID: i, Account: w.account, Region: region, Version: "3.3", Platform: "Linux"})
	info := must[*ssm.DescribeInstanceInformationOutput](t)(c.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: []string{i}}}}))
	if len(info.InstanceInformationList) != 1 || info.InstanceInformationList[0].PingStatus != types.PingStatusOnline || info.InstanceInformationList[0].PlatformType != types.PlatformTypeLinux {
		t.Errorf("%+v", info.InstanceInformationList)
	}
	id := must[*ssm.SendCommandOutput](t)(send()).Command.CommandId
	if d := cmp.Diff(proxy.Command{ID: aws.ToString(id), InstanceID: i, Document: "guardroom-memory", DocumentVersion: "3", DocumentHash: "abc", Parameters: map[string][]string{"a": {"b"}}, Comment: "run/step", Account: w.account, Region: region}, asked); d != "" {
		t.Error(d)
	}
	look := func() (*ssm.GetCommandInvocationOutput, error) {
		return c.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: id, InstanceId: aws.String(i)})
	}
	_, err = look()
	wantCode(t, err, "InvocationDoesNotExist")
	w.clock.move(2 * time.Second)
	if out := must[*ssm.GetCommandInvocationOutput](t)(look()); out.Status != types.CommandInvocationStatusInProgress || aws.ToString(out.StandardOutputContent) != "" {
		t.Errorf("%+v", out)
	}
	w.clock.move(time.Minute)
	if out := must[*ssm.GetCommandInvocationOutput](t)(look()); out.Status != types.CommandInvocationStatusFailed || aws.ToString(out.StandardOutputContent) != "out" || out.ResponseCode != 3 {
		t.Errorf("%+v", out)
	}
	second := must[*ssm.SendCommandOutput](t)(send()).Command.CommandId
	if _, err := c.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: second}); err != nil {
		t.Fatal(err)
	}
	list := must[*ssm.ListCommandsOutput](t)(c.ListCommands(ctx, &ssm.ListCommandsInput{InstanceId: aws.String(i)}))
	var got []string
	for _, x := range list.Commands {
		got = append(got, aws.ToString(x.CommandId)+" "+string(x.Status)+" "+aws.ToString(x.Comment))
	}
	if d := cmp.Diff([]string{aws.ToString(second) + " Cancelled run/step", aws.ToString(id) + " Failed run/step"}, got); d != "" {
		t.Error(d)
	}
}

func TestShellsAreEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, proxy.Options{})
	ctx, c := t.Context(), w.ssm()
	w.OpenSession(proxy.Session{ID: "s-1", InstanceID: "i-1", Owner: "arn:aws:iam::1:user/x", Account: w.account, Region: region})
	w.OpenSession(proxy.Session{ID: "s-2", InstanceID: "i-2", Account: w.account, Region: region})
	open := func(state types.SessionState) []string {
		out := must[*ssm.DescribeSessionsOutput](t)(c.DescribeSessions(ctx, &ssm.DescribeSessionsInput{State: state, Filters: []types.SessionFilter{{Key: types.SessionFilterKeyTargetId, Value: aws.String("i-1")}}}))
		var ids []string
		for _, s := range out.Sessions {
			ids = append(ids, aws.ToString(s.SessionId))
		}
		return ids
	}
	if d := cmp.Diff([]string{"s-1"}, open(types.SessionStateActive)); d != "" {
		t.Error(d)
	}
	if _, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: aws.String("s-1")}); err != nil {
		t.Fatal(err)
	}
	if ids := open(types.SessionStateActive); len(ids) != 0 {
		t.Errorf("%v are open", ids)
	}
	if d := cmp.Diff([]string{"s-1"}, open(types.SessionStateHistory)); d != "" {
		t.Error(d)
	}
	_, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: aws.String("s-3")})
	wantCode(t, err, "DoesNotExistException")
	if s := w.Sessions(); !s[0].Ended || s[1].Ended {
		t.Errorf("%+v", s)
	}
}
