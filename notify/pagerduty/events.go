package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// events is the Events API v2:
// https://developer.pagerduty.com/docs/send-alert-event
//
// Every event may be repeated: the dedup key makes a second trigger part of the
// same alert, and acknowledge and resolve for nothing open are dropped.
type events struct {
	client *client
	url    string
	key    string
}

type event struct {
	RoutingKey  string   `json:"routing_key"`
	EventAction string   `json:"event_action"`
	DedupKey    string   `json:"dedup_key"`
	Client      string   `json:"client,omitempty"`
	ClientURL   string   `json:"client_url,omitempty"`
	Payload     *payload `json:"payload,omitempty"`
	Links       []link   `json:"links,omitempty"`
}

type payload struct {
	Summary       string            `json:"summary"`
	Source        string            `json:"source"`
	Severity      string            `json:"severity"`
	Timestamp     string            `json:"timestamp,omitempty"`
	Component     string            `json:"component,omitempty"`
	Group         string            `json:"group,omitempty"`
	Class         string            `json:"class,omitempty"`
	CustomDetails map[string]string `json:"custom_details,omitempty"`
}

// maxEvent is the limit of a whole event. What we send stays far below it.
const maxEvent = 512 << 10

func (e *events) trigger(key string, m content) ([]byte, error) {
	p := &payload{
		Summary: m.title, Source: m.source, Severity: m.severity,
		Class: m.class, Component: m.kind, Group: m.group, CustomDetails: map[string]string{},
	}
	if !m.at.IsZero() {
		p.Timestamp = m.at.UTC().Format(time.RFC3339)
	}
	for _, d := range m.details {
		p.CustomDetails[d.label] = d.value
	}
	ev := event{RoutingKey: e.key, EventAction: "trigger", DedupKey: key, Client: "guardroom", ClientURL: m.link, Payload: p, Links: m.links}
	body, err := json.Marshal(ev)
	if err == nil && len(body) > maxEvent {
		p.CustomDetails, ev.Links = nil, nil
		body, err = json.Marshal(ev)
	}
	return body, err
}

func (e *events) open(ctx context.Context, key string, m content, a alert, _ bool) (alert, error) {
	body, err := e.trigger(key, m)
	if err != nil {
		return a, fmt.Errorf("write the event: %w", err)
	}
	if err := e.send(ctx, body); err != nil {
		return a, err
	}
	a.Stage = stageTriggered
	return a, nil
}

func (e *events) refresh(ctx context.Context, key string, m content, a alert) (alert, error) {
	stage := a.Stage // a trigger does not take an acknowledgement back
	a, err := e.open(ctx, key, m, a, true)
	if err == nil {
		a.Stage = stage
	}
	return a, err
}

func (e *events) acknowledge(ctx context.Context, key string, a alert) (alert, error) {
	return e.change(ctx, key, a, "acknowledge", stageAcknowledged)
}

func (e *events) resolve(ctx context.Context, key string, a alert) (alert, error) {
	return e.change(ctx, key, a, "resolve", stageResolved)
}

func (e *events) change(ctx context.Context, key string, a alert, action string, to stage) (alert, error) {
	body, err := json.Marshal(event{RoutingKey: e.key, EventAction: action, DedupKey: key})
	if err != nil {
		return a, fmt.Errorf("write the event: %w", err)
	}
	if err := e.send(ctx, body); err != nil {
		return a, err
	}
	a.Stage = to
	return a, nil
}

// send posts one event. 202 is acceptance, whatever the body says or how much
// of it arrived.
func (e *events) send(ctx context.Context, body []byte) error {
	a, err := e.client.call(ctx, http.MethodPost, e.url, nil, body)
	if err != nil {
		return err
	}
	if a.status == http.StatusAccepted {
		return nil
	}
	if a.status/100 == 2 {
		var said struct {
			Status string `json:"status"`
		}
		if json.Unmarshal(a.body, &said) == nil && said.Status == "success" {
			return nil
		}
	}
	return error(e.client.failure(a, "take the event"))
}
