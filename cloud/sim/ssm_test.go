package sim

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond/awscalls"
)

const host = "i-0aa"

// managed is an instance with an agent, a group that lets it out, and a profile.
func managed(e *Editor) {
	_, r := e.w.at(attacked, home)
	put(&r.EC2.Groups, "sg-open", &group{made: made{ID: "sg-open"}, Rules: []*rule{{Egress: true, Protocol: "-1", CIDR: "0.0.0.0/0"}}})
	put(&r.EC2.Groups, "sg-https", &group{made: made{ID: "sg-https"}, Rules: []*rule{{Egress: true, Protocol: "tcp", From: 443, To: 443, Group: "sg-open"}}})
	put(&r.EC2.Groups, "sg-shut", &group{made: made{ID: "sg-shut"}, Rules: []*rule{{Egress: true, Protocol: "tcp", From: 80, To: 80, CIDR: "0.0.0.0/0"}}})
	put(&r.EC2.Instances, host, &instance{made: made{ID: host}, State: "running", Since: restStart.Add(-time.Hour)})
	put(&r.EC2.ENIs, "eni-1", &eni{made: made{ID: "eni-1"}, Instance: host, Groups: []string{"sg-open"}})
	put(&r.EC2.Profiles, "iip-1", &profileLink{made: made{ID: "iip-1"}, Instance: host, State: "associated"})
	put(&r.EC2.Instances, "i-0bb", &instance{made: made{ID: "i-0bb"}, State: "running"})
	e.SetAgent(attacked, home, SSMAgent{Instance: host})
	e.AddDocument(attacked, home, Document{Name: "memory", Limit: 10 * time.Minute, Parameters: []string{"Parts"}, Answer: AgentAnswer{Takes: 20 * time.Second, Output: "done"}})
	e.AddDocument(attacked, home, Document{Name: "broken", Answer: AgentAnswer{Code: 7, Error: "no such file"}})
	e.AddDocument(attacked, home, Document{Name: "stalls", Limit: time.Minute, Answer: AgentAnswer{Takes: time.Hour}})
}

func groupsOf(groups ...string) func(e *Editor) {
	return func(e *Editor) {
		_, r := e.w.at(attacked, home)
		r.EC2.ENIs["eni-1"].Groups = groups
	}
}

func ping(t *testing.T, w *restWorld, id string) types.PingStatus {
	t.Helper()
	out := val(ssmClient{w.act()}.DescribeInstanceInformation(context.Background(), &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: []string{id}}}}))(t)
	if len(out.InstanceInformationList) == 0 {
		return ""
	}
	return out.InstanceInformationList[0].PingStatus
}

func TestAnAgentAnswersWhileItCan(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, managed)
	see := func(want types.PingStatus) {
		t.Helper()
		if got := ping(t, w, host); got != want {
			t.Errorf("the agent is %q, want %q", got, want)
		}
	}
	see(types.PingStatusOnline)
	if got := ping(t, w, "i-0bb"); got != "" {
		t.Errorf("an instance without an agent is %q", got)
	}
	w.edit(groupsOf("sg-shut"))
	see(types.PingStatusConnectionLost)
	w.edit(groupsOf())
	see(types.PingStatusConnectionLost)
	w.edit(groupsOf("sg-https"))
	see(types.PingStatusOnline)
	w.edit(func(e *Editor) { delete(e.w.state.Accounts[attacked].Regions[home].EC2.Profiles, "iip-1") })
	see(types.PingStatusOnline)
	w.pass(59 * time.Minute)
	see(types.PingStatusOnline)
	w.pass(time.Minute)
	see(types.PingStatusConnectionLost)
	w.edit(func(e *Editor) {
		put(&e.w.state.Accounts[attacked].Regions[home].EC2.Profiles, "iip-2", &profileLink{made: made{ID: "iip-2"}, Instance: host, State: "associated"})
	})
	see(types.PingStatusOnline)
	w.edit(func(e *Editor) { e.w.state.Accounts[attacked].Regions[home].EC2.Instances[host].State = "stopped" })
	see("")
}

