package sim

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

func keys(e *Editor) {
	e.AddKMSKey(attacked, home, KMSKey{ID: "managed", Alias: "alias/aws/ebs", AWSManaged: true})
	e.AddKMSKey(attacked, home, KMSKey{ID: "ours", Alias: "alias/ours"})
	e.AddKMSKey(attacked, home, KMSKey{ID: "off", Disabled: true})
	e.AddKMSKey(attacked, home, KMSKey{ID: "going", DeletedAt: restStart.AddDate(0, 0, 7)})
}

const (
	oursARN  = "arn:aws:kms:eu-central-1:111111111111:key/ours"
	grantee  = "arn:aws:iam::222222222222:role/guardroom-forensics"
	goingARN = "arn:aws:kms:eu-central-1:111111111111:key/going"
)

func TestKMSDescribesKeysByAnyName(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{}, keys)
	c := kmsClient{w.act()}
	for id, want := range map[string]types.KeyMetadata{
		"ours": {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStateEnabled}, oursARN: {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStateEnabled},
		"alias/ours": {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStateEnabled}, "alias/aws/ebs": {KeyManager: types.KeyManagerTypeAws, KeyState: types.KeyStateEnabled},
		"arn:aws:kms:eu-central-1:111111111111:alias/ours": {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStateEnabled},
		"off": {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStateDisabled}, goingARN: {KeyManager: types.KeyManagerTypeCustomer, KeyState: types.KeyStatePendingDeletion},
	} {
		m := val(c.DescribeKey(context.Background(), &kms.DescribeKeyInput{KeyId: &id}))(t).KeyMetadata
		if m.KeyManager != want.KeyManager || m.KeyState != want.KeyState || m.Enabled != (want.KeyState == types.KeyStateEnabled) {
			t.Errorf("%s: %s %s", id, m.KeyManager, m.KeyState)
		}
	}
	_, err := c.DescribeKey(context.Background(), &kms.DescribeKeyInput{KeyId: aws.String("none")})
	wantCode(t, err, "NotFoundException")
}

func TestAGrantOpensAKeyToAnotherAccountUntilItIsRetired(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newRest(t, Options{}, keys)
	c, other := kmsClient{w.act()}, kmsClient{w.in(awscalls.Forensics, forensic, home)}
	see := func(code string) {
		t.Helper()
		_, err := other.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(oursARN)})
		wantCode(t, err, code)
	}
	see("AccessDeniedException")
	in := &kms.CreateGrantInput{KeyId: aws.String(oursARN), GranteePrincipal: aws.String(grantee), Name: aws.String("run-1"), Operations: []types.GrantOperation{types.GrantOperationDescribeKey, types.GrantOperationDecrypt}}
	dry := *in
	dry.DryRun = aws.Bool(true)
	_, err := c.CreateGrant(ctx, &dry)
	wantCode(t, err, "DryRunOperationException")
	see("AccessDeniedException")
	g := val(c.CreateGrant(ctx, in))(t)
	see("")
	if again := val(c.CreateGrant(ctx, in))(t); *again.GrantId != *g.GrantId {
		t.Errorf("the same grant was made twice: %s, %s", *g.GrantId, *again.GrantId)
	}
	_, err = c.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: aws.String("ours"), GrantId: g.GrantId})
	wantCode(t, err, "InvalidArnException")
	_, err = c.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: aws.String(oursARN), GrantId: g.GrantId})
	wantCode(t, err, "")
	see("AccessDeniedException")
	_, err = c.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: aws.String(oursARN), GrantId: g.GrantId})
	wantCode(t, err, "NotFoundException")
	_, err = c.RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: g.GrantToken})
	wantCode(t, err, "InvalidGrantTokenException")
	second := val(c.CreateGrant(ctx, in))(t)
	_, err = other.RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: second.GrantToken})
	wantCode(t, err, "")
	see("AccessDeniedException")
}

func TestKMSRefusesGrantsThatItRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, who string
		ops      []types.GrantOperation
		code     string
	}{
		"a key of AWS":           {"managed", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "AccessDeniedException"},
		"a key that is off":      {"off", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "DisabledException"},
		"a key that goes":        {"going", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "KMSInvalidStateException"},
		"an unknown key":         {"none", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "NotFoundException"},
		"an alias":               {"alias/ours", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "NotFoundException"},
		"the ARN of an alias":    {"arn:aws:kms:eu-central-1:111111111111:alias/ours", grantee, []types.GrantOperation{types.GrantOperationDecrypt}, "NotFoundException"},
		"nobody":                 {"ours", "somebody", []types.GrantOperation{types.GrantOperationDecrypt}, "InvalidArnException"},
		"no operation":           {"ours", grantee, nil, "ValidationException"},
		"an operation that none": {"ours", grantee, []types.GrantOperation{"Peek"}, "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRest(t, Options{}, keys)
			_, err := kmsClient{w.act()}.CreateGrant(context.Background(), &kms.CreateGrantInput{KeyId: &c.key, GranteePrincipal: &c.who, Operations: c.ops})
			wantCode(t, err, c.code)
		})
	}
}
