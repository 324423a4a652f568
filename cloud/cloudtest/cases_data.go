package cloudtest

import (
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	wafv2types "github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/aws/smithy-go"
)

func dataCases() []Case {
	return []Case{
		{"keys", keys},
		{"the concurrency of a function", functionConcurrency},
		{"provisioned concurrency", provisionedConcurrency},
		{"snapshots of databases", databaseSnapshots},
		{"snapshots of clusters", clusterSnapshots},
		{"an IP set", ipSet},
	}
}

func keys(w *World) {
	ctx, c := w.Context(), use(w, w.aws.KMS)
	h := w.host(Disk{GiB: 1, Encrypted: true})
	arn := w.Key()
	own := got[*kms.DescribeKeyOutput](w, "our own")(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: s(arn)}))
	w.Is("managed by us", string(own.KeyMetadata.KeyManager), "CUSTOMER")
	w.Is("its ARN", str(own.KeyMetadata.Arn) == arn, true)
	w.Is("it can be used", string(own.KeyMetadata.KeyState), "Enabled")
	managed := w.volume(h.Volumes[1]).KmsKeyId
	w.Is("an encrypted volume names its key", str(managed) != "", true)
	theirs := got[*kms.DescribeKeyOutput](w, "that of AWS")(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: managed}))
	w.Is("managed by AWS", string(theirs.KeyMetadata.KeyManager), "AWS")
	grant := got[*kms.CreateGrantOutput](w, "grant")(c.CreateGrant(ctx, &kms.CreateGrantInput{KeyId: s(arn), GranteePrincipal: s("arn:aws:iam::" + w.Other() + ":role/guardroom-forensics"), RetiringPrincipal: s("arn:aws:iam::" + w.Account + ":role/guardroom-act"),
		Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationDescribeKey}, Name: s("gr-1")}))
	w.Is("a grant has an id and a token", str(grant.GrantId) != "" && str(grant.GrantToken) != "", true)
	again := got[*kms.CreateGrantOutput](w, "grant")(c.CreateGrant(ctx, &kms.CreateGrantInput{KeyId: s(arn), GranteePrincipal: s("arn:aws:iam::" + w.Other() + ":role/guardroom-forensics"), RetiringPrincipal: s("arn:aws:iam::" + w.Account + ":role/guardroom-act"),
		Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationDescribeKey}, Name: s("gr-1")}))
	w.Is("the same name, the same grant", str(again.GrantId) == str(grant.GrantId), true)
	_, err := c.RetireGrant(ctx, &kms.RetireGrantInput{KeyId: s(arn), GrantId: grant.GrantId})
	w.Code("retire it", err, "")
	_, err = c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: s("11111111-2222-3333-4444-555555555555")})
	w.Code("no key", err, "NotFoundException")
}

func functionConcurrency(w *World) {
	ctx, c, name := w.Context(), use(w, w.aws.Lambda), s("resize")
	w.Function(*name)
	f := got[*lambda.GetFunctionOutput](w, "function")(c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: name}))
	w.Is("its ARN", str(f.Configuration.FunctionArn), "arn:aws:lambda:"+Region+":"+w.Account+":function:resize")
	w.Is("where its code is", f.Code != nil && str(f.Code.Location) != "", true)
	w.Is("the hash of its code", str(f.Configuration.CodeSha256) != "", true)
	reserved := func() string {
		out := got[*lambda.GetFunctionConcurrencyOutput](w, "concurrency")(c.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: name}))
		if out.ReservedConcurrentExecutions == nil {
			return "unset"
		}
		return text(*out.ReservedConcurrentExecutions)
	}
	w.Is("unset at first", reserved(), "unset")
	_, err := c.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: aws.Int32(0)})
	w.Code("stop it", err, "")
	w.Is("stopped", reserved(), "0")
	_, err = c.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: name})
	w.Code("let it run", err, "")
	w.Is("unset again", reserved(), "unset")
	_, err = c.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: name})
	w.Code("no policy", err, "ResourceNotFoundException")
	sources := got[*lambda.ListEventSourceMappingsOutput](w, "sources")(c.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: name}))
	w.Is("no sources", len(sources.EventSourceMappings), 0)
	_, err = c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: s("none")})
	w.Code("no function", err, "ResourceNotFoundException")
	_, err = c.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: s("none"), ReservedConcurrentExecutions: aws.Int32(0)})
	w.Code("stop no function", err, "ResourceNotFoundException")
}

func provisionedConcurrency(w *World) {
	ctx, c, name := w.Context(), use(w, w.aws.Lambda), s("warm")
	w.Function(*name)
	answer := func(check string, err error, documented string) {
		have := code(err)
		if _, ok := errors.AsType[smithy.APIError](err); err != nil && !ok {
			have = "no answer of AWS"
		}
		w.Is(check, have, documented)
	}
	out, err := c.ListProvisionedConcurrencyConfigs(ctx, &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: name})
	answer("list it", err, "")
	w.Is("there is none", err != nil || len(out.ProvisionedConcurrencyConfigs) == 0, true)
	_, err = c.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: s("$LATEST"), ProvisionedConcurrentExecutions: aws.Int32(1)})
	answer("for what is not published", err, "InvalidParameterValueException")
	_, err = c.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: s("none"), ProvisionedConcurrentExecutions: aws.Int32(1)})
	answer("for no alias", err, "ResourceNotFoundException")
	_, err = c.DeleteProvisionedConcurrencyConfig(ctx, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: s("none")})
	answer("of no alias", err, "ResourceNotFoundException")
}

