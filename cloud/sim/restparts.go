package sim

// restAccount and restRegion are the parts that are not about computers and
// their networks.

type restAccount struct {
	IAM iamState `json:"iam"`
	S3  s3State  `json:"s3"`
}

type restRegion struct {
	KMS    kmsState    `json:"kms"`
	EBS    ebsState    `json:"ebs"`
	SSM    ssmState    `json:"ssm"`
	Lambda lambdaState `json:"lambda"`
	RDS    rdsState    `json:"rds"`
	WAF    wafState    `json:"waf"`
	Logs   logsState   `json:"logs"`
	Trail  trailState  `json:"trail"`
}
