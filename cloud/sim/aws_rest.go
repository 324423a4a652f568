package sim

import (
	"context"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// IAM implements awscalls.AWS.
func (p provider) IAM(_ context.Context, at awscalls.Place) (awscalls.IAM, error) {
	return iamClient{p.w.clientFor(at)}, nil
}

// STS implements awscalls.AWS.
func (p provider) STS(_ context.Context, at awscalls.Place) (awscalls.STS, error) {
	return stsClient{p.w.clientFor(at)}, nil
}

// SSM implements awscalls.AWS.
func (p provider) SSM(_ context.Context, at awscalls.Place) (awscalls.SSM, error) {
	return ssmClient{p.w.clientFor(at)}, nil
}

// S3 implements awscalls.AWS.
func (p provider) S3(_ context.Context, at awscalls.Place) (awscalls.S3, error) {
	return s3Client{p.w.clientFor(at)}, nil
}

// Presign implements awscalls.AWS.
func (p provider) Presign(_ context.Context, at awscalls.Place) (awscalls.Presigner, error) {
	return s3Client{p.w.clientFor(at)}, nil
}

// KMS implements awscalls.AWS.
func (p provider) KMS(_ context.Context, at awscalls.Place) (awscalls.KMS, error) {
	return kmsClient{p.w.clientFor(at)}, nil
}

// EBS implements awscalls.AWS.
func (p provider) EBS(_ context.Context, at awscalls.Place) (awscalls.EBS, error) {
	return ebsClient{p.w.clientFor(at)}, nil
}

// Lambda implements awscalls.AWS.
func (p provider) Lambda(_ context.Context, at awscalls.Place) (awscalls.Lambda, error) {
	return lambdaClient{p.w.clientFor(at)}, nil
}

// RDS implements awscalls.AWS.
func (p provider) RDS(_ context.Context, at awscalls.Place) (awscalls.RDS, error) {
	return rdsClient{p.w.clientFor(at)}, nil
}

// WAF implements awscalls.AWS.
func (p provider) WAF(_ context.Context, at awscalls.Place) (awscalls.WAF, error) {
	return wafClient{p.w.clientFor(at)}, nil
}

// Logs implements awscalls.AWS.
func (p provider) Logs(_ context.Context, at awscalls.Place) (awscalls.Logs, error) {
	return logsClient{p.w.clientFor(at)}, nil
}

// CloudTrail implements awscalls.AWS.
func (p provider) CloudTrail(_ context.Context, at awscalls.Place) (awscalls.CloudTrail, error) {
	return trailClient{p.w.clientFor(at)}, nil
}
