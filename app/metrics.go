package app

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/store"
)

// flowObserver hears what became of inputs.
type flowObserver interface {
	Accepted(source string, r source.Receipt)
}

// Metrics are guardroom's Prometheus metrics, in a registry of their own. Labels
// are configured names and small fixed sets, never values from findings.
type Metrics struct {
	registry *prometheus.Registry
	findings *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	shown    *prometheus.CounterVec
	failures *prometheus.CounterVec
}

var (
	_ notify.Observer = (*Metrics)(nil)
	_ flowObserver    = (*Metrics)(nil)
)

// NewMetrics registers the metrics. Those that describe the state of the store
// are read from it at each scrape.
func NewMetrics(db *store.DB, now func() time.Time) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "guardroom_findings_total",
			Help: "Findings and other inputs, by source and what became of them."}, []string{"source", "decision"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "guardroom_delivery_latency_seconds",
			Help: "From the wish to show a revision to its being shown.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800}},
			[]string{"destination"}),
		shown: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "guardroom_deliveries_total",
			Help: "Revisions shown, by destination."}, []string{"destination"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "guardroom_delivery_failures_total",
			Help: "Failed calls, by destination and reason."}, []string{"destination", "reason"}),
	}
	m.registry.MustRegister(m.findings, m.latency, m.shown, m.failures, &stateCollector{db: db, now: now})
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// Accepted implements flowObserver.
func (m *Metrics) Accepted(name string, r source.Receipt) {
	for decision, n := range map[string]int{"accepted": r.Accepted - r.Suppressed, "suppressed": r.Suppressed, "known": r.Known, "ignored": r.Ignored, "rejected": r.Rejected} {
		if n > 0 {
			m.findings.WithLabelValues(name, decision).Add(float64(n))
		}
	}
}

// Delivered implements notify.Observer.
func (m *Metrics) Delivered(destination string, sinceWanted time.Duration) {
	m.shown.WithLabelValues(destination).Inc()
	m.latency.WithLabelValues(destination).Observe(max(0, sinceWanted.Seconds()))
}

// DeliveryFailed implements notify.Observer.
func (m *Metrics) DeliveryFailed(destination, reason string) {
	m.failures.WithLabelValues(destination, reason).Inc()
}

// stateCollector reads what the store knows at each scrape, so that restarts
// and other workers make no difference.
type stateCollector struct {
	db  *store.DB
	now func() time.Time
}

var (
	queueDepth = prometheus.NewDesc("guardroom_delivery_queue_depth", "Deliveries by destination and status.", []string{"destination", "status"}, nil)
	oldest     = prometheus.NewDesc("guardroom_delivery_oldest_undelivered_seconds", "Age of the oldest wish that a destination does not show yet.", []string{"destination"}, nil)
	lastEvent  = prometheus.NewDesc("guardroom_source_last_event_timestamp_seconds", "When a source last gave an event.", []string{"source"}, nil)
	incidents  = prometheus.NewDesc("guardroom_incidents", "Incidents by state.", []string{"state"}, nil)
	auditSeq   = prometheus.NewDesc("guardroom_audit_records_total", "Records in the audit chain.", nil, nil)
	openRuns   = prometheus.NewDesc("guardroom_runs_open", "Runs of responses that have not ended, by state.", []string{"state"}, nil)
	oldestRun  = prometheus.NewDesc("guardroom_run_oldest_seconds", "Age of the oldest run that has not ended, by state.", []string{"state"}, nil)
	owedLate   = prometheus.NewDesc("guardroom_owed_overdue", "What runs opened in AWS and should be closed by now.", nil, nil)
	owedOldest = prometheus.NewDesc("guardroom_owed_overdue_oldest_seconds", "For how long the longest of these is overdue.", nil, nil)
	paused     = prometheus.NewDesc("guardroom_destination_paused", "1 while a destination is paused.", []string{"destination"}, nil)
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueDepth, oldest, lastEvent, incidents, auditSeq, paused, openRuns, oldestRun, owedLate, owedOldest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if counts, err := c.db.CountDeliveries(ctx); err == nil {
		for name, by := range counts {
			for status, n := range by {
				gauge(queueDepth, float64(n), name, string(status))
			}
		}
	}
	if behind, err := c.db.OldestBehind(ctx); err == nil {
		for name, at := range behind {
			gauge(oldest, max(0, c.now().Sub(at).Seconds()), name)
		}
	}
	if list, err := c.db.Sources(ctx); err == nil {
		for _, s := range list {
			if !s.LastEvent.IsZero() {
				gauge(lastEvent, float64(s.LastEvent.UnixMilli())/1000, s.Name)
			}
		}
	}
	if counts, err := c.db.CountIncidents(ctx); err == nil {
		for state, n := range counts {
			gauge(incidents, float64(n), string(state))
		}
	}
	if pauses, err := c.db.Pauses(ctx); err == nil {
		for name := range pauses {
			gauge(paused, 1, name)
		}
	}
	c.responses(ctx, gauge)
	if head, err := c.db.AuditHead(ctx); err == nil {
		ch <- prometheus.MustNewConstMetric(auditSeq, prometheus.CounterValue, float64(head.Seq))
	}
}

// responses are the gauges about what is under way in AWS. They are there also
// where nothing is, so that an alarm on them has something to look at.
func (c *stateCollector) responses(ctx context.Context, gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	now := c.now()
	if list, err := c.db.OpenRuns(ctx); err == nil {
		counts, ages := map[respond.RunState]int{}, map[respond.RunState]time.Duration{}
		for _, r := range list {
			counts[r.State]++
			ages[r.State] = max(ages[r.State], now.Sub(begunAt(r)))
		}
		for _, s := range []respond.RunState{respond.RunQueued, respond.RunRunning} {
			gauge(openRuns, float64(counts[s]), string(s))
			gauge(oldestRun, ages[s].Seconds(), string(s))
		}
	}
	if list, err := c.db.OwedOf(ctx, ""); err == nil {
		late, longest := 0, time.Duration(0)
		for _, o := range list {
			if d := now.Sub(o.Due); d > 0 || !o.ToldAt.IsZero() {
				late++
				longest = max(longest, d)
			}
		}
		gauge(owedLate, float64(late))
		gauge(owedOldest, longest.Seconds())
	}
}
