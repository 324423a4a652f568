package forensics_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/forensics"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	victim   = "111122223333"
	lab      = "444455556666"
	region   = "eu-west-1"
	instance = "i-0123456789abcdef0"
)

func policy() respond.Policy {
	p := respond.DefaultPolicy()
	p.Evidence.Bucket = "evidence"
	p.Forensics.Subnets = []string{"subnet-a", "subnet-b"}
	p.Forensics.SecurityGroups = []string{"sg-lab"}
	p.Forensics.MemoryDocument, p.Forensics.MemoryDocVersion, p.Forensics.MemoryDocHash = "guardroom-memory", "1", strings.Repeat("d", 64)
	p.Forensics.MemoryTool = map[string]string{"x86_64": "tools/avml-x86_64"}
	p.Forensics.MemoryToolSHA256 = map[string]string{"x86_64": strings.Repeat("a", 64)}
	return p
}

func request(p respond.Policy) respond.Request {
	return respond.Request{Incident: &incident.Incident{Number: 42}, Target: respond.Target{Kind: finding.KindInstance, ID: instance, Account: victim, Region: region}, Policy: p, Requester: "ada", Now: noon}
}

func described() forensics.World {
	return forensics.World{Instance: instance, Account: victim, Region: region, Zone: region + "a", State: "running", Type: "m5.large", Architecture: "x86_64", Root: "/dev/xvda", MemoryMiB: 8192,
		LaunchedAt: noon.Add(-time.Hour), Agent: forensics.Agent{Online: true, Version: "3"},
		Volumes: []forensics.Volume{{ID: "vol-a", Device: "/dev/sdf", GiB: 100, State: "in-use"}, {ID: "vol-b", Device: "/dev/sdg", GiB: 4, State: "in-use"}, {ID: "vol-r", Device: "/dev/xvda", GiB: 8, State: "in-use"}},
		Bench: forensics.Bench{Account: victim, Image: forensics.Image{ID: "ami-0123456789abcdef0", Owner: "amazon", Root: "/dev/xvda"},
			Subnets: []forensics.Subnet{{ID: "subnet-a", Zone: region + "a"}, {ID: "subnet-b", Zone: region + "b"}}}}
}

