package sim

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// servicePrefix is what IAM calls a service, by the SDK's name of it.
var servicePrefix = map[string]string{
	"EC2": "ec2", "Auto Scaling": "autoscaling", "Elastic Load Balancing": "elasticloadbalancing",
	"Elastic Load Balancing v2": "elasticloadbalancing", "IAM": "iam", "STS": "sts", "SSM": "ssm", "S3": "s3",
	"KMS": "kms", "EBS": "ebs", "Lambda": "lambda", "RDS": "rds", "WAFV2": "wafv2", "CloudWatch Logs": "logs", "CloudTrail": "cloudtrail",
}

// actionNames are the calls whose action has another name than the call.
var actionNames = map[string]string{
	"S3.GetPublicAccessBlock":       "s3:GetBucketPublicAccessBlock",
	"S3.PutPublicAccessBlock":       "s3:PutBucketPublicAccessBlock",
	"S3.DeletePublicAccessBlock":    "s3:PutBucketPublicAccessBlock",
	"S3.GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
	"S3.HeadObject":                 "s3:GetObject",
	"S3.ListObjectsV2":              "s3:ListBucket",
	"S3.CreateMultipartUpload":      "s3:PutObject",
	"S3.UploadPart":                 "s3:PutObject",
	"S3.CompleteMultipartUpload":    "s3:PutObject",
	"S3.ListParts":                  "s3:ListMultipartUploadParts",
}

// actionOf is the IAM action that a call needs.
func actionOf(c Call) string {
	name, ok := actionNames[c.Service+"."+c.Operation]
	if !ok {
		name = servicePrefix[c.Service] + ":" + c.Operation
	}
	if !versioned(c.Input) {
		return name
	}
	switch name {
	case "s3:GetObject":
		return "s3:GetObjectVersion"
	case "s3:GetObjectTagging":
		return "s3:GetObjectVersionTagging"
	case "s3:PutObjectTagging":
		return "s3:PutObjectVersionTagging"
	}
	return name
}

// versioned reports whether a call names a version of an object.
func versioned(in any) bool {
	switch v := in.(type) {
	case *s3.HeadObjectInput:
		return aws.ToString(v.VersionId) != ""
	case *s3.GetObjectInput:
		return aws.ToString(v.VersionId) != ""
	case *s3.GetObjectTaggingInput:
		return aws.ToString(v.VersionId) != ""
	case *s3.PutObjectTaggingInput:
		return aws.ToString(v.VersionId) != ""
	}
	return false
}

// denied refuses a call whose role lacks the action.
func (w *World) denied(c Call) error {
	action := actionOf(c)
	for _, pattern := range w.opts.Deny[c.Place.Role] {
		if matches(strings.ToLower(pattern), strings.ToLower(action)) {
			return refusal(c.Service, w.principal(c.Place), action)
		}
	}
	return nil
}

// refusal is the error of a service for a missing permission.
func refusal(service, who, action string) error {
	code := "AccessDenied"
	switch service {
	case "EC2":
		code = "UnauthorizedOperation"
	case "SSM", "KMS", "EBS", "Lambda", "WAFV2", "CloudWatch Logs", "CloudTrail":
		code = "AccessDeniedException"
	}
	return fail(code, "User: %s is not authorized to perform: %s", who, action)
}

// throttleCode is what a service says to who asks too often.
func throttleCode(service string) string {
	switch service {
	case "EC2":
		return "RequestLimitExceeded"
	case "S3":
		return "SlowDown"
	case "Lambda":
		return "TooManyRequestsException"
	case "EBS":
		return "RequestThrottledException"
	case "SSM", "KMS", "WAFV2", "CloudWatch Logs", "CloudTrail":
		return "ThrottlingException"
	}
	return "Throttling"
}

// principal is the ARN of the role that a place is called as.
func (w *World) principal(p awscalls.Place) string {
	if w.opts.Principal != nil {
		return w.opts.Principal(p)
	}
	return "arn:aws:iam::" + p.Account + ":role/guardroom-" + string(p.Role)
}

// matches compares a text with a pattern in which * is any text and ? any one
// character, as IAM does.
func matches(pattern, s string) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
