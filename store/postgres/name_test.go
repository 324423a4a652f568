package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store/postgres"
)

func backend(t *testing.T, url string) *postgres.Backend {
	t.Helper()
	b, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAProcessIsSeenUntilItsLastSessionEnds(t *testing.T) {
	t.Parallel()
	url := database(t)
	first, second := backend(t, url), backend(t, url)
	defer second.Close()
	if first.Run() == second.Run() {
		t.Fatal("two processes share a run")
	}
	name, err := first.HoldName(t.Context(), "host")
	if err != nil || name.ID() != "host/"+first.Run() {
		t.Fatal(name, err)
	}
	if _, err := first.Ended(t.Context(), "nobody"); err != nil { // needs another session than the name's
		t.Fatal(err)
	}
	name.Release()
	if ended, err := second.Ended(t.Context(), first.Run()); ended || err != nil {
		t.Fatal(ended, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; {
		ended, err := second.Ended(t.Context(), first.Run())
		if err != nil {
			t.Fatal(err)
		}
		if ended {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a process that ended is still seen")
		}
	}
}

func TestALostNameIsTakenAgain(t *testing.T) {
	t.Parallel()
	url := database(t)
	b := backend(t, url)
	defer b.Close()
	held, err := b.HoldName(t.Context(), "host")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release() // also keeps it: an unreachable connection would be collected and so closed
	if taken, err := held.Keep(t.Context()); taken || err != nil {
		t.Fatal(taken, err)
	}
	// The server did not notice that the line was cut: the session stands.
	lost := b.LostName("host")
	if taken, err := lost.Keep(t.Context()); taken || err == nil || errors.Is(err, postgres.ErrNameTaken) {
		t.Fatalf("its own session passes for another process: %v %v", taken, err)
	}
	defer lost.Release()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		taken, err := lost.Keep(t.Context())
		if taken {
			break
		}
		if errors.Is(err, postgres.ErrNameTaken) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if taken, err := lost.Keep(t.Context()); taken || err != nil {
		t.Error(taken, err)
	}
}

func TestANameThatAnotherProcessHasIsGivenUp(t *testing.T) {
	t.Parallel()
	url := database(t)
	first, second := backend(t, url), backend(t, url)
	defer first.Close()
	defer second.Close()
	name, err := second.HoldName(t.Context(), "host")
	if err != nil {
		t.Fatal(err)
	}
	defer name.Release()
	_, err = first.LostName("host").Keep(t.Context())
	f := fault.Of(err)
	if !errors.Is(err, postgres.ErrNameTaken) || f.Code != fault.Conflict || f.Safe == "" || f.Hint == "" || !strings.Contains(f.Message, "host") {
		t.Errorf("%+v", f)
	}
	if taken, err := name.Keep(t.Context()); taken || err != nil {
		t.Errorf("the one that has it was disturbed: %v %v", taken, err)
	}
}
