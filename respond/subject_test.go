package respond

import "testing"

func TestAPlanIsNamedByWhatItContains(t *testing.T) {
	t.Parallel()
	role := Target{ID: "deploy", Name: "deploy"}
	one := []Step{{ID: "contain/session", Action: "iam.deny-session", Contains: true, Params: []byte(`{"role":"deploy","user_id":"AROAEXAMPLE:ana"}`)}}
	for want, p := range map[string]*Plan{
		"deploy":                             {Target: role},
		"session ana of role deploy":         {Target: role, Steps: one},
		"deploy and 1 more":                  {Target: role, Steps: one, Parts: []Target{role, {ID: "i-1"}}},
		"payments-api-3 (i-0f3c)":            {Target: Target{ID: "i-0f3c", Name: "payments-api-3"}},
		"payments-api-3 (i-0f3c) and 2 more": {Target: Target{ID: "i-0f3c", Name: "payments-api-3"}, Parts: make([]Target, 3)},
	} {
		if got := Subject(p); got != want {
			t.Errorf("named %q, want %q", got, want)
		}
	}
	if got := GoesOn(&Plan{Target: role, Steps: one}); got != "other sessions of deploy go on" {
		t.Errorf("what goes on is %q", got)
	}
	if got := GoesOn(&Plan{Target: role}); got != "" {
		t.Errorf("of a whole role %q goes on", got)
	}
}
