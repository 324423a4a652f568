package sim

import (
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Agent is what answers a command on an instance; false: as the document says.
// It is asked once for each command and instance, under the world's lock.
type Agent func(c AgentCommand) (AgentAnswer, bool)

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
	// part in their order: the first soon after the command began, all when it ends.
	Upload []byte `json:"upload,omitempty"`
}

// deliverAfter is how long a command takes to reach an agent, retryAfter until it
// is tried again, and agentBoot how long an instance runs until its agent is
// online.
const (
	deliverAfter = time.Second
	retryAfter   = 5 * time.Second
	agentBoot    = time.Minute
	firstPart    = 20 * time.Second // a host that sends what it reads has sent this much
	profileLives = time.Hour
)

// serviceAddress stands for wherever Systems Manager is.
var serviceAddress = netip.MustParseAddr("52.94.0.1")

// path reports whether an instance can reach Systems Manager: it runs, a group of
// an interface lets something out to port 443, and so does the subnet's ACL; or
// endpoints of the VPC let it in.
func (s *scope) path(instanceID string) bool {
	i := s.Instances[instanceID]
	if i == nil || i.State != "running" {
		return false
	}
	for _, n := range s.enisOf(instanceID) {
		if s.throughEndpoint(n, "ssm") && s.throughEndpoint(n, "ssmmessages") {
			return true
		}
		if sub := s.Subnets[n.Subnet]; sub != nil && !s.aclAllows(sub.ACL, true, "tcp", serviceAddress, 443) {
			continue
		}
		for _, id := range s.groupsOf(n) {
			if g := s.Groups[id]; g != nil && slices.ContainsFunc(g.Rules, func(r *rule) bool { return letsHTTPSOut(r) && !s.modelled(n, r) }) {
				return true
			}
		}
	}
	return false
}

func letsHTTPSOut(r *rule) bool {
	all := r.Protocol == "-1"
	tcp := r.Protocol == "tcp" || r.Protocol == "6"
	return r.Egress && r.List == "" && (all || tcp && r.From <= 443 && 443 <= r.To)
}

// profiled reports whether an instance has an instance profile.
func (s *scope) profiled(instanceID string) bool {
	for _, p := range s.Profiles {
		if p.Instance == instanceID && p.State != "disassociating" {
			return true
		}
	}
	return false
}

// agent is the agent of an instance: one that was set, or that an instance which
// was launched with a profile brought along; nil: none.
func (s *scope) agent(instanceID string) *SSMAgent {
	if a := s.r.SSM.Agents[instanceID]; a != nil {
		return a
	}
	i := s.Instances[instanceID]
	if i == nil || i.Token == "" || !s.profiled(instanceID) || i.State != "running" || s.now.Before(i.Since.Add(s.w.short(agentBoot))) {
		return nil
	}
	return &SSMAgent{Instance: instanceID, Version: agentVersion, Platform: "Linux"}
}

// online reports whether an agent answers now.
func (s *scope) online(a *SSMAgent) bool {
	if a == nil || a.Offline || !s.path(a.Instance) {
		return false
	}
	return a.NoProfile.IsZero() || s.now.Before(a.NoProfile.Add(s.w.short(profileLives)))
}

// short makes a time shorter by the world's speed.
func (w *World) short(d time.Duration) time.Duration {
	if w.opts.Speed > 0 {
		return time.Duration(float64(d) / w.opts.Speed)
	}
	return d
}

// lookAgents notes since when agents have no profile, and since when they do not
// answer.
func (s *scope) lookAgents() bool {
	moved := false
	for _, a := range inOrder(s.r.SSM.Agents) {
		moved = note(&a.NoProfile, !s.profiled(a.Instance) && !a.HostManaged, s.now) || moved
		moved = note(&a.Lost, !s.online(a), s.now) || moved
	}
	return moved
}

func note(since *time.Time, is bool, now time.Time) bool {
	switch {
	case is && since.IsZero():
		*since = now
	case !is && !since.IsZero():
		*since = time.Time{}
	default:
		return false
	}
	return true
}

// agentEvents are what commands do by themselves.
func (s *scope) agentEvents(consider func(time.Time, func())) {
	for _, a := range inOrder(s.r.SSM.Agents) {
		if !a.NoProfile.IsZero() && a.Lost.IsZero() {
			consider(a.NoProfile.Add(s.w.short(profileLives)), func() {}) // to be noted at that time
		}
	}
	for _, c := range inOrder(s.r.SSM.Commands) {
		for _, r := range inOrder(c.Runs) {
			switch r.Status {
			case "Pending":
				consider(r.Next, func() { s.deliver(c, r) })
				consider(c.Requested.Add(c.Timeout), func() { r.end(s.now, "TimedOut", "Delivery Timed Out") })
			case "InProgress":
				if !r.Begun && len(r.Answer.Upload) > 0 {
					consider(r.Started.Add(s.w.short(min(firstPart, r.Answer.Takes/2))), func() { s.begin(c, r) })
				}
				consider(r.Ends, func() { s.finish(c, r) })
			}
		}
	}
}

