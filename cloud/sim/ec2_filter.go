package sim

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filters say what each filter looks at; one that is not there is refused, so
// that nobody takes an unfiltered answer for a filtered one.
type filters[T thing] map[string]func(T) []string

// apply keeps what all filters match. Within a filter any value will do; * and ?
// are wildcards.
func (f filters[T]) apply(in []types.Filter, things []T) ([]T, error) {
	for _, want := range in {
		name := aws.ToString(want.Name)
		look, known := f[name]
		switch {
		case strings.HasPrefix(name, "tag:"):
			key := strings.TrimPrefix(name, "tag:")
			look = func(t T) []string {
				v, ok := t.base().Tags[key]
				if !ok {
					return nil
				}
				return []string{v}
			}
		case name == "tag-key":
			look = func(t T) []string { return keysOf(t.base().Tags) }
		case !known:
			return nil, fail("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if len(want.Values) == 0 {
			return nil, fail("InvalidParameterValue", "The filter '%s' has no values", name)
		}
		if len(want.Values) > 200 {
			return nil, fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
		var kept []T
		for _, t := range things {
			if anyMatches(want.Values, look(t)) {
				kept = append(kept, t)
			}
		}
		things = kept
	}
	return things, nil
}

func anyMatches(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if matches(p, v) {
				return true
			}
		}
	}
	return false
}

// one is a value for a filter; none when it is empty.
func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func yes(b bool) []string { return []string{strconv.FormatBool(b)} }

// paging is how a call asks for pages; Least and Most are AWS's bounds.
type paging struct {
	Max         *int32
	Next        *string
	IDs         int // how many ids are named: then there are no pages
	Least, Most int32
}

// page cuts a page out of all and says how to go on. Without MaxResults all come
// at once, unless the world has small pages.
func page[T any](s *scope, all []T, p paging) ([]T, *string, error) {
	if p.IDs > 0 && p.Max != nil {
		return nil, nil, fail("InvalidParameterCombination", "The parameter maxResults cannot be used with a list of ids")
	}
	if p.Max != nil && (*p.Max < p.Least || p.Most > 0 && *p.Max > p.Most) {
		return nil, nil, fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", *p.Max, p.Least, p.Most)
	}
	start, err := readToken(p.Next)
	if err != nil {
		return nil, nil, err
	}
	size := len(all)
	if p.Max != nil {
		size = int(*p.Max)
	}
	if s.w.opts.PageSize > 0 && p.IDs == 0 {
		size = min(size, s.w.opts.PageSize)
	}
	if start > len(all) {
		start = len(all)
	}
	end := min(len(all), start+size)
	if end == len(all) {
		return all[start:], nil, nil
	}
	return all[start:end], aws.String(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "page:%d", end))), nil
}

func readToken(next *string) (int, error) {
	if aws.ToString(next) == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*next)
	bad := fail("InvalidNextToken", "The token '%s' is invalid", *next)
	if err != nil {
		return 0, bad
	}
	number, ok := strings.CutPrefix(string(raw), "page:")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 {
		return 0, bad
	}
	return n, nil
}
