package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify/message"
)

// The types of messages. Types are only added.
const (
	TypeOpened         = "incident.opened"
	TypeUpdated        = "incident.updated"
	TypeAcknowledged   = "incident.acknowledged"
	TypeSeverityRaised = "incident.severity_raised"
	TypeContained      = "incident.contained"
	TypeClosed         = "incident.closed"
	TypeReopened       = "incident.reopened"
	TypeMerged         = "incident.merged"
	TypePlanWaits      = "incident.plan_waits"
	TypePlanDecided    = "incident.plan_decided"
	TypeRunStarted     = "incident.run_started"
	TypeRunEnded       = "incident.run_ended"
	TypeEvidenceReady  = "incident.evidence_ready"
	TypeReleased       = "incident.released"
	TypeDrift          = "incident.drift"
	TypeProven         = "incident.proven"
	TypeNotContained   = "incident.not_contained"
	TypeRunLate        = "incident.run_late"
	TypeLeftOpen       = "incident.left_open"
	TypeClosedAgain    = "incident.closed_again"
	TypeDigest         = "digest"
	TypeNotice         = "notice"
	TypeTest           = "test"
)

// msg is one message to send. Its id is the same at every attempt.
type msg struct {
	id    string
	kind  string
	at    time.Time
	seq   int64          // of the entry; 0 where it is none
	event *message.Event // nil where it is none
}

// messageID is the webhook-id: the same at every attempt. Full stops separate
// the parts of what is signed, so none may stand in it.
func messageID(v *message.View, part string) string {
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == '.' {
			return '_'
		}
		return r
	}, v.Delivery)
	return clean + "-" + part
}

// next returns the message to send next, and false when v was told in full.
func next(v *message.View, s deliveryState) (msg, bool) {
	if v.Kind != message.KindIncident {
		if s.Opened && s.Revision >= v.Revision {
			return msg{}, false
		}
		return revision(v, map[message.Kind]string{message.KindDigest: TypeDigest, message.KindNotice: TypeNotice}[v.Kind]), true
	}
	if !s.Opened {
		m := msg{id: messageID(v, "opened"), kind: TypeOpened, at: v.OpenedAt}
		for i := range v.Events {
			if e := &v.Events[i]; e.Kind == incident.KindOpened {
				m.event, m.seq = e, e.Seq
			}
		}
		return m, true
	}
	if m, ok := nextEvent(v, s); ok {
		return m, true
	}
	if s.Revision < v.Revision {
		return revision(v, TypeUpdated), true
	}
	return msg{}, false
}

// revision is a message about a revision as such.
func revision(v *message.View, kind string) msg {
	return msg{id: messageID(v, fmt.Sprintf("r%d", v.Revision)), kind: cmp.Or(kind, TypeTest), at: v.UpdatedAt}
}

// nextEvent returns the oldest spoken entry that was not sent.
func nextEvent(v *message.View, s deliveryState) (msg, bool) {
	events := slices.Clone(v.Events)
	slices.SortFunc(events, func(a, b message.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	var last int64 // the closing that merged is the newest one
	for _, e := range events {
		if e.Kind == incident.KindClosed || e.Kind == incident.KindAbsorbed {
			last = e.Seq
		}
	}
	for _, e := range events {
		kind := typeOf(e.Kind)
		if e.Seq <= s.Seq || kind == "" {
			continue
		}
		if kind == TypeClosed && e.Seq == last && (v.Verdict == incident.Merged || v.MergedInto != "") {
			kind = TypeMerged
		}
		return msg{id: messageID(v, fmt.Sprintf("e%d", e.Seq)), kind: kind, at: e.At, seq: e.Seq, event: &e}, true
	}
	return msg{}, false
}

// typeOf returns the type for a kind of entry; empty: it is told with the next
// revision.
func typeOf(k incident.Kind) string {
	switch k {
	case incident.KindAcknowledged:
		return TypeAcknowledged
	case incident.KindSeverityRaised:
		return TypeSeverityRaised
	case incident.KindContained:
		return TypeContained
	case incident.KindClosed:
		return TypeClosed
	case incident.KindReopened:
		return TypeReopened
	case incident.KindPlanWaits:
		return TypePlanWaits
	case incident.KindPlanDecided:
		return TypePlanDecided
	case incident.KindRunStarted:
		return TypeRunStarted
	case incident.KindRunEnded:
		return TypeRunEnded
	case incident.KindEvidenceReady:
		return TypeEvidenceReady
	case incident.KindReleased:
		return TypeReleased
	case incident.KindDrift:
		return TypeDrift
	case incident.KindProven:
		return TypeProven
	case incident.KindNotContained:
		return TypeNotContained
	case incident.KindRunLate:
		return TypeRunLate
	case incident.KindLeftOpen:
		return TypeLeftOpen
	case incident.KindClosedAgain:
		return TypeClosedAgain
	}
	return ""
}
