package sim

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// document is a policy of IAM or of a bucket.
type document struct {
	Version   string
	Statement statements
}

// statements is a list of statements, or one alone.
type statements []statement

// UnmarshalJSON reads both forms.
func (s *statements) UnmarshalJSON(raw []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		var one statement
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*s = statements{one}
		return nil
	}
	var many []statement
	if err := json.Unmarshal(raw, &many); err != nil {
		return err
	}
	*s = many
	return nil
}

type statement struct {
	Sid          string
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       texts
	NotAction    texts
	Resource     texts
	NotResource  texts
	Condition    map[string]map[string]texts
}

// texts is a list of texts, or one alone; numbers and booleans count as texts.
type texts []string

// UnmarshalJSON reads all forms.
func (t *texts) UnmarshalJSON(raw []byte) error {
	var many []any
	if err := json.Unmarshal(raw, &many); err != nil {
		var one any
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		many = []any{one}
	}
	for _, v := range many {
		switch v.(type) {
		case string, bool, float64:
			*t = append(*t, fmt.Sprint(v))
		default:
			return fmt.Errorf("%v is neither a text nor a list of texts", v)
		}
	}
	return nil
}

var (
	sidPattern = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	conditions = []string{
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
		"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
	}
)

// parseDocument reads and checks a policy. One of a resource names principals,
// one of an identity must not.
func parseDocument(raw string, ofResource bool) (document, error) {
	var d document
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		return d, fmt.Errorf("syntax errors in policy: %w", err)
	}
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return d, fmt.Errorf("the policy must contain a valid version string")
	}
	if len(d.Statement) == 0 {
		return d, fmt.Errorf("missing required field Statement")
	}
	for _, s := range d.Statement {
		if err := s.check(ofResource); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (s statement) check(ofResource bool) error {
	named := s.Principal != nil || s.NotPrincipal != nil
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("invalid effect: %s", s.Effect)
	case (len(s.Action) > 0) == (len(s.NotAction) > 0):
		return fmt.Errorf("policy statement must contain actions")
	case (len(s.Resource) > 0) == (len(s.NotResource) > 0):
		return fmt.Errorf("policy statement must contain resources")
	case ofResource && !named:
		return fmt.Errorf("missing required field Principal")
	case !ofResource && named:
		return fmt.Errorf("policy document should not specify a principal")
	case !ofResource && !sidPattern.MatchString(s.Sid):
		return fmt.Errorf("statement IDs (SID) must be alpha-numeric")
	}
	for _, a := range append(slices.Clone(s.Action), s.NotAction...) {
		if a != "*" && !strings.Contains(a, ":") {
			return fmt.Errorf("actions/conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc")
		}
	}
	for op, keys := range s.Condition {
		plain := op[strings.LastIndex(op, ":")+1:]
		if !slices.Contains(conditions, strings.TrimSuffix(plain, "IfExists")) {
			return fmt.Errorf("invalid Condition type : %s", op)
		}
		for key, values := range keys {
			if !strings.HasPrefix(plain, "Date") || !strings.EqualFold(key, "aws:TokenIssueTime") {
				continue
			}
			for _, v := range values {
				if _, err := time.Parse(time.RFC3339, v); err != nil {
					return fmt.Errorf("invalid date %q in Condition", v)
				}
			}
		}
	}
	return nil
}

// request is what a policy is asked about.
type request struct {
	Action   string
	Resource string
	// Keys are the condition keys that the request has, in lower case.
	Keys map[string]string
	// Principal is the ARN that asks; empty: nobody known.
	Principal string
	Account   string
}

// decide asks a document: whether a statement allows, and whether one denies.
func (d document) decide(q request) (allow, deny bool) {
	for _, s := range d.Statement {
		if !s.applies(q) {
			continue
		}
		if s.Effect == "Deny" {
			deny = true
		} else {
			allow = true
		}
	}
	return allow, deny
}

