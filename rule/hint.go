package rule

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/spelling"
)

const allFields = "the fields are listed in docs/reference/conditions.md"

var (
	unknownName  = regexp.MustCompile(`^unknown name (\w+)`)
	unknownField = regexp.MustCompile(`^type rule\.(\w+) has no field (\w+)`)
	// byWord is the number compared with a word, the other way round too.
	byWord = regexp.MustCompile(`(?:^|[^\w])(?:finding\.)?severity\s*(==|!=|>=|<=|>|<)\s*["'](\w+)["']`)
)

// hintFor says how a condition that does not compile was probably meant.
func hintFor(source, message string) string {
	if m := unknownName.FindStringSubmatch(message); m != nil {
		names := slices.Concat(fieldsOf(reflect.TypeFor[Env]()), builtins, []string{"cidr", "glob", "startsWith", "endsWith", "contains"})
		return didYouMean(m[1], names)
	}
	if m := unknownField.FindStringSubmatch(message); m != nil {
		for _, t := range []reflect.Type{reflect.TypeFor[Finding](), reflect.TypeFor[Resource](), reflect.TypeFor[Actor](), reflect.TypeFor[Action](), reflect.TypeFor[Account]()} {
			if t.Name() == m[1] {
				return didYouMean(m[2], fieldsOf(t))
			}
		}
		return allFields
	}
	switch {
	case strings.Contains(message, "matches"):
		return `use glob(text, "pattern*"), startsWith, endsWith or contains`
	case strings.Contains(message, "mismatched types"):
		return mismatch(source)
	}
	return ""
}

func didYouMean(word string, names []string) string {
	if n := spelling.Nearest(word, names); n != "" {
		return "did you mean " + n + "?"
	}
	return allFields
}

// fieldsOf are the names that conditions know the fields of t by.
func fieldsOf(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		if name := f.Tag.Get("expr"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// mismatch is about a number that is compared with text, and mostly about the
// severity, which has a word too.
func mismatch(source string) string {
	m := byWord.FindStringSubmatch(source)
	if m == nil {
		return "a number is compared with a number, and text with text in quotes"
	}
	label, from := "High", 7
	for _, band := range []struct {
		label string
		from  int
	}{{"Low", 1}, {"Medium", 4}, {"High", 7}, {"Critical", 9}} {
		if strings.EqualFold(band.label, m[2]) {
			label, from = band.label, band.from
		}
	}
	return fmt.Sprintf(`write a number: severity >= %d (%s and more), or compare the word: severity_label == %q`, from, strings.ToLower(label), label)
}