func TestAnInstanceThatWasLaunchedWithAProfileBringsItsAgent(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, managed, func(e *Editor) {
		_, r := e.w.at(attacked, home)
		put(&r.EC2.Instances, "i-0ws", &instance{made: made{ID: "i-0ws"}, State: "running", Since: restStart, Token: "gr-1"})
		put(&r.EC2.ENIs, "eni-2", &eni{made: made{ID: "eni-2"}, Instance: "i-0ws", Groups: []string{"sg-https"}})
		put(&r.EC2.Profiles, "iip-2", &profileLink{made: made{ID: "iip-2"}, Instance: "i-0ws", State: "associated"})
	})
	if got := ping(t, w, "i-0ws"); got != "" {
		t.Errorf("at once it is %q", got)
	}
	w.pass(agentBoot)
	if got := ping(t, w, "i-0ws"); got != types.PingStatusOnline {
		t.Errorf("after a minute it is %q", got)
	}
}

func sendIn(document string) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{DocumentName: &document, InstanceIds: []string{host}, Comment: aws.String("run-1/memory"), TimeoutSeconds: aws.Int32(60)}
}

func TestSSMRefusesCommandsThatItRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(in *ssm.SendCommandInput)
		code string
	}{
		"an unknown instance":           {func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-0cc"} }, "InvalidInstanceId"},
		"an instance without an agent":  {func(in *ssm.SendCommandInput) { in.InstanceIds = []string{host, "i-0bb"} }, "InvalidInstanceId"},
		"no instance":                   {func(in *ssm.SendCommandInput) { in.InstanceIds = nil }, "InvalidInstanceId"},
		"an unknown document":           {func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("none") }, "InvalidDocument"},
		"another hash of the document":  {func(in *ssm.SendCommandInput) { in.DocumentHash = aws.String("00") }, "InvalidDocument"},
		"another version":               {func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String("9") }, "InvalidDocumentVersion"},
		"a parameter that it lacks":     {func(in *ssm.SendCommandInput) { in.Parameters = map[string][]string{"Key": {"x"}} }, "InvalidParameters"},
		"a comment over 100 characters": {func(in *ssm.SendCommandInput) { in.Comment = aws.String(strings.Repeat("x", 101)) }, "ValidationException"},
		"less than 30 s to start":       {func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(29) }, "ValidationException"},
		"as it should be":               {func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String("1") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRest(t, Options{}, managed)
			in := sendIn("memory")
			c.edit(in)
			_, err := ssmClient{w.act()}.SendCommand(context.Background(), in)
			wantCode(t, err, c.code)
			if n := len(w.state.Accounts[attacked].Regions[home].SSM.Commands); (n == 1) != (c.code == "") {
				t.Errorf("%d commands", n)
			}
		})
	}
}

func invocation(w *restWorld, id *string) (*ssm.GetCommandInvocationOutput, error) {
	return ssmClient{w.act()}.GetCommandInvocation(context.Background(), &ssm.GetCommandInvocationInput{CommandId: id, InstanceId: aws.String(host)})
}

func TestACommandTakesItsTime(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, managed)
	c := ssmClient{w.act()}
	id := val(c.SendCommand(context.Background(), sendIn("memory")))(t).Command.CommandId
	_, err := invocation(w, id)
	wantCode(t, err, "InvocationDoesNotExist")
	var seen []string
	for range 13 {
		w.pass(2 * time.Second)
		i := val(invocation(w, id))(t)
		if n := len(seen); n == 0 || seen[n-1] != string(i.Status) {
			seen = append(seen, string(i.Status))
		}
		if i.Status == types.CommandInvocationStatusSuccess && (*i.StandardOutputContent != "done" || i.ResponseCode != 0 || *i.ExecutionEndDateTime == "") {
			t.Errorf("the answer is %+v", i)
		}
	}
	if diff := cmp.Diff([]string{"InProgress", "Success"}, seen); diff != "" {
		t.Error(diff)
	}
	val(c.SendCommand(context.Background(), sendIn("memory")))(t)
	l := val(c.ListCommands(context.Background(), &ssm.ListCommandsInput{InstanceId: aws.String(host)}))(t).Commands
	if len(l) != 2 || *l[0].Comment != "run-1/memory" || *l[1].CommandId != *id {
		t.Errorf("a repeat is a second command, the newest first: %v", l)
	}
}

