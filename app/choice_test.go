package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/escape"
)

func TestWhatAFindingNamesAndAPlanLeavesOutIsSaidWithItsCommand(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {}, nil)
	if err := r.world.Edit(func(e *sim.Editor) {
		for _, name := range []string{"public-data-b", "second-data-b"} {
			e.AddBucket(victimAccount, sim.Bucket{Name: name, Region: victimRegion})
		}
	}); err != nil {
		t.Fatal(err)
	}
	second := `"s3BucketDetails":[{"name":"second-data-b","arn":"arn:aws:s3:::second-data-b","type":"Destination"},{`
	body := bytes.Replace(bucketFinding(0xe001, "public-data-b"), []byte(`"s3BucketDetails":[{`), []byte(second), 1)
	r.takeBody(t, body, true)
	p := r.planOf(t, api.PlanRequest{Incident: 1})
	other := map[string]string{"public-data-b": "second-data-b", "second-data-b": "public-data-b"}[p.Plan.Target.ID]
	if want := "s3 bucket " + other + ": guardroom plan create --incident INC-1 --resource " + other; other == "" || !strings.Contains(strings.Join(p.Plan.LeftOut, "\n"), want) {
		t.Errorf("the plan for %s leaves out %q", p.Plan.Target.ID, p.Plan.LeftOut)
	}
	// Whoever names one resource knows of the others.
	if p := r.planOf(t, api.PlanRequest{Incident: 1, Resource: other}); p.Plan.Target.ID != other || len(p.Plan.LeftOut) != 0 {
		t.Errorf("%s, left out %q", p.Plan.Target.ID, p.Plan.LeftOut)
	}
}

func TestACommandThatIsPastedIsOneCommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"second-data-b": "second-data-b", "b/a key": "'b/a key'", "b/$(id)": "'b/$(id)'", "b/x'; id; '": `'b/x'\''; id; '\'''`} {
		if got := escape.ShellWord(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
