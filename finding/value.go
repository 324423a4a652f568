package finding

import (
	"fmt"
	"strconv"
	"strings"
)

// value is one JSON value of a tree, or none. Its readers are tolerant: they
// return the zero value and leave a warning where the type is wrong, and leave
// none where the value is absent or null.
type value struct {
	t *tree
	i int32 // -1: absent
}

// maxWarnings bounds the warnings of one finding.
const maxWarnings = 50

func (t *tree) rootValue() value { return value{t, 0} }

func (v value) node() *node { return &v.t.nodes[v.i] }

// present reports whether there is a value that is not null.
func (v value) present() bool { return v.i >= 0 && v.node().kind != jsonNull }

func (v value) kind() nodeKind {
	if v.i < 0 {
		return jsonNull
	}
	return v.node().kind
}

// raw returns the JSON text of the value.
func (v value) raw() string {
	n := v.node()
	if n.kind == jsonString {
		return v.t.src[n.start-1 : n.end+1]
	}
	return v.t.src[n.start:n.end]
}

func (v value) warn(format string, args ...any) {
	switch t := v.t; {
	case len(t.warnings) < maxWarnings:
		t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
	case len(t.warnings) == maxWarnings:
		t.warnings = append(t.warnings, "further warnings are left out")
	}
}

func (v value) wrong(want string) {
	v.warn("%s is %s, not %s: read as empty", v, v.node().kind, want)
}

// String is the path: a warning that is left out does not pay for it.
func (v value) String() string { return v.path() }

// path says where the value stands below the root of its finding.
func (v value) path() string {
	if v.i <= v.t.root || v.i < 0 {
		return ""
	}
	n := v.node()
	p := value{v.t, n.parent}
	if p.kind() == jsonList {
		k := 0
		for c := n.parent + 1; c < v.i; c = v.t.nodes[c].after {
			k++
		}
		return p.path() + "[" + strconv.Itoa(k) + "]"
	}
	key := v.key()
	if len(key) > 100 {
		key = strings.ToValidUTF8(key[:100], "") + "…"
	}
	if up := p.path(); up != "" {
		return up + "." + key
	}
	return key
}

// key returns the key under which the value stands in its object.
func (v value) key() string {
	n := v.node()
	s := v.t.src[n.keyStart:n.keyEnd]
	if n.keyEscaped {
		return unescape(s, true)
	}
	return s
}

// get returns the member with the given key, without regard to case. Of several
// the last one counts, as in encoding/json.
func (v value) get(name string) value {
	if v.i < 0 {
		return v
	}
	t := v.t
	n := &t.nodes[v.i]
	found := int32(-1)
	if n.kind == jsonObject {
		c := v.i + 1
		for range n.count {
			m := &t.nodes[c]
			key := t.src[m.keyStart:m.keyEnd]
			if m.keyEscaped {
				key = unescape(key, true)
			}
			if len(key) == len(name) && (key == name || foldEqual(key, name)) {
				if found >= 0 {
					value{t, c}.warn("%s is given more than once: the last one counts", value{t, c})
				}
				found = c
			}
			c = m.after
		}
	}
	return value{t, found}
}

// either returns the first of the members that is present.
func (v value) either(names ...string) value {
	none := value{v.t, -1}
	for _, name := range names {
		if m := v.get(name); m.present() {
			return m
		} else if m.i >= 0 {
			none = m
		}
	}
	return none
}

// object returns the member if it is an object, and none with a warning
// otherwise.
func (v value) object(name string) value {
	m := v.get(name)
	if m.present() && m.kind() != jsonObject {
		m.wrong("an object")
		return value{v.t, -1}
	}
	if !m.present() {
		return value{v.t, -1}
	}
	return m
}

// children returns the elements of a list or the members of an object.
func (v value) children() []value {
	if v.i < 0 || v.node().count == 0 {
		return nil
	}
	all := make([]value, 0, v.node().count)
	c := v.i + 1
	for range v.node().count {
		all = append(all, value{v.t, c})
		c = v.t.nodes[c].after
	}
	return all
}

