package file

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// cursor is the poller's place: everything that was last changed before the
// floor is done, and of what came since the taken objects are remembered.
type cursor struct {
	// First is set until the very first poll has ended, even if that takes
	// several tries.
	First         bool      `json:"first,omitempty"`
	AnnounceAfter time.Time `json:"announce_after,omitzero"`
	Floor         time.Time `json:"floor"`
	// Taken maps the digest of key and ETag to the second in which the object
	// was last changed.
	Taken map[string]int64 `json:"taken"`
}

const (
	// maxTaken bounds the cursor: an entry takes about 30 bytes. Above it the
	// overlap becomes shorter, down to minOverlap.
	maxTaken   = 20_000
	minOverlap = time.Hour
)

func (p *Poller) load(ctx context.Context, now time.Time) (*cursor, error) {
	text, err := p.cursors.Cursor(ctx, p.name)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return &cursor{First: true, AnnounceAfter: now.Add(-announceWithin), Floor: now.Add(-p.deps.LookBack), Taken: map[string]int64{}}, nil
	}
	c := &cursor{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("read the cursor of %s: %w", p.name, err)
	}
	if c.Taken == nil {
		c.Taken = map[string]int64{}
	}
	return c, nil
}

func (p *Poller) save(ctx context.Context, c *cursor) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return p.cursors.SetCursor(ctx, p.name, string(text))
}

func (c *cursor) wants(o object) bool {
	_, done := c.Taken[digest(o)]
	return !done && !o.modified.Before(c.Floor)
}

func (c *cursor) took(o object) { c.Taken[digest(o)] = o.modified.Unix() }

// raise moves the floor up, never down, and forgets what is below it.
func (c *cursor) raise(floor time.Time) {
	if !floor.After(c.Floor) {
		return
	}
	c.Floor = floor
	maps.DeleteFunc(c.Taken, func(_ string, second int64) bool { return second < floor.Unix() })
}

// ended moves the floor after a poll that missed nothing.
func (c *cursor) ended(now time.Time) {
	c.First, c.AnnounceAfter = false, time.Time{}
	c.raise(now.Add(-overlap))
	if len(c.Taken) <= maxTaken {
		return
	}
	seconds := slices.Sorted(maps.Values(c.Taken))
	floor := time.Unix(seconds[len(seconds)-maxTaken], 0)
	if latest := now.Add(-minOverlap); floor.After(latest) {
		floor = latest
	}
	c.raise(floor)
}

// digest names a version of an object: written again under the same key it is
// another one.
func digest(o object) string {
	sum := sha256.Sum256([]byte(o.key + "\x00" + o.tag))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// A folder of GuardDuty's export, down to a year, a month or a day.
var dated = regexp.MustCompile(`(?:^|/)GuardDuty/[a-z0-9-]+/(\d{4})/(?:(\d{2})/(?:(\d{2})/)?)?$`)

// over reports whether a dated folder ended a day or more before the floor.
// Objects of a day may be written the day after.
func over(folder string, floor time.Time) bool {
	m := dated.FindStringSubmatch(folder)
	if m == nil {
		return false
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // digits or nothing
	}
	var end time.Time
	switch {
	case n[2] > 0:
		end = time.Date(n[0], time.Month(n[1]), n[2]+1, 0, 0, 0, 0, time.UTC)
	case n[1] > 0:
		end = time.Date(n[0], time.Month(n[1])+1, 1, 0, 0, 0, 0, time.UTC)
	default:
		end = time.Date(n[0]+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return end.Add(24 * time.Hour).Before(floor)
}
