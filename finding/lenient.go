package finding

import (
	"bytes"
	"strconv"
	"strings"
)

// elements decodes a list, or an object that holds a list of findings, records
// or messages, element by element without parsing the whole: for inputs of any
// size, and for those with a damaged element, which is rejected alone. It
// reports false when text is no such thing; then nothing was yielded.
func (d *decoder) elements(text []byte, p place) bool {
	if text[0] == '[' {
		d.eachElement(text, p.in("list"), d.element)
		return true
	}
	key, list := findList(text)
	if !insideText(p) {
		p.at.Offset += int64(len(text) - len(list))
		p.at.Line += bytes.Count(text[:len(text)-len(list)], []byte{'\n'})
	}
	switch {
	case list == nil:
		return false
	case strings.EqualFold(key, "findings"):
		d.eachElement(list, p.in("get-findings").below(key), d.element)
	default:
		// Records and Messages: each as a batch of its own.
		d.eachElement(list, p.below(key), func(e []byte, p place) {
			src := strings.ToValidUTF8(string(e), "\uFFFD")
			t := d.tree()
			defer d.release(t)
			if err := t.parse(src, d.limits.MaxDepth); err != nil {
				d.rejected(p, "damaged JSON: "+err.Error(), e)
				return
			}
			d.record(t.rootValue(), p)
		})
	}
	return true
}

// eachElement calls do for each element of a list that may be damaged or cut.
func (d *decoder) eachElement(list []byte, p place, do func([]byte, place)) {
	line, counted := p.at.Line, 0
	i := 1
	for k := 0; d.err == nil; k++ {
		for i < len(list) && (list[i] == ' ' || list[i] == '\n' || list[i] == '\r' || list[i] == '\t') {
			i++
		}
		if i >= len(list) || list[i] == ']' && k == 0 {
			if i >= len(list) {
				d.rejected(p, "damaged JSON: the list is not closed", nil)
			}
			return
		}
		end := skipElement(list, i)
		line += bytes.Count(list[counted:i], []byte{'\n'})
		counted = i
		q := p.below("[" + strconv.Itoa(k) + "]")
		if !insideText(p) {
			q.at.Offset += int64(i)
			q.at.Line = line
		}
		refused := d.refused
		do(bytes.TrimRight(list[i:end], " \n\r\t"), q)
		if end >= len(list) {
			if d.err == nil && d.refused == refused {
				d.rejected(p, "damaged JSON: the list is not closed", nil)
			}
			return
		}
		if list[end] == ']' {
			return
		}
		i = end + 1
	}
}

// insideText reports whether the value was a text inside another value, so that
// its lines are not lines of the input.
func insideText(p place) bool { return strings.Contains(p.at.Path, ".") }

// skipElement returns the index of the comma or bracket that ends the element
// of a list that begins at i. Quotes are not trusted across lines.
func skipElement(b []byte, i int) int {
	depth, inString := 0, false
	for ; i < len(b); i++ {
		c := b[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"', '\n':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}

// findList returns the list of findings, records or messages of an object that
// may be damaged behind it.
func findList(text []byte) (key string, list []byte) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + 1
			for end < len(text) && text[end] != '"' && text[end] != '\n' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(text) {
				return "", nil
			}
			word := string(text[i+1 : end])
			i = end
			if depth != 1 {
				continue
			}
			rest := bytes.TrimLeft(text[end+1:], " \n\r\t")
			if len(rest) == 0 || rest[0] != ':' {
				continue
			}
			rest = bytes.TrimLeft(rest[1:], " \n\r\t")
			if len(rest) == 0 || rest[0] != '[' {
				continue
			}
			for _, name := range [...]string{"findings", "records", "messages"} {
				if strings.EqualFold(word, name) {
					return word, rest
				}
			}
		}
	}
	return "", nil
}
