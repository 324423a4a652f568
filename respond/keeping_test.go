package respond_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond"
)

// TestAPlanHoldsWhereItsEvidenceGoes wants each field of the policy about where
// evidence goes back out of a plan's bytes, whatever is configured by then. A new
// field that the plan does not hold fails it.
func TestAPlanHoldsWhereItsEvidenceGoes(t *testing.T) {
	t.Parallel()
	var then respond.Policy
	v := reflect.ValueOf(&then.Evidence).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("approved " + v.Type().Field(i).Name)
		case reflect.Int:
			f.SetInt(int64(100 + i))
		default:
			t.Fatalf("%s is a %s: teach the test", v.Type().Field(i).Name, f.Kind())
		}
	}
	then.Forensics.Account, then.Forensics.TransferKey, then.Forensics.Key = "444455556666", "alias/transfer", "alias/evidence"
	raw, err := respond.Canonical(respond.Plan{Keeping: then.Keeping()})
	if err != nil {
		t.Fatal(err)
	}
	var plan respond.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	now := respond.DefaultPolicy()
	now.Evidence.Bucket, now.Evidence.SigningKey, now.Forensics.Account = "elsewhere", "key.pem", "111122223333"
	got := now.For(&plan)
	want := then.Evidence
	want.SigningKey = "key.pem" // who seals is not part of a plan
	if diff := cmp.Diff(want, got.Evidence); diff != "" {
		t.Errorf("where evidence goes (-approved +used):\n%s", diff)
	}
	if got.Forensics.Account != then.Forensics.Account || got.Forensics.TransferKey != then.Forensics.TransferKey || got.Forensics.Key != then.Forensics.Key {
		t.Errorf("copies go to %+v", got.Forensics)
	}
	if got.WindowSeconds != now.WindowSeconds {
		t.Error("the rest of the policy is what is configured")
	}
}

func TestAPlanSaysWhereItsEvidenceGoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keeping *respond.Keeping
		want    string
	}{
		"an undo keeps nothing":   {nil, ""},
		"no bucket is configured": {&respond.Keeping{LockMode: "governance"}, ""},
		"a bucket without a lock": {&respond.Keeping{Bucket: "evidence", LockMode: "none"}, "s3://evidence, not locked"},
		"all that can be said of it": {&respond.Keeping{Bucket: "evidence", Prefix: "guardroom/", Region: "eu-central-1", KMSKey: "alias/k", LockMode: "compliance", LockDays: 90, Account: "444455556666"},
			"s3://evidence/guardroom in eu-central-1, to be locked (compliance) for 90 days, under key alias/k, copies in account 444455556666"},
	} {
		if got := c.keeping.String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