func draft(t *testing.T, w forensics.World, p respond.Policy, h forensics.Hooks) respond.Draft {
	t.Helper()
	d, err := forensics.Steps(w, request(p), h)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ids(d respond.Draft) []string {
	var out []string
	for _, s := range d.Steps {
		out = append(out, s.ID)
	}
	return out
}

func step(t *testing.T, d respond.Draft, id string) respond.Step {
	t.Helper()
	for _, s := range d.Steps {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("there is no step %s among %q", id, ids(d))
	return respond.Step{}
}

// before reports whether a step cannot begin before another has ended.
func before(d respond.Draft, first, then string) bool {
	by := map[string]respond.Step{}
	for _, s := range d.Steps {
		by[s.ID] = s
	}
	var reaches func(id string) bool
	reaches = func(id string) bool {
		return id == first || slices.ContainsFunc(slices.Concat(by[id].After, by[id].Needs), reaches)
	}
	return first != then && reaches(then)
}

func TestNothingWaitsForWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	d := draft(t, described(), policy(), forensics.Hooks{})
	for _, c := range []struct {
		first, then string
		want        bool
	}{
		{"snapshot/set", "lock/vol-a", true},
		{"snapshot/vol-a", "lock/vol-a", false}, // a pending snapshot is locked
		{"snapshot/vol-a", "volume/vol-a", true},
		{"workstation", "volume/vol-a", true},
		{"workstation/ready", "volume/vol-a", false},
		{"workstation/ready", "attach/vol-a", true},
		{"snapshot/set", "workstation", false},
		{"memory", "snapshot/set", false},
		{"hash/vol-a", "volume/vol-a", false},
		{"snapshot/vol-a", "volume/vol-b", false},
		{"lock/vol-a", "volume/vol-a", false},
		{"attach/vol-a", "report", true},
		{"hash/vol-b", "report", true},
	} {
		if got := before(d, c.first, c.then); got != c.want {
			t.Errorf("%s waits for %s: %v, want %v", c.then, c.first, got, c.want)
		}
	}
}

func TestOneFailedVolumeStopsOnlyItsOwnSteps(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Forensics.Account = lab
	d := draft(t, described(), p, forensics.Hooks{})
	needs := func(id, on string) bool {
		var reaches func(id string) bool
		reaches = func(id string) bool { return id == on || slices.ContainsFunc(step(t, d, id).Needs, reaches) }
		return reaches(id)
	}
	for _, s := range d.Steps {
		stage, volume, _ := strings.Cut(s.ID, "/")
		own := volume == "vol-a"
		if needs(s.ID, "snapshot/vol-a") && !own {
			t.Errorf("%s needs the snapshot of vol-a", s.ID)
		}
		if own && (stage == "volume" || stage == "attach" || stage == "copy" || stage == "hash") && !needs(s.ID, "snapshot/vol-a") {
			t.Errorf("%s does not need the snapshot of vol-a", s.ID)
		}
	}
	if needs("withdraw/vol-a", "copy/vol-a") || !before(d, "copy/vol-a", "withdraw/vol-a") {
		t.Error("the share is withdrawn only where the copy came to be")
	}
}

func TestStepsNameActionsThatThereAreAndHooksAreTakenUp(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Forensics.Account, p.Forensics.TransferKey = lab, "arn:aws:kms:eu-west-1:111122223333:key/t"
	w := described()
	w.Volumes[0].Encrypted, w.Volumes[0].KeyManager = true, "AWS"
	d := draft(t, w, p, forensics.Hooks{AfterAll: []string{"mark"}, AfterMemory: []string{"isolate/eni-1"}, BeforeReport: []string{"verify"}, MemoryLimit: 10 * time.Minute})
	actions := respond.NewActions(forensics.Actions())
	known := append(ids(d), "mark", "isolate/eni-1", "verify")
	for _, s := range d.Steps {
		if _, ok := actions[s.Action]; !ok {
			t.Errorf("step %s names %s, which there is not", s.ID, s.Action)
		}
		for _, id := range slices.Concat(s.After, s.Needs) {
			if !slices.Contains(known, id) {
				t.Errorf("step %s comes after %s, which there is not", s.ID, id)
			}
		}
		if s.Effect != respond.NoChange && len(s.Calls) == 0 {
			t.Errorf("step %s has an effect and names no call", s.ID)
		}
		if s.Title == "" || s.Stage == "" || s.Account == "" || s.Region != region {
			t.Errorf("step %s lacks what people must see: %+v", s.ID, s)
		}
	}
	for _, id := range []string{"snapshot/set", "workstation", "memory", "volatile/console"} {
		if !slices.Contains(step(t, d, id).After, "mark") {
			t.Errorf("%s does not come after the composer's first step", id)
		}
	}
	if m := step(t, d, "memory"); !slices.Contains(m.After, "isolate/eni-1") || m.TimeoutSeconds != 600 {
		t.Errorf("memory comes after %q and ends after %d s", m.After, m.TimeoutSeconds)
	}
	if !slices.Contains(step(t, d, "report").After, "verify") {
		t.Error("the report does not wait for the composer's last step")
	}
	if !before(d, "rekey/vol-a", "share/vol-a") {
		t.Error("what is under the AWS-managed key is shared without being encrypted anew")
	}
}

func TestDefect32MemoryIsAmongWhatCredentialsWaitFor(t *testing.T) {
	t.Parallel()
	got := forensics.VolatileSteps(draft(t, described(), policy(), forensics.Hooks{}).Steps)
	want := []string{"volatile/screenshot", "volatile/console", "volatile/metadata", "volatile/user-data", "memory"}
	if !slices.Equal(got, want) {
		t.Errorf("volatile steps are %q, want %q", got, want)
	}
}

func TestWhatCannotBeHadIsSaidInThePlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *forensics.World, p *respond.Policy)
		want   string // a will-not says this
		absent []string
	}{
		"no agent (Defect14)": {func(w *forensics.World, _ *respond.Policy) {
			w.Agent = forensics.Agent{Why: "SSM does not know the instance"}
		}, "memory of " + instance + ": SSM does not know the instance", []string{"memory"}},
		"memory by policy": {func(_ *forensics.World, p *respond.Policy) { p.Forensics.Memory = "never" }, "the policy says never", []string{"memory"}},
		"no document":      {func(_ *forensics.World, p *respond.Policy) { p.Forensics.MemoryDocHash = "" }, "no SSM document", []string{"memory"}},
		"no tool for arm":  {func(w *forensics.World, _ *respond.Policy) { w.Architecture = "arm64" }, "no tool is configured for arm64", []string{"memory"}},
		"windows":          {func(w *forensics.World, _ *respond.Policy) { w.Platform = "windows" }, "there is no way yet to take that of windows", []string{"memory"}},
		"stopped":          {func(w *forensics.World, _ *respond.Policy) { w.State = "stopped" }, "it is stopped", []string{"memory", "volatile/screenshot"}},
		"no bucket":        {func(_ *forensics.World, p *respond.Policy) { p.Evidence.Bucket = "" }, "no evidence bucket", []string{"memory", "volatile/console", "hash/vol-a"}},
		"no subnet":        {func(w *forensics.World, _ *respond.Policy) { w.Bench.Problem = "no subnet is configured" }, "workstation: no subnet", []string{"workstation", "volume/vol-a", "attach/vol-a"}},
		"a public subnet": {func(w *forensics.World, _ *respond.Policy) {
			w.Bench.Subnets[0].Problem = "is not private: it has a route to igw-1"
		}, "no workstation in subnet-a: it is not private", nil},
		"no locks":       {func(_ *forensics.World, p *respond.Policy) { p.Evidence.LockMode = "none" }, "snapshots are not locked", []string{"lock/vol-a"}},
		"no hashes":      {func(_ *forensics.World, p *respond.Policy) { p.Forensics.Hash = "never" }, "hash of vol-a, vol-b and vol-r: the policy says never", []string{"hash/vol-a"}},
		"instance store": {func(w *forensics.World, _ *respond.Policy) { w.StoreGB = 300 }, "300 GB on disks that no snapshot holds", nil},
		"several hosts":  {func(w *forensics.World, _ *respond.Policy) { w.Volumes[0].MultiAttach = true }, "several instances", nil},
		"marketplace":    {func(w *forensics.World, _ *respond.Policy) { w.Codes = []string{"abc"} }, "marketplace product code abc", []string{"attach/vol-r"}},
		"an AWS key and no transfer key (Defect25)": {func(w *forensics.World, p *respond.Policy) {
			p.Forensics.Account = lab
			w.Volumes[0].Encrypted, w.Volumes[0].KeyManager = true, "AWS"
		}, "no transfer key is configured", []string{"share/vol-a", "copy/vol-a", "volume/vol-a", "hash/vol-a"}},
		"a key that could not be looked at": {func(w *forensics.World, p *respond.Policy) {
			p.Forensics.Account = lab
			w.Volumes[0].Encrypted, w.Volumes[0].KeyManager = true, "unknown"
		}, "no transfer key is configured", []string{"share/vol-a"}},
		"no volume": {func(w *forensics.World, _ *respond.Policy) { w.Volumes = nil }, "it has no EBS volume", []string{"snapshot/set", "workstation"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := described(), policy()
			c.change(&w, &p)
			d := draft(t, w, p, forensics.Hooks{})
			if !slices.ContainsFunc(d.WillNot, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("nothing says %q: %q", c.want, d.WillNot)
			}
			for _, id := range c.absent {
				if slices.Contains(ids(d), id) {
					t.Errorf("%s is planned all the same", id)
				}
			}
			if !slices.Contains(ids(d), "report") {
				t.Error("what there is would not be reported")
			}
			if w.Volumes != nil && !slices.Contains(ids(d), "snapshot/vol-b") {
				t.Error("the other volumes would not be preserved")
			}
		})
	}
}

