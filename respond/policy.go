package respond

import "time"

// Policy is what an operator decided about responses. The zero value is not
// useful: take DefaultPolicy.
type Policy struct {
	// Order is volatile_first, isolate_first, or auto: isolation first while data is leaving.
	Order string
	// MemoryAfter says whether memory may be taken after isolation, through endpoints
	// of the VPC: auto (not while data is leaving), always or never.
	MemoryAfter string
	// IdleTimeouts is never or auto: whether idle connections that AWS tracks are
	// forgotten sooner, where they may live on.
	IdleTimeouts string
	// OutOfService is detach or standby, for members of an Auto Scaling group.
	OutOfService string
	// OpenWindow is auto or never: whether the group that opens everything may
	// be put on an interface for the seconds of the two-group pass.
	OpenWindow string
	// WindowSeconds is how long it stays.
	WindowSeconds int
	// NACL is auto, always or never.
	NACL string
	// ProtectStop also turns on stop protection.
	ProtectStop bool
	// WholeRole allows to revoke all sessions of a role where the session is not known.
	WholeRole bool
	// BlockFor is how long a network actor is blocked.
	BlockFor time.Duration
	// BreakGlass are ARNs of roles that are never locked out of a bucket.
	BreakGlass []string
	// IPSet is the WAF IP set for blocked addresses; empty: network ACLs.
	IPSet IPSet
	// Own are networks that are never blocked.
	Own []string

	Evidence  Evidence
	Forensics Forensics

	// PlanAge is how long a plan may wait for its approval.
	PlanAge time.Duration
	// Approvals is how many people must approve; RequesterMayApprove lets the
	// one who asked be among them.
	Approvals           int
	RequesterMayApprove bool
	// IsolationsAnHour, RevocationsAnHour and BlocksAnHour are caps per account;
	// ResponsesAnHour is for the whole installation.
	IsolationsAnHour, RevocationsAnHour, BlocksAnHour, ResponsesAnHour int
	// PlansAnHour bounds the plans that routes have made by themselves.
	PlansAnHour int
	// DryRun makes every plan one that changes nothing.
	DryRun bool
}

// IPSet names a set of WAF.
type IPSet struct{ Name, ID, Scope string }

// Evidence says where evidence is kept.
type Evidence struct {
	Bucket, Prefix, Region string
	// KMSKey encrypts it; empty: the bucket's default.
	KMSKey string
	// LockMode is governance, compliance or none; LockDays for how long.
	LockMode string
	LockDays int
	// CoolOffHours is for how long a compliance lock of a snapshot can be taken
	// back, 1 to 72; 0: 24. A lock without is never set.
	CoolOffHours int
	// OlderSnapshots is lock or list: what becomes of snapshots of the same volumes
	// that were there before. Empty: list.
	OlderSnapshots string
	// SigningKey is the file of the Ed25519 key that seals manifests, made where
	// there is none; empty: manifests are not signed, and say so.
	SigningKey string
	// WorkingDays is after how many days working copies are cleaned up.
	WorkingDays int
}

// Forensics says where evidence is examined.
type Forensics struct {
	// Account is the forensic account; empty: the attacked one.
	Account string
	// TransferKey is the KMS key in the attacked account with which snapshots
	// under the AWS-managed key are encrypted anew, to be shared; Key is the
	// evidence key of the forensic account.
	TransferKey, Key string
	// Image is an AMI id or ssm:PARAMETER; ImageOwners are the accounts (or
	// amazon) that may own it.
	Image       string
	ImageOwners []string
	// Types and Subnets are tried in their order.
	Types   []string
	Subnets []string
	// SecurityGroups of the workstation, and its instance profile.
	SecurityGroups []string
	Profile        string
	// Memory is auto or never; MemoryTool is the key of the acquisition binary
	// in the evidence bucket with {arch}, MemoryToolSHA256 by architecture, and
	// MemoryDocument the SSM document.
	Memory           string
	MemoryDocument   string
	MemoryDocVersion string
	MemoryDocHash    string
	MemoryTool       map[string]string
	MemoryToolSHA256 map[string]string
	// Hash is auto or never: whether blocks are hashed by the EBS direct APIs.
	Hash string
}

// DefaultPolicy is what holds where nothing is configured.
func DefaultPolicy() Policy {
	return Policy{
		Order: "auto", MemoryAfter: "auto", IdleTimeouts: "never", OutOfService: "detach", OpenWindow: "auto", WindowSeconds: 3, NACL: "auto", ProtectStop: true,
		BlockFor: 24 * time.Hour,
		Evidence: Evidence{LockMode: "governance", LockDays: 30, CoolOffHours: 24, OlderSnapshots: "lock", WorkingDays: 14},
		Forensics: Forensics{Types: []string{"m7i.xlarge", "m6i.xlarge", "m5.xlarge"}, ImageOwners: []string{"amazon"},
			Image: "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Memory: "auto", Hash: "auto"},
		PlanAge: 30 * time.Minute, Approvals: 1, RequesterMayApprove: true,
		IsolationsAnHour: 3, RevocationsAnHour: 3, BlocksAnHour: 10, ResponsesAnHour: 10, PlansAnHour: 30,
	}
}
