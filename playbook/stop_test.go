package playbook_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/playbook"
)

func TestAStopEndsLongWaitsAndLetsWhatIsOpenBeClosed(t *testing.T) {
	t.Parallel()
	var w world
	stopping, open := make(chan struct{}), make(chan struct{})
	r := &playbook.Runner{Journal: &playbook.Memory{}, Clock: playbook.Real{Scale: 20}, Stopping: stopping,
		Poll: 20 * time.Millisecond}
	ended := make(chan error, 1)
	go func() {
		ended <- r.Run(context.WithoutCancel(t.Context()), func(c playbook.Context) error {
			_, err := c.Graph([]playbook.Node{
				{Name: "wait", Do: acts(&w, "wait", 10*time.Hour)},
				{Name: "window", Do: func(s playbook.Step) (playbook.Outcome, error) {
					if err := w.act(s, "open"); err != nil {
						return playbook.Outcome{}, err
					}
					close(open)
					if err := s.Sleep(3 * time.Second); err != nil {
						return playbook.Outcome{}, err
					}
					return playbook.Outcome{}, w.act(s, "close")
				}},
				{Name: "next", After: []string{"window"}, Do: acts(&w, "next", 0)},
			})
			return err
		})
	}()
	<-open
	close(stopping)
	select {
	case err := <-ended:
		if !errors.Is(err, playbook.ErrStopped) {
			t.Error(err)
		}
	case <-time.After(5 * time.Minute): // at that pace ten hours take half of one
		t.Fatal("a wait held up the stop")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.done, "close") || slices.Contains(w.done, "next") {
		t.Errorf("what was opened must be closed, and nothing more be begun: %v", w.done)
	}
}
