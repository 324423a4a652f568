package playbook

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// AbortTopic is the topic of the message that aborts a run.
const AbortTopic = "abort"

// Standing is what a run must know before each change.
type Standing struct {
	// Fenced says that the run is no longer this worker's.
	Fenced bool
	// Aborted says that a person aborted the run.
	Aborted bool
	// Off says that responses are switched off, by whom and why.
	Off string
}

// Message was sent to a run.
type Message struct {
	Seq  int64
	Body json.RawMessage
}

// Journal keeps the records of one run. The store implements it, and so does
// Memory. Calls block until the value is durable; each fails with ErrFenced
// when the run is another worker's.
type Journal interface {
	// Records returns every step that was begun.
	Records(ctx context.Context) ([]Record, error)
	// Put keeps the record of a step, by its name.
	Put(ctx context.Context, r Record) error
	// Standing is asked before each change and while waiting.
	Standing(ctx context.Context) (Standing, error)
	// Messages of a topic with a higher number than after, in their order.
	Messages(ctx context.Context, topic string, after int64) ([]Message, error)
}

// Memory is a journal for tests and for the simulation of a run. It is safe for
// concurrent use; the zero value is empty.
type Memory struct {
	mu       sync.Mutex
	records  map[string]Record
	order    []string
	messages map[string][]Message
	standing Standing
	// OnPut is called after each record was kept; nil: nothing.
	OnPut func(Record)
}

var _ Journal = (*Memory)(nil)

// Records implements Journal.
func (m *Memory) Records(context.Context) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Record, 0, len(m.order))
	for _, n := range m.order {
		out = append(out, m.records[n].clone())
	}
	return out, nil
}

// Put implements Journal.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	if m.standing.Fenced {
		m.mu.Unlock()
		return ErrFenced
	}
	if m.records == nil {
		m.records = map[string]Record{}
	}
	if _, ok := m.records[r.Name]; !ok {
		m.order = append(m.order, r.Name)
	}
	m.records[r.Name] = r.clone()
	on := m.OnPut
	m.mu.Unlock()
	if on != nil {
		on(r)
	}
	return nil
}

// Standing implements Journal.
func (m *Memory) Standing(context.Context) (Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standing, nil
}

// Set changes the standing.
func (m *Memory) Set(s Standing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.standing = s
}

// Messages implements Journal.
func (m *Memory) Messages(_ context.Context, topic string, after int64) ([]Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Message
	for _, x := range m.messages[topic] {
		if x.Seq > after {
			out = append(out, x)
		}
	}
	return out, nil
}

// Send sends a message to the run.
func (m *Memory) Send(topic string, body json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.messages == nil {
		m.messages = map[string][]Message{}
	}
	m.messages[topic] = append(m.messages[topic], Message{Seq: int64(len(m.messages[topic]) + 1), Body: slices.Clone(body)})
	if topic == AbortTopic {
		m.standing.Aborted = true
	}
}

func (r Record) clone() Record {
	r.Saved = maps.Clone(r.Saved)
	return r
}

// Clock is the time of a run.
type Clock interface {
	Now() time.Time
	// Sleep blocks for d, or until ctx ends or wake is closed.
	Sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error
	// Group returns an empty group of goroutines that the clock knows of.
	Group() Group
}

// Group is goroutines that one waits for.
type Group interface {
	// Go runs f in a goroutine of the group; members may start more.
	Go(f func())
	// Wait blocks until all have returned. It is called once.
	Wait()
}
