package proxy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// without is the form without some parameters, lists included.
func (r *request) without(names ...string) url.Values {
	form := url.Values{}
	for k, v := range r.form {
		if !slices.ContainsFunc(names, func(name string) bool { return k == name || strings.HasPrefix(k, name+".") }) {
			form[k] = v
		}
	}
	return form
}

// takeFilter takes a filter of EC2 out of the request, and returns its values.
func (r *request) takeFilter(name string) (values []string, ok bool) {
	if values, ok = r.filter(name); !ok {
		return nil, false
	}
	form, n := r.without("Filter"), 0
	for i := 1; ; i++ {
		at := fmt.Sprintf("Filter.%d", i)
		have := r.form.Get(at + ".Name")
		if have == "" {
			break
		}
		if have == name {
			continue
		}
		n++
		form.Set(fmt.Sprintf("Filter.%d.Name", n), have)
		for j, v := range r.list(at + ".Value") {
			form.Set(fmt.Sprintf("Filter.%d.Value.%d", n, j+1), v)
		}
	}
	*r = *r.as(form)
	return values, true
}

// takeStatus takes a filter by status out of the request: moto filters by its
// own states, of which there is one. The answer is filtered by keepStatus.
func (p *Proxy) takeStatus(r *request) answer {
	if values, ok := r.takeFilter("status"); ok {
		r.kept = values
	}
	return answer{}
}

// keepStatus filters a set by the status that was asked for.
func (p *Proxy) keepStatus(r *request, set *node, name string) bool {
	if r.kept == nil || set == nil {
		return false
	}
	set.children = slices.DeleteFunc(set.children, func(n *node) bool { return n.name == "item" && !slices.Contains(r.kept, n.get(name)) })
	return true
}
