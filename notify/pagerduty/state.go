package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// stage is where an alert stands as far as we know.
type stage string

const (
	stageNone         stage = ""
	stageBegun        stage = "begun" // the trigger was about to be sent; it may have arrived
	stageTriggered    stage = "triggered"
	stageAcknowledged stage = "acknowledged"
	stageResolved     stage = "resolved"
	// stageEnded: a person resolved it in PagerDuty while our incident goes on.
	stageEnded stage = "ended"
)

// alert is one alert or incident in PagerDuty.
type alert struct {
	Stage   stage     `json:"stage,omitempty"`
	BegunAt time.Time `json:"begun_at,omitzero"`
	// Ending: the resolve was about to be sent; it may have arrived.
	Ending bool `json:"ending,omitempty"`
	// ID, Number, Label and URL are known in mode incidents only. Earlier is
	// the number of the incident that this one follows after a reopening.
	ID      string `json:"id,omitempty"`
	Number  int    `json:"number,omitempty"`
	Earlier int    `json:"earlier,omitempty"`
	Label   string `json:"label,omitempty"`
	URL     string `json:"url,omitempty"`
}

// live reports an alert that may be open in PagerDuty.
func (a alert) live() bool {
	return a.Stage == stageBegun || a.Stage == stageTriggered || a.Stage == stageAcknowledged
}

// state is what is kept for one delivery.
type state struct {
	Version int `json:"version"`
	// Holder is a hash of the mode and of the routing key or service: alerts
	// can be reached only by the one that made them.
	Holder string `json:"holder"`

	Main     alert `json:"main"`
	Critical alert `json:"critical,omitzero"`

	Severity    float64 `json:"severity"` // highest that was shown
	ResourceSeq int64   `json:"resource_seq,omitempty"`
	ReopenSeq   int64   `json:"reopen_seq,omitempty"`
	CriticalSeq int64   `json:"critical_seq,omitempty"` // last entry when the second page was sent
	NotedSeq    int64   `json:"noted_seq,omitempty"`
	NoteBegun   int64   `json:"note_begun,omitempty"`

	// Lost: the alert was made by an earlier key and is not shown by this one.
	Lost bool `json:"lost,omitempty"`
	// Stranded: an alert of an earlier key was open when the key changed.
	Stranded bool `json:"stranded,omitempty"`
}

const stateVersion = 1

func decodeState(raw json.RawMessage) (state, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return state{Version: stateVersion}, nil
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return state{}, fmt.Errorf("read the delivery's state: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("the delivery's state has version %d; this program writes %d", s.Version, stateVersion)
	}
	return s, nil
}

// holder returns a hash that tells whether alerts can still be reached.
func (n *Notifier) holder() string {
	id := n.cfg.RoutingKey.Reveal()
	if n.rest != nil {
		id = n.cfg.ServiceID
	}
	sum := sha256.Sum256([]byte("guardroom pagerduty " + n.cfg.Mode + " " + id))
	return hex.EncodeToString(sum[:12])
}

// moveTo makes s belong to another holder and reports whether an open alert
// stays behind that can no longer be reached.
func (s *state) moveTo(holder string) bool {
	if s.Holder == holder {
		return false
	}
	stranded := s.Holder != "" && (s.Main.live() || s.Critical.live())
	s.Holder = holder
	s.Main, s.Critical = alert{}, alert{}
	s.Lost = s.Lost || stranded
	s.Stranded = s.Stranded || stranded
	return stranded
}
