package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
)

// FuzzParse requires of any bytes: no panic, and problems that have a place and
// text that a terminal can show.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(config.Template())
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "${file:") {
			return // reads what the fuzzer names
		}
		opts := options()
		cfg, err := config.Parse(context.Background(), "fuzz.yaml", data, opts)
		if err != nil {
			var problems config.Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("not Problems: %v", err)
			}
			for _, p := range problems {
				lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
				if p.Message == "" || p.Line < 0 || p.Line > lines || p.Line > 0 && p.Column < 1 {
					t.Errorf("bad place %d:%d of %d lines: %s", p.Line, p.Column, lines, p)
				}
				if strings.ContainsFunc(p.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x9b }) {
					t.Errorf("control characters: %q", p.String())
				}
			}
			return
		}
		shown, err := config.Masked(cfg)
		if err != nil {
			t.Fatalf("show: %v", err)
		}
		cfg.Warnings(time.Unix(1_800_000_000, 0))
		opts.CheckCondition = nil
		again, err := config.Parse(context.Background(), "again.yaml", unmask(shown), opts)
		if err != nil {
			t.Fatalf("read back: %v\n%s", err, shown)
		}
		twice, err := config.Masked(again)
		if err != nil || withoutSecrets(twice) != withoutSecrets(shown) {
			t.Errorf("differs after reading back: %v\n%s\n---\n%s", err, shown, twice)
		}
	})
}
