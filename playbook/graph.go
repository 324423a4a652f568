package playbook

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Graph implements Context.
func (c *run) Graph(nodes []Node) (map[string]Record, error) {
	if err := checkGraph(nodes); err != nil {
		return nil, Permanent(err)
	}
	g := &graph{run: c, nodes: nodes, records: map[string]Record{}, begun: make([]bool, len(nodes)), group: c.Clock.Group()}
	g.mu.Lock()
	g.ready()
	g.mu.Unlock()
	g.group.Wait()
	return g.records, join(g.errs)
}

// checkGraph refuses names that are used twice or missing, and circles.
func checkGraph(nodes []Node) error {
	known := map[string]int{}
	for i, n := range nodes {
		if _, twice := known[n.Name]; twice {
			return fmt.Errorf("two steps have the name %s", n.Name)
		}
		known[n.Name] = i
	}
	state := make([]int, len(nodes)) // 1: under way, 2: good
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case 1:
			return fmt.Errorf("step %s comes after itself", nodes[i].Name)
		case 2:
			return nil
		}
		state[i] = 1
		for _, d := range slices.Concat(nodes[i].After, nodes[i].Needs) {
			j, ok := known[d]
			if !ok {
				return fmt.Errorf("step %s comes after %s, which there is not", nodes[i].Name, d)
			}
			if err := visit(j); err != nil {
				return err
			}
		}
		state[i] = 2
		return nil
	}
	for i := range nodes {
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}

type graph struct {
	run   *run
	nodes []Node
	group Group

	mu      sync.Mutex
	begun   []bool
	records map[string]Record
	errs    []error
}

// ready starts what can start. The caller holds the lock.
func (g *graph) ready() {
	if len(g.errs) > 0 {
		return // the run stops here; what runs comes to its end
	}
	for again := true; again; {
		again = false
		for i, n := range g.nodes {
			if g.begun[i] || !g.ended(n.After) || !g.ended(n.Needs) {
				continue
			}
			g.begun[i] = true
			if why := g.lacks(n); why != "" {
				rec, err := g.run.skip(n.Name, why)
				g.done(n.Name, rec, err)
				again = true // others may wait for this one
				continue
			}
			g.group.Go(func() {
				rec, err := g.run.Step(n.Name, n.Options, n.Do)
				g.mu.Lock()
				defer g.mu.Unlock()
				g.done(n.Name, rec, err)
				g.ready()
			})
		}
	}
}

func (g *graph) done(name string, rec Record, err error) {
	if err != nil {
		g.errs = append(g.errs, err)
		if !errors.Is(err, ErrStopped) || g.run.ctx.Err() != nil {
			g.run.cancel()
		}
		return
	}
	g.records[name] = rec
}

func (g *graph) ended(names []string) bool {
	for _, n := range names {
		if _, ok := g.records[n]; !ok {
			return false
		}
	}
	return true
}

// lacks says which of the needed steps was not completed.
func (g *graph) lacks(n Node) string {
	for _, d := range n.Needs {
		if r := g.records[d]; r.State != Completed {
			return fmt.Sprintf("not begun: it needs %s, which is %s", d, r.State)
		}
	}
	return ""
}

// skip ends a step without having begun it.
func (c *run) skip(name, why string) (Record, error) {
	rec := c.claim(name)
	if rec.State.Ended() {
		return rec, nil
	}
	if rec.Started.IsZero() {
		rec.Started = c.Now()
	}
	return c.end(rec, Outcome{State: Skipped, Message: why}, nil)
}
