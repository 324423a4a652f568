package forensics

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

// keys asks who manages the key of each encrypted volume.
func (w *World) keys(ctx context.Context, a awscalls.AWS, r respond.Request) {
	known := map[string]string{}
	for i := range w.Volumes {
		v := &w.Volumes[i]
		if !v.Encrypted {
			continue
		}
		if _, ok := known[v.Key]; !ok {
			who, err := keyManager(ctx, a, r.Place(awscalls.Read), v.Key)
			if err != nil {
				w.note("who manages key "+v.Key, err)
				who = "unknown"
			}
			known[v.Key] = who
		}
		v.KeyManager = known[v.Key]
	}
}

func keyManager(ctx context.Context, a awscalls.AWS, p awscalls.Place, key string) (string, error) {
	c, err := a.KMS(ctx, p)
	if err != nil {
		return "", err
	}
	out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key)})
	if err != nil {
		return "", err
	}
	if out.KeyMetadata == nil {
		return "", fmt.Errorf("AWS says nothing about it")
	}
	return string(out.KeyMetadata.KeyManager), nil
}

func (w *World) agent(ctx context.Context, a awscalls.AWS, r respond.Request) error {
	c, err := a.SSM(ctx, r.Place(awscalls.Read))
	if err == nil {
		w.Agent, err = agentOf(ctx, c, w.Instance)
	}
	if err != nil {
		w.Agent = Agent{Why: "it could not be looked at: " + short(err)}
	}
	return err
}

func agentOf(ctx context.Context, c awscalls.SSM, instance string) (Agent, error) {
	out, err := c.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{Filters: []ssmtypes.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: []string{instance}}}})
	if err != nil {
		return Agent{}, err
	}
	for _, i := range out.InstanceInformationList {
		if aws.ToString(i.InstanceId) != instance {
			continue
		}
		g := Agent{Online: i.PingStatus == ssmtypes.PingStatusOnline, Version: aws.ToString(i.AgentVersion)}
		if !g.Online {
			g.Why = "its SSM agent is " + strings.ToLower(string(i.PingStatus))
		}
		return g, nil
	}
	return Agent{Why: "SSM does not know the instance: it has no agent, no way to SSM, or no permission for it"}, nil
}
