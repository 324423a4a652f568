package cloudtest

import (
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func agentCases() []Case {
	return []Case{
		{"agents and shells", agentsAndShells},
		{"commands", commands},
		{"parameters", parameters},
	}
}

func agentsAndShells(w *World) {
	ctx, c := w.Context(), use(w, w.aws.SSM)
	w.Role("managed", "/")
	w.Profile("managed", "managed")
	subnet := w.Subnet(w.VPC(false), "a")
	h, other := w.Launch(Launch{Subnets: []string{subnet}, Profile: "managed"}), w.Launch(Launch{Subnets: []string{subnet}})
	w.Agent(h.ID)
	w.Shell("somebody-0123456789abcdef0", h.ID)
	find := func(id string) []types.InstanceInformation {
		return got[*ssm.DescribeInstanceInformationOutput](w, "agents")(c.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{{Key: s("InstanceIds"), Values: []string{id}}}})).InstanceInformationList
	}
	w.Is("an agent", len(find(h.ID)), 1)
	w.Is("it answers", string(find(h.ID)[0].PingStatus), "Online")
	w.Is("its platform", string(find(h.ID)[0].PlatformType), "Linux")
	w.Is("no agent", len(find(other.ID)), 0)
	open := func() []string {
		out := got[*ssm.DescribeSessionsOutput](w, "sessions")(c.DescribeSessions(ctx, &ssm.DescribeSessionsInput{State: types.SessionStateActive, Filters: []types.SessionFilter{{Key: types.SessionFilterKeyTargetId, Value: s(h.ID)}}}))
		list := []string{}
		for _, x := range out.Sessions {
			list = append(list, str(x.SessionId))
		}
		return list
	}
	w.Is("a shell", open(), []string{"somebody-0123456789abcdef0"})
	_, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: s("somebody-0123456789abcdef0")})
	w.Code("end it", err, "")
	w.Until("no shell", func() bool { return len(open()) == 0 })
}

func commands(w *World) {
	ctx, c := w.Context(), use(w, w.aws.SSM)
	w.Role("managed", "/")
	w.Profile("managed", "managed")
	subnet := w.Subnet(w.VPC(false), "a")
	h, other := w.Launch(Launch{Subnets: []string{subnet}, Profile: "managed"}), w.Launch(Launch{Subnets: []string{subnet}})
	w.Agent(h.ID)
	w.Document("guardroom-probe")
	send := func(id string) (*ssm.SendCommandOutput, error) {
		return c.SendCommand(ctx, &ssm.SendCommandInput{InstanceIds: []string{id}, DocumentName: s("guardroom-probe"), Comment: s("r1/probe")})
	}
	_, err := send(other.ID)
	w.Code("where no agent is", err, "InvalidInstanceId")
	_, err = send("i-0123456789abcdef0")
	w.Code("where nothing is", err, "InvalidInstanceId")
	out := got[*ssm.SendCommandOutput](w, "send")(send(h.ID))
	id := out.Command.CommandId
	look := func() (*ssm.GetCommandInvocationOutput, error) {
		return c.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: id, InstanceId: s(h.ID)})
	}
	_, err = look()
	w.Code("at once", err, "InvocationDoesNotExist")
	w.Until("the end of the command", func() bool {
		x, err := look()
		return err == nil && x.Status == types.CommandInvocationStatusSuccess
	})
	list := got[*ssm.ListCommandsOutput](w, "commands")(c.ListCommands(ctx, &ssm.ListCommandsInput{InstanceId: s(h.ID)}))
	w.Is("one command", len(list.Commands), 1)
	w.Is("its comment", str(list.Commands[0].Comment), "r1/probe")
	_, err = c.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: id})
	w.Code("cancel what has ended", err, "")
	ended, err := look()
	w.Code("look again", err, "")
	w.Is("it has succeeded", ended != nil && ended.Status == types.CommandInvocationStatusSuccess, true)
}

func parameters(w *World) {
	ctx, c := w.Context(), use(w, w.aws.SSM)
	w.Parameter("/guardroom/workstation", "ami-0123456789abcdef0")
	out := got[*ssm.GetParameterOutput](w, "parameter")(c.GetParameter(ctx, &ssm.GetParameterInput{Name: s("/guardroom/workstation")}))
	w.Is("its value", str(out.Parameter.Value), "ami-0123456789abcdef0")
	_, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: s("/guardroom/none")})
	w.Code("no parameter", err, "ParameterNotFound")
}
