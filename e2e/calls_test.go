package e2e

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/respond/awscalls"
)

var clientMethod = regexp.MustCompile(`aws-sdk-go-v2/service/([a-z0-9]+)\.\(\*Client\)\.([A-Z][A-Za-z0-9]+)`)

// What is not listed is not in the program at all: neither somebody who gets hold
// of it nor a mistake of ours finds the other 600 calls of EC2 there, and nobody
// has to hold them in memory.
func TestTheProgramHoldsOnlyTheCallsThatItMakes(t *testing.T) {
	t.Parallel()
	if err := dependOnSources(); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	for service, types := range map[string][]reflect.Type{
		"autoscaling":            {reflect.TypeFor[awscalls.AutoScaling]()},
		"cloudtrail":             {reflect.TypeFor[awscalls.CloudTrail]()},
		"cloudwatchlogs":         {reflect.TypeFor[awscalls.Logs]()},
		"ebs":                    {reflect.TypeFor[awscalls.EBS]()},
		"ec2":                    {reflect.TypeFor[awscalls.EC2](), reflect.TypeFor[cloud.EC2Client]()},
		"elasticloadbalancing":   {reflect.TypeFor[awscalls.ELB]()},
		"elasticloadbalancingv2": {reflect.TypeFor[awscalls.ELBv2]()},
		"guardduty":              {reflect.TypeFor[cloud.GuardDutyClient]()},
		"iam":                    {reflect.TypeFor[awscalls.IAM]()},
		"kms":                    {reflect.TypeFor[awscalls.KMS]()},
		"lambda":                 {reflect.TypeFor[awscalls.Lambda]()},
		"organizations":          {reflect.TypeFor[cloud.OrganizationsClient]()},
		"rds":                    {reflect.TypeFor[awscalls.RDS]()},
		"secretsmanager":         {reflect.TypeFor[cloud.SecretsManagerClient]()},
		"sqs":                    {reflect.TypeFor[cloud.SQSClient]()},
		"ssm":                    {reflect.TypeFor[awscalls.SSM](), reflect.TypeFor[cloud.SSMClient]()},
		"wafv2":                  {reflect.TypeFor[awscalls.WAF]()},
		// The SDK itself has these in interfaces: S3 for its directory buckets,
		// the others for credentials.
		"s3": nil, "sts": nil, "sso": nil, "ssooidc": nil, "signin": nil,
	} {
		listed[service] = nil
		for _, i := range types {
			for m := range i.Methods() {
				listed[service] = append(listed[service], m.Name)
			}
		}
	}
	found := map[string]bool{}
	for _, m := range clientMethod.FindAllSubmatch(program, -1) {
		service, call := string(m[1]), string(bytes.Clone(m[2]))
		found[service] = true
		list, known := listed[service]
		switch {
		case !known:
			t.Errorf("the program has a client of %s, which this test does not know", service)
		case list != nil && call != "Options" && !slices.Contains(list, call):
			t.Errorf("the program holds %s.%s, which nothing calls: a whole client of %[1]s is in an interface (see internal/gen/calls)", service, call)
		}
	}
	for service := range listed {
		if !found[service] {
			t.Errorf("the program has no client of %s", service)
		}
	}
}
