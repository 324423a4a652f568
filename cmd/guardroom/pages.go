package main

import (
	"fmt"
	"net/url"
	"strconv"
)

// pages reads a list page by page and shows up to limit of its members. It
// returns how many were shown, and says so when there are more. The API gives
// at most pageSize at a time; fetch goes on behind what it gave before.
func pages[T any](e *env, limit int, fetch func(q url.Values) ([]T, error), q url.Values, show func(T) error) (n int, err error) {
	for {
		want := min(limit-n+1, pageSize) // one more tells whether there are more
		q.Set("limit", strconv.Itoa(want))
		list, err := fetch(q)
		if err != nil {
			return n, err
		}
		for _, x := range list {
			if n == limit {
				e.more(n)
				return n, nil
			}
			n++
			if err := show(x); err != nil {
				return n, err
			}
		}
		if len(list) < want {
			return n, nil
		}
	}
}

const pageSize = 500

// more says that a list goes on.
func (e *env) more(n int) {
	message, hint := fmt.Sprintf("%d shown; there are more", n), fmt.Sprintf("--limit %d", max(n, 1)*4)
	if e.JSON {
		_ = newEncoder(e.stderr).Encode(map[string]any{"warning": map[string]any{"message": message, "hint": hint}})
		return
	}
	e.say("%s: %s", message, hint)
}