func (s statement) applies(q request) bool {
	if len(s.Action) > 0 && !anyMatch(s.Action, q.Action) || len(s.NotAction) > 0 && anyMatch(s.NotAction, q.Action) {
		return false
	}
	if len(s.Resource) > 0 && !anyMatch(s.Resource, q.Resource) || len(s.NotResource) > 0 && anyMatch(s.NotResource, q.Resource) {
		return false
	}
	if s.Principal != nil && !names(s.Principal, q) || s.NotPrincipal != nil && names(s.NotPrincipal, q) {
		return false
	}
	for op, keys := range s.Condition {
		for key, values := range keys {
			if !holds(op, q.Keys, key, values) {
				return false
			}
		}
	}
	return true
}

func anyMatch(patterns texts, s string) bool {
	for _, p := range patterns {
		if matches(strings.ToLower(p), strings.ToLower(s)) {
			return true
		}
	}
	return false
}

// names reports whether a Principal element names who asks.
func names(raw json.RawMessage, q request) bool {
	for _, p := range principalsOf(raw) {
		switch p {
		case "*":
			return true
		case q.Principal:
			return q.Principal != ""
		case q.Account, "arn:aws:iam::" + q.Account + ":root":
			return q.Account != ""
		}
	}
	return false
}

// principalsOf are the AWS principals of a Principal element.
func principalsOf(raw json.RawMessage) []string {
	var all string
	if json.Unmarshal(raw, &all) == nil {
		return []string{all}
	}
	var kinds map[string]texts
	if json.Unmarshal(raw, &kinds) != nil {
		return nil
	}
	return kinds["AWS"]
}

// holds evaluates one condition. A key that the request lacks makes it false,
// but for the negated conditions and ...IfExists. What this simulation does not
// know is false.
func holds(op string, have map[string]string, key string, values texts) bool {
	v, known := have[strings.ToLower(key)]
	kind, optional := strings.CutSuffix(op, "IfExists")
	if !known && optional {
		return true
	}
	switch kind {
	case "StringEquals":
		return known && slices.Contains(values, v)
	case "StringNotEquals":
		return !known || !slices.Contains(values, v)
	case "StringLike":
		return known && anyExact(values, v)
	case "StringNotLike":
		return !known || !anyExact(values, v)
	case "ArnEquals", "ArnLike":
		return known && anyExact(values, v)
	case "ArnNotEquals", "ArnNotLike":
		return !known || !anyExact(values, v)
	case "Bool":
		return known && len(values) > 0 && strings.EqualFold(values[0], v)
	case "Null":
		return len(values) > 0 && strings.EqualFold(values[0], fmt.Sprint(!known))
	case "DateLessThan":
		at, err := time.Parse(time.RFC3339, v)
		return known && err == nil && anyTime(values, at.Before)
	case "IpAddress":
		return known && anyNetwork(values, v)
	case "NotIpAddress":
		return !known || !anyNetwork(values, v)
	}
	return false
}

func anyExact(patterns texts, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, s) })
}

func anyTime(values texts, before func(time.Time) bool) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		t, err := time.Parse(time.RFC3339, v)
		return err == nil && before(t)
	})
}

func anyNetwork(values texts, address string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		if _, n, err := net.ParseCIDR(v); err == nil {
			return n.Contains(net.ParseIP(address))
		}
		return v == address
	})
}

// narrowing are condition keys that make a statement not public.
var narrowing = []string{"aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:userid", "s3:dataaccesspointaccount", "s3:dataaccesspointarn"}

// public reports whether a bucket policy allows everybody something.
func (d document) public() bool {
	return slices.ContainsFunc(d.Statement, func(s statement) bool {
		if s.Effect != "Allow" || s.NotPrincipal == nil && !slices.Contains(principalsOf(s.Principal), "*") {
			return false
		}
		for op, keys := range s.Condition {
			for key, values := range keys {
				if slices.Contains(narrowing, strings.ToLower(key)) && !strings.Contains(op, "Not") && !slices.Contains(values, "*") && !slices.Contains(values, "0.0.0.0/0") {
					return false
				}
			}
		}
		return true
	})
}
