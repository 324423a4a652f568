package respond

import (
	"fmt"
	"strings"
)

// Keeping is where a run keeps what it preserves and for how long. It is part of
// the plan, so that it is what was approved: a configuration that changes
// afterwards sends no evidence elsewhere, and no half of it.
type Keeping struct {
	Bucket         string `json:"bucket,omitempty"` // empty: no evidence bucket is configured
	Prefix         string `json:"prefix,omitempty"`
	Region         string `json:"region,omitempty"`
	KMSKey         string `json:"kms_key,omitempty"`
	LockMode       string `json:"lock_mode,omitempty"`
	LockDays       int    `json:"lock_days,omitempty"`
	CoolOffHours   int    `json:"cool_off_hours,omitempty"`
	OlderSnapshots string `json:"older_snapshots,omitempty"`
	WorkingDays    int    `json:"working_days,omitempty"`
	// Account is the forensic account; TransferKey and Key are as in Forensics.
	Account     string `json:"account,omitempty"`
	TransferKey string `json:"transfer_key,omitempty"`
	Key         string `json:"key,omitempty"`
}

// Keeping is where a run that is planned now keeps its evidence.
func (p Policy) Keeping() *Keeping {
	e, f := p.Evidence, p.Forensics
	return &Keeping{Bucket: e.Bucket, Prefix: e.Prefix, Region: e.Region, KMSKey: e.KMSKey, LockMode: e.LockMode, LockDays: e.LockDays,
		CoolOffHours: e.CoolOffHours, OlderSnapshots: e.OlderSnapshots, WorkingDays: e.WorkingDays,
		Account: f.Account, TransferKey: f.TransferKey, Key: f.Key}
}

// For is the policy as the plan was approved under it.
func (p Policy) For(plan *Plan) Policy {
	k := plan.Keeping
	if k == nil {
		return p // an undo, or the plan of an older guardroom
	}
	e, f := &p.Evidence, &p.Forensics
	e.Bucket, e.Prefix, e.Region, e.KMSKey, e.LockMode, e.LockDays = k.Bucket, k.Prefix, k.Region, k.KMSKey, k.LockMode, k.LockDays
	e.CoolOffHours, e.OlderSnapshots, e.WorkingDays = k.CoolOffHours, k.OlderSnapshots, k.WorkingDays
	f.Account, f.TransferKey, f.Key = k.Account, k.TransferKey, k.Key
	return p
}

// String says it in one line: "s3://evidence/guardroom in eu-central-1, locked
// (governance) for 30 days, copies in account 444455556666".
func (k *Keeping) String() string {
	if k == nil || k.Bucket == "" {
		return ""
	}
	s := "s3://" + k.Bucket
	if k.Prefix != "" {
		s += "/" + strings.Trim(k.Prefix, "/")
	}
	if k.Region != "" {
		s += " in " + k.Region
	}
	if k.LockMode == "" || k.LockMode == "none" {
		s += ", not locked"
	} else {
		s += fmt.Sprintf(", to be locked (%s) for %d days", k.LockMode, k.LockDays)
	}
	if k.KMSKey != "" {
		s += ", under key " + k.KMSKey
	}
	if k.Account != "" {
		s += ", copies in account " + k.Account
	}
	return s
}
