package sim

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/smithy-go"
)

// put sets a key of a map that may not be there yet.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

func orText(s, other string) string { return cmp.Or(s, other) }

func orTime(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t.UTC()
}

// keysOf are the keys of a map in their order.
func keysOf[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// pageOf cuts a page out of all: marker is where the last one ended, limit how
// many at most. next is empty at the end. A marker that is none of ours is
// refused with the code.
func pageOf[T any](all []T, marker *string, limit int32, most int, code string) (page []T, next *string, err error) {
	from := 0
	if marker != nil && *marker != "" {
		if from, err = strconv.Atoi(*marker); err != nil || from < 0 || from > len(all) {
			return nil, nil, fail(code, "Invalid Marker.")
		}
	}
	n := most
	if limit > 0 && int(limit) < n {
		n = int(limit)
	}
	to := min(len(all), from+n)
	if to < len(all) {
		s := strconv.Itoa(to)
		next = &s
	}
	return all[from:to], next, nil
}

// int32Of is a number of things as AWS' types have it.
func int32Of(n int) *int32 {
	return new(int32(n)) //nolint:gosec // counts of a simulation are small
}

// codeOf is the code of an error of AWS.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}
