package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Rule is a compiled condition. It is safe for concurrent use.
type Rule struct {
	Name, Source string
	program      *vm.Program
	parts        []part
	tags         bool
}

type part struct {
	source  string
	program *vm.Program
}

const (
	maxSource = 4096
	maxNodes  = 500
	// memoryBudget bounds what one evaluation may build; conditions build next
	// to nothing.
	memoryBudget = 10_000
)

// CompileError says what is wrong with a condition, and where.
type CompileError struct {
	Name    string
	Line    int // 1-based
	Col     int // 1-based, in runes
	Snippet string
	Message string
	Hint    string
}

// Error implements error, with the place marked.
func (e *CompileError) Error() string {
	s := e.Message
	if e.Snippet != "" {
		s += e.Snippet
	}
	return s
}

// Column is the offending place in the condition's text.
func (e *CompileError) Column() int { return e.Col }

// Place is the offending place, with what config shows there.
func (e *CompileError) Place() (line, column int, message, hint string) {
	return e.Line, e.Col, e.Message, e.Hint
}

// builtins are the functions of the language that conditions may use: cheap,
// pure, and without regular expressions.
var builtins = []string{"len", "any", "all", "none", "one", "count", "lower", "upper", "trim", "max", "min", "int", "float", "string", "abs", "date", "duration"}

func options() []expr.Option {
	opts := []expr.Option{expr.Env(&Env{}), expr.AsBool(), expr.DisableAllBuiltins(), expr.MaxNodes(maxNodes)}
	for _, b := range builtins {
		opts = append(opts, expr.EnableBuiltin(b))
	}
	return append(opts,
		expr.Function("cidr", cidr, new(func(string, string) bool), new(func([]string, string) bool)),
		expr.Function("glob", globFunc, new(func(string, string) bool), new(func([]string, string) bool)),
	)
}

// Compile checks and compiles a condition. An empty one is always true. The
// error is a *CompileError.
func Compile(name, source string) (*Rule, error) {
	r := &Rule{Name: name, Source: source}
	if strings.TrimSpace(source) == "" {
		return r, nil
	}
	if len(source) > maxSource {
		return nil, &CompileError{Name: name, Line: 1, Col: 1, Message: fmt.Sprintf("the condition is longer than %d bytes", maxSource), Hint: "split it into several rules"}
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, compileError(name, source, err)
	}
	if at, found := usesMatches(tree.Node); found {
		return nil, compileError(name, source, &file.Error{Location: at, Line: 1, Column: at.From, Message: "matches is not allowed: a regular expression over text of attackers can run for very long"})
	}
	if r.program, err = expr.Compile(source, options()...); err != nil {
		return nil, compileError(name, source, err)
	}
	var m tagFinder
	ast.Walk(&tree.Node, &m)
	r.tags = m.found
	for _, s := range clauses(tree.Node, nil) {
		text := s.String()
		if p, err := expr.Compile(text, options()...); err == nil {
			r.parts = append(r.parts, part{source: text, program: p})
		}
	}
	return r, nil
}

func compileError(name, source string, err error) error {
	out := &CompileError{Name: name, Line: 1, Col: 1, Message: err.Error()}
	if fe, ok := errors.AsType[*file.Error](err); ok {
		out.Line, out.Col, out.Message, out.Snippet = max(1, fe.Line), fe.Column+1, fe.Message, fe.Snippet
	}
	out.Hint = hintFor(source, out.Message)
	return out
}

type matchFinder struct {
	at    file.Location
	found bool
}

func (m *matchFinder) Visit(node *ast.Node) {
	if b, ok := (*node).(*ast.BinaryNode); ok && b.Operator == "matches" {
		m.at, m.found = b.Location(), true
	}
}

type tagFinder struct{ found bool }

// Visit looks for resource.tags, resource["tags"], and what is named by more than
// a word or a number.
func (m *tagFinder) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.MemberNode)
	if !ok {
		return
	}
	switch name := n.Property.(type) {
	case *ast.StringNode:
		m.found = m.found || name.Value == "tags"
	case *ast.IntegerNode:
	default:
		m.found = true
	}
}

// NeedsTags reports whether the condition asks for tags of resources.
func (r *Rule) NeedsTags() bool { return r.tags }

func usesMatches(node ast.Node) (file.Location, bool) {
	var m matchFinder
	ast.Walk(&node, &m)
	return m.at, m.found
}

// clauses are the parts that && and || join at the top.
func clauses(node ast.Node, out []ast.Node) []ast.Node {
	if b, ok := node.(*ast.BinaryNode); ok {
		switch b.Operator {
		case "&&", "and", "||", "or":
			return clauses(b.Right, clauses(b.Left, out))
		}
	}
	return append(out, node)
}

// Match evaluates the condition. An error (a nil value, a budget that ran out)
// means that nothing is known; callers treat it as no match and say so.
func (r *Rule) Match(env *Env) (bool, error) {
	if r.program == nil {
		return true, nil
	}
	return run(r.program, env)
}

func run(p *vm.Program, env *Env) (bool, error) {
	machine := vm.VM{MemoryBudget: memoryBudget}
	out, err := machine.Run(p, env)
	if err != nil {
		return false, fmt.Errorf("evaluate: %w", err)
	}
	b, _ := out.(bool)
	return b, nil
}

// Part is one clause of a condition with its value.
type Part struct {
	Source string `json:"source"`
	Value  bool   `json:"value"`
	Error  string `json:"error,omitempty"`
}

// Explain evaluates each clause that && and || join at the top, so that a
// person sees which one decided.
func (r *Rule) Explain(env *Env) []Part {
	out := []Part{}
	for _, p := range r.parts {
		v, err := run(p.program, env)
		x := Part{Source: p.source, Value: v}
		if err != nil {
			x.Error = err.Error()
		}
		out = append(out, x)
	}
	return out
}

// cidr reports whether an address, or any of several, is in a network.
func cidr(params ...any) (any, error) {
	prefix, err := netip.ParsePrefix(params[1].(string))
	if err != nil {
		return false, fmt.Errorf("%q is not a network; write 10.0.0.0/8", params[1])
	}
	in := func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && prefix.Contains(a.Unmap())
	}
	return anyOf(params[0], in), nil
}

func globFunc(params ...any) (any, error) {
	pattern := params[1].(string)
	return anyOf(params[0], func(s string) bool { return Glob(pattern, s) }), nil
}

func anyOf(v any, ok func(string) bool) bool {
	switch x := v.(type) {
	case string:
		return ok(x)
	case []string:
		if slices.ContainsFunc(x, ok) {
			return true
		}
	}
	return false
}

// Glob reports whether s fits pattern, in which * stands for any text and ? for
// one character. It takes time proportional to the product of the lengths at
// most, whatever the pattern.
func Glob(pattern, s string) bool {
	p, t := []rune(pattern), []rune(s)
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi] == '?' || p[pi] == t[ti]):
			pi++
			ti++
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}