// deliver starts a command on an instance whose agent answers.
func (s *scope) deliver(c *Command, r *CommandRun) {
	if !s.online(s.agent(r.Instance)) {
		r.Next = s.now.Add(retryAfter)
		return
	}
	answer, ok := AgentAnswer{}, false
	if s.w.opts.Agent != nil {
		answer, ok = s.w.opts.Agent(AgentCommand{Account: s.a.ID, Region: s.r.Name, Instance: r.Instance, Document: c.Document, Parameters: c.Parameters})
	}
	if !ok {
		if d := s.r.SSM.Documents[c.Document]; d != nil {
			answer = d.Answer
		}
	}
	r.Answer, r.Status, r.Started, r.Next = answer, "InProgress", s.now, time.Time{}
	r.Ends = s.now.Add(s.w.short(max(answer.Takes, time.Second)))
	if limit := s.now.Add(c.Limit); r.Ends.After(limit) {
		r.Ends, r.Late = limit, true
	}
}

// begin puts the first part of what a command sends. What cannot be put is said
// when the command ends.
func (s *scope) begin(c *Command, r *CommandRun) {
	r.Begun = true
	if s.online(s.agent(r.Instance)) && s.reachesS3(r.Instance) {
		_ = s.upload(c.Parameters, r.Answer.Upload, 1)
	}
}

// finish ends a command that was running.
func (s *scope) finish(c *Command, r *CommandRun) {
	switch {
	case !r.Late && !s.online(s.agent(r.Instance)):
		// Nobody hears of it: it ends when the document's time is over.
		r.Ends, r.Late = r.Started.Add(c.Limit), true
		if !r.Ends.After(s.now) {
			r.end(s.now, "TimedOut", "Execution Timed Out")
		}
		return
	case r.Late:
		r.end(s.now, "TimedOut", "Execution Timed Out")
		return
	}
	r.Output, r.Error, r.Code = r.Answer.Output, r.Answer.Error, r.Answer.Code
	if len(r.Answer.Upload) > 0 && !s.reachesS3(r.Instance) {
		r.Error, r.Code = strings.TrimSpace(r.Error+"\nno way to S3"), 1
	} else if len(r.Answer.Upload) > 0 {
		if err := s.upload(c.Parameters, r.Answer.Upload, math.MaxInt); err != nil {
			r.Error, r.Code = strings.TrimSpace(r.Error+"\n"+err.Error()), 1
		}
	}
	r.Answer = AgentAnswer{}
	if r.Code != 0 {
		r.end(s.now, "Failed", "Failed")
		return
	}
	r.end(s.now, "Success", "Success")
}

func (r *CommandRun) end(now time.Time, status, details string) {
	r.Status, r.Details, r.Ended, r.Ends, r.Next = status, details, now, time.Time{}, time.Time{}
}

var addressPattern = regexp.MustCompile(`https?://[^\s"'\\,<>]+`)

// upload puts bytes to the pre-signed parts among a command's parameters. A
// parameter may also be the pre-signed address of a list of them; PartBytes says
// how large parts are, else they are about equal. Most is how many are put at most.
func (s *scope) upload(parameters map[string][]string, body []byte, most int) error {
	parts := map[int]*url.URL{}
	for _, name := range keysOf(parameters) {
		for _, value := range parameters[name] {
			for _, u := range addresses(value) {
				if u.Query().Get("partNumber") != "" {
					collect(parts, u)
					continue
				}
				if list, _, err := s.w.presignedLocked("GET", u, "", nil); err == nil && len(list) < 16<<20 {
					for _, u := range addresses(string(list)) {
						collect(parts, u)
					}
				}
			}
		}
	}
	numbers := keysOf(parts)
	if len(numbers) == 0 {
		return fail("NoAddress", "there is nowhere to put %d bytes", len(body))
	}
	size := (len(body) + len(numbers) - 1) / len(numbers)
	if !s.w.opts.SmallParts {
		size = max(size, partLeast)
	}
	if given := parameters["PartBytes"]; len(given) == 1 {
		if n, err := strconv.Atoi(given[0]); err == nil && n > 0 {
			size = n
		}
	}
	for i, n := range numbers {
		if len(body) == 0 || i == most {
			return nil
		}
		cut := min(size, len(body))
		if _, _, err := s.w.presignedLocked("PUT", parts[n], md5Of(body[:cut]), body[:cut]); err != nil {
			return err
		}
		body = body[cut:]
	}
	return nil
}

func addresses(text string) []*url.URL {
	var all []*url.URL
	for _, found := range addressPattern.FindAllString(strings.ReplaceAll(text, `\u0026`, "&"), -1) {
		if u, err := url.Parse(found); err == nil {
			all = append(all, u)
		}
	}
	return all
}

func collect(parts map[int]*url.URL, u *url.URL) {
	if n, err := strconv.Atoi(u.Query().Get("partNumber")); err == nil {
		parts[n] = u
	}
}
