package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

// CompletionCmd prints a script for a shell.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help shows how to use it.
func (CompletionCmd) Help() string {
	return "Examples:\n  source <(guardroom completion bash)\n  guardroom completion fish > ~/.config/fish/completions/guardroom.fish"
}

var scripts = map[string]string{
	"bash": `_guardroom() {
  local IFS=$'\n'
  COMPREPLY=($(guardroom __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _guardroom guardroom
`,
	"zsh": `#compdef guardroom
_guardroom() {
  local -a found
  found=("${(@f)$(guardroom __complete -- "${words[@]:1}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _guardroom guardroom
`,
	"fish": `function __guardroom
  guardroom __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c guardroom -a '(__guardroom)'
`,
}

// Run prints the script.
func (c *CompletionCmd) Run(e *env) error {
	s, ok := scripts[c.Shell]
	if !ok {
		return fault.New(fault.Usage, "no script for "+c.Shell, "use bash, zsh or fish")
	}
	e.printf("%s", s)
	return nil
}

// CompleteCmd completes a command line for the scripts.
type CompleteCmd struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints what may stand at the place of the last word, one a line. It never
// fails: a shell has no use for an error here.
func (c *CompleteCmd) Run(ctx context.Context, e *env, k *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	last := ""
	if len(words) > 0 {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	node := k.Model.Node
	if len(words) > 0 && words[0] == "help" {
		words = words[1:] // what follows are the words of a command
	}
	for _, w := range words {
		i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == w && !n.Hidden })
		if i >= 0 {
			node = node.Children[i]
		}
	}
	if flag, begun := flagOf(node, words, last); flag != nil {
		for _, s := range c.values(ctx, e, flag) {
			if strings.HasPrefix(begun+s, last) {
				e.printf("%s\n", clean(begun+s))
			}
		}
		return nil
	}
	var found []string
	for _, n := range node.Children {
		if !n.Hidden {
			found = append(found, n.Name)
		}
	}
	if strings.HasPrefix(last, "-") {
		for n := node; n != nil; n = n.Parent {
			for _, f := range n.Flags {
				found = append(found, "--"+f.Name)
			}
		}
	}
	if node.Parent != nil && len(node.Positional) > 0 {
		switch {
		case node.Positional[0].Name == "number":
			found = append(found, c.incidents(ctx, e)...)
		case node.Positional[0].Name == "id" && node.Parent.Name == "plan":
			found = append(found, c.plans(ctx, e, node.Name)...)
		case node.Positional[0].Name == "id" && node.Parent.Name == "run":
			found = append(found, c.runs(ctx, e)...)
		case node.Positional[0].Name == "name" && (node.Parent.Name == "playbook" || node.Parent.Name == "token"):
			found = append(found, c.names(ctx, e, node)...)
		case node.Parent.Name == "destination" && node.Positional[0].Name == "name":
			found = append(found, c.destinations(ctx, e)...)
		}
	}
	for _, s := range found {
		if strings.HasPrefix(s, last) {
			e.printf("%s\n", clean(s))
		}
	}
	return nil
}

// flagOf is the flag whose value stands at the place of the last word, nil where
// none does. begun is what of the word comes before the value: of --color=a it
// is --color=, of open,ack it is open, with the comma.
func flagOf(node *kong.Node, words []string, last string) (flag *kong.Flag, begun string) {
	name, value, sameWord := strings.Cut(last, "=")
	if sameWord {
		begun = name + "="
	} else {
		value = last
		if len(words) == 0 {
			return nil, ""
		}
		name = words[len(words)-1]
	}
	for n := node; n != nil && strings.HasPrefix(name, "--"); n = n.Parent {
		for _, f := range n.Flags {
			if f.Name != name[2:] || f.IsBool() {
				continue
			}
			if i := strings.LastIndex(value, ","); i >= 0 && f.IsSlice() {
				begun += value[:i+1]
			}
			return f, begun
		}
	}
	return nil, ""
}

// values are what a flag may be; none where that is anything.
func (c *CompleteCmd) values(ctx context.Context, e *env, f *kong.Flag) []string {
	switch {
	case f.Name == "destination":
		return c.destinations(ctx, e)
	case f.Name == "incident":
		return c.incidents(ctx, e)
	case f.Name == "playbook":
		return c.playbooks(ctx, e)
	case f.Enum != "":
		return strings.Split(f.Enum, ",")
	case f.Tag.Get("values") != "":
		return strings.Split(f.Tag.Get("values"), ",")
	}
	return nil
}

// destinations are those of the configuration.
func (c *CompleteCmd) destinations(ctx context.Context, e *env) []string {
	cfg, err := e.load(ctx, storeSecrets)
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range cfg.Destinations {
		out = append(out, d.Name)
	}
	return out
}

// incidents are the numbers that a store at hand knows.
func (c *CompleteCmd) incidents(ctx context.Context, e *env) []string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var out []string
	_ = e.withClient(ctx, func(cl *api.Client) error {
		var list api.IncidentList
		err := cl.Do(ctx, "GET", "/v1/incidents", query("limit", "50"), nil, &list)
		for _, i := range list.Incidents {
			out = append(out, i.Number.String())
		}
		return err
	})
	return out
}

// atHand asks a store at hand, for as long as a person waits for a completion.
func (c *CompleteCmd) atHand(ctx context.Context, e *env, ask func(ctx context.Context, cl *api.Client) error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = e.withClient(ctx, func(cl *api.Client) error { return ask(ctx, cl) })
}

// plans are the newest plans; where one is to be decided, those that wait.
func (c *CompleteCmd) plans(ctx context.Context, e *env, verb string) (out []string) {
	q := query("limit", "50")
	if verb == "approve" || verb == "reject" {
		q.Set("state", "waiting")
	}
	c.atHand(ctx, e, func(ctx context.Context, cl *api.Client) error {
		var list api.PlanList
		err := cl.Do(ctx, "GET", "/v1/plans", q, nil, &list)
		for _, p := range list.Plans {
			out = append(out, string(p.ID))
		}
		return err
	})
	return out
}

// runs are the newest runs.
func (c *CompleteCmd) runs(ctx context.Context, e *env) (out []string) {
	c.atHand(ctx, e, func(ctx context.Context, cl *api.Client) error {
		var list api.RunList
		err := cl.Do(ctx, "GET", "/v1/runs", query("limit", "50"), nil, &list)
		for _, r := range list.Runs {
			out = append(out, string(r.ID))
		}
		return err
	})
	return out
}

func (c *CompleteCmd) playbooks(ctx context.Context, e *env) (out []string) {
	c.atHand(ctx, e, func(ctx context.Context, cl *api.Client) error {
		list, err := playbooks(ctx, cl)
		for _, p := range list {
			out = append(out, p.Name)
		}
		return err
	})
	return out
}

// names are those of playbooks, or of tokens that can be revoked.
func (c *CompleteCmd) names(ctx context.Context, e *env, node *kong.Node) (out []string) {
	if node.Parent.Name == "playbook" {
		return c.playbooks(ctx, e)
	}
	if node.Name != "revoke" {
		return nil
	}
	c.atHand(ctx, e, func(ctx context.Context, cl *api.Client) error {
		list, err := tokens(ctx, cl)
		for _, t := range list {
			if t.RevokedAt.IsZero() {
				out = append(out, t.Name)
			}
		}
		return err
	})
	return out
}
