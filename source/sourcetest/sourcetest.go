// Package sourcetest is an intake for the tests of sources: it decodes what it
// is given as the flow does, remembers what was taken and parked, and can be
// told to fail, to wait or to break.
//
// Bodies come in by Take and Park; tests look at what is kept, and wait for it
// with Await. The package must never accept what the flow would not. Read
// Intake.
package sourcetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/source"
)

// Intake is a source.Intake and source.Parker that keeps everything in memory.
// The zero value works. It is safe for concurrent use.
type Intake struct {
	// Before runs first in every Take. It may fail, block or panic.
	Before func(ctx context.Context, in source.Input) error
	// BeforePark runs first in every Park.
	BeforePark func(ctx context.Context, in source.Input) error

	mu      sync.Mutex
	kept    Kept
	changed chan struct{}
}

var (
	_ source.Intake = (*Intake)(nil)
	_ source.Parker = (*Intake)(nil)
)

// Kept is what an intake holds.
type Kept struct {
	// Findings counts by id how often a finding was taken.
	Findings map[string]int
	// Inputs are those that were taken, in order.
	Inputs   []source.Input
	Parked   []Parked
	Rejected []string // reasons
	Ignored  map[string]int
	Tries    int // calls of Take, failed ones too
}

// Parked is an input that was parked.
type Parked struct {
	Input  source.Input
	Reason string
}

// Take implements source.Intake.
func (i *Intake) Take(ctx context.Context, in source.Input) (source.Receipt, error) {
	i.change(func(k *Kept) { k.Tries++ })
	if i.Before != nil {
		if err := i.Before(ctx, in); err != nil {
			return source.Receipt{}, err
		}
	}
	items, err := finding.DecodeAll(in.Body, finding.Limits{})
	if err != nil {
		return source.Receipt{}, err
	}
	var r source.Receipt
	i.change(func(k *Kept) {
		k.Inputs = append(k.Inputs, in)
		for _, item := range items {
			switch {
			case item.Finding != nil:
				id := string(item.Finding.ID)
				if k.Findings[id]++; k.Findings[id] == 1 {
					r.Accepted++
				} else {
					r.Known++
				}
			case item.Ignored != nil:
				k.Ignored[item.Ignored.DetailType]++
				r.Ignored++
			case item.Rejected != nil:
				k.Rejected = append(k.Rejected, item.Rejected.Reason)
				r.Rejected++
				r.Reasons = append(r.Reasons, item.Rejected.Reason)
			case item.Reference != nil:
				r.References = append(r.References, source.Reference(*item.Reference))
			}
		}
	})
	return r, nil
}

// Park implements source.Parker.
func (i *Intake) Park(ctx context.Context, in source.Input, reason string) error {
	if i.BeforePark != nil {
		if err := i.BeforePark(ctx, in); err != nil {
			return err
		}
	}
	i.change(func(k *Kept) { k.Parked = append(k.Parked, Parked{Input: in, Reason: reason}) })
	return nil
}

func (i *Intake) change(do func(*Kept)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept.Findings == nil {
		i.kept.Findings, i.kept.Ignored = map[string]int{}, map[string]int{}
	}
	do(&i.kept)
	if i.changed != nil {
		close(i.changed)
		i.changed = nil
	}
}

// Look gives the test what is kept, while nothing changes.
func (i *Intake) Look(look func(Kept)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	look(i.kept)
}

// Await waits until the condition holds, for five minutes at most.
func (i *Intake) Await(tb testing.TB, what string, holds func(Kept) bool) {
	tb.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for {
		i.mu.Lock()
		if holds(i.kept) {
			i.mu.Unlock()
			return
		}
		if i.changed == nil {
			i.changed = make(chan struct{})
		}
		changed := i.changed
		i.mu.Unlock()
		select {
		case <-changed:
		case <-limit.C:
			i.Look(func(k Kept) {
				tb.Fatalf("waited in vain for %s: %d findings, %d parked, %d rejected, %d tries", what, len(k.Findings), len(k.Parked), len(k.Rejected), k.Tries)
			})
		}
	}
}

// Finding is a small finding of a made-up account.
func Finding(id string) string {
	return fmt.Sprintf(`{"schemaVersion":"2.0","accountId":"111111111111","region":"eu-central-1","partition":"aws","id":%q,`+
		`"arn":"arn:aws:guardduty:eu-central-1:111111111111:detector/d0/finding/%s","type":"UnauthorizedAccess:EC2/SSHBruteForce",`+
		`"severity":5,"createdAt":"2026-11-01T10:00:00.000Z","updatedAt":"2026-11-01T10:05:00.000Z","title":"t","description":"d",`+
		`"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0a"}},"service":{"count":1,"archived":false}}`, id, id)
}

// Event is the finding in its EventBridge envelope.
func Event(id string) string {
	return `{"version":"0","id":"e-` + id + `","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111111111111",` +
		`"time":"2026-11-01T10:06:00Z","region":"eu-central-1","resources":[],"detail":` + Finding(id) + `}`
}

// Notification is a text as SNS wraps it.
func Notification(message string) string {
	return `{"Type":"Notification","MessageId":"m-1","TopicArn":"arn:aws:sns:eu-central-1:111111111111:t","Message":` + Quote(message) + `}`
}

// S3Event is the event that EventBridge sends for a new object.
func S3Event(bucket, key string) string {
	return `{"version":"0","detail-type":"Object Created","source":"aws.s3","region":"eu-central-1","detail":{"bucket":{"name":` +
		Quote(bucket) + `},"object":{"key":` + Quote(key) + `}}}`
}

// Quote writes a text as JSON.
func Quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}
