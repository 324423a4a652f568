// Package playbook is the small interface that responses are written against,
// and the runner behind it.
//
// A playbook sees a Context: do a step, wait for a time or a message, run
// branches side by side, read the clock. What a step saves is committed before
// it goes on; a step that ended is never run again. So a run can be killed at
// any instruction and goes on from its journal: the code runs again from its
// beginning, finds each step by its name, and does what is missing. Because
// steps are found by name and not by their order, a new version of a playbook
// may add and move steps while runs of the old one are in flight.
//
// A step is at least once towards the outside world: it looks, then acts with a
// token or on what it saw, then looks again.
//
// The runner is the same in production and in tests. The journal is the store
// or a Memory; the clock is the real one or a Virtual one, in which an hour of
// waiting takes no time.
//
// The plans of today use Graph, whose steps run side by side and wait inside
// themselves: people decide before a run begins. Wait, Receive and Branches are for
// a playbook in code that asks somebody on its way, and are tested as such.
//
// It imports nothing of guardroom but internal/fault, and knows nothing of AWS.
// Read Context, then Runner.
package playbook
