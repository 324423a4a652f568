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

// takeStatus takes a filter by status out of the request: moto filters by its
// own states, of which there is one. The answer is filtered by keepStatus.
func (p *Proxy) takeStatus(r *request) answer {
	values, ok := r.filter("status")
	if !ok {
		return answer{}
	}
	r.status = values
	form, n := r.without("Filter"), 0
	for i := 1; ; i++ {
		at := fmt.Sprintf("Filter.%d", i)
		name := r.form.Get(at + ".Name")
		if name == "" {
			break
		}
		if name == "status" {
			continue
		}
		n++
		form.Set(fmt.Sprintf("Filter.%d.Name", n), name)
		for j, v := range r.list(at + ".Value") {
			form.Set(fmt.Sprintf("Filter.%d.Value.%d", n, j+1), v)
		}
	}
	*r = *r.as(form)
	return answer{}
}

// keepStatus filters a set by the status that was asked for.
func (p *Proxy) keepStatus(r *request, set *node, name string) bool {
	if r.status == nil || set == nil {
		return false
	}
	set.children = slices.DeleteFunc(set.children, func(n *node) bool { return n.name == "item" && !slices.Contains(r.status, n.get(name)) })
	return true
}
