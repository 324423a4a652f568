package forensics

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/guardroom/guardroom/evidence"
)

// The parameters of steps. They are part of the plan's bytes, so they hold ids
// and settings and nothing that is secret.

type instanceParams struct {
	Instance string `json:"instance"`
}

type setParams struct {
	Instance string   `json:"instance"`
	Volumes  []Volume `json:"volumes"`
	// CopyTags says that the volumes' tags are copied; not where they carry ours.
	CopyTags bool `json:"copy_tags"`
}

// snapshotParams are about the snapshot that the step From left.
type snapshotParams struct {
	Volume Volume `json:"volume"`
	From   string `json:"from"`
	// Key encrypts a copy; Source is the region that it is copied from.
	Key    string `json:"key,omitempty"`
	Source string `json:"source,omitempty"`
	// With is the account that it is shared with; SourceKey is the customer's own
	// key, for which that account gets a grant.
	With      string `json:"with,omitempty"`
	SourceKey string `json:"source_key,omitempty"`
	Mode      string `json:"mode,omitempty"` // of the lock
	Days      int    `json:"days,omitempty"`
	CoolOff   int    `json:"cool_off_hours,omitempty"` // of a compliance lock
	// Original is the step whose snapshot this one is a copy of.
	Original string `json:"original,omitempty"`
}

type machineParams struct {
	Image          string   `json:"image"` // as the policy has it; resolved again by the step
	Found          Image    `json:"found"`
	Types          []string `json:"types"`
	Subnets        []Subnet `json:"subnets"`
	SecurityGroups []string `json:"security_groups"`
	Profile        string   `json:"profile,omitempty"`
	Key            string   `json:"key,omitempty"`
}

type volumeParams struct {
	Volume Volume `json:"volume"`
	From   string `json:"from"`
	Key    string `json:"key,omitempty"`
	// Index and Of are the place among the volumes of the plan: each tries
	// device names that no other one of the plan tries.
	Index int `json:"index"`
	Of    int `json:"of"`
}

type reportParams struct {
	Instance string         `json:"instance"`
	Gaps     []evidence.Gap `json:"gaps,omitempty"` // known when the plan was made
}

// made is something that AWS made for a step.
type made struct {
	ID     string    `json:"id"`
	Volume string    `json:"volume"`
	At     time.Time `json:"at,omitzero"` // as AWS says
	GiB    int64     `json:"gib,omitempty"`
	Key    string    `json:"key,omitempty"`
	Set    bool      `json:"set,omitempty"` // one of those of the same instant
}

// machine is the workstation.
type machine struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Zone   string `json:"zone"`
	Subnet string `json:"subnet"`
	Image  string `json:"image"`
	Root   string `json:"root"`
}

// locked is what a lock step found or set.
type locked struct {
	Mode string `json:"mode"`
	// Until is when it ends; where Pending, when it ends at the earliest.
	Until time.Time `json:"until"`
	Days  int       `json:"days,omitempty"`
	// Pending says that its days count from when the snapshot is completed, which
	// is still to come: until then AWS shows no end.
	Pending bool `json:"pending,omitempty"`
	// Cools is until when a compliance lock can be taken back; zero: it cannot.
	Cools time.Time `json:"cools,omitzero"`
	// Unseen is why AWS does not show it; empty: it does.
	Unseen string `json:"unseen,omitempty"`
}

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("forensics: parameters of ours are no JSON: " + err.Error())
	}
	return b
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
