package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/finding/catalog"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/store"
)

// views implements notify.Views from the store and the type catalogue.
type views struct {
	store   *store.DB
	baseURL string
	types   map[string]string // destination name -> type
	now     func() time.Time
}

// View implements notify.Views.
func (v *views) View(ctx context.Context, d notify.Delivery) (*message.View, error) {
	switch d.Kind {
	case message.KindDigest:
		return v.digest(ctx, d)
	case message.KindNotice:
		return v.notice(ctx, d)
	}
	i, err := v.store.GetIncidentByID(ctx, incident.ID(d.Subject))
	if err != nil {
		return nil, err
	}
	return v.Incident(ctx, i, d)
}

// Incident makes the view of an incident for one of its deliveries.
func (v *views) Incident(ctx context.Context, i *incident.Incident, d notify.Delivery) (*message.View, error) {
	timeline, err := v.store.Timeline(ctx, i.Number, 0)
	if err != nil {
		return nil, err
	}
	in := message.Input{Incident: i, Timeline: timeline, Delivery: d.ID, Explanation: explain(i.Lead.Type), Link: v.link(i.Number),
		Now: v.now()}
	if i.MergedInto > 0 {
		in.MergedLink = v.link(i.MergedInto)
	}
	if in.Elsewhere, err = v.elsewhere(ctx, d); err != nil {
		return nil, err
	}
	if in.Runs, err = v.responses(ctx, i.Number); err != nil {
		return nil, err
	}
	raw, ok, err := v.store.NewestRevisionOf(ctx, i.Lead.FindingID)
	if err != nil {
		return nil, err
	}
	if ok {
		if in.RawFinding, err = store.Unpack(raw.Raw); err != nil {
			return nil, fmt.Errorf("read the raw finding of %s: %w", i.Number, err)
		}
	}
	return message.Build(in), nil
}

func (v *views) elsewhere(ctx context.Context, d notify.Delivery) ([]message.Reference, error) {
	list, err := v.store.Deliveries(ctx, store.DeliveryFilter{Subject: d.Subject, Limit: 100})
	if err != nil {
		return nil, err
	}
	var out []message.Reference
	for _, o := range list {
		if o.ID != d.ID {
			out = append(out, message.Reference{Destination: o.Destination, Type: v.types[o.Destination], Label: o.Reference, URL: o.URL, State: string(o.Status)})
		}
	}
	return out, nil
}

func (v *views) digest(ctx context.Context, d notify.Delivery) (*message.View, error) {
	dg, err := v.store.GetDigest(ctx, d.Subject)
	if err != nil {
		return nil, err
	}
	in := message.DigestInput{Delivery: d.ID, ID: incident.ID(dg.ID), Revision: dg.Revision, Total: dg.Total, Counts: dg.Counts, Band: dg.Band, Since: dg.OpenedAt, Now: v.now()}
	if v.baseURL != "" {
		in.Link = strings.TrimRight(v.baseURL, "/") + "/incidents"
	}
	for _, m := range dg.Members {
		i, err := v.store.GetIncident(ctx, m.Number)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		in.Until = later(in.Until, i.OpenedAt)
		in.Incidents = append(in.Incidents, message.Build(message.Input{Incident: i, Explanation: explain(i.Lead.Type), Link: v.link(m.Number), Now: in.Now}))
	}
	return message.BuildDigest(in), nil
}

func (v *views) notice(ctx context.Context, d notify.Delivery) (*message.View, error) {
	n, err := v.store.GetNotice(ctx, d.Subject)
	if err != nil {
		return nil, err
	}
	return message.BuildNotice(message.NoticeInput{Delivery: d.ID, ID: incident.ID(n.ID), Revision: n.Revision, Topic: message.Topic(n.Topic),
		Subject: n.Subject, Message: n.Message, Safe: n.Safe, Hint: n.Hint, Since: n.OpenedAt, Resolved: n.ResolvedAt, Now: v.now()}), nil
}

// link is where an incident can be looked at, when a base URL is configured.
func (v *views) link(n incident.Number) string {
	if v.baseURL == "" {
		return ""
	}
	return strings.TrimRight(v.baseURL, "/") + "/incidents/" + url.PathEscape(n.String())
}

// explain is what the catalogue says about a type, in message's words.
func explain(typeName string) message.Explanation {
	e := catalog.Explain(finding.ParseType(typeName))
	return message.Explanation{Title: e.Title, Preposition: e.Preposition, Seen: e.Seen, Why: e.Why, First: e.First, Known: e.Known != catalog.Guess}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
