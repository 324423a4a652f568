package moto_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/internal/moto"
)

func TestServerAnswersUntilItIsStopped(t *testing.T) {
	t.Parallel()
	s, err := moto.Start()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reset(); err != nil {
		t.Errorf("reset: %v", err)
	}
	s.Stop()
	resp, err := http.Get(s.URL + "/moto-api/")
	if err == nil {
		_ = resp.Body.Close()
		t.Error("the server still answers after Stop")
	}
}

func TestMissingProgramIsToldWithHowToGetIt(t *testing.T) {
	t.Setenv("GUARDROOM_MOTO", filepath.Join(t.TempDir(), "nothing"))
	if _, err := moto.Start(); err == nil || !strings.Contains(err.Error(), "pip install 'moto[server]=="+moto.Version+"'") {
		t.Errorf("error %v does not say how to get the program", err)
	}
}

func TestOtherVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"moto_server": "#!/bin/sh\nexit 1\n", "python3": "#!/bin/sh\necho 4.0.0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GUARDROOM_MOTO", filepath.Join(dir, "moto_server"))
	if _, err := moto.Start(); err == nil || !strings.Contains(err.Error(), "version 4.0.0") {
		t.Errorf("error %v does not name the version", err)
	}
}
