package evidence

import "time"

// Kind is what an item is.
type Kind string

// The kinds.
const (
	// Detection is the finding of GuardDuty that the run answers.
	Detection     Kind = "finding"
	BeforeImage   Kind = "before image"
	Snapshot      Kind = "snapshot"
	Copy          Kind = "snapshot copy"
	Volume        Kind = "evidence volume"
	Workstation   Kind = "workstation"
	Memory        Kind = "memory"
	BlockManifest Kind = "block manifest"
	Console       Kind = "console"
	Metadata      Kind = "metadata"
	Trail         Kind = "events of CloudTrail"
	Code          Kind = "code"
	Configuration Kind = "configuration"
)

// Item is one piece of evidence. Where a hash could not be computed, Gap says why.
type Item struct {
	ID string `json:"id"` // unique in the run: the step and what it is
	// Kind and Title are for people.
	Kind  Kind   `json:"kind"`
	Title string `json:"title"`
	// Source is what it was taken from, Location where it is: an s3:// URL or the
	// id of a snapshot, volume or instance. Location is empty for one that has no bytes of its own.
	Source   string `json:"source"`
	Location string `json:"location"`
	// Version is the version of the object in the bucket, where it has any.
	Version string `json:"version,omitempty"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Device of a volume on the attacked host.
	Device    string    `json:"device,omitempty"`
	SizeBytes int64     `json:"size_bytes,omitempty"`
	CreatedAt time.Time `json:"created_at"`          // our clock
	AWSTime   time.Time `json:"aws_time,omitzero"`   // as AWS says
	SHA256    string    `json:"sha256,omitempty"`    // hex
	HashOver  string    `json:"hash_over,omitempty"` // "the object's bytes", "the image, gaps zero-filled"
	Gap       string    `json:"gap,omitempty"`       // why there is no hash, or what it lacks
	How       string    `json:"how"`                 // the call that made it
	Tool      string    `json:"tool,omitempty"`      // name, version and hash of a tool; guardroom itself where it used no other
	Key       string    `json:"key,omitempty"`       // the KMS key that encrypts it
	LockMode  string    `json:"lock_mode,omitempty"` // governance, compliance
	LockUntil time.Time `json:"lock_until,omitzero"`
	// Trust is "aws api", "untrusted host", or "as received": sent by whoever may
	// write to a source, and not confirmed by AWS.
	Trust string `json:"trust"`
	// Set names the items that hold the same instant; empty: this one alone.
	Set string `json:"set,omitempty"`
	// Working marks a copy that is cleaned up after WorkingUntil; it is no original.
	Working      bool      `json:"working,omitempty"`
	WorkingUntil time.Time `json:"working_until,omitzero"`
	Simulated    bool      `json:"simulated,omitempty"`
}

// Guardroom begins the tool of an item that guardroom made by itself.
const Guardroom = "guardroom "

// Gap is what could not be taken, and why.
type Gap struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Custody is one line of the chain of custody.
type Custody struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Action string    `json:"action"` // acquired, locked, shared, copied, hashed, attached, detached, verified, exported, released
	Item   string    `json:"item"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Digest string    `json:"digest,omitempty"` // of the plan that it was approved with
}
