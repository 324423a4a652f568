package forensics_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/guardroom/guardroom/respond/forensics"
)

func TestTheDocumentThatPeopleRegisterIsTheOneThatIsCalled(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../deploy/ssm/guardroom-memory.json")
	if err != nil {
		t.Fatalf("run go generate ./respond/forensics: %v", err)
	}
	if !bytes.Equal(raw, forensics.Document()) {
		t.Error("deploy/ssm/guardroom-memory.json is stale: run go generate ./respond/forensics")
	}
}
