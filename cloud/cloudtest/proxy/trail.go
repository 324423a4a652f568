package proxy

import (
	"net/http"
	"slices"
	"time"
)

// Event is a management event in the history of CloudTrail, which moto has not.
type Event struct {
	ID, Name, Source    string
	Username, AccessKey string
	Record              string // the event as CloudTrail keeps it
	At                  time.Time
	Account, Region     string
}

// AddEvent adds an event to the history.
func (p *Proxy) AddEvent(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.events = append(p.state.events, e)
}

// lookupEvents answers with all events of one lookup at once, the newest first.
func (p *Proxy) lookupEvents(r *request) answer {
	var in struct {
		StartTime, EndTime float64
		LookupAttributes   []struct{ AttributeKey, AttributeValue string }
	}
	if err := r.fields(&in); err != nil {
		return r.no("ValidationException", "%v", err)
	}
	if len(in.LookupAttributes) > 1 {
		return r.refuse(http.StatusBadRequest, "InvalidLookupAttributesException", "The list of lookup attributes can contain only one item.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	found := []Event{}
	for _, e := range p.state.events {
		at := float64(e.At.Unix())
		wanted := e.Account == r.account && e.Region == r.region && (in.StartTime == 0 || at >= in.StartTime) && (in.EndTime == 0 || at <= in.EndTime)
		for _, a := range in.LookupAttributes {
			have := map[string]string{"Username": e.Username, "AccessKeyId": e.AccessKey, "EventName": e.Name, "EventSource": e.Source, "EventId": e.ID}
			wanted = wanted && have[a.AttributeKey] == a.AttributeValue
		}
		if wanted {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b Event) int { return b.At.Compare(a.At) })
	list := []map[string]any{}
	for _, e := range found {
		list = append(list, map[string]any{"EventId": e.ID, "EventName": e.Name, "EventSource": e.Source, "EventTime": e.At.Unix(), "Username": e.Username, "AccessKeyId": e.AccessKey, "CloudTrailEvent": e.Record})
	}
	return r.json(map[string]any{"Events": list})
}