// restorers are the accounts that may restore a snapshot.
func restorers(list []rdstypes.DBSnapshotAttribute) []string {
	out := []string{}
	for _, a := range list {
		if str(a.AttributeName) == "restore" {
			out = append(out, a.AttributeValues...)
		}
	}
	slices.Sort(out)
	return out
}

func databaseSnapshots(w *World) {
	ctx, c := w.Context(), use(w, w.aws.RDS)
	w.Database("orders")
	d := got[*rds.DescribeDBInstancesOutput](w, "database")(c.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: s("orders")}))
	w.Is("it is available", str(d.DBInstances[0].DBInstanceStatus), "available")
	_, err := c.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: s("none")})
	w.Code("no database", err, "DBInstanceNotFound")
	take := func() error {
		_, err := c.CreateDBSnapshot(ctx, &rds.CreateDBSnapshotInput{DBInstanceIdentifier: s("orders"), DBSnapshotIdentifier: s("gr-1")})
		return err
	}
	w.Code("take", take(), "")
	w.Code("take again", take(), "DBSnapshotAlreadyExists")
	w.Until("an available snapshot", func() bool {
		out := got[*rds.DescribeDBSnapshotsOutput](w, "snapshot")(c.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: s("gr-1")}))
		return str(out.DBSnapshots[0].Status) == "available"
	})
	_, err = c.DescribeDBSnapshots(ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: s("none")})
	w.Code("no snapshot", err, "DBSnapshotNotFound")
	shares := func() []string {
		out := got[*rds.DescribeDBSnapshotAttributesOutput](w, "shares")(c.DescribeDBSnapshotAttributes(ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: s("gr-1")}))
		return restorers(out.DBSnapshotAttributesResult.DBSnapshotAttributes)
	}
	change := func(add, remove []string) error {
		_, err := c.ModifyDBSnapshotAttribute(ctx, &rds.ModifyDBSnapshotAttributeInput{DBSnapshotIdentifier: s("gr-1"), AttributeName: s("restore"), ValuesToAdd: add, ValuesToRemove: remove})
		return err
	}
	w.Is("shared with nobody", shares(), []string{})
	w.Code("share", change([]string{w.Other(), "all"}, nil), "")
	w.Is("shared", shares(), []string{w.Other(), "all"})
	w.Code("take everybody's share away", change(nil, []string{"all"}), "")
	w.Is("one is left", shares(), []string{w.Other()})
	w.Code("take the other away", change(nil, []string{w.Other()}), "")
	w.Is("shared with nobody again", shares(), []string{})
}

func clusterSnapshots(w *World) {
	ctx, c := w.Context(), use(w, w.aws.RDS)
	w.ClusterSnapshot("ledger", "nightly")
	shares := func() []string {
		out := got[*rds.DescribeDBClusterSnapshotAttributesOutput](w, "shares")(c.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: s("nightly")}))
		list := []string{}
		for _, a := range out.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes {
			if str(a.AttributeName) == "restore" {
				list = append(list, a.AttributeValues...)
			}
		}
		return list
	}
	change := func(add, remove []string) error {
		_, err := c.ModifyDBClusterSnapshotAttribute(ctx, &rds.ModifyDBClusterSnapshotAttributeInput{DBClusterSnapshotIdentifier: s("nightly"), AttributeName: s("restore"), ValuesToAdd: add, ValuesToRemove: remove})
		return err
	}
	w.Is("shared with nobody", shares(), []string{})
	w.Code("share", change([]string{w.Other()}, nil), "")
	w.Is("shared", shares(), []string{w.Other()})
	w.Code("take it back", change(nil, []string{w.Other()}), "")
	w.Is("shared with nobody again", shares(), []string{})
	_, err := c.DescribeDBClusterSnapshotAttributes(ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: s("none")})
	w.Code("no snapshot", err, "DBClusterSnapshotNotFoundFault")
}

func ipSet(w *World) {
	ctx, c := w.Context(), use(w, w.aws.WAF)
	id := w.IPSet("guardroom", "192.0.2.1/32")
	get := func() (list []string, token *string) {
		out := got[*wafv2.GetIPSetOutput](w, "set")(c.GetIPSet(ctx, &wafv2.GetIPSetInput{Id: s(id), Name: s("guardroom"), Scope: wafv2types.ScopeRegional}))
		return slices.Sorted(slices.Values(out.IPSet.Addresses)), out.LockToken
	}
	put := func(token *string, list ...string) error {
		_, err := c.UpdateIPSet(ctx, &wafv2.UpdateIPSetInput{Id: s(id), Name: s("guardroom"), Scope: wafv2types.ScopeRegional, Addresses: list, LockToken: token})
		return err
	}
	list, token := get()
	w.Is("at first", list, []string{"192.0.2.1/32"})
	w.Code("add", put(token, "192.0.2.1/32", "198.51.100.7/32"), "")
	w.Code("with the same token again", put(token, "192.0.2.1/32"), "WAFOptimisticLockException")
	list, token = get()
	w.Is("after that", list, []string{"192.0.2.1/32", "198.51.100.7/32"})
	w.Code("replace the whole list", put(token, "192.0.2.1/32"), "")
	list, _ = get()
	w.Is("at the end", list, []string{"192.0.2.1/32"})
	_, err := c.GetIPSet(ctx, &wafv2.GetIPSetInput{Id: s("11111111-2222-3333-4444-555555555555"), Name: s("none"), Scope: wafv2types.ScopeRegional})
	w.Code("no set", err, "WAFNonexistentItemException")
}
