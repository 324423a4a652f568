package respond_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond"
)

func TestEachStepOfAPlanOverSeveralResourcesNamesItsOwn(t *testing.T) {
	t.Parallel()
	host := respond.Draft{Target: respond.Target{ID: "i-1", Name: "web"}, LeftOut: []string{"its twin"}, Steps: []respond.Step{
		{ID: "a", Title: "termination protection: off -> on"}, {ID: "b", Title: "record i-1"}, {ID: "c", Title: "web is out of the group"}}}
	user := respond.Draft{Target: respond.Target{ID: "ci"}, Steps: []respond.Step{{ID: "k", Title: "access key AKIA: active -> inactive"}}}
	d := respond.Combine([]respond.Draft{user, host}, func(i, j int) bool { return i < j })
	var got []string
	for _, s := range d.Steps {
		got = append(got, respond.StepTitle(&respond.Plan{Target: d.Target, Parts: d.Parts}, s))
	}
	want := []string{"ci: access key AKIA: active -> inactive", "i-1: termination protection: off -> on", "record i-1", "web is out of the group"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"i-1: its twin"}, d.LeftOut); diff != "" {
		t.Error(diff)
	}
}

func TestAPlanAboutOneResourceDoesNotNameItInEachStep(t *testing.T) {
	t.Parallel()
	p := &respond.Plan{Target: respond.Target{ID: "i-1"}}
	for title, want := range map[string]string{"i-1: keep the console output": "keep the console output", "record i-1": "record i-1", "i-12: x": "i-12: x"} {
		if got := respond.StepTitle(p, respond.Step{Title: title}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
