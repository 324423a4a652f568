package triage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

// Enricher adds what a finding itself does not say. It is called concurrently
// and gets a deadline; what it adds after an error or the deadline is dropped.
type Enricher interface {
	Name() string
	Enrich(ctx context.Context, f *finding.Finding, e *Enrichment) error
}

// Enrichment is what enrichers found.
type Enrichment struct {
	Account    incident.Account // fields that the configuration does not say
	Tags       []finding.Tag    // live tags of the resource
	ActorLists []string         // local lists on which an actor's address stands
	Country    string           // of the actor, where the finding has none
	ASN, Org   string           // likewise
	Notes      []string
}

const enrichTimeout = 2 * time.Second

// enrich asks all enrichers side by side. One that fails, panics or is slow
// degrades into a step of the trace.
func (t *Triager) enrich(ctx context.Context, f *finding.Finding, d *Decision) {
	if len(t.enrichers) == 0 {
		return
	}
	limit := t.cfg.Triage.Enrich.Timeout.Std()
	if limit <= 0 {
		limit = enrichTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		name string
		add  Enrichment
		err  error
	}
	// Buffered, so that a slow enricher that nobody waits for any more can
	// still end.
	results := make(chan result, len(t.enrichers))
	for _, e := range t.enrichers {
		go func() {
			r := result{name: e.Name()}
			defer func() {
				if p := recover(); p != nil {
					r.err = fmt.Errorf("panicked: %v", p)
				}
				results <- r
			}()
			r.err = e.Enrich(ctx, f, &r.add)
		}()
	}
	waiting := map[string]bool{}
	for _, e := range t.enrichers {
		waiting[e.Name()] = true
	}
	found := map[string]Enrichment{}
	for range t.enrichers {
		select {
		case r := <-results:
			delete(waiting, r.name)
			if r.err != nil {
				d.step("enrich", "degraded", "%s: %v", r.name, r.err)
				continue
			}
			found[r.name] = r.add
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	// In the configured order, so that the same answers give the same result.
	for _, e := range t.enrichers {
		if add, ok := found[e.Name()]; ok {
			d.add(e.Name(), add)
		} else if waiting[e.Name()] {
			d.step("enrich", "degraded", "%s did not answer within %s", e.Name(), limit)
		}
	}
}

func (d *Decision) add(name string, e Enrichment) {
	var what []string
	fill := func(to *string, from, label string) {
		if *to == "" && from != "" {
			*to = from
			what = append(what, label+" "+from)
		}
	}
	fill(&d.Account.Name, e.Account.Name, "account")
	fill(&d.Account.Environment, e.Account.Environment, "environment")
	fill(&d.Account.Owner, e.Account.Owner, "owner")
	fill(&d.Enrichment.Country, e.Country, "country")
	fill(&d.Enrichment.ASN, e.ASN, "ASN")
	fill(&d.Enrichment.Org, e.Org, "organization")
	if len(e.Tags) > 0 {
		d.Enrichment.Tags = append(d.Enrichment.Tags, e.Tags...)
		what = append(what, fmt.Sprintf("%d tags", len(e.Tags)))
	}
	if len(e.ActorLists) > 0 {
		d.Enrichment.ActorLists = unique(append(d.Enrichment.ActorLists, e.ActorLists...))
		what = append(what, "on the lists "+strings.Join(e.ActorLists, ", "))
	}
	d.Enrichment.Notes = append(d.Enrichment.Notes, e.Notes...)
	what = append(what, e.Notes...)
	if len(what) > 0 {
		d.step("enrich", "added", "%s: %s", name, strings.Join(what, "; "))
	}
}

// ownEnrichers are those that need only files.
func ownEnrichers(cfg config.Enrich, log *slog.Logger) ([]Enricher, error) {
	var out []Enricher
	for _, l := range cfg.Lists {
		list, err := OpenList(l.Name, l.File)
		if err != nil {
			return nil, err
		}
		out = append(out, list)
	}
	if cfg.GeoIP != "" || cfg.ASN != "" {
		out = append(out, NewGeo(cfg.GeoIP, cfg.ASN, log))
	}
	return out, nil
}

// once runs a file's reload at most every interval.
type once struct {
	mu    sync.Mutex
	after time.Time
}

func (o *once) due(now time.Time, every time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.after) {
		return false
	}
	o.after = now.Add(every)
	return true
}
