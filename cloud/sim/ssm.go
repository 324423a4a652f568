package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

type ssmClient struct{ client }

var _ awscalls.SSM = ssmClient{}

func (c ssmClient) scope(a *account, r *region) *scope { return c.w.scopeOf(a, r, c.w.now()) }

// DescribeInstanceInformation implements awscalls.SSM. Instances without an agent,
// and those that do not run, are left out.
func (c ssmClient) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return do(ctx, c.client, "SSM", "DescribeInstanceInformation", false, in, func(a *account, r *region) (*ssm.DescribeInstanceInformationOutput, error) {
		if n := in.MaxResults; n != nil && (*n < 5 || *n > 50) {
			return nil, fail("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint", *n)
		}
		only := map[string][]string{}
		for _, f := range in.Filters {
			only[aws.ToString(f.Key)] = f.Values
		}
		for _, f := range in.InstanceInformationFilterList {
			only[string(f.Key)] = f.ValueSet
		}
		for k, values := range only {
			if k != "InstanceIds" && k != "PingStatus" {
				return nil, fail("InvalidFilterKey", "%s", k)
			}
			if len(values) == 0 {
				return nil, fail("InvalidInstanceInformationFilterValue", "a filter needs a value")
			}
		}
		s := c.scope(a, r)
		ids := keysOf(r.SSM.Agents)
		for _, id := range keysOf(s.Instances) {
			if r.SSM.Agents[id] == nil && s.agent(id) != nil {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		var all []types.InstanceInformation
		for _, id := range ids {
			if i := s.Instances[id]; i == nil || i.State != "running" {
				continue
			}
			info := s.information(s.agent(id))
			if want := only["InstanceIds"]; want != nil && !slices.Contains(want, id) {
				continue
			}
			if want := only["PingStatus"]; want != nil && !slices.Contains(want, string(info.PingStatus)) {
				continue
			}
			all = append(all, info)
		}
		page, next, err := pageOf(all, in.NextToken, aws.ToInt32(in.MaxResults), 50, "InvalidNextToken")
		return &ssm.DescribeInstanceInformationOutput{InstanceInformationList: page, NextToken: next}, err
	})
}

func (s *scope) information(a *SSMAgent) types.InstanceInformation {
	i := types.InstanceInformation{
		InstanceId: aws.String(a.Instance), AgentVersion: aws.String(a.Version), PlatformType: types.PlatformType(a.Platform), ResourceType: types.ResourceTypeEc2Instance,
		PingStatus: types.PingStatusConnectionLost, LastPingDateTime: aws.Time(s.now), IsLatestVersion: aws.Bool(true),
	}
	if s.online(a) {
		i.PingStatus = types.PingStatusOnline
	} else if !a.Lost.IsZero() {
		i.LastPingDateTime = aws.Time(a.Lost)
	}
	return i
}

// DescribeSessions implements awscalls.SSM.
func (c ssmClient) DescribeSessions(ctx context.Context, in *ssm.DescribeSessionsInput, _ ...func(*ssm.Options)) (*ssm.DescribeSessionsOutput, error) {
	return do(ctx, c.client, "SSM", "DescribeSessions", false, in, func(_ *account, r *region) (*ssm.DescribeSessionsOutput, error) {
		if !slices.Contains(in.State.Values(), in.State) {
			return nil, fail("ValidationException", "1 validation error detected: Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [History, Active]", in.State)
		}
		var all []types.Session
		for _, s := range inOrder(r.SSM.Sessions) {
			if s.Ended.IsZero() != (in.State == types.SessionStateActive) {
				continue
			}
			wanted := true
			for _, f := range in.Filters {
				is, err := s.is(f)
				if err != nil {
					return nil, err
				}
				wanted = wanted && is
			}
			if wanted {
				all = append(all, s.out())
			}
		}
		page, next, err := pageOf(all, in.NextToken, aws.ToInt32(in.MaxResults), 200, "InvalidNextToken")
		return &ssm.DescribeSessionsOutput{Sessions: page, NextToken: next}, err
	})
}

func (s *ShellSession) is(f types.SessionFilter) (bool, error) {
	want := aws.ToString(f.Value)
	switch f.Key {
	case types.SessionFilterKeyTargetId:
		return s.Instance == want, nil
	case types.SessionFilterKeyOwner:
		return s.Owner == want, nil
	case types.SessionFilterKeySessionId:
		return s.ID == want, nil
	case types.SessionFilterKeyStatus:
		return string(s.status()) == want, nil
	}
	return false, fail("InvalidFilterKey", "the simulation does not know the filter %s", f.Key)
}

func (s *ShellSession) status() types.SessionStatus {
	if s.Ended.IsZero() {
		return types.SessionStatusConnected
	}
	return types.SessionStatusTerminated
}

func (s *ShellSession) out() types.Session {
	o := types.Session{SessionId: aws.String(s.ID), Target: aws.String(s.Instance), Owner: aws.String(s.Owner), StartDate: aws.Time(s.Started), Status: s.status(), DocumentName: aws.String("SSM-SessionManagerRunShell")}
	if !s.Ended.IsZero() {
		o.EndDate = aws.Time(s.Ended)
	}
	return o
}

// TerminateSession implements awscalls.SSM.
func (c ssmClient) TerminateSession(ctx context.Context, in *ssm.TerminateSessionInput, _ ...func(*ssm.Options)) (*ssm.TerminateSessionOutput, error) {
	return do(ctx, c.client, "SSM", "TerminateSession", true, in, func(_ *account, r *region) (*ssm.TerminateSessionOutput, error) {
		s := r.SSM.Sessions[aws.ToString(in.SessionId)]
		if s == nil {
			return nil, fail("DoesNotExistException", "Session %s does not exist", aws.ToString(in.SessionId))
		}
		if s.Ended.IsZero() {
			s.Ended = c.w.now()
		}
		return &ssm.TerminateSessionOutput{SessionId: in.SessionId}, nil
	})
}

// GetParameter implements awscalls.SSM.
func (c ssmClient) GetParameter(ctx context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	return do(ctx, c.client, "SSM", "GetParameter", false, in, func(a *account, r *region) (*ssm.GetParameterOutput, error) {
		name := aws.ToString(in.Name)
		if _, after, ok := strings.Cut(name, ":parameter"); ok {
			name = after
		}
		p := r.SSM.Parameters[name]
		owner := a.ID
		if strings.HasPrefix(name, "/aws/service/") {
			if owner = ""; p == nil {
				p = c.w.publicParameter(r.Name, name)
			}
		}
		if p == nil {
			return nil, fail("ParameterNotFound", "Parameter %s not found.", name)
		}
		kind, value := types.ParameterTypeString, p.Value
		if p.Secure {
			kind = types.ParameterTypeSecureString
			if !aws.ToBool(in.WithDecryption) {
				value = "simulated ciphertext"
			}
		}
		return &ssm.GetParameterOutput{Parameter: &types.Parameter{
			Name: aws.String(name), ARN: aws.String("arn:aws:ssm:" + r.Name + ":" + owner + ":parameter" + name), Type: kind, Value: aws.String(value),
			Version: p.Version, LastModifiedDate: aws.Time(p.Changed), DataType: aws.String("text"),
		}}, nil
	})
}

func (w *World) publicParameter(regionName, name string) *Parameter {
	for _, id := range keysOf(w.state.Accounts) {
		if r := w.state.Accounts[id].Regions[regionName]; r != nil && r.SSM.Parameters[name] != nil {
			return r.SSM.Parameters[name]
		}
	}
	return nil
}

// appears is how long a command that was sent has no invocations yet.
const appears = 2 * time.Second
