package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/guardroom/guardroom/internal/escape"
)

// The limits of a file. A real one has a few kB and is six levels deep.
const (
	maxBytes = 1 << 20
	maxDepth = 32
)

// LoadOptions are what reading a configuration needs from outside. The zero
// value reads environment and files, and resolves no reference to AWS.
type LoadOptions struct {
	// CheckCondition reports what is wrong with the text of a condition; nil:
	// conditions are not checked. An error that has a method
	// Place() (line, column int, message, hint string), both from 1, is shown
	// at that place.
	CheckCondition func(source string) error
	// Resolvers look up references by their kind: "ssm", "secretsmanager".
	Resolvers map[string]Resolver
	// Offline leaves references to AWS as they are: set, without a value.
	Offline bool
	// StoreOnly resolves only what the store's address refers to: commands that
	// call no vendor do not need the vendors' secrets.
	StoreOnly bool
	// Base is what counts where the file says nothing; nil: the defaults.
	Base *Config
	// LookupEnv replaces os.LookupEnv.
	LookupEnv func(name string) (string, bool)
}

// Load reads the file at path, fills in defaults, resolves secret references
// and checks everything. The error is a Problems with all that is wrong. It
// blocks on the network where the file refers to secrets in AWS.
func Load(ctx context.Context, path string, opts LoadOptions) (*Config, error) {
	data, err := read(path)
	if err != nil {
		p := Problem{File: path, Message: "the file cannot be read: " + err.Error()}
		if errors.Is(err, fs.ErrNotExist) {
			p.Message, p.Hint = "there is no such file", "guardroom config init writes one to begin with"
		}
		return nil, Problems{p}
	}
	return Parse(ctx, path, data, opts)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }()
	// One byte more than allowed, so that Parse sees that it is too much.
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	return data, cause(err)
}

// cause leaves out the path, which the place already says.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// Parse is Load for bytes that are at hand; name stands for the file in
// problems.
func Parse(ctx context.Context, name string, data []byte, opts LoadOptions) (*Config, error) {
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	d := newDecoder(name)
	cfg := Default()
	if opts.Base != nil {
		base := *opts.Base
		cfg = &base
	}
	if root := d.syntax(data); root != nil {
		d.value(root, reflect.ValueOf(cfg).Elem(), "")
	}
	if !d.broken {
		d.resolveSecrets(ctx, cfg, opts)
		cfg.setListDefaults()
		d.validate(cfg, opts)
	}
	if len(d.problems) > 0 {
		return nil, d.finish()
	}
	cfg.origin = d.origin()
	return cfg, nil
}

// syntax returns the tree of data, or nil where there is none.
func (d *decoder) syntax(data []byte) ast.Node {
	text, ok := d.text(data)
	if !ok {
		return nil
	}
	d.lines = strings.Split(text, "\n")
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		d.syntaxError(t, "this is nested too deeply", fmt.Sprintf("nothing in a configuration is more than %d levels deep", maxDepth))
		return nil
	}
	file, err := parseTokens(tokens)
	if err != nil {
		if s, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			d.syntaxError(s.Token, s.Message, "check the indentation (spaces, no tabs) and the quotes here and on the line before")
			return nil
		}
		d.syntaxError(nil, err.Error(), "")
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body == nil || directive {
			continue
		}
		if root != nil {
			d.syntaxError(doc.Body.GetToken(), "a second document begins here", "keep one document in a file")
			return nil
		}
		root = doc.Body
	}
	return root
}

// parseTokens guards against what the parser does not expect.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this is not YAML that can be read")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// text checks the bytes and makes one kind of line end of all.
func (d *decoder) text(data []byte) (string, bool) {
	if len(data) > maxBytes {
		d.syntaxError(nil, "the file is larger than 1 MiB", "a configuration has a few kB; is this the right file?")
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		message := ""
		switch {
		case r == utf8.RuneError && n == 1:
			message = "the file is not UTF-8 text"
		case r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			message = fmt.Sprintf("the control character %U is not allowed", r)
		}
		if message != "" {
			d.broken = true
			d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Message: message, Hint: "save the file as UTF-8 text"})
			return "", false
		}
		rest, column = rest[n:], column+1
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return string(data), true
}

// tooDeep returns the token at which the nesting becomes too deep, or nil. The
// parser calls itself for each level, so that this is asked before: brackets,
// and what opens a level on the same line or without a value between.
func tooDeep(tokens token.Tokens) *token.Token {
	var columns []int // of the block levels that are open
	brackets, run, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line && brackets == 0 {
			line = t.Position.Line
			if t.Prev == nil || !property(t.Prev.Type) {
				run = 0
			}
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets, run = brackets+1, 0
		case token.SequenceEndType, token.MappingEndType:
			brackets, run = max(0, brackets-1), 0
		case token.CollectEntryType:
			run = 0
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.TagType, token.AnchorType, token.AliasType:
			run++
		}
		if brackets > maxDepth || run > maxDepth || len(columns) > maxDepth {
			return t
		}
	}
	return nil
}

// property reports what stands before a value without being one.
func property(t token.Type) bool {
	return t == token.TagType || t == token.AnchorType || t == token.AliasType
}

// syntaxError reports what makes the rest unreadable. What is secret is not
// known yet, so that the line is shown only where it surely is none.
func (d *decoder) syntaxError(t *token.Token, message, hint string) {
	d.broken = true
	// The parser's messages may quote the file.
	message, _, _ = strings.Cut(message, `"`)
	p := Problem{File: d.file, Message: escape.Terminal(strings.TrimRight(message, ": ")), Hint: hint}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, max(1, t.Position.Column)
		if n := p.Line - 1; n >= 0 && n < len(d.lines) && harmless(d.lines, n) {
			p.source = d.lines[n]
		}
	}
	d.problems = append(d.problems, p)
}