func TestCommandsEndBadlyInTheirWays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		document string
		early    func(w *restWorld) // after the command was sent
		running  func(w *restWorld) // when it runs
		after    time.Duration
		want     string
	}{
		"it fails":                           {document: "broken", after: 10 * time.Second, want: "Failed"},
		"it runs too long":                   {document: "stalls", after: 2 * time.Minute, want: "Execution Timed Out"},
		"it is never delivered":              {document: "memory", early: func(w *restWorld) { w.edit(groupsOf("sg-shut")) }, after: 2 * time.Minute, want: "Delivery Timed Out"},
		"it is cut off and nobody hears":     {document: "memory", running: func(w *restWorld) { w.edit(groupsOf("sg-shut")) }, after: 11 * time.Minute, want: "Execution Timed Out"},
		"it is cut off and nobody hears yet": {document: "memory", running: func(w *restWorld) { w.edit(groupsOf("sg-shut")) }, after: 5 * time.Minute, want: "InProgress"},
		"it is let out again in time": {document: "memory", early: func(w *restWorld) {
			w.edit(groupsOf("sg-shut"))
			w.pass(20 * time.Second)
			w.edit(groupsOf("sg-https"))
		}, after: time.Minute, want: "Success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRest(t, Options{}, managed)
			id := val(ssmClient{w.act()}.SendCommand(context.Background(), sendIn(c.document)))(t).Command.CommandId
			if c.early != nil {
				c.early(w)
			}
			w.pass(3 * time.Second)
			val(invocation(w, id))(t)
			if c.running != nil {
				c.running(w)
			}
			w.pass(c.after)
			if i := val(invocation(w, id))(t); *i.StatusDetails != c.want {
				t.Errorf("it is %s (%s), want %s", *i.StatusDetails, i.Status, c.want)
			}
		})
	}
}

func TestACommandIsCancelled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, managed)
	c := ssmClient{w.act()}
	id := val(c.SendCommand(ctx, sendIn("memory")))(t).Command.CommandId
	_, err := c.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: aws.String("none")})
	wantCode(t, err, "InvalidCommandId")
	_, err = c.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: id})
	wantCode(t, err, "")
	w.pass(time.Hour)
	if i := val(invocation(w, id))(t); i.Status != types.CommandInvocationStatusCancelled {
		t.Errorf("it is %s", i.Status)
	}
}

