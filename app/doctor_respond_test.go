package app

import (
	"strings"
	"testing"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/cloud/sim"
	"github.com/guardroom/guardroom/config"
)

func TestDoctorTriesWhatAResponseNeeds(t *testing.T) {
	t.Parallel()
	r := respondingApp(t, "", func(c *config.Config) {
		c.Respond.ActRole, c.Respond.ForensicsRole = "guardroom-act", "guardroom-forensics"
		c.AWS.Region = victimRegion
		c.Accounts = []config.Account{{ID: victimAccount, Name: "payments"}}
	}, nil)
	find := func(what string) api.Check {
		t.Helper()
		for _, c := range of(r.Doctor(t.Context()), "respond") {
			if strings.HasPrefix(c.What, what) {
				return c
			}
		}
		t.Fatalf("no check of %s", what)
		return api.Check{}
	}
	for _, what := range []string{"switch", "act role in " + victimAccount, "forensics role in " + victimAccount, "workstation image"} {
		if c := find(what); !c.OK || c.Warning {
			t.Errorf("%+v", c)
		}
	}
	if _, err := r.desk.SetSwitch(t.Context(), true, "drill", "ana"); err != nil {
		t.Fatal(err)
	}
	if c := find("switch"); !c.OK || !c.Warning || !strings.Contains(c.Message, "off by ana") || c.Hint != "guardroom respond on --reason …" {
		t.Errorf("%+v", c)
	}
	bucket := r.desk.policy.Evidence.Bucket
	if err := r.world.Edit(func(e *sim.Editor) { e.Bucket(bucket).ObjectLock = true }); err != nil {
		t.Fatal(err)
	}
	if c := find("evidence bucket"); !c.OK || c.Warning || c.Hint != "" || !strings.Contains(c.Message, "versioned, Object Lock is on") {
		t.Errorf("%+v", c)
	}
	if err := r.world.Edit(func(e *sim.Editor) { e.Bucket(bucket).ObjectLock = false }); err != nil {
		t.Fatal(err)
	}
	if c := find("evidence bucket"); !c.OK || !c.Warning || c.Message != "sealed evidence is not locked: the bucket has no Object Lock" || c.Hint == "" {
		t.Errorf("%+v", c)
	}
	if err := r.world.Edit(func(e *sim.Editor) { e.Bucket(bucket).Versioning = "Suspended" }); err != nil {
		t.Fatal(err)
	}
	if c := find("evidence bucket"); c.OK || !strings.Contains(c.Message, "not versioned") {
		t.Errorf("%+v", c)
	}
	r.desk.policy.Evidence.Bucket = "nobody-has-it"
	if c := find("evidence bucket"); c.OK || c.Message != "it is not there" {
		t.Errorf("%+v", c)
	}
	r.desk.policy.Forensics.Image = "ssm:/nowhere"
	if c := find("workstation image"); c.OK || c.Hint == "" {
		t.Errorf("%+v", c)
	}
}
