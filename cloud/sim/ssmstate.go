package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ssmState is what a region has of Systems Manager.
type ssmState struct {
	Agents     map[string]*SSMAgent     `json:"agents,omitempty"`
	Sessions   map[string]*ShellSession `json:"sessions,omitempty"`
	Documents  map[string]*Document     `json:"documents,omitempty"`
	Commands   map[string]*Command      `json:"commands,omitempty"`
	Parameters map[string]*Parameter    `json:"parameters,omitempty"`
}

// SSMAgent is the agent on an instance. It answers while the instance runs, can
// reach port 443, and has had an instance profile within the last hour.
type SSMAgent struct {
	Instance string `json:"instance"`
	Version  string `json:"version"`
	Platform string `json:"platform"` // Linux or Windows
	// Offline makes it silent whatever else is true.
	Offline bool `json:"offline,omitempty"`
	// HostManaged agents need no profile.
	HostManaged bool `json:"host_managed,omitempty"`
	// NoProfile and Lost are since when it has no profile and does not answer.
	NoProfile time.Time `json:"no_profile,omitzero"`
	Lost      time.Time `json:"lost,omitzero"`
}

// ShellSession is a session that somebody opened on an instance.
type ShellSession struct {
	ID       string    `json:"id"`
	Instance string    `json:"instance"`
	Owner    string    `json:"owner"` // ARN
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
}

// Document is a document that commands run. What is left out when it is added is
// filled in.
type Document struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    string `json:"hash"` // SHA-256, in hex
	// Limit is how long it may run; 0: an hour.
	Limit time.Duration `json:"limit"`
	// Parameters are the names that it takes; nil: any.
	Parameters []string `json:"parameters,omitempty"`
	// Answer is what instances do with it.
	Answer AgentAnswer `json:"answer"`
}

// Command is a command that was sent.
type Command struct {
	ID         string                 `json:"id"`
	Document   string                 `json:"document"`
	Version    string                 `json:"version,omitempty"`
	Comment    string                 `json:"comment,omitempty"`
	Parameters map[string][]string    `json:"parameters,omitempty"`
	Requested  time.Time              `json:"requested"`
	Timeout    time.Duration          `json:"timeout"` // until it must have started
	Limit      time.Duration          `json:"limit"`   // how long it may run then
	Runs       map[string]*CommandRun `json:"runs"`    // by instance
}

// CommandRun is what became of a command on an instance.
type CommandRun struct {
	Instance string      `json:"instance"`
	Status   string      `json:"status"`
	Details  string      `json:"details,omitempty"`
	Next     time.Time   `json:"next,omitzero"` // when it is delivered, or that is tried again
	Started  time.Time   `json:"started,omitzero"`
	Ends     time.Time   `json:"ends,omitzero"`
	Ended    time.Time   `json:"ended,omitzero"`
	Late     bool        `json:"late,omitempty"`  // Ends is the end of the time that it has
	Begun    bool        `json:"begun,omitempty"` // its first part was put
	Answer   AgentAnswer `json:"answer,omitzero"`
	Output   string      `json:"output,omitempty"`
	Error    string      `json:"error,omitempty"`
	Code     int32       `json:"code,omitempty"`
}

// Parameter is a parameter of Systems Manager.
type Parameter struct {
	Name    string    `json:"name"`
	Value   string    `json:"value"`
	Secure  bool      `json:"secure,omitempty"`
	Version int64     `json:"version"`
	Changed time.Time `json:"changed"`
}

const agentVersion = "3.3.2299.0"

// SetAgent puts an agent on an instance, or changes it.
func (e *Editor) SetAgent(accountID, regionName string, a SSMAgent) *SSMAgent {
	_, r := e.w.at(accountID, regionName)
	a.Version, a.Platform = orText(a.Version, agentVersion), orText(a.Platform, "Linux")
	put(&r.SSM.Agents, a.Instance, &a)
	return &a
}

// AddSSMSession opens a session on an instance.
func (e *Editor) AddSSMSession(accountID, regionName string, s ShellSession) *ShellSession {
	_, r := e.w.at(accountID, regionName)
	s.ID = orText(s.ID, e.w.id("operator-"))
	s.Owner = orText(s.Owner, "arn:aws:iam::"+accountID+":user/operator")
	s.Started = orTime(s.Started, e.w.now())
	put(&r.SSM.Sessions, s.ID, &s)
	return &s
}

// AddDocument adds a document, or another version of it.
func (e *Editor) AddDocument(accountID, regionName string, d Document) *Document {
	_, r := e.w.at(accountID, regionName)
	d.Version = orText(d.Version, "1")
	sum := sha256.Sum256([]byte(d.Name + "\n" + d.Version))
	d.Hash = orText(d.Hash, hex.EncodeToString(sum[:]))
	if d.Limit == 0 {
		d.Limit = time.Hour
	}
	put(&r.SSM.Documents, d.Name, &d)
	return &d
}

// AddParameter adds a parameter, or gives it another value. One below
// /aws/service is seen by all accounts.
func (e *Editor) AddParameter(accountID, regionName string, p Parameter) *Parameter {
	_, r := e.w.at(accountID, regionName)
	p.Version = 1
	if have := r.SSM.Parameters[p.Name]; have != nil {
		p.Version = have.Version + 1
	}
	p.Changed = e.w.now()
	put(&r.SSM.Parameters, p.Name, &p)
	return &p
}

// Commands are the commands of a region in the order of their ids.
func (e *Editor) Commands(accountID, regionName string) []*Command {
	_, r := e.w.at(accountID, regionName)
	return inOrder(r.SSM.Commands)
}

// ShellSession returns a session; nil: there is none.
func (e *Editor) ShellSession(accountID, regionName, id string) *ShellSession {
	_, r := e.w.at(accountID, regionName)
	return r.SSM.Sessions[id]
}