func TestACommandUploadsToThePresignedParts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	agent := func(c AgentCommand) (AgentAnswer, bool) {
		return AgentAnswer{Output: "from " + c.Instance, Upload: []byte("0123456789")}, c.Document == "memory"
	}
	w := newRest(t, Options{Agent: agent, SmallParts: true}, managed, stores)
	f := s3Client{w.in(awscalls.Forensics, forensic, home)}
	u := begin(t, f, "memory")
	var list []string
	for n := range int32(3) {
		p := val(f.PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: aws.Int32(n + 1)}))(t)
		list = append(list, p.URL)
	}
	send := func(parts ...string) *string {
		in := sendIn("memory")
		in.Parameters = map[string][]string{"Parts": parts}
		id := val(ssmClient{w.act()}.SendCommand(ctx, in))(t).Command.CommandId
		w.pass(5 * time.Second)
		return id
	}
	id := send(list...)
	if i := val(invocation(w, id))(t); i.Status != types.CommandInvocationStatusSuccess || *i.StandardOutputContent != "from "+host {
		t.Errorf("it is %s: %s", i.Status, *i.StandardErrorContent)
	}
	var sizes []int64
	for _, p := range val(f.ListParts(ctx, &s3.ListPartsInput{Bucket: u.Bucket, Key: u.Key, UploadId: u.UploadId}))(t).Parts {
		sizes = append(sizes, *p.Size)
	}
	if diff := cmp.Diff([]int64{4, 4, 2}, sizes); diff != "" {
		t.Errorf("parts: %s", diff)
	}
	w.edit(func(e *Editor) { e.PutObject("evidence", "list", Object{Body: []byte(strings.Join(list, "\n"))}) })
	get := val(f.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("evidence"), Key: aws.String("list")}))(t)
	if i := val(invocation(w, send(get.URL)))(t); i.Status != types.CommandInvocationStatusSuccess {
		t.Errorf("with a list it is %s: %s", i.Status, *i.StandardErrorContent)
	}
	w.pass(time.Hour)
	if i := val(invocation(w, send(list...)))(t); i.Status != types.CommandInvocationStatusFailed || !strings.Contains(*i.StandardErrorContent, "expired") {
		t.Errorf("after they have expired it is %s: %s", i.Status, *i.StandardErrorContent)
	}
	if s := carry(t, w, http.MethodPut, list[0], nil); s != http.StatusForbidden {
		t.Errorf("status %d", s)
	}
}

func TestSSMShowsAndEndsSessions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, managed, func(e *Editor) {
		e.AddSSMSession(attacked, home, ShellSession{ID: "s-1", Instance: host})
		e.AddSSMSession(attacked, home, ShellSession{ID: "s-2", Instance: host})
		e.AddSSMSession(attacked, home, ShellSession{ID: "s-3", Instance: "i-0bb"})
	})
	c := ssmClient{w.act()}
	list := func(state types.SessionState) (ids []string) {
		out := val(c.DescribeSessions(ctx, &ssm.DescribeSessionsInput{State: state, Filters: []types.SessionFilter{{Key: types.SessionFilterKeyTargetId, Value: aws.String(host)}}}))(t)
		for _, s := range out.Sessions {
			ids = append(ids, *s.SessionId)
		}
		return ids
	}
	for range 2 {
		_, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: aws.String("s-1")})
		wantCode(t, err, "")
	}
	if diff := cmp.Diff([]string{"s-2"}, list(types.SessionStateActive)); diff != "" {
		t.Errorf("active: %s", diff)
	}
	if diff := cmp.Diff([]string{"s-1"}, list(types.SessionStateHistory)); diff != "" {
		t.Errorf("history: %s", diff)
	}
	_, err := c.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: aws.String("s-9")})
	wantCode(t, err, "DoesNotExistException")
	_, err = c.DescribeSessions(ctx, &ssm.DescribeSessionsInput{})
	wantCode(t, err, "ValidationException")
}

func TestSSMGivesParameters(t *testing.T) {
	t.Parallel()
	const public = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
	w := newRest(t, Options{}, func(e *Editor) {
		e.AddParameter(forensic, home, Parameter{Name: public, Value: "ami-1"})
		e.AddParameter(attacked, home, Parameter{Name: "/own", Value: "a", Secure: true})
		e.AddParameter(attacked, home, Parameter{Name: "/own", Value: "b", Secure: true})
	})
	c := ssmClient{w.act()}
	read := func(name string, plain bool) (string, error) {
		p, err := c.GetParameter(context.Background(), &ssm.GetParameterInput{Name: &name, WithDecryption: &plain})
		if err != nil {
			return "", err
		}
		return *p.Parameter.Value, nil
	}
	if v := val(read(public, false))(t); v != "ami-1" {
		t.Errorf("public: %s", v)
	}
	if v := val(read("/own", true))(t); v != "b" {
		t.Errorf("own: %s", v)
	}
	if v := val(read("/own", false))(t); v == "b" {
		t.Errorf("a secret is shown without being asked for")
	}
	_, err := read("/none", false)
	wantCode(t, err, "ParameterNotFound")
}