func TestMoreVolumesThanNamesAreSaidAndTheOthersAttached(t *testing.T) {
	t.Parallel()
	w := described()
	w.Volumes = nil
	for n := range 43 {
		w.Volumes = append(w.Volumes, forensics.Volume{ID: fmt.Sprintf("vol-%02d", n), Device: fmt.Sprintf("/dev/xvd%c%c", 'a'+n/26, 'a'+n%26), GiB: 1})
	}
	d := draft(t, w, policy(), forensics.Hooks{})
	attached := 0
	for _, id := range ids(d) {
		if strings.HasPrefix(id, "attach/") {
			attached++
		}
	}
	if attached != 41 || !slices.ContainsFunc(d.WillNot, func(s string) bool { return strings.Contains(s, "at most 41 are attached at once") }) {
		t.Errorf("%d are attached, and it says %q", attached, d.WillNot)
	}
}

func TestAComplianceLockIsALineOfItsOwnAndCannotBeUndone(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Evidence.LockMode = "compliance"
	d := draft(t, described(), p, forensics.Hooks{})
	l := step(t, d, "lock/vol-a")
	if l.Effect != respond.Irreversible || l.Approval == "" || len(d.Irreversible) == 0 {
		t.Errorf("effect %q, approval %q, plan %q", l.Effect, l.Approval, d.Irreversible)
	}
	if g := draft(t, described(), policy(), forensics.Hooks{}); len(g.Irreversible) != 0 {
		t.Errorf("a governance lock is called irreversible: %q", g.Irreversible)
	}
}

