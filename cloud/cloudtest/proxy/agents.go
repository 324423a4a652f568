package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Agent is an agent of Systems Manager on an instance.
type Agent struct {
	InstanceID      string
	Account, Region string
	Offline         bool
	Version         string
	Platform        string // Linux, Windows
	PlatformName    string
}

// Session is an open shell of Session Manager.
type Session struct {
	ID, InstanceID, Owner string
	Account, Region       string
	Ended                 bool
}

// Command is what SendCommand asks of one instance.
type Command struct {
	ID, InstanceID, Document string
	DocumentHash             string
	DocumentVersion          string
	Parameters               map[string][]string
	Comment                  string
	Account, Region          string
}

// Result is how a command ends.
type Result struct {
	Status         string // Success where empty; Failed, TimedOut, …
	Stdout, Stderr string
	Code           int
	Takes          time.Duration
}

type command struct {
	Command
	sent      time.Time
	starts    time.Time
	result    Result
	cancelled bool
}

// stage is where a command stands.
func (c *command) stage(now time.Time) string {
	switch {
	case c.cancelled:
		return "Cancelled"
	case now.Before(c.starts):
		return "Pending"
	case now.Before(c.starts.Add(c.result.Takes)):
		return "InProgress"
	case c.result.Status != "":
		return c.result.Status
	}
	return "Success"
}

// SetAgent puts an agent on an instance, or changes it.
func (p *Proxy) SetAgent(a Agent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.agents[a.InstanceID] = &a
}

// OpenSession opens a shell.
func (p *Proxy) OpenSession(s Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.sessions = append(p.state.sessions, &s)
}

// Sessions are all shells.
func (p *Proxy) Sessions() []Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Session
	for _, s := range p.state.sessions {
		out = append(out, *s)
	}
	return out
}

// ssmFilter is a filter, as the operations of Systems Manager spell it in
// several ways.
type ssmFilter struct {
	Key, Name string
	LowerKey  string          `json:"key"`
	Values    []string        `json:"Values"`
	Value     json.RawMessage `json:"value"`
	ValueSet  []string        `json:"valueSet"`
}

func (f ssmFilter) name() string { return f.Key + f.Name + f.LowerKey }

func (f ssmFilter) values() []string {
	out := slices.Concat(f.Values, f.ValueSet)
	var one string
	if json.Unmarshal(f.Value, &one) == nil && one != "" {
		out = append(out, one)
	}
	return out
}

