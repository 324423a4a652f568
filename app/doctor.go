package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// Doctor implements api.Service. It changes nothing.
func (a *App) Doctor(ctx context.Context) []api.Check {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	checks := a.checkConfig()
	checks = append(checks, a.checkStore(ctx)...)
	checks = append(checks, a.checkWorkers(ctx)...)
	checks = append(checks, a.checkSources(ctx)...)
	checks = append(checks, a.checkRules(ctx)...)
	checks = append(checks, a.checkDestinations(ctx)...)
	checks = append(checks, a.checkResponses(ctx)...)
	checks = append(checks, a.checkClock())
	if usesAWS(a.cfg) {
		checks = append(checks, a.awsChecks(ctx)...)
	}
	for _, more := range a.opts.Checks {
		checks = append(checks, more(ctx)...)
	}
	return checks
}

func failed(area, what string, err error, hint string) api.Check {
	return api.Check{Area: area, What: what, Message: err.Error(), Hint: hint}
}

// checkConfig repeats the warnings of config check. That a suppression has ended
// is told with the rules.
func (a *App) checkConfig() []api.Check {
	var checks []api.Check
	for _, w := range a.cfg.Warnings(a.now()) {
		if !strings.HasPrefix(w.Path, "suppress[") {
			checks = append(checks, api.Check{Area: "config", What: w.Path, OK: true, Warning: true, Message: w.Message, Hint: w.Hint})
		}
	}
	return checks
}

func (a *App) checkStore(ctx context.Context) []api.Check {
	head, err := a.db.AuditHead(ctx)
	if err != nil {
		return []api.Check{failed("store", a.db.Place(), err, "is the database there and healthy?")}
	}
	checks := []api.Check{{Area: "store", What: a.db.Place(), OK: true, Message: "open, " + respond.Count(int(head.Seq), "audit record")}}
	if err := a.db.TryWrite(ctx); err != nil {
		message, hint := writable(err)
		checks = append(checks, api.Check{Area: "store", What: "writing", Message: message, Hint: hint})
	}
	report, err := a.VerifyAudit(ctx)
	switch {
	case err != nil:
		checks = append(checks, failed("audit", "chain", err, "guardroom audit verify"))
	case !report.OK():
		checks = append(checks, api.Check{Area: "audit", What: "chain", Message: report.Faults[0].Message, Hint: "guardroom audit verify"})
	default:
		checks = append(checks, api.Check{Area: "audit", What: "chain", OK: true, Message: fmt.Sprintf("%s and %s outside agree", respond.Count(int(report.Records), "record"), respond.Count(report.Heads, "head"))})
	}
	for _, k := range a.watch.keepers {
		checks = append(checks, api.Check{Area: "audit", What: "head outside", OK: true, Message: k.String()})
	}
	return checks
}

// checkWorkers fails when deliveries would wait for a worker that is not there.
func (a *App) checkWorkers(ctx context.Context) []api.Check {
	workers, err := a.db.Workers(ctx)
	if err != nil {
		return []api.Check{failed("worker", "heartbeat", err, "")}
	}
	alive := slices.ContainsFunc(workers, func(w store.Worker) bool {
		return w.Mode == string(ModeServe) && a.now().Sub(w.Heartbeat) <= a.watch.lease
	})
	switch {
	case alive:
		return []api.Check{{Area: "worker", What: "heartbeat", OK: true, Message: fmt.Sprintf("%s, %s ago", workers[0].Name(), a.now().Sub(workers[0].Heartbeat).Round(time.Second))}}
	case len(a.cfg.Destinations) == 0:
		return []api.Check{{Area: "worker", What: "heartbeat", OK: true, Warning: true, Message: "no service runs", Hint: "guardroom serve"}}
	case a.db.Dialect() == store.Postgres:
		return []api.Check{{Area: "worker", What: "heartbeat", Message: "no worker has a heartbeat: what is accepted is not delivered", Hint: "start guardroom serve with this store"}}
	}
	return []api.Check{{Area: "worker", What: "heartbeat", OK: true, Warning: true, Message: "no service runs: deliveries wait for guardroom serve or finding import --wait", Hint: "guardroom serve"}}
}

func (a *App) checkSources(ctx context.Context) []api.Check {
	known, err := a.db.Sources(ctx)
	if err != nil {
		return []api.Check{failed("source", "events", err, "")}
	}
	var checks []api.Check
	for _, name := range slices.Sorted(keysOf(silences(a.cfg))) {
		c := api.Check{Area: "source", What: name, OK: true, Warning: true, Message: "no event yet", Hint: "send a sample finding: aws guardduty create-sample-findings"}
		for _, s := range known {
			if s.Name != name {
				continue
			}
			switch {
			case s.Error != "":
				c = api.Check{Area: "source", What: name, Message: s.Error, Hint: "check its permissions and address"}
			case !s.LastEvent.IsZero():
				c = api.Check{Area: "source", What: name, OK: true, Message: "last event " + a.now().Sub(s.LastEvent).Round(time.Second).String() + " ago"}
			}
		}
		checks = append(checks, c)
	}
	ignored, err := a.db.IgnoredEvents(ctx)
	if err != nil {
		return append(checks, failed("source", "ignored events", err, ""))
	}
	for _, i := range ignored {
		if hint, ok := blindSpots[i.DetailType]; ok {
			checks = append(checks, api.Check{Area: "source", What: i.Source, OK: true, Warning: true,
				Message: fmt.Sprintf("%s: %s, last %s ago", i.DetailType, respond.Count(int(i.Count), "time"), a.now().Sub(i.LastAt).Round(time.Minute)), Hint: hint})
		}
	}
	return checks
}

