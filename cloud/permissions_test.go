package cloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
)

const sdk = "github.com/aws/aws-sdk-go-v2/"

// services are the names by which the SDK's packages call themselves.
var services = map[string]string{"autoscaling": "AutoScaling", "ebs": "EBS", "ec2": "EC2", "elasticloadbalancing": "ELB", "elasticloadbalancingv2": "ELBv2",
	"guardduty": "GuardDuty", "iam": "IAM", "kms": "KMS", "lambda": "Lambda", "organizations": "Organizations", "rds": "RDS", "s3": "S3",
	"secretsmanager": "SecretsManager", "sqs": "SQS", "ssm": "SSM", "sts": "STS", "wafv2": "WAF", "cloudwatchlogs": "Logs", "cloudtrail": "CloudTrail"}

// Every call needs an Input of the SDK, so the source says what is called.
func TestThePermissionsAreExactlyWhatTheSourceCalls(t *testing.T) {
	t.Parallel()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "internal" || name == "sim" || name == "cloudtest" || name == "awscalls" || name == "kittest" || name == "testdata" || (strings.HasPrefix(name, ".") && name != "..")) {
			return filepath.SkipDir
		}
		declares := path == filepath.Join("..", "cloud", "calls.go") || path == filepath.Join("..", "cloud", "clients.go")
		if d.IsDir() || declares || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		for _, call := range callsOf(t, path) {
			found[call] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	table := permitted()
	for call, path := range found {
		if !slices.Contains(table, call) {
			t.Errorf("%s calls %s, which cloud.Permissions does not list", path, call)
		}
	}
	for _, call := range table {
		if found[call] == "" {
			t.Errorf("cloud.Permissions lists %s, which nothing calls", call)
		}
	}
}

// callsOf reads the SDK operations out of one file.
func callsOf(t *testing.T, path string) []string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
	if err != nil {
		// Somebody is in the middle of it; the compiler says so better.
		t.Fatalf("%s: %v", path, err)
	}
	names := map[string]string{}
	for _, i := range file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(p, sdk)
		if !ok {
			continue
		}
		name := filepath.Base(rest)
		if i.Name != nil {
			name = i.Name.Name
		}
		if service, ok := strings.CutPrefix(rest, "service/"); ok && !strings.Contains(service, "/") {
			if services[service] == "" {
				t.Errorf("%s uses %s, which this test does not know", path, service)
			}
			names[name] = services[service]
		}
		if rest == "credentials/stscreds" {
			names[name] = "stscreds"
		}
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || names[x.Name] == "" {
			return true
		}
		if operation, ok := strings.CutSuffix(s.Sel.Name, "Input"); ok {
			out = append(out, names[x.Name]+"."+operation)
		}
		if names[x.Name] == "stscreds" && s.Sel.Name == "NewAssumeRoleProvider" {
			out = append(out, "STS.AssumeRole")
		}
		return true
	})
	return out
}

func TestTheObserverSeesEveryCallOnceByItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.AWS{ReadRole: "reader"}, nil, fakeguardduty.Options{})
	d := w.fake.AddDetector(second, region)
	w.fake.Fail(fakeguardduty.Fault{Operation: "GetDetector", Times: 2, Status: http.StatusInternalServerError, Code: "InternalServerErrorException"})
	client, err := w.cloud.GuardDuty(t.Context(), second, "", region)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetDetector(t.Context(), &guardduty.GetDetectorInput{DetectorId: aws.String(d)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"GuardDuty.GetDetector": 1, "STS.AssumeRole": 1}, w.calls.seen); diff != "" {
		t.Error(diff)
	}
}

func TestEveryPermissionIsComplete(t *testing.T) {
	t.Parallel()
	for _, p := range cloud.Permissions() {
		if p.Step == "" || p.Resource == "" || p.When == "" || p.Why == "" || !strings.Contains(p.Action, ":") || !slices.Contains([]string{cloud.AsService, cloud.AsReader, cloud.AsActor, cloud.AsExaminer}, p.As) {
			t.Errorf("%+v", p)
		}
	}
}
