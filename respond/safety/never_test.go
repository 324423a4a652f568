package safety_test

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/safety"
	"github.com/guardroom/guardroom/rule"
)

// tags are those of a resource with one.
func tags(key, value string) []map[string]string { return []map[string]string{{key: value}} }

func TestARuleIsAskedOfTheResourceAsItIsNow(t *testing.T) {
	t.Parallel()
	none := []map[string]string{nil}
	for _, c := range []struct {
		name, when string
		said       []finding.Tag // by the finding, of the primary resource
		world      respond.World
		looks      bool   // it changes nothing
		want       string // in the reason; empty: it passes
	}{
		{"the account", `account.id == "111122223333"`, nil, respond.World{Tags: none}, false, "the rule r forbids it"},
		{"what does not match", `severity > 8.5`, nil, respond.World{Tags: none}, false, ""},
		{"a tag that the finding does not know", `resource.tags.team == "pay"`, nil, respond.World{Tags: tags("team", "pay")}, false, "forbids it"},
		{"a tag of it among all resources", `any(resources, .tags["team"] == "pay")`, nil, respond.World{Tags: tags("team", "pay")}, false, "forbids it"},
		{"a tag that only the finding says", `resource.tags.team == "pay"`, []finding.Tag{{Key: "team", Value: "pay"}}, respond.World{Tags: none}, false, ""},
		{"a tag that only the finding says, where nobody could look", `resource.tags.team == "pay"`, []finding.Tag{{Key: "team", Value: "pay"}}, respond.World{}, true, "forbids it"},
		{"a tag of what holds it", `resource.tags.team == "pay"`, nil, respond.World{Tags: append(tags("team", "pay"), map[string]string{"team": "web"})}, false, "forbids it"},
		{"the name that AWS shows", `resource.name == "pay-1"`, nil, respond.World{Tags: none}, false, "forbids it"},
		{"the name that the finding says", `resource.name == "old-name"`, nil, respond.World{Tags: none}, false, "forbids it"},
		{"the kind and the id", `resource.kind == "instance" && resource.id == "i-0123456789abcdef0"`, nil, respond.World{Tags: none}, false, "forbids it"},
		{"another resource of the finding", `any(resources, .id == "i-0aaaaaaaaaaaaaaaa")`, nil, respond.World{Tags: none}, false, ""},
		{"tags that nobody could read", `resource.tags.team == "pay"`, nil, respond.World{}, false, "could not be read"},
		{"tags that nobody could read, by their name in brackets", `"pay" in resource["tags"]`, nil, respond.World{}, false, "could not be read"},
		{"tags that nobody could read and nobody asks for", `resource.name == "x"`, nil, respond.World{}, false, ""},
		{"tags that nobody could read, of what stays as it is", `resource.tags.team == "pay"`, nil, respond.World{Untouched: true}, false, ""},
		{"tags that nobody could read, where nothing is changed", `resource.tags.team == "pay"`, nil, respond.World{}, true, ""},
		{"a rule that cannot be evaluated", `resources[7].id == "x"`, nil, respond.World{Tags: none}, false, "r could not be evaluated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := rule.Compile("r", c.when)
			if err != nil {
				t.Fatal(err)
			}
			q := question(t, mining, nil)
			q.Finding.Resource = finding.Resource{Kind: finding.KindInstance, ID: q.Target.ID, Name: "old-name", Tags: c.said}
			q.Finding.Context = []finding.Resource{{Kind: finding.KindInstance, ID: "i-0aaaaaaaaaaaaaaaa"}}
			q.Env, q.Never = rule.NewEnv(q.Finding, incident.Account{}, nil, nil, q.Now), []*rule.Rule{r}
			target := q.Target
			target.Name = "pay-1"
			g := safety.Never(q, target, c.world, !c.looks)
			if c.want == "" && g.Answer != respond.Pass || c.want != "" && (g.Answer != respond.Refuse || !strings.Contains(g.Why, c.want) || g.Hint == "") {
				t.Errorf("%+v", g)
			}
		})
	}
}
