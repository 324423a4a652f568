package sim

// restAccount and restRegion are the parts that are not about computers and
// their networks.

type restAccount struct {
	IAM iamState `json:"iam"`
}

type restRegion struct{}
