package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// kmsState is what a region has of KMS.
type kmsState struct {
	Keys map[string]*KMSKey `json:"keys,omitempty"` // by id
}

// KMSKey is a key. What is left out when it is added is filled in.
type KMSKey struct {
	ID      string    `json:"id"`
	ARN     string    `json:"arn"`
	Account string    `json:"account"`
	Alias   string    `json:"alias,omitempty"` // alias/aws/ebs
	Created time.Time `json:"created"`
	// AWSManaged keys belong to a service: what they encrypt cannot be shared.
	AWSManaged bool `json:"aws_managed,omitempty"`
	Disabled   bool `json:"disabled,omitempty"`
	// DeletedAt is when a key that is scheduled for deletion goes.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
	// Accounts are others whom the key policy lets use it.
	Accounts []string          `json:"accounts,omitempty"`
	Grants   map[string]*Grant `json:"grants,omitempty"`
}

// Grant is a grant of a key.
type Grant struct {
	ID          string    `json:"id"`
	Token       string    `json:"token"`
	Name        string    `json:"name,omitempty"`
	Grantee     string    `json:"grantee"`
	Retiring    string    `json:"retiring,omitempty"`
	Operations  []string  `json:"operations"`
	Constraints string    `json:"constraints,omitempty"`
	Created     time.Time `json:"created"`
}

// AddKMSKey adds a key to a region.
func (e *Editor) AddKMSKey(accountID, regionName string, k KMSKey) *KMSKey {
	_, r := e.w.at(accountID, regionName)
	k.Account = accountID
	k.ID = orText(k.ID, e.w.uuid())
	k.ARN = "arn:aws:kms:" + regionName + ":" + accountID + ":key/" + k.ID
	k.Created = orTime(k.Created, e.w.now().Add(-365*24*time.Hour))
	put(&r.KMS.Keys, k.ID, &k)
	return &k
}

// KMSKey returns a key that must be there, by its id, ARN or alias.
func (e *Editor) KMSKey(accountID, regionName, id string) *KMSKey {
	return must(e.w.findKey(accountID, regionName, id))
}

// uuid is an id in the form of a UUID.
func (w *World) uuid() string {
	w.state.Seq++
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", w.state.Seq)
}

// findKey finds a key by its id, ARN, alias or alias ARN. An ARN may be of
// another account.
func (w *World) findKey(accountID, regionName, id string) (*KMSKey, error) {
	if p := strings.SplitN(id, ":", 6); len(p) == 6 && p[0] == "arn" && p[2] == "kms" {
		accountID, regionName, id = p[4], p[3], strings.TrimPrefix(p[5], "key/")
	}
	if a := w.state.Accounts[accountID]; a != nil && a.Regions[regionName] != nil {
		for _, k := range a.Regions[regionName].KMS.Keys {
			if k.ID == id || k.Alias != "" && k.Alias == id {
				return k, nil
			}
		}
	}
	return nil, fail("NotFoundException", "Key '%s' does not exist", id)
}

func (k *KMSKey) state() types.KeyState {
	switch {
	case !k.DeletedAt.IsZero():
		return types.KeyStatePendingDeletion
	case k.Disabled:
		return types.KeyStateDisabled
	}
	return types.KeyStateEnabled
}

func (k *KMSKey) usable() bool { return k.state() == types.KeyStateEnabled }

// lets reports whether an account may do something with a key: it owns it, its
// policy names the account, or a grant does.
func (k *KMSKey) lets(accountID, operation string) bool {
	if k.Account == accountID {
		return true
	}
	if k.AWSManaged {
		return false
	}
	if slices.Contains(k.Accounts, accountID) {
		return true
	}
	for _, g := range k.Grants {
		if accountOf(g.Grantee) == accountID && slices.Contains(g.Operations, operation) {
			return true
		}
	}
	return false
}

// accountOf is the account in an ARN.
func accountOf(arn string) string {
	if p := strings.Split(arn, ":"); len(p) > 4 {
		return p[4]
	}
	return ""
}

type kmsClient struct{ client }

var _ awscalls.KMS = kmsClient{}

func (c kmsClient) key(id *string, operation string) (*KMSKey, error) {
	k, err := c.w.findKey(c.place.Account, c.place.Region, aws.ToString(id))
	if err != nil {
		return nil, err
	}
	if !k.lets(c.place.Account, operation) {
		return nil, refusal("KMS", c.w.principal(c.place), "kms:"+operation)
	}
	return k, nil
}

// itself refuses the names of a key where AWS takes its id or ARN only.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func itself(id *string) error {
	name := aws.ToString(id)
	if p := strings.SplitN(name, ":", 6); len(p) == 6 {
		name = p[5]
	}
	if strings.HasPrefix(name, "alias/") {
		return fail("NotFoundException", "Invalid keyId '%s'", aws.ToString(id))
	}
	return nil
}

// DescribeKey implements awscalls.KMS.
func (c kmsClient) DescribeKey(ctx context.Context, in *kms.DescribeKeyInput, _ ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	return do(ctx, c.client, "KMS", "DescribeKey", false, in, func(*account, *region) (*kms.DescribeKeyOutput, error) {
		k, err := c.key(in.KeyId, "DescribeKey")
		if err != nil {
			return nil, err
		}
		m := &types.KeyMetadata{
			KeyId: aws.String(k.ID), Arn: aws.String(k.ARN), AWSAccountId: aws.String(k.Account), CreationDate: aws.Time(k.Created), Enabled: k.usable(),
			KeyState: k.state(), KeyManager: types.KeyManagerTypeCustomer, KeyUsage: types.KeyUsageTypeEncryptDecrypt, KeySpec: types.KeySpecSymmetricDefault,
			Origin: types.OriginTypeAwsKms, MultiRegion: aws.Bool(false), EncryptionAlgorithms: []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault},
		}
		if k.AWSManaged {
			m.KeyManager = types.KeyManagerTypeAws
		}
		if !k.DeletedAt.IsZero() {
			m.DeletionDate = aws.Time(k.DeletedAt)
		}
		return &kms.DescribeKeyOutput{KeyMetadata: m}, nil
	})
}