func (p *Proxy) describeAgents(r *request) answer {
	var in struct {
		Filters                       []ssmFilter
		InstanceInformationFilterList []ssmFilter
	}
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	var ids []string
	for _, f := range slices.Concat(in.Filters, in.InstanceInformationFilterList) {
		if f.name() != "InstanceIds" {
			return r.no("InvalidInstanceInformationFilterValue", "the proxy does not know the filter %s", f.name())
		}
		ids = append(ids, f.values()...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []map[string]any{}
	for _, a := range p.state.agents {
		if a.Account != r.account || a.Region != r.region || (len(ids) > 0 && !slices.Contains(ids, a.InstanceID)) {
			continue
		}
		ping := "Online"
		if a.Offline {
			ping = "ConnectionLost"
		}
		list = append(list, map[string]any{"InstanceId": a.InstanceID, "PingStatus": ping, "AgentVersion": a.Version, "PlatformType": a.Platform, "PlatformName": a.PlatformName,
			"ResourceType": "EC2Instance", "LastPingDateTime": float64(p.now().Unix())})
	}
	slices.SortFunc(list, func(a, b map[string]any) int {
		return strings.Compare(a["InstanceId"].(string), b["InstanceId"].(string))
	})
	return r.json(map[string]any{"InstanceInformationList": list})
}

func (p *Proxy) describeSessions(r *request) answer {
	var in struct {
		State   string
		Filters []ssmFilter
	}
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []map[string]any{}
	for _, s := range p.state.sessions {
		if s.Account != r.account || s.Region != r.region || s.Ended != (in.State == "History") {
			continue
		}
		wanted := true
		for _, f := range in.Filters {
			switch f.name() {
			case "Target":
				wanted = wanted && slices.Contains(f.values(), s.InstanceID)
			case "Owner":
				wanted = wanted && slices.Contains(f.values(), s.Owner)
			}
		}
		if !wanted {
			continue
		}
		status := "Connected"
		if s.Ended {
			status = "Terminated"
		}
		list = append(list, map[string]any{"SessionId": s.ID, "Target": s.InstanceID, "Owner": s.Owner, "Status": status})
	}
	return r.json(map[string]any{"Sessions": list})
}

func (p *Proxy) terminateSession(r *request) answer {
	var in struct{ SessionId string } //nolint:revive // as the API spells it
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.state.sessions {
		if s.ID == in.SessionId && s.Account == r.account && s.Region == r.region {
			s.Ended = true
			return r.json(map[string]any{"SessionId": s.ID})
		}
	}
	return r.no("DoesNotExistException", "Session %s does not exist", in.SessionId)
}

func (p *Proxy) sendCommand(r *request) answer {
	var in struct {
		InstanceIds                                          []string //nolint:revive // as the API spells it
		DocumentName, DocumentHash, DocumentVersion, Comment string
		Parameters                                           map[string][]string
	}
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	if len(in.InstanceIds) != 1 {
		return r.no("InvalidInstanceId", "the proxy sends commands to one instance at a time")
	}
	id := in.InstanceIds[0]
	now := p.now()
	p.mu.Lock()
	a := p.state.agents[id]
	reachable := a != nil && !a.Offline && a.Account == r.account && a.Region == r.region
	p.state.seq++
	seq := p.state.seq
	p.mu.Unlock()
	if !reachable || !p.running(id, now) {
		return r.no("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", id, r.account)
	}
	c := &command{sent: now, starts: now.Add(p.opts.Timing.Invocation), Command: Command{ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", seq, seq), InstanceID: id,
		Document: in.DocumentName, DocumentHash: in.DocumentHash, DocumentVersion: in.DocumentVersion, Parameters: in.Parameters, Comment: in.Comment, Account: r.account, Region: r.region}}
	if p.opts.Agent != nil {
		c.result = p.opts.Agent(c.Command)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.commands = append(p.state.commands, c)
	return r.json(map[string]any{"Command": c.json(now)})
}

func (c *command) json(now time.Time) map[string]any {
	return map[string]any{"CommandId": c.ID, "DocumentName": c.Document, "DocumentVersion": c.DocumentVersion, "Comment": c.Comment, "InstanceIds": []string{c.InstanceID},
		"Parameters": c.Parameters, "Status": c.stage(now), "StatusDetails": c.stage(now), "RequestedDateTime": float64(c.sent.Unix()), "TargetCount": 1}
}

func (p *Proxy) listCommands(r *request) answer {
	var in struct {
		CommandId, InstanceId string //nolint:revive // as the API spells it
		Filters               []ssmFilter
	}
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []map[string]any{}
	for _, c := range slices.Backward(p.state.commands) { // the latest first
		if c.Account == r.account && c.Region == r.region && (in.CommandId == "" || in.CommandId == c.ID) && (in.InstanceId == "" || in.InstanceId == c.InstanceID) {
			list = append(list, c.json(p.now()))
		}
	}
	return r.json(map[string]any{"Commands": list})
}

// find is a command of the caller. The caller of find holds the lock.
func (p *Proxy) find(r *request, id string) *command {
	for _, c := range p.state.commands {
		if c.ID == id && c.Account == r.account && c.Region == r.region {
			return c
		}
	}
	return nil
}

func (p *Proxy) getInvocation(r *request) answer {
	var in struct{ CommandId, InstanceId string } //nolint:revive // as the API spells it
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	c := p.find(r, in.CommandId)
	if c == nil || c.InstanceID != in.InstanceId || now.Before(c.starts) {
		return r.no("InvocationDoesNotExist", "The invocation does not exist")
	}
	stage := c.stage(now)
	out := map[string]any{"CommandId": c.ID, "InstanceId": c.InstanceID, "DocumentName": c.Document, "Comment": c.Comment, "Status": stage, "StatusDetails": stage, "ResponseCode": -1}
	if stage != "Pending" && stage != "InProgress" {
		out["StandardOutputContent"], out["StandardErrorContent"], out["ResponseCode"] = cutTo(c.result.Stdout), cutTo(c.result.Stderr), c.result.Code
	}
	return r.json(out)
}

// cutTo is as much of an output as GetCommandInvocation gives back.
func cutTo(s string) string { return s[:min(len(s), 24_000)] }

func (p *Proxy) cancelCommand(r *request) answer {
	var in struct{ CommandId string } //nolint:revive // as the API spells it
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.find(r, in.CommandId)
	if c == nil {
		return r.refuse(http.StatusBadRequest, "InvalidCommandId", "The command does not exist")
	}
	if stage := c.stage(p.now()); stage == "Pending" || stage == "InProgress" {
		c.cancelled = true
	}
	return r.json(map[string]any{})
}
