package guardduty

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/source"
)

// reader reads one detector.
type reader struct {
	poller   *Poller
	target   *target
	client   cloud.GuardDutyClient
	detector string
	region   string
	pages    int
}

// cursor is how far a detector was read: everything that changed before At is
// taken. While First is set, the very first poll has not ended yet; it keeps
// its AnnounceAfter over restarts.
type cursor struct {
	At            time.Time
	First         bool
	AnnounceAfter time.Time
}

const cursorTime = "2006-01-02T15:04:05.000Z"

func (c cursor) String() string {
	s := c.At.UTC().Format(cursorTime)
	if c.First {
		s += " first " + c.AnnounceAfter.UTC().Format(cursorTime)
	}
	return s
}

func parseCursor(s string) (cursor, error) {
	at, rest, first := strings.Cut(s, " first ")
	c := cursor{First: first}
	var err error
	if c.At, err = time.Parse(cursorTime, at); err != nil {
		return c, fmt.Errorf("read cursor %q: %w", s, err)
	}
	if first {
		if c.AnnounceAfter, err = time.Parse(cursorTime, rest); err != nil {
			return c, fmt.Errorf("read cursor %q: %w", s, err)
		}
	}
	return c, nil
}

// cursorName is the cursor's name in the store.
func (r *reader) cursorName() string {
	return r.poller.name + "/" + r.target.account + "/" + r.region + "/" + r.detector
}

func (r *reader) cursor(ctx context.Context) (cursor, error) {
	s, err := r.poller.state.Cursor(ctx, r.cursorName())
	if err != nil {
		return cursor{}, err
	}
	if s != "" {
		return parseCursor(s)
	}
	now := r.poller.deps.Now().UTC()
	c := cursor{First: true, At: time.UnixMilli(0).UTC(), AnnounceAfter: now.Add(-announceWithin)}
	if back := r.poller.cfg.LookBack.Std(); back > 0 {
		c.At = now.Add(-back)
	}
	return c, nil
}

// tail is how many findings at the end of a page decide where the next begins.
const tail = 10

// pass takes everything that changed since the cursor.
//
// ListFindings gives ids in the order of updatedAt, and the list moves while it
// is paged: a finding that changes goes to its end, the others move up, and one
// of them falls between two pages. So pages are not followed by token. The next
// one begins, inclusively, at a time that the page before has certainly reached:
// the earliest updatedAt of its last ten findings, which is only too late if all
// ten changed between the list and the reading. Where too many findings have
// the same millisecond for that, all of this millisecond are read until two
// lists agree (same).
func (r *reader) pass(ctx context.Context) error {
	c, err := r.cursor(ctx)
	if err != nil {
		return err
	}
	from := c.At
	if !c.First {
		from = from.Add(-r.poller.cfg.Overlap.Std())
	}
	for {
		listed := r.poller.deps.Now().UTC()
		ids, token, err := r.list(ctx, from, time.Time{}, "")
		if err != nil {
			return err
		}
		page, err := r.get(ctx, ids)
		if err != nil {
			return err
		}
		if err := r.take(ctx, page, c); err != nil {
			return err
		}
		if token == "" {
			return r.end(ctx, c, page, listed)
		}
		if heedless(page, from) {
			return r.walk(ctx, c, page, token, listed)
		}
		next, ok := earliest(page[max(0, len(page)-tail):])
		if !ok || !next.After(from) {
			if err := r.same(ctx, from, c); err != nil {
				return err
			}
			next = from.Add(time.Millisecond)
		}
		from = next
		if err := r.advance(ctx, &c, from); err != nil {
			return err
		}
	}
}

// heedless reports whether a page shows that bounds or order are not kept, as by
// a stand-in for GuardDuty that knows neither. A few findings out of order are
// those that changed between the list and the reading.
func heedless(page []read, from time.Time) bool {
	falls := 0
	for i, f := range page {
		if f.updatedAt.IsZero() {
			continue
		}
		if f.updatedAt.Before(from.Truncate(time.Millisecond)) {
			return true
		}
		if i > 0 && f.updatedAt.Before(page[i-1].updatedAt) {
			falls++
		}
	}
	return falls*4 > len(page)
}

// maxWalk bounds the pages of one walk: 50 findings each.
const maxWalk = 20_000

