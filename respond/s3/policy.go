package s3

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond/kit"
)

// policyLimit is how many bytes a bucket policy may have.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
const policyLimit = 20 * 1024

// withStatement is the policy with one statement more; one with the same sid is
// replaced. Everything else stays as its author wrote it.
func withStatement(before kit.Document, sid string, statement json.RawMessage) (kit.Document, error) {
	top := map[string]json.RawMessage{"Version": json.RawMessage(`"2012-10-17"`)}
	var list []json.RawMessage
	if !before.Absent {
		top = map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(before.Text), &top); err != nil {
			return before, unreadable(err)
		}
		var err error
		if list, err = statements(top["Statement"]); err != nil {
			return before, unreadable(err)
		}
	}
	kept := make([]json.RawMessage, 0, len(list)+1)
	for _, s := range list {
		if sidOf(s) != sid {
			kept = append(kept, s)
		}
	}
	raw, err := json.Marshal(append(kept, statement))
	if err != nil {
		return before, unreadable(err)
	}
	top["Statement"] = raw
	out := kit.MustJSON(top)
	if len(out) > policyLimit {
		f := fault.New(fault.Conflict, fmt.Sprintf("the bucket policy would have %d bytes with our statement, and AWS allows %d", len(out), policyLimit), "shorten the policy, or contain the principals instead")
		f.Safe = "the policy is as it was"
		return before, playbook.Permanent(f)
	}
	return kit.Text(out), nil
}

// withoutStatement is the policy without exactly that statement. Everything else
// stays as its author wrote it, one alone outside a list as in before; a policy
// without any is absent, for AWS refuses one.
func withoutStatement(now, before kit.Document, statement json.RawMessage) (kit.Document, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal([]byte(now.Text), &top); err != nil {
		return now, unreadable(err)
	}
	list, err := statements(top["Statement"])
	if err != nil {
		return now, unreadable(err)
	}
	list = slices.DeleteFunc(list, func(s json.RawMessage) bool { return sameStatement(s, statement) })
	if len(list) == 0 {
		return kit.None(), nil
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return now, unreadable(err)
	}
	if len(list) == 1 && isAlone(before) {
		raw = list[0]
	}
	top["Statement"] = raw
	return kit.Text(kit.MustJSON(top)), nil
}

// isAlone reports whether a policy has one statement that is in no list.
func isAlone(d kit.Document) bool {
	var top struct{ Statement map[string]json.RawMessage }
	return !d.Absent && json.Unmarshal([]byte(d.Text), &top) == nil && top.Statement != nil
}

func sameStatement(a, b json.RawMessage) bool {
	return kit.Canonical(string(a)) == kit.Canonical(string(b))
}

func unreadable(err error) error {
	return playbook.Permanent(fault.Wrap(fault.Conflict, err, "read the bucket policy as JSON", "the policy is as it was", "look at the policy by hand"))
}

// statements reads a list of statements, or one alone.
func statements(raw json.RawMessage) ([]json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) == nil {
		return many, nil
	}
	var one map[string]json.RawMessage
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	return []json.RawMessage{raw}, nil
}

func sidOf(statement json.RawMessage) string {
	var s struct{ Sid string }
	if json.Unmarshal(statement, &s) != nil {
		return ""
	}
	return s.Sid
}

// hasStatement reports whether a policy holds exactly the statement.
func hasStatement(d kit.Document, statement json.RawMessage) bool {
	return slices.ContainsFunc(statementsOf(d), func(s json.RawMessage) bool { return sameStatement(s, statement) })
}

// hasSid reports whether a policy holds a statement of that name, whatever it says.
func hasSid(d kit.Document, sid string) bool {
	return slices.ContainsFunc(statementsOf(d), func(s json.RawMessage) bool { return sidOf(s) == sid })
}

// statementsOf are the statements of a policy; none of one that cannot be read.
func statementsOf(d kit.Document) []json.RawMessage {
	var top struct{ Statement json.RawMessage }
	if d.Absent || json.Unmarshal([]byte(d.Text), &top) != nil {
		return nil
	}
	list, err := statements(top.Statement)
	if err != nil {
		return nil
	}
	return list
}

// denyEverybodyBut is the statement that closes a bucket to all but a list of
// ARNs and the services of AWS. A request without a signature does not carry the
// key of the condition, and must be denied too: hence IfExists.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func denyEverybodyBut(sid, bucketARN string, exempt []string) json.RawMessage {
	return json.RawMessage(kit.MustJSON(map[string]any{
		"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
		"Resource":  []string{bucketARN, bucketARN + "/*"},
		"Condition": map[string]any{"ArnNotLike": map[string]any{"aws:PrincipalArn": exempt}, "BoolIfExists": map[string]any{"aws:PrincipalIsAWSService": "false"}},
	}))
}

// quarantineTag marks a version of an object that nobody may read.
const quarantineTag = "guardroom-quarantine"

// denyTagged is the statement that keeps everybody but a list from objects with
// our tag, and from taking it off.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
func denyTagged(sid, bucketARN, value string, exempt []string) json.RawMessage {
	return json.RawMessage(kit.MustJSON(map[string]any{
		"Sid": sid, "Effect": "Deny", "Principal": "*",
		"Action":    []string{"s3:GetObject*", "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"},
		"Resource":  bucketARN + "/*",
		"Condition": map[string]any{"StringEquals": map[string]any{"s3:ExistingObjectTag/" + quarantineTag: value}, "ArnNotLike": map[string]any{"aws:PrincipalArn": exempt}},
	}))
}
