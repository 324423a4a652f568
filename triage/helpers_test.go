package triage

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func triager(t *testing.T, cfg Config, enrichers ...Enricher) *Triager {
	t.Helper()
	tr, err := New(cfg, Deps{Now: func() time.Time { return now }, Enrichers: enrichers})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// scan is a finding about an instance.
func scan(id string) *finding.Finding {
	return &finding.Finding{ID: finding.ID(id), ARN: arn(id), Type: finding.ParseType("Recon:EC2/Portscan"), AccountID: "111111111111", Region: "eu-west-1",
		Partition: "aws", Severity: 5, UpdatedAt: now, LastSeen: now, Count: 1,
		Resource: finding.Resource{Kind: finding.KindInstance, ID: "i-1", Instance: &finding.Instance{ID: "i-1"}},
		Actor:    finding.Actor{IPs: []string{"203.0.113.9"}, Domains: []string{}}}
}

// arn is the ARN of a finding of the account of these tests.
func arn(id string) string {
	return "arn:aws:guardduty:eu-west-1:111111111111:detector/d/finding/" + id
}

func sequence(id string, members ...string) *finding.Finding {
	f := scan(id)
	f.Type = finding.ParseType("AttackSequence:EC2/CompromisedInstanceGroup")
	f.Resource = finding.Resource{Kind: finding.KindAttackSequence}
	f.Sequence = &finding.Sequence{}
	for _, m := range members {
		f.Sequence.Signals = append(f.Sequence.Signals, finding.Signal{Type: "FINDING", UID: arn(m)})
	}
	f.Sequence.Signals = append(f.Sequence.Signals, finding.Signal{Type: "CLOUD_TRAIL", UID: arn(id)}, finding.Signal{Type: "FINDING"})
	return f
}

// index is what a store knows, in memory.
type index struct {
	findings, arns, keys, sequences map[string]incident.Number
	actors                          map[string][]incident.Number
	incidents                       map[incident.Number]Candidate
	err                             error
}

func (x index) one(m map[string]incident.Number, k string) (Candidate, bool, error) {
	c, ok := x.incidents[m[k]]
	return c, ok, x.err
}
func (x index) IncidentOfFinding(_ context.Context, id finding.ID) (Candidate, bool, error) {
	return x.one(x.findings, string(id))
}
func (x index) IncidentOfARN(_ context.Context, arn string) (Candidate, bool, error) {
	return x.one(x.arns, arn)
}
func (x index) IncidentOfKey(_ context.Context, key string) (Candidate, bool, error) {
	return x.one(x.keys, key)
}
func (x index) SequenceOf(_ context.Context, arn string) (Candidate, bool, error) {
	return x.one(x.sequences, arn)
}
func (x index) IncidentsOfActor(_ context.Context, key string, since time.Time) ([]incident.Number, error) {
	var out []incident.Number
	for _, n := range x.actors[key] {
		if c := x.incidents[n]; !c.LastActivity.Before(since) {
			out = append(out, n)
		}
	}
	return out, x.err
}

// open is an open incident of the given number, active now.
func open(n incident.Number) Candidate {
	return Candidate{Number: n, State: incident.Open, Severity: 5, LastActivity: now}
}

func closed(n incident.Number, v incident.Verdict, ago time.Duration) Candidate {
	c := open(n)
	c.State, c.Verdict, c.ClosedAt = incident.Closed, v, now.Add(-ago)
	return c
}

func with(list ...Candidate) map[incident.Number]Candidate {
	out := map[incident.Number]Candidate{}
	for _, c := range list {
		out[c.Number] = c
	}
	return out
}

func hasStep(steps []Step, stage, decision string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.Stage == stage && s.Decision == decision && s.Reason != "" })
}

var errStore = errors.New("the store does not answer")

func to(name, when string, stop bool, to ...string) config.Route {
	return config.Route{Name: name, When: when, To: to, Stop: stop}
}
