package reference

import (
	"fmt"
	"go/ast"
	"sort"
	"strings"
)

const metricsIntro = `# Metrics

` + "`guardroom serve`" + ` shows these at ` + "`/metrics`" + ` of ` + "`listen.address`" + `, in the Prometheus text format. Labels are names from the
configuration and small fixed sets; nothing from a finding is ever a label. Those that describe a state are read from the
store at each scrape, so that restarts and other workers make no difference. What to alarm on stands in
[alarms](../how-to/alarms.md).

`

const metricsOutro = `
## Values of labels

| label | values |
| --- | --- |
| ` + "`source`" + ` | the source's name: ` + "`sqs:NAME`, `guardduty:NAME`, `s3:NAME`, `http`, `lambda`, `import`" + ` |
| ` + "`decision`" + ` | ` + "`accepted`, `suppressed`, `known`, `ignored`, `rejected`" + ` |
| ` + "`destination`" + ` | the destination's configured name |
| ` + "`status`" + ` | ` + "`pending`, `delivered`, `parked`, `unknown`, `paused`, `digested`, `dropped`" + ` |
| ` + "`state`" + ` | ` + "`open`, `acknowledged`, `contained`, `closed`" + ` |
| ` + "`reason`" + ` | why a call failed, in a word: ` + "`rate_limited`, `timeout`, `auth`, `not_found`, `invalid`, `server_error`, `network`" + `, … |
`

// A metric as its declaration says it.
type metric struct {
	name, kind, help string
	labels           []string
}

// Metrics writes docs/reference/metrics.md from app/metrics.go below root.
func Metrics(root string) (string, error) {
	f, err := parse(root, "app/metrics.go")
	if err != nil {
		return "", err
	}
	list := metricsOf(f)
	if len(list) < 5 {
		return "", fmt.Errorf("app/metrics.go declares only %d metrics that could be read", len(list))
	}
	var b strings.Builder
	fmt.Fprintf(&b, generated, "app/metrics.go")
	b.WriteString(metricsIntro)
	b.WriteString("| metric | kind | labels | |\n| --- | --- | --- | --- |\n")
	for _, m := range list {
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, cell(m.help))
	}
	b.WriteString(metricsOutro)
	return b.String(), nil
}

// metricsOf finds prometheus.New…Vec(prometheus.…Opts{Name, Help}, labels) and
// prometheus.NewDesc(name, help, labels, nil).
func metricsOf(f *ast.File) []metric {
	var list []metric
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		fn := typeText(call.Fun)
		if name, is := literal(call.Args[0]); is && fn == "prometheus.NewDesc" && len(call.Args) >= 3 {
			help, _ := literal(call.Args[1])
			list = append(list, metric{name: name, kind: stateKind(name), help: help, labels: words(call.Args[2])})
			return true
		}
		kind, is := strings.CutPrefix(fn, "prometheus.New")
		opts, isOpts := call.Args[0].(*ast.CompositeLit)
		if !is || !isOpts {
			return true
		}
		m := metric{kind: strings.ToLower(strings.TrimSuffix(kind, "Vec"))}
		for _, e := range opts.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch typeText(kv.Key) {
			case "Name":
				m.name, _ = literal(kv.Value)
			case "Help":
				m.help, _ = literal(kv.Value)
			}
		}
		if len(call.Args) > 1 {
			m.labels = words(call.Args[1])
		}
		if m.name != "" {
			list = append(list, m)
		}
		return true
	})
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// stateKind is the kind of a metric that is read from the store.
func stateKind(name string) string {
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}