// CreateGrant implements awscalls.KMS. A grant with the same name and the same
// contents is not made twice.
func (c kmsClient) CreateGrant(ctx context.Context, in *kms.CreateGrantInput, _ ...func(*kms.Options)) (*kms.CreateGrantOutput, error) {
	return do(ctx, c.client, "KMS", "CreateGrant", true, in, func(*account, *region) (*kms.CreateGrantOutput, error) {
		if err := itself(in.KeyId); err != nil {
			return nil, err
		}
		k, err := c.key(in.KeyId, "CreateGrant")
		if err != nil {
			return nil, err
		}
		if k.AWSManaged {
			return nil, refusal("KMS", c.w.principal(c.place), "kms:CreateGrant")
		}
		if !k.usable() {
			return nil, fail(stateCode(k), "%s is %s.", k.ARN, k.state())
		}
		g, err := grantOf(in)
		if err != nil {
			return nil, err
		}
		if aws.ToBool(in.DryRun) {
			return nil, fail("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
		}
		for _, have := range k.Grants {
			if g.Name != "" && have.Name == g.Name && have.Grantee == g.Grantee && have.Retiring == g.Retiring && have.Constraints == g.Constraints && slices.Equal(have.Operations, g.Operations) {
				return &kms.CreateGrantOutput{GrantId: aws.String(have.ID), GrantToken: aws.String(have.Token)}, nil
			}
		}
		g.ID, g.Token, g.Created = c.w.id("grant"), c.w.id("token"), c.w.now()
		put(&k.Grants, g.ID, g)
		return &kms.CreateGrantOutput{GrantId: aws.String(g.ID), GrantToken: aws.String(g.Token)}, nil
	})
}

func stateCode(k *KMSKey) string {
	if k.Disabled {
		return "DisabledException"
	}
	return "KMSInvalidStateException"
}

// grantOf checks a grant that is asked for.
func grantOf(in *kms.CreateGrantInput) (*Grant, error) {
	g := &Grant{Name: aws.ToString(in.Name), Grantee: aws.ToString(in.GranteePrincipal), Retiring: aws.ToString(in.RetiringPrincipal)}
	if accountOf(g.Grantee) == "" || g.Retiring != "" && accountOf(g.Retiring) == "" {
		return nil, fail("InvalidArnException", "ARN does not refer to a valid principal")
	}
	if len(in.Operations) == 0 {
		return nil, fail("ValidationException", "1 validation error detected: Value at 'operations' failed to satisfy constraint: Member must not be null")
	}
	for _, o := range in.Operations {
		if !slices.Contains(o.Values(), o) {
			return nil, fail("ValidationException", "1 validation error detected: Value '%s' at 'operations' failed to satisfy constraint", o)
		}
		g.Operations = append(g.Operations, string(o))
	}
	slices.Sort(g.Operations)
	if in.Constraints != nil {
		for _, k := range keysOf(in.Constraints.EncryptionContextEquals) {
			g.Constraints += "equals " + k + "=" + in.Constraints.EncryptionContextEquals[k] + ";"
		}
		for _, k := range keysOf(in.Constraints.EncryptionContextSubset) {
			g.Constraints += "subset " + k + "=" + in.Constraints.EncryptionContextSubset[k] + ";"
		}
	}
	return g, nil
}

// RetireGrant implements awscalls.KMS, by token or by key and id.
func (c kmsClient) RetireGrant(ctx context.Context, in *kms.RetireGrantInput, _ ...func(*kms.Options)) (*kms.RetireGrantOutput, error) {
	return do(ctx, c.client, "KMS", "RetireGrant", true, in, func(*account, *region) (*kms.RetireGrantOutput, error) {
		if t := aws.ToString(in.GrantToken); t != "" {
			for _, k := range c.w.allKeys(c.place.Region) {
				for id, g := range k.Grants {
					if g.Token == t {
						delete(k.Grants, id)
						return &kms.RetireGrantOutput{}, nil
					}
				}
			}
			return nil, fail("InvalidGrantTokenException", "The grant token is invalid.")
		}
		if p := strings.Split(aws.ToString(in.KeyId), ":"); len(p) != 6 {
			return nil, fail("InvalidArnException", "Invalid arn %s", aws.ToString(in.KeyId))
		}
		if err := itself(in.KeyId); err != nil {
			return nil, err
		}
		k, err := c.w.findKey(c.place.Account, c.place.Region, *in.KeyId)
		if err != nil {
			return nil, err
		}
		if k.Grants[aws.ToString(in.GrantId)] == nil {
			return nil, fail("NotFoundException", "Grant ID %s not found", aws.ToString(in.GrantId))
		}
		delete(k.Grants, *in.GrantId)
		return &kms.RetireGrantOutput{}, nil
	})
}

// allKeys are the keys of a region in all accounts.
func (w *World) allKeys(regionName string) []*KMSKey {
	var all []*KMSKey
	for _, id := range keysOf(w.state.Accounts) {
		r := w.state.Accounts[id].Regions[regionName]
		if r == nil {
			continue
		}
		for _, k := range keysOf(r.KMS.Keys) {
			all = append(all, r.KMS.Keys[k])
		}
	}
	return all
}