// blindSpots are events of GuardDuty that are no findings but say that it sees
// less than people think.
var blindSpots = map[string]string{
	"GuardDuty Runtime Protection Unhealthy":               "an agent is silent: look at GuardDuty's runtime coverage",
	"GuardDuty Malware Protection Resource Status Warning": "look at the protected bucket in GuardDuty's malware protection",
	"GuardDuty Malware Protection Resource Status Error":   "look at the protected bucket in GuardDuty's malware protection",
	"GuardDuty Malware Protection Post Scan Action Failed": "the tag after the scan was not set: check the scan's role",
	"GuardDuty Malware Protection Post-Scan Action Failed": "the tag after the scan was not set: check the scan's role",
	"GuardDuty Runtime Protection Coverage Unhealthy":      "an agent is silent: look at GuardDuty's runtime coverage",
}

func (a *App) checkRules(ctx context.Context) []api.Check {
	uses, err := a.db.RuleUses(ctx)
	if err != nil {
		return []api.Check{failed("rule", "suppressions", err, "")}
	}
	var checks []api.Check
	for _, s := range a.Suppressions() {
		c := api.Check{Area: "rule", What: s.Name, OK: true, Message: respond.Count(uses[s.Name].Matches, "match", "matches")}
		if uses[s.Name].Matches == 0 {
			c.Warning, c.Hint = true, "a suppression that matches nothing may be wrong or no longer needed: ask "+s.Owner
		}
		if s.Expired {
			c.Warning, c.Message, c.Hint = true, "expired on "+s.Until.Format(time.DateOnly)+" and suppresses nothing", "remove it or ask "+s.Owner+" for a new date"
		}
		checks = append(checks, c)
	}
	return checks
}

func (a *App) checkDestinations(ctx context.Context) []api.Check {
	out := make([][]api.Check, len(a.cfg.Destinations))
	pauses, err := a.db.Pauses(ctx)
	if err != nil {
		return []api.Check{failed("destination", "pauses", err, "")}
	}
	counts, err := a.db.CountDeliveries(ctx)
	if err != nil {
		return []api.Check{failed("destination", "deliveries", err, "")}
	}
	var all sync.WaitGroup
	for i, d := range a.cfg.Destinations {
		all.Go(func() {
			if p, ok := pauses[d.Name]; ok {
				out[i] = append(out[i], api.Check{Area: "destination", What: d.Name, Message: "paused: " + p.Reason, Hint: "mend it, then: guardroom destination resume " + d.Name})
			}
			if c, waits := waiting(d.Name, counts[d.Name]); waits {
				out[i] = append(out[i], c)
			}
			if dest := a.deliver.Destinations[d.Name]; dest != nil {
				out[i] = append(out[i], checkDestination(ctx, dest)...)
			}
		})
	}
	all.Wait()
	return slices.Concat(out...)
}

// waiting fails when deliveries of a destination wait for a person.
func waiting(destination string, counts map[notify.Status]int) (api.Check, bool) {
	parked, unknown := counts[notify.Parked], counts[notify.Unknown]
	if parked+unknown == 0 {
		return api.Check{}, false
	}
	return api.Check{Area: "destination", What: destination + ": deliveries",
		Message: fmt.Sprintf("%d parked and %d unknown: they wait for a person, and what they should show is not shown there", parked, unknown),
		Hint:    "guardroom delivery list --destination " + destination + " --status parked,unknown"}, true
}

func checkDestination(ctx context.Context, d *notify.Destination) []api.Check {
	var out []api.Check
	for _, f := range d.Notifier.Check(ctx) {
		out = append(out, api.Check{Area: "destination", What: d.Name + ": " + f.What, OK: f.OK, Message: f.Message, Hint: f.Hint})
	}
	return out
}

// CheckDestinations asks every configured destination whether its credentials
// and settings are right, without a store. It changes nothing.
func CheckDestinations(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]api.Check, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	list, err := buildDestinations(cfg, nil, transport(), time.Now, log)
	if err != nil {
		return nil, err
	}
	var out []api.Check
	for _, d := range cfg.Destinations {
		out = append(out, checkDestination(ctx, list[d.Name])...)
	}
	return out, nil
}

// maxSkew is how far the clock may be off before signatures and windows break:
// AWS refuses requests that are 5 minutes off.
const maxSkew = 30 * time.Second

// checkClock compares the clock with that of the vendor that answered last, in
// the checks of destinations before.
func (a *App) checkClock() api.Check {
	host, skew := a.clock.read()
	if host == "" {
		return api.Check{Area: "clock", What: "skew", OK: true, Warning: true, Message: "nobody answered to compare the clock with"}
	}
	c := api.Check{Area: "clock", What: "skew", OK: skew.Abs() <= maxSkew, Message: fmt.Sprintf("%s against %s", skew.Round(time.Second), host)}
	if !c.OK {
		c.Hint = "set the clock by NTP: AWS refuses requests that are 5 minutes off"
	}
	return c
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
