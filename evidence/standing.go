package evidence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Places looks at what is named as evidence where it is now: snapshots, copies,
// volumes, workstations, and the locks of snapshots and objects.
type Places interface {
	// Stand says how an item is now. What is gone is ErrMissing, wrapped or not.
	Stand(ctx context.Context, i Item) (Standing, error)
}

// Standing is how an item is now.
type Standing struct {
	// State is AWS's word for it: completed, in-use, running.
	State string
	// Broken says that it cannot be used any more in this state.
	Broken bool
	// LockMode and LockUntil are its lock; empty where there is none.
	LockMode  string
	LockUntil time.Time
}

// looksAt reports whether somebody can say how the item is, and it matters.
func (v *verifying) looksAt(i Item) bool {
	if v.places == nil {
		return false
	}
	if strings.HasPrefix(i.Location, "s3://") {
		return i.LockMode != "" // whether it is there shows when it is read
	}
	kind, _, named := strings.Cut(i.Location, "-")
	return named && (kind == "snap" || kind == "vol" || kind == "i")
}

// stands looks whether an item is there, and locked as it was. It reports whether
// its bytes are worth reading.
func (v *verifying) stands(i Item) bool {
	s, err := v.places.Stand(v.ctx, i)
	switch {
	case errors.Is(err, ErrMissing) && v.released(i.Location):
		v.checked(Checked{ID: i.ID, How: "not there any more: it was released, as the chain of custody says", Good: true})
		return false
	case err != nil:
		v.failed(i, err)
		return false
	case s.Broken:
		v.problem(i.ID, "%s is in state %s and cannot be used", i.Location, s.State)
	}
	good := !s.Broken && v.locked(i, s)
	if i.SHA256 == "" {
		how := "it is there (" + s.State + ")"
		if i.Gap != "" {
			how += ", its bytes are not checked: " + i.Gap
		}
		v.checked(Checked{ID: i.ID, How: how, Good: good})
	}
	return true
}

// locked reports whether an item is locked at least as it was when it was sealed.
// A lock whose time is over has done what it should.
func (v *verifying) locked(i Item, s Standing) bool {
	if i.LockMode == "" || !i.LockUntil.IsZero() && !v.report.At.IsZero() && !i.LockUntil.After(v.report.At) {
		return true
	}
	until := i.LockUntil.Format(time.RFC3339)
	switch {
	case s.LockMode == "":
		v.problem(i.ID, "%s is not locked any more; it was locked (%s) until %s", i.Location, i.LockMode, until)
	case s.LockMode != i.LockMode && s.LockMode != "compliance":
		v.problem(i.ID, "%s is locked by %s only; it was %s", i.Location, s.LockMode, i.LockMode)
	case s.LockUntil.Before(i.LockUntil.Add(-time.Minute)):
		v.problem(i.ID, "%s is locked until %s only; it was until %s", i.Location, s.LockUntil.UTC().Format(time.RFC3339), until)
	default:
		return true
	}
	return false
}

// released reports whether the chain of custody says that what is at a location
// was given up. Lines that are not sealed count only where the audit chain has
// them as well, and those of an undo that is under way.
func (v *verifying) released(location string) bool {
	return location != "" && slices.ContainsFunc(v.gone, func(l Custody) bool { return l.From == location })
}

// givenUp are the lines of custody that say so and can be relied on.
func givenUp(m Manifest, r *Rows) []Custody {
	var out []Custody
	for _, l := range m.Custody {
		if l.Action == "released" {
			out = append(out, l)
		}
	}
	if r == nil {
		return out
	}
	for _, l := range r.Custody {
		if l.Action == "released" && (r.Noted != nil && r.Noted(l) || slices.Contains(r.Open, RunOf(l.Who))) {
			out = append(out, l)
		}
	}
	return out
}
