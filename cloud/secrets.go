package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/guardroom/guardroom/internal/fault"
)

// SSMResolver resolves ${ssm:NAME} from the parameter store, decrypted. NAME is
// a parameter's name, path or ARN, with an optional :VERSION.
type SSMResolver struct{ Cloud *Cloud }

// SecretsManagerResolver resolves ${secretsmanager:NAME} from Secrets Manager.
// NAME is a secret's name or ARN; NAME#KEY takes the string KEY of a secret
// that is a JSON object, which is how the console stores pairs.
type SecretsManagerResolver struct{ Cloud *Cloud }

// Resolve returns the value of a parameter. It blocks for one call, until its
// retries are used up or ctx ends. Errors are faults and never hold a value.
func (r SSMResolver) Resolve(ctx context.Context, name string) (string, error) {
	if strings.TrimSpace(name) == "" {
		return "", fault.New(fault.Usage, "a reference to the parameter store names no parameter", "write ${ssm:/guardroom/slack-token}")
	}
	client, err := r.Cloud.SSM(ctx, regionOf(name))
	if err != nil {
		return "", err
	}
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name), WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", Explain(err, fmt.Sprintf("read the parameter %s", name))
	}
	if out.Parameter == nil || aws.ToString(out.Parameter.Value) == "" {
		return "", fault.New(fault.Usage, fmt.Sprintf("the parameter %s is empty", name), "store its value: aws ssm put-parameter --type SecureString")
	}
	return aws.ToString(out.Parameter.Value), nil
}

// Resolve returns the value of a secret. It blocks for one call, until its
// retries are used up or ctx ends. Errors are faults and never hold a value.
func (r SecretsManagerResolver) Resolve(ctx context.Context, name string) (string, error) {
	id, key, hasKey := strings.Cut(name, "#")
	if strings.TrimSpace(id) == "" || (hasKey && key == "") {
		return "", fault.New(fault.Usage, fmt.Sprintf("%q names no secret", name), "write ${secretsmanager:guardroom/slack} or ${secretsmanager:guardroom/slack#token}")
	}
	client, err := r.Cloud.SecretsManager(ctx, regionOf(id))
	if err != nil {
		return "", err
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(id)})
	if err != nil {
		return "", Explain(err, fmt.Sprintf("read the secret %s", id))
	}
	if out.SecretString == nil {
		return "", fault.New(fault.Usage, fmt.Sprintf("the secret %s is binary", id), "store it as text")
	}
	if !hasKey {
		return notEmpty(id, *out.SecretString)
	}
	return member(id, key, *out.SecretString)
}

func notEmpty(what, value string) (string, error) {
	if value == "" {
		return "", fault.New(fault.Usage, fmt.Sprintf("the secret %s is empty", what), "store its value")
	}
	return value, nil
}

// member takes one string of a JSON object. Its errors hold no part of the
// secret: also a parser's message may repeat what it read.
func member(id, key, text string) (string, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil {
		return "", fault.New(fault.Usage, fmt.Sprintf("the secret %s is no JSON object", id), "leave out #"+key+", or store the secret as key and value")
	}
	raw, ok := object[key]
	if !ok {
		return "", fault.New(fault.NotFound, fmt.Sprintf("the secret %s has no key %s", id, key), "keys are compared letter by letter; see the secret in the console")
	}
	var value string
	if json.Unmarshal(raw, &value) != nil {
		return "", fault.New(fault.Usage, fmt.Sprintf("the key %s of the secret %s is no string", key, id), "store it as text")
	}
	return notEmpty(id+"#"+key, value)
}

// regionOf is the region in an ARN; empty for a plain name.
func regionOf(name string) string {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}