// walk follows the tokens to the end of the list, where times say nothing about
// what comes next. A token that brings nothing new ends it.
func (r *reader) walk(ctx context.Context, c cursor, page []read, token string, listed time.Time) error {
	r.poller.deps.Log.Warn("the list of findings keeps neither bounds nor order; its pages are followed as they come",
		"detector", r.detector, "region", r.region)
	seen := map[finding.ID]bool{}
	all := page
	for _, f := range page {
		seen[f.id] = true
	}
	for n := 0; token != "" && n < maxWalk; n++ {
		ids, next, err := r.list(ctx, c.At, time.Time{}, token)
		if err != nil {
			return err
		}
		page, err := r.get(ctx, ids)
		if err != nil {
			return err
		}
		if err := r.take(ctx, page, c); err != nil {
			return err
		}
		fresh := false
		for _, id := range ids {
			fresh = fresh || !seen[id]
			seen[id] = true
		}
		if !fresh {
			break
		}
		all, token = append(all, page...), next
	}
	return r.end(ctx, c, all, listed)
}

// end stores the cursor after the last page: all that had changed when it was
// listed is taken.
func (r *reader) end(ctx context.Context, c cursor, page []read, listed time.Time) error {
	first := c.First
	c.First, c.AnnounceAfter = false, time.Time{}
	at := c.At
	for _, f := range page {
		if f.updatedAt.After(at) {
			at = f.updatedAt
		}
	}
	if at.After(listed) && listed.After(c.At) {
		at = listed
	}
	r.forget(at)
	if !first && !at.After(c.At) {
		return nil
	}
	c.At = at
	return r.poller.state.SetCursor(ctx, r.cursorName(), c.String())
}

// advance moves the cursor within a pass, never back.
func (r *reader) advance(ctx context.Context, c *cursor, at time.Time) error {
	if !at.After(c.At) {
		return nil
	}
	c.At = at
	return r.poller.state.SetCursor(ctx, r.cursorName(), c.String())
}

// earliest returns the earliest time of some findings.
func earliest(list []read) (at time.Time, ok bool) {
	for _, f := range list {
		if !f.updatedAt.IsZero() && (!ok || f.updatedAt.Before(at)) {
			at, ok = f.updatedAt, true
		}
	}
	return at.Truncate(time.Millisecond), ok
}

// same takes all findings of one millisecond. One of them that changes leaves
// this list and is met again later; it may hide a neighbour between two pages,
// so the list is read until it is the same twice.
func (r *reader) same(ctx context.Context, at time.Time, c cursor) error {
	var before map[finding.ID]bool
	const most = 10
	for range most {
		now := map[finding.ID]bool{}
		token := ""
		for {
			ids, next, err := r.list(ctx, at, at, token)
			if err != nil {
				return err
			}
			page, err := r.get(ctx, ids)
			if err != nil {
				return err
			}
			if err := r.take(ctx, page, c); err != nil {
				return err
			}
			for _, id := range ids {
				now[id] = true
			}
			if token = next; token == "" {
				break
			}
		}
		if equal(before, now) {
			return nil
		}
		before = now
	}
	return fmt.Errorf("the findings of %s change faster than they can be read", at.Format(cursorTime))
}

func equal(a, b map[finding.ID]bool) bool {
	if len(a) != len(b) || a == nil {
		return false
	}
	for id := range a {
		if !b[id] {
			return false
		}
	}
	return true
}

// take hands a page to the flow, without what the flow has already. Nothing is
// remembered as taken before the flow has committed it.
func (r *reader) take(ctx context.Context, page []read, c cursor) error {
	var fresh, again []read
	for _, f := range page {
		known, ok := r.target.taken[f.id]
		switch {
		case f.severity < r.poller.cfg.MinSeverity || known.digest == f.digest:
		case ok && known.updatedAt.Equal(f.updatedAt):
			again = append(again, f) // the same revision, archived meanwhile
		default:
			fresh = append(fresh, f)
		}
	}
	r.pages++
	in := source.Input{Source: r.poller.name, ReceivedAt: r.poller.deps.Now().UTC(), Confirmed: true,
		Position: fmt.Sprintf("%s detector %s page %d", r.target, r.detector, r.pages)}
	first := in
	first.LookBack, first.AnnounceAfter = c.First, c.AnnounceAfter
	in.Refresh = true
	return errors.Join(r.hand(ctx, first, fresh), r.hand(ctx, in, again))
}

// hand gives findings to the flow and remembers them when it has committed.
func (r *reader) hand(ctx context.Context, in source.Input, list []read) error {
	if len(list) == 0 {
		return nil
	}
	in.Body = bodyOf(list)
	if _, err := r.poller.intake.Take(ctx, in); err != nil {
		return fmt.Errorf("take %d findings of detector %s: %w", len(list), r.detector, err)
	}
	for _, f := range list {
		r.target.taken[f.id] = memory{digest: f.digest, updatedAt: f.updatedAt, detector: r.detector}
	}
	return nil
}

// forget drops what the next pass cannot meet again.
func (r *reader) forget(at time.Time) {
	before := at.Add(-2 * r.poller.cfg.Overlap.Std())
	for id, m := range r.target.taken {
		if m.detector == r.detector && m.updatedAt.Before(before) {
			delete(r.target.taken, id)
		}
	}
}
