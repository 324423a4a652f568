package cloud_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fakeguardduty"
	"github.com/guardroom/guardroom/internal/fault"
)

// unobserved is a configuration of the SDK for what tests do that guardroom does
// not.
func unobserved() aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &motoURL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

type answer struct {
	name, in, want string
	code           fault.Code
}

func resolve(t *testing.T, r interface {
	Resolve(ctx context.Context, name string) (string, error)
}, cases []answer) {
	t.Helper()
	for _, c := range cases {
		got, err := r.Resolve(t.Context(), c.in)
		if got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
		switch {
		case (err != nil) != (c.code != ""):
			t.Errorf("%s: %v", c.name, err)
		case err != nil && fault.CodeOf(err) != c.code:
			t.Errorf("%s: %s, %v", c.name, fault.CodeOf(err), err)
		case err != nil && (fault.Of(err).Hint == "" || strings.Contains(err.Error(), "hunter")):
			t.Errorf("%s: no hint, or the value in it: %v", c.name, fault.Of(err))
		}
	}
}

func TestParametersAreReadDecrypted(t *testing.T) {
	t.Parallel()
	client := ssm.NewFromConfig(unobserved())
	if _, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/guardroom/token"), Value: aws.String("hunter2"), Type: ssmtypes.ParameterTypeSecureString}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	resolve(t, cloud.SSMResolver{Cloud: w.cloud}, []answer{
		{"by path", "/guardroom/token", "hunter2", ""},
		{"not there", "/guardroom/nothing", "", fault.NotFound},
		{"no name", " ", "", fault.Usage},
	})
}

func TestSecretsAreReadWholeOrByKey(t *testing.T) {
	t.Parallel()
	client := secretsmanager.NewFromConfig(unobserved())
	for name, value := range map[string]string{"guardroom/plain": "hunter2", "guardroom/pairs": `{"token":"hunter3","port":1,"empty":""}`} {
		if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(value)}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("guardroom/binary"), SecretBinary: []byte("hunter4")})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, config.AWS{}, nil, fakeguardduty.Options{})
	resolve(t, cloud.SecretsManagerResolver{Cloud: w.cloud}, []answer{
		{"whole", "guardroom/plain", "hunter2", ""},
		{"by key", "guardroom/pairs#token", "hunter3", ""},
		{"binary, by ARN", aws.ToString(made.ARN), "", fault.Usage},
		{"no such key", "guardroom/pairs#Token", "", fault.NotFound},
		{"a key that is a number", "guardroom/pairs#port", "", fault.Usage},
		{"a key that is empty", "guardroom/pairs#empty", "", fault.Usage},
		{"a key of plain text", "guardroom/plain#token", "", fault.Usage},
		{"not there", "guardroom/nothing", "", fault.NotFound},
		{"no key after the mark", "guardroom/pairs#", "", fault.Usage},
	})
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := refusing(t, "AccessDeniedException", 400)
	_, err := cloud.SSMResolver{Cloud: c.cloud}.Resolve(t.Context(), "/guardroom/token")
	f := fault.Of(err)
	if f.Code != fault.Denied || !strings.Contains(f.Hint, "iam.md") || !strings.Contains(f.Error(), "/guardroom/token") {
		t.Errorf("%+v", f)
	}
}
