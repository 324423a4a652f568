package config_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

// planted is the secret in the files of testdata. No message may hold it.
const planted = "hunter2"

// vault resolves what testdata refers to.
type vault map[string]string

func (v vault) Resolve(_ context.Context, name string) (string, error) {
	value, ok := v[name]
	if !ok {
		return "", errors.New("AccessDeniedException: not allowed to read " + name)
	}
	return value, nil
}

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func options() config.LoadOptions {
	return config.LoadOptions{
		CheckCondition: func(source string) error { _, err := rule.Compile("condition", source); return err },
		LookupEnv: environment(map[string]string{"EMPTY": "", "TOKEN": planted, "ROUTING_KEY": strings.Repeat("k", 32),
			"SIGNING": "whsec_" + strings.Repeat("MfKQ", 8), "DB": "a/b@c"}),
		Resolvers: map[string]config.Resolver{"secretsmanager": vault{"json": `{"key": "` + planted + `", "n": 12345678901234567890, "empty": "", "list": []}`, "plain": planted}},
	}
}

func TestWhatIsWrongIsReportedAtItsPlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 150 {
		t.Fatalf("%d files in testdata/bad: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.Parse(context.Background(), filepath.Base(path), data, options())
			var problems config.Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("no problem was found: %v", err)
			}
			have := err.Error() + "\n"
			if strings.Contains(have, planted) {
				t.Errorf("the secret is in the message:\n%s", have)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 {
					t.Errorf("no place: %s", p)
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".want", have)
		})
	}
}

func golden(t *testing.T, path, have string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run: go test ./config -update", err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("differs from %s (- want, + have):\n%s", path, diff)
	}
}

func TestAFileThatCannotBeReadIsAProblem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte("name: "+strings.Repeat("a", 10<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"a file that is missing names the command that writes one": {filepath.Join(dir, "none.yaml"), "guardroom config init"},
		"a folder is no file":                {dir, "is a directory"},
		"10 MB are not read into the parser": {big, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(context.Background(), c.path, options())
			var problems config.Problems
			if !errors.As(err, &problems) || len(problems) != 1 || problems[0].File != c.path || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one problem with %q", err, c.want)
			}
		})
	}
}

// A bomb must cost neither the stack nor minutes.
func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	many := func(s string) string { return strings.Repeat(s, 1<<16/len(s)) }
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		laughs += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, text := range map[string]string{
		"a billion laughs": laughs,
		"brackets":         strings.Repeat("[", 1<<20-1), "braces": many("{a: "), "pairs": many("[{a: "), "closing": many("]"),
		"dashes": many("- "), "questions": many("? "), "tags": many("!a "), "tags on lines": many("!a\n"), "anchors": many("&a "),
		"aliases": many("*a "), "colons": many("a: "), "bare colons": many(": "), "quotes": many("\"a"), "literals": many("|\n"),
		"documents": many("---\n"), "percent": many("%"), "spaces": many(" "), "commas": many("a,"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse(context.Background(), "bomb.yaml", []byte(text), options())
			if name != "spaces" && name != "documents" && err == nil { // both say nothing
				t.Error("was accepted")
			}
		})
	}
	t.Run("two thousand keys that are unknown", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&b, "key%d: x\n", i)
		}
		_, err := config.Parse(context.Background(), "bomb.yaml", []byte(b.String()), options())
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) < 2000 {
			t.Errorf("%d problems", len(problems))
		}
	})
}
