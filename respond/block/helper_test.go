package block_test

import (
	"encoding/json"
	"testing"

	"github.com/guardroom/guardroom/respond"
)

// added are the addresses that a step would block.
func added(t testing.TB, s respond.Step) []string {
	t.Helper()
	var p struct{ Addresses []string }
	if err := json.Unmarshal(s.Params, &p); err != nil {
		t.Fatal(err)
	}
	return p.Addresses
}
