package sim

import "time"

// Agent is what answers a command on an instance. It runs under the world's
// lock, more than once for the same command, and must answer the same.
type Agent func(c AgentCommand) AgentAnswer

// AgentCommand is a command as it reaches an instance.
type AgentCommand struct {
	Account, Region, Instance, Document string
	Parameters                          map[string][]string
}

// AgentAnswer is what an instance does with a command.
type AgentAnswer struct {
	// Takes is how long it runs; a command that runs longer than the document
	// allows times out.
	Takes  time.Duration `json:"takes"`
	Output string        `json:"output,omitempty"`
	Error  string        `json:"error,omitempty"`
	// Code is the exit code; not 0: the command failed.
	Code int32 `json:"code,omitempty"`
	// Upload is put to the pre-signed addresses among the parameters, part by
	// part in their order.
	Upload []byte `json:"upload,omitempty"`
}
