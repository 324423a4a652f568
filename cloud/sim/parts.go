package sim

// accountParts and regionParts hold the state of each service; the types are in
// the files of the services.

type accountParts struct {
	restAccount
}

type regionParts struct {
	restRegion
	EC2 ec2State `json:"ec2"`
	ASG asgState `json:"autoscaling"`
	ELB elbState `json:"elb"`
}