// list returns the elements of the member. One object where a list belongs is
// read as a list of one.
func (v value) list(name string) []value {
	m := v.get(name)
	switch {
	case !m.present():
		return nil
	case m.kind() == jsonList:
		return m.children()
	case m.kind() == jsonObject:
		m.warn("%s is an object, not a list: read as a list of one", m)
		return []value{m}
	}
	m.wrong("a list")
	return nil
}

// objects returns the elements of the member that are objects.
func (v value) objects(name string) []value {
	all := v.list(name)
	kept := all[:0]
	for _, e := range all {
		if e.kind() == jsonObject {
			kept = append(kept, e)
		} else if e.present() {
			e.wrong("an object")
		}
	}
	return kept
}

// texts returns the elements of the member as text. One text where a list
// belongs is read as a list of one.
func (v value) texts(name string) []string {
	m := v.get(name)
	if m.kind() == jsonString {
		m.warn("%s is a text, not a list: read as a list of one", m)
		return []string{m.asText()}
	}
	var out []string
	for _, e := range v.list(name) {
		if s := e.asText(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// text returns the member as text.
func (v value) text(name string) string { return v.get(name).asText() }

func (v value) asText() string {
	if v.i < 0 {
		return ""
	}
	switch n := v.node(); n.kind {
	case jsonNull:
		return ""
	case jsonString:
		return v.unquoted(true)
	case jsonNumber, jsonTrue, jsonFalse:
		v.warn("%s is %s, not a text: kept as text", v, n.kind)
		return v.t.src[n.start:n.end]
	}
	v.wrong("a text")
	return ""
}

// word is text for fields that come as number or as text: no warning.
func (v value) word() string {
	switch v.kind() {
	case jsonNumber, jsonTrue, jsonFalse:
		return v.raw()
	case jsonString:
		return v.unquoted(true)
	}
	return v.asText()
}

func (v value) unquoted(nul bool) string {
	n := v.node()
	s := v.t.src[n.start:n.end]
	if n.escaped {
		return unescape(s, nul)
	}
	return s
}

// integer returns the member as a whole number.
func (v value) integer(name string) int {
	m := v.get(name)
	switch m.kind() {
	case jsonNull:
		return 0
	case jsonNumber:
		if n, ok := wholeNumber(m.raw()); ok {
			return n
		}
		m.warn("%s is not a whole number that fits: read as 0", m)
		return 0
	case jsonString:
		s := strings.TrimSpace(m.unquoted(true))
		if n, ok := wholeNumber(s); ok {
			m.warn("%s is a number written as text", m)
			return n
		}
		if s == "" {
			return 0
		}
	}
	m.wrong("a number")
	return 0
}

func wholeNumber(s string) (int, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return int(n), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || f > 1<<53 || f < -(1<<53) {
		return 0, false
	}
	return int(f), true
}

// float returns the member as a number.
func (v value) float(name string) float64 {
	m := v.get(name)
	switch m.kind() {
	case jsonNull:
		return 0
	case jsonNumber:
		if f, err := strconv.ParseFloat(m.raw(), 64); err == nil {
			return f
		}
	case jsonString:
		if f, err := strconv.ParseFloat(m.unquoted(true), 64); err == nil && f-f == 0 {
			m.warn("%s is a number written as text", m)
			return f
		}
	}
	m.wrong("a number")
	return 0
}

// flag returns the member as a boolean, nil if it is absent.
func (v value) flag(name string) *bool {
	m := v.get(name)
	yes, no := true, false
	switch m.kind() {
	case jsonNull:
		return nil
	case jsonTrue:
		return &yes
	case jsonFalse:
		return &no
	case jsonString:
		switch s := strings.TrimSpace(m.unquoted(true)); {
		case strings.EqualFold(s, "true"):
			m.warn("%s is a boolean written as text", m)
			return &yes
		case strings.EqualFold(s, "false"):
			m.warn("%s is a boolean written as text", m)
			return &no
		}
	}
	m.wrong("a boolean")
	return nil
}

func (v value) isTrue(name string) bool {
	b := v.flag(name)
	return b != nil && *b
}

// foldEqual compares texts of equal length without regard to the case of ASCII
// letters.
func foldEqual(a, b string) bool {
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}
