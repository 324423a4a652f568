package fakepagerduty

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of the Events API v2:
// https://developer.pagerduty.com/docs/events-api-v2-overview
const (
	maxSummary  = 1024
	maxDedupKey = 255
	keyLength   = 32
)

// Status is where an alert or an incident stands.
type Status string

// The statuses.
const (
	Triggered    Status = "triggered"
	Acknowledged Status = "acknowledged"
	Resolved     Status = "resolved"
)

// Alert is what events with one routing key and one dedup key made between a
// first trigger and a resolve. A trigger after the resolve makes a new one.
type Alert struct {
	RoutingKey string
	DedupKey   string
	Status     Status
	Severity   string
	Summary    string
	Source     string
	Details    map[string]any
	Triggers   int // how many triggers it took in
	// Silent counts triggers that notified nobody because the alert was
	// acknowledged.
	Silent int
	At     time.Time
}

// Alerts returns all alerts in the order in which they were opened.
func (s *Server) Alerts() []Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Alert, len(s.alerts))
	for i, a := range s.alerts {
		out[i] = *a
	}
	return out
}

// AcknowledgeAlert is a person acknowledging an alert in PagerDuty itself. It
// reports whether there was an open one.
func (s *Server) AcknowledgeAlert(dedupKey string) bool {
	return s.setAlert(dedupKey, Acknowledged)
}

// ResolveAlert is a person resolving an alert in PagerDuty itself.
func (s *Server) ResolveAlert(dedupKey string) bool { return s.setAlert(dedupKey, Resolved) }

func (s *Server) setAlert(dedupKey string, to Status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alerts {
		if a.DedupKey == dedupKey && a.Status != Resolved {
			a.Status = to
			return true
		}
	}
	return false
}

// SetRoutingKeys replaces the known keys, as a rotation does.
func (s *Server) SetRoutingKeys(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.RoutingKeys = slices.Clone(keys)
}

type event struct {
	RoutingKey  string   `json:"routing_key"`
	EventAction string   `json:"event_action"`
	DedupKey    string   `json:"dedup_key"`
	Client      string   `json:"client"`
	ClientURL   string   `json:"client_url"`
	Payload     *payload `json:"payload"`
	Links       []struct {
		Href string `json:"href"`
		Text string `json:"text"`
	} `json:"links"`
	Images []struct {
		Src string `json:"src"`
	} `json:"images"`
}

type payload struct {
	Summary       string         `json:"summary"`
	Source        string         `json:"source"`
	Severity      string         `json:"severity"`
	Timestamp     string         `json:"timestamp"`
	Component     string         `json:"component"`
	Group         string         `json:"group"`
	Class         string         `json:"class"`
	CustomDetails map[string]any `json:"custom_details"`
}

// enqueue is POST /v2/enqueue.
func (s *Server) enqueue(r *http.Request, body []byte) *answer {
	if len(body) > maxEvent {
		return s.refuse(http.StatusRequestEntityTooLarge, "event of %d bytes is above 512 KB", len(body))
	}
	if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return s.invalidEvent("content type " + ct + " is not application/json")
	}
	if !utf8.Valid(body) {
		return s.invalidEvent("body is not UTF-8")
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return s.invalidEvent("JSON parse error: " + err.Error())
	}
	if problems := e.problems(); len(problems) > 0 {
		return s.invalidEvent(problems...)
	}
	if !slices.Contains(s.opts.RoutingKeys, e.RoutingKey) {
		if s.opts.AcceptUnknownKeys {
			return accepted(e.DedupKey, "dropped: unknown routing key")
		}
		return s.invalidEvent("Invalid routing key")
	}
	if s.overLimit(e.RoutingKey) {
		s.violate("more than %d events a minute for one routing key", s.opts.EventsPerMinute)
		return RateLimited.before()
	}
	return accepted(e.DedupKey, s.apply(e))
}

func (e event) problems() []string {
	var out []string
	say := func(bad bool, text string) {
		if bad {
			out = append(out, text)
		}
	}
	say(len(e.RoutingKey) != keyLength, "'routing_key' must be 32 characters long")
	say(utf8.RuneCountInString(e.DedupKey) > maxDedupKey, "'dedup_key' is too long (maximum is 255 characters)")
	switch e.EventAction {
	case "trigger":
	case "acknowledge", "resolve":
		say(e.DedupKey == "", "'dedup_key' is missing or blank")
		return out
	default:
		return append(out, "'event_action' must be one of trigger, acknowledge, resolve")
	}
	if e.Payload == nil {
		return append(out, "'payload' is missing or blank")
	}
	say(e.Payload.Summary == "", "'payload.summary' is missing or blank")
	say(utf8.RuneCountInString(e.Payload.Summary) > maxSummary, "'payload.summary' is too long (maximum is 1024 characters)")
	say(e.Payload.Source == "", "'payload.source' is missing or blank")
	say(!slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity),
		"'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	if e.Payload.Timestamp != "" {
		_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
		say(err != nil, "'payload.timestamp' is not ISO 8601")
	}
	for _, l := range e.Links {
		u, err := url.Parse(l.Href)
		say(err != nil || u.Host == "", "'links.href' is not a URL")
	}
	for _, i := range e.Images {
		say(!strings.HasPrefix(i.Src, "https://"), "'images.src' must be served by HTTPS")
	}
	return out
}

// apply does what the event says and returns it in words.
func (s *Server) apply(e event) string {
	a := s.openAlert(e.RoutingKey, e.DedupKey)
	switch {
	case e.EventAction == "trigger" && a == nil:
		a = &Alert{RoutingKey: e.RoutingKey, DedupKey: e.DedupKey, Status: Triggered, At: s.opts.Now().UTC()}
		s.alerts = append(s.alerts, a)
		a.take(e)
		return "triggered"
	case e.EventAction == "trigger":
		if a.Status == Acknowledged {
			a.Silent++
		}
		a.take(e)
		return "deduplicated"
	case a == nil:
		return "dropped: nothing open"
	case e.EventAction == "acknowledge":
		a.Status = Acknowledged
		return "acknowledged"
	}
	a.Status = Resolved
	return "resolved"
}

func (a *Alert) take(e event) {
	a.Triggers++
	a.Severity, a.Summary, a.Source = e.Payload.Severity, e.Payload.Summary, e.Payload.Source
	a.Details = e.Payload.CustomDetails
}

func (s *Server) openAlert(routingKey, dedupKey string) *Alert {
	for _, a := range s.alerts {
		if a.RoutingKey == routingKey && a.DedupKey == dedupKey && a.Status != Resolved {
			return a
		}
	}
	return nil
}

// window counts the events of one routing key in one minute.
type window struct {
	start time.Time
	count int
}

func (s *Server) overLimit(key string) bool {
	if s.opts.EventsPerMinute <= 0 {
		return false
	}
	now := s.opts.Now()
	w := s.windows[key]
	if w == nil || now.Sub(w.start) >= time.Minute {
		w = &window{start: now}
		s.windows[key] = w
	}
	w.count++
	return w.count > s.opts.EventsPerMinute
}
