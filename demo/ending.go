package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/guardroom/guardroom/finding"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
)

// opening says what is about to be seen.
func (s *show) opening() {
	s.screen.head("A day at a company that does not exist")
	s.screen.text(0, "Three AWS accounts (payments-prod, data-lake, sandbox) and their GuardDuty findings on "+s.start.Format("2 January 2006")+", times in UTC. "+
		"What you see is the real program: it stores, judges, merges and audits in a SQLite file, and speaks over HTTP to stand-ins of Slack, Jira and PagerDuty that refuse what the vendors refuse. At the end it contains a host, in an AWS that is simulated. Nothing leaves this machine. "+s.length()+"; Ctrl-C ends it in order.")
}

func (s *show) length() string {
	if s.opts.Fast {
		return "It takes about a quarter of a minute"
	}
	return "It takes about a minute and a half"
}

// patience is how long the last deliveries may take.
const patience = 5 * time.Minute

// ending waits for the last deliveries, counts, closes the room, and says how to
// look further.
func (s *show) ending(ctx context.Context) error {
	if err := s.finished(ctx); err != nil {
		return err
	}
	if err := s.compare(ctx); err != nil {
		return err
	}
	s.screen.head("What is left of the day")
	if err := s.numbers(ctx); err != nil {
		return err
	}
	lead, err := s.incidentOf(ctx, "batch-calls")
	if err != nil {
		return err
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	s.exhibits(lead)
	s.further(lead)
	if p := s.result.Problems(); len(p) > 0 {
		return fault.New(fault.Unavailable, "the vendors do not show what they should: "+strings.Join(p, "; "), "this is a bug of guardroom: report it with the folder "+s.result.Dir)
	}
	return nil
}

func (s *show) finished(ctx context.Context) error {
	until := s.opts.Now().Add(patience)
	for {
		armed, stuck, err := s.room.Reader().Unfinished(ctx)
		switch {
		case err != nil:
			return err
		case armed == 0 && stuck == 0:
			return s.settle(ctx, 0, false)
		case armed == 0 || s.opts.Now().After(until):
			return errors.Join(s.settle(ctx, 0, false), fmt.Errorf("%d deliveries are not done and %d wait for a person", armed, stuck))
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *show) incidentOf(ctx context.Context, name string) (*incident.Incident, error) {
	f, ok, err := s.room.Reader().GetFinding(ctx, finding.ID(FindingID(name)))
	if err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("the finding %s is not in the store", name))
	}
	return s.room.Reader().GetIncident(ctx, f.Incident)
}

// numbers are the sums, each read from the store or from a stand-in.
func (s *show) numbers(ctx context.Context) error {
	states, err := s.room.Reader().CountIncidents(ctx)
	if err != nil {
		return err
	}
	r, total := s.result, 0
	for _, n := range states {
		total += n
	}
	line := func(label, format string, args ...any) {
		s.screen.line(label, fmt.Sprintf(format, args...))
	}
	line("findings", "%d revisions taken in, %d of them suppressed; %d came twice, %d events were no findings, %d inputs were broken and are kept", r.Accepted, r.Suppressed, r.Known, r.Ignored, r.Rejected)
	line("incidents", "%d: %d open, %d acknowledged, %d closed", total, states[incident.Open], states[incident.Acknowledged], states[incident.Closed])
	edits, replies := 0, 0
	for _, m := range s.vendors.slack.All() {
		edits += m.Edits
		if m.ThreadTS != "" {
			replies++
		}
	}
	line("slack", "%s; %s, %s in threads", r.Slack.words("message", "messages"), count(edits, "edit", "edits"), count(replies, "line", "lines"))
	line("jira", "%s; %d of them done", r.Jira.words("issue", "issues"), r.Jira.Closed)
	line("pagerduty", "%s; %d of them resolved", r.PagerDuty.words("alert", "alerts"), r.PagerDuty.Closed)
	if p := r.Problems(); len(p) > 0 {
		for _, text := range p {
			line("wrong", "%s", text)
		}
		return nil
	}
	line("compared", "every incident is where it was routed, exactly once, at its newest revision; no limit of a vendor was broken")
	return nil
}

func (t Tally) words(one, many string) string {
	text := fmt.Sprintf("%s for %s", count(t.Shown, one, many), count(t.Wanted, "incident", "incidents"))
	if t.Digests > 0 {
		text += fmt.Sprintf(", and %s for %d more", count(t.Digests, "digest", "digests"), t.Digested)
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// verify closes the room, which writes the last head of the audit chain outside
// the store, and checks the chain in the store that is kept.
func (s *show) verify(ctx context.Context) error {
	err := s.room.Close(context.WithoutCancel(ctx))
	s.room = nil
	if err != nil {
		return err
	}
	room, err := s.opts.Open(ctx, s.config, s.opts.Now)
	if err != nil {
		return err
	}
	report, err := room.VerifyAudit(ctx)
	if err := errors.Join(err, room.Close(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	s.result.AuditRecords = report.Records
	if !report.OK() {
		return fault.New(fault.Corrupt, "the audit chain is broken: "+report.Faults[0].Message, "guardroom audit verify")
	}
	s.screen.line("audit", fmt.Sprintf("%d records, each sealed with the hash of the one before; the chain is whole and agrees with %s kept outside the store", report.Records, count(report.Heads, "head", "heads")))
	return nil
}

// exhibits shows one message and one issue in full.
func (s *show) exhibits(lead *incident.Incident) {
	for _, m := range s.vendors.slack.Messages() {
		if id, _ := subject(m); id != string(lead.ID) {
			continue
		}
		s.screen.head("One message in Slack, in full")
		for _, row := range wholeMessage(m) {
			s.screen.quote(row)
		}
		for _, reply := range s.vendors.slack.Replies(m.Channel, m.TS) {
			for line := range strings.SplitSeq(plain(reply.Text), "\n") {
				s.screen.quote("thread: " + line)
			}
		}
	}
	for _, i := range s.vendors.jira.Issues() {
		for _, label := range i.Labels {
			if label != "gr-"+string(lead.ID) {
				continue
			}
			s.screen.head("The same in Jira: " + i.Key)
			s.screen.quote(i.Summary)
			s.screen.quote("Status " + i.Status + ", priority " + i.Priority + ", labels " + strings.Join(i.Labels, " "))
			s.screen.quote("")
			for _, row := range document(i.Description) {
				s.screen.quote(row)
			}
		}
	}
}

// further names commands that work on what is kept.
func (s *show) further(lead *incident.Incident) {
	s.screen.head("Look further")
	s.screen.text(0, "Store, audit heads, configuration and the simulated AWS are kept in "+s.result.Dir+". These commands read them:")
	s.screen.blank()
	s.screen.command("export GUARDROOM_CONFIG=" + filepath.Join(s.result.Dir, "guardroom.yaml"))
	for _, c := range []string{
		"incident list", "incident show " + lead.Number.String(), "finding explain " + FindingID("scan-lab"),
		"finding rejected list", "rule list", "delivery list", "plan list", "run list", "evidence list " + lead.Number.String(), "evidence verify " + lead.Number.String(), "audit tail", "audit verify",
	} {
		s.screen.command(s.opts.Command + " " + c)
	}
	s.screen.blank()
	s.screen.text(0, "For your own accounts: "+s.opts.Command+" config init writes a configuration with comments; the one of this day is in the folder above. Remove the folder when you have seen enough.")
}
