package e2e

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exposition is what /metrics says.
type exposition struct {
	text    string
	samples []sample
}

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// metrics reads /metrics and wants each line to be one of the format.
func (i *instance) metrics(t *testing.T) exposition {
	t.Helper()
	res, err := http.Get("http://" + i.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", res.Status, err, b)
	}
	e := exposition{text: string(b)}
	lines := bufio.NewScanner(strings.NewReader(e.text))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("/metrics has the line %q", lines.Text())
		}
		s := sample{name: m[1], labels: map[string]string{}}
		for _, l := range labelPair.FindAllStringSubmatch(m[2], -1) {
			s.labels[l[1]] = l[2]
		}
		if s.value, err = strconv.ParseFloat(m[3], 64); err != nil {
			t.Fatal(err)
		}
		e.samples = append(e.samples, s)
	}
	return e
}

// value is the sum of the samples with that name and these labels; -1: none.
func (e exposition) value(name string, labels ...string) float64 {
	sum, found := 0.0, false
next:
	for _, s := range e.samples {
		if s.name != name {
			continue
		}
		for n := 0; n+1 < len(labels); n += 2 {
			if s.labels[labels[n]] != labels[n+1] {
				continue next
			}
		}
		sum, found = sum+s.value, true
	}
	if !found {
		return -1
	}
	return sum
}