func TestDefect24TheDocumentInstallsAndCompilesNothing(t *testing.T) {
	t.Parallel()
	var doc struct {
		MainSteps []struct {
			Inputs struct {
				RunCommand []string `json:"runCommand"`
			} `json:"inputs"`
		} `json:"mainSteps"`
		Parameters map[string]struct {
			AllowedPattern string `json:"allowedPattern"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(forensics.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(doc.MainSteps[0].Inputs.RunCommand, "\n")
	for _, word := range []string{"yum", "dnf", "apt", "apt-get", "rpm", "dpkg", "apk", "zypper", "pip", "pip3", "npm", "gem", "gcc", "cc", "make", "cargo", "go", "git", "insmod", "modprobe", "docker", "snap", "wget", "aws", "ssh", "sudo"} {
		if regexp.MustCompile(`(^|[\s;|&(])` + word + `(\s|$)`).MatchString(script) {
			t.Errorf("the document calls %s", word)
		}
	}
	for _, must := range []string{"sha256sum -c", "/dev/shm", "lockdown", "exit 42"} {
		if !strings.Contains(script, must) {
			t.Errorf("the document has no %s", must)
		}
	}
	// Nothing that is put into the script can end its quotes.
	for name, p := range doc.Parameters {
		re, err := regexp.Compile(p.AllowedPattern)
		if err != nil || p.AllowedPattern == "" {
			t.Fatalf("parameter %s allows %q: %v", name, p.AllowedPattern, err)
		}
		for _, bad := range []string{"https://x/';id;'", "https://x/'; rm -rf /; '", "https://x/$(id)", "https://x/`id`", "https://x/ a", "https://x/\n"} {
			if re.MatchString(bad) {
				t.Errorf("parameter %s takes %q", name, bad)
			}
		}
	}
}

func TestDefect23NoStepAndNoParameterOfThePlanHoldsASecret(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(draft(t, described(), policy(), forensics.Hooks{}))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`AKIA|ASIA|X-Amz|Signature|aws_secret|SessionToken|https?://`).FindString(string(raw)); m != "" {
		t.Errorf("the plan holds %s", m)
	}
	var doc struct {
		Parameters map[string]json.RawMessage `json:"parameters"`
	}
	if err := json.Unmarshal(forensics.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	for name := range doc.Parameters {
		if regexp.MustCompile(`(?i)key|secret|token|credential`).MatchString(name) {
			t.Errorf("the document takes a parameter %s", name)
		}
	}
}
