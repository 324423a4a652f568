package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// pages are the Markdown files that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range files(t, ".md") {
		if !strings.Contains(name, "/") || strings.HasPrefix(name, "docs/") || strings.HasPrefix(name, "deploy/") {
			out = append(out, name)
		}
	}
	if len(out) < 10 {
		t.Fatalf("found only %d pages", len(out))
	}
	return out
}

var (
	fence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link  = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	title = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

func TestLinksResolve(t *testing.T) {
	t.Parallel()
	anchors := map[string][]string{}
	for _, name := range pages(t) {
		for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(read(t, name), ""), -1) {
			anchors[name] = append(anchors[name], slug(m[1]))
		}
	}
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, name), ""), -1) {
			target, anchor, hasAnchor := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(folder(t), filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
				continue
			}
			if hasAnchor && !slices.Contains(anchors[to], anchor) {
				t.Errorf("%s links to %s; %s has only the headings %s", name, m[1], to, strings.Join(anchors[to], ", "))
			}
		}
	}
}

// slug is the anchor that the hosts of repositories make of a heading.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ' || r == '-':
			b.WriteByte('-')
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Absolute paths that mean the same on every machine that guardroom runs on, or
// that are paths of URLs.
var commonRoots = []string{"etc", "var", "usr", "opt", "run", "tmp", "dev", "v1", "v2", "rest", "metrics", "healthz", "readyz", "plugins", "ex"}

var absolute = regexp.MustCompile("(?m)(^|[\\s`\"'(=])/([a-zA-Z][\\w.-]*)/[\\w.-]")

func TestPagesNameNoMachine(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		for _, m := range absolute.FindAllStringSubmatch(read(t, name), -1) {
			if !slices.Contains(commonRoots, m[2]) {
				t.Errorf("%s names the path /%s/…, which exists on somebody's machine only", name, m[2])
			}
		}
	}
}

var home = regexp.MustCompile(`/(home|root|Users)/[a-z]`)

func TestSourcesNameNoHomeFolder(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".go", ".sh", ".yaml", ".yml", ".json", "Makefile") {
		if s := home.FindString(read(t, name)); s != "" && !strings.HasPrefix(name, "internal/archtest/") && !strings.Contains(name, "testdata/") {
			t.Errorf("%s names %s…: the repository stands alone", name, s)
		}
	}
}

var metricName = regexp.MustCompile("guardroom_[a-z_]+")

func TestPagesNameExistingMetrics(t *testing.T) {
	t.Parallel()
	known := metricName.FindAllString(read(t, "docs/reference/metrics.md"), -1)
	for _, name := range pages(t) {
		for _, m := range metricName.FindAllString(read(t, name), -1) {
			base := m
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !slices.Contains(known, base) && !slices.Contains(notMetrics, m) {
				t.Errorf("%s names the metric %s, which does not exist", name, m)
			}
		}
	}
}

// notMetrics are words that look like metrics.
var notMetrics = []string{"guardroom_incident"} // the type of Slack's message metadata

// An alarm without a metric is a wish: each row of the table has one.
func TestEveryAlarmNamesItsMetric(t *testing.T) {
	t.Parallel()
	rows := 0
	for line := range strings.Lines(read(t, "docs/how-to/alarms.md")) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| alarm ") {
			continue
		}
		rows++
		if !metricName.MatchString(line) {
			t.Errorf("this alarm names no metric: %s", strings.TrimSpace(line))
		}
	}
	if rows < 5 {
		t.Errorf("found only %d alarms", rows)
	}
}

// TestReachable makes sure that nobody writes a page that no other page leads to.
func TestEveryPageIsOnTheMap(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/README.md")
	for _, name := range pages(t) {
		rel, inDocs := strings.CutPrefix(name, "docs/")
		if inDocs && rel != "README.md" && !strings.Contains(index, "("+rel+")") {
			t.Errorf("%s is not on docs/README.md", name)
		}
	}
}

var (
	testName  = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	testFuncs = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)\(`)
)

// A page that says "this test holds against it" must not outlive the test.
func TestPagesNameExistingTests(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range files(t, "_test.go") {
		for _, m := range testFuncs.FindAllStringSubmatch(read(t, name), -1) {
			known[m[1]] = true
		}
	}
	for _, name := range pages(t) {
		for _, m := range testName.FindAllStringSubmatch(read(t, name), -1) {
			if !known[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", name, m[1])
			}
		}
	}
}
