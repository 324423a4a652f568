package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/notify"
	"github.com/guardroom/guardroom/notify/message"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// Every wait has a deadline, and these are the alarms: a run that nobody begins, a
// run that takes much longer than its plan said, and something that a run opened
// and nobody could close.
const (
	// queuedLimit is how long a run may wait for a worker.
	queuedLimit = 2 * time.Minute
	// runLeast is the least time that a run has before it is called late, and
	// runTimes how many times longer than its plan said it may take.
	runLeast = 15 * time.Minute
	runTimes = 3
	// owedLimit is for how long something may be open that should be closed, and
	// owedTries how often it is tried to close it, which takes a minute too, before
	// people are told.
	owedLimit = time.Minute
	owedTries = 5
	// remindBefore is how long before a plan expires people are told so, where they
	// had remindLeast to approve it.
	remindBefore = 5 * time.Minute
	remindLeast  = 10 * time.Minute
)

// begunAt is since when a run is as it is.
func begunAt(r respond.RunRow) time.Time {
	if r.State == respond.RunQueued || r.StartedAt.IsZero() {
		return r.CreatedAt
	}
	return r.StartedAt
}

// lateness tells of runs and closings that are late: once in the incident, and as
// a notice to whom guardroom speaks about itself, until it is over.
type lateness struct {
	store   *store.DB
	desk    *desk
	notices *notices
	tempo   notify.Tempo
	now     func() time.Time
}

func (l *lateness) look(ctx context.Context) error {
	return errors.Join(l.runs(ctx), l.owed(ctx), l.plans(ctx))
}

// plans reminds people, once, of each plan that waits and soon expires.
func (l *lateness) plans(ctx context.Context) error {
	list, err := l.store.ExpiredPlans(ctx, l.now().Add(l.tempo.Scale(remindBefore)), 200)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range list {
		if l.reminds(p) {
			errs = append(errs, l.remind(ctx, p.ID))
		}
	}
	return errors.Join(errs...)
}

func (l *lateness) reminds(p respond.PlanRow) bool {
	return p.State == respond.PlanWaiting && p.RemindedAt.IsZero() && l.now().Before(p.ExpiresAt) && p.ExpiresAt.Sub(p.CreatedAt) >= l.tempo.Scale(remindLeast)
}

func (l *lateness) remind(ctx context.Context, id respond.PlanID) error {
	return l.store.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.LockPlan(ctx, id)
		if err != nil || !l.reminds(row) {
			return err
		}
		row.RemindedAt = tx.Now()
		if err := tx.PutPlan(ctx, row); err != nil {
			return err
		}
		text := expiresWords(row)
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "plan.reminded", Object: "plan/" + string(row.ID), Why: text})
		return l.desk.tell(ctx, tx, row.Incident, incident.KindPlanExpires, incident.Guardroom, text)
	})
}

func (l *lateness) runs(ctx context.Context) error {
	const prefix = "run/"
	list, err := l.store.OpenRuns(ctx)
	if err != nil {
		return err
	}
	late := map[string]store.Notice{}
	var errs []error
	for _, run := range list {
		why, err := l.why(ctx, run)
		errs = append(errs, err)
		if why == "" {
			continue
		}
		errs = append(errs, l.tell(ctx, run, why))
		late[prefix+string(run.ID)] = store.Notice{Topic: string(message.LateRun), Subject: string(run.ID), Message: why + " (" + run.Incident.String() + ")",
			Safe: "what it has contained stays so, and it goes on", Hint: "guardroom run watch " + string(run.ID)}
	}
	return errors.Join(append(errs, l.stand(ctx, prefix, late))...)
}

// why says why a run is late; empty: it is not.
func (l *lateness) why(ctx context.Context, run respond.RunRow) (string, error) {
	took := l.now().Sub(begunAt(run))
	if run.State == respond.RunQueued {
		if took < l.tempo.Limit(queuedLimit) {
			return "", nil
		}
		return fmt.Sprintf("no worker has begun it for %s", respond.Length(took)), nil
	}
	if took < l.tempo.Limit(runLeast) {
		return "", nil
	}
	row, err := l.store.GetPlan(ctx, run.Plan)
	if err != nil {
		return "", err
	}
	plan, err := openPlan(row)
	if err != nil {
		return "", err
	}
	longest := time.Duration(plan.LongestSeconds) * time.Second
	if took < l.tempo.Limit(runTimes*longest) {
		return "", nil
	}
	return fmt.Sprintf("it runs for %s, and its plan said at most %s", respond.Length(took), respond.Length(l.tempo.Scale(longest))), nil
}

// tell says it in the incident, once.
func (l *lateness) tell(ctx context.Context, run respond.RunRow, why string) error {
	if !run.LateAt.IsZero() {
		return nil
	}
	return l.store.Write(ctx, func(tx *store.Tx) error {
		now, err := tx.LockRun(ctx, run.ID)
		if err != nil || now.State.Ended() || !now.LateAt.IsZero() {
			return err
		}
		now.LateAt = tx.Now()
		if err := tx.PutRun(ctx, now); err != nil {
			return err
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.late", Object: "run/" + string(run.ID), Why: why})
		return l.desk.tell(ctx, tx, run.Incident, incident.KindRunLate, incident.Guardroom, simulated(run.Simulated)+fmt.Sprintf("%s is late: %s", run.ID, why))
	})
}

func (l *lateness) owed(ctx context.Context) error {
	const prefix = "owed/"
	list, err := l.store.OwedOf(ctx, "")
	if err != nil {
		return err
	}
	late := map[string]store.Notice{}
	var errs []error
	for _, o := range list {
		why := l.leftOpen(o)
		if why == "" {
			continue
		}
		errs = append(errs, l.tellOwed(ctx, o, why))
		late[prefix+o.ID] = store.Notice{Topic: string(message.NotClosed), Subject: string(o.Run), Message: why,
			Safe: "it is tried again and again", Hint: "guardroom run show " + string(o.Run)}
	}
	return errors.Join(append(errs, l.stand(ctx, prefix, late))...)
}

// leftOpen says what is open that should not be, for how long, and why nobody
// could close it; empty: it is not late. Once people were told it stays so until
// it is closed.
func (l *lateness) leftOpen(o respond.Owed) string {
	over := l.now().Sub(o.Due)
	if over < l.tempo.Limit(owedLimit) && o.Attempts < owedTries && o.ToldAt.IsZero() {
		return ""
	}
	why := o.Why
	if over >= time.Second {
		why += fmt.Sprintf(", for %s longer than it should", respond.Length(over))
	}
	if o.Attempts > 0 {
		why += fmt.Sprintf("; tried %d times to close it", o.Attempts)
	}
	if o.Error != "" {
		why += ": " + o.Error
	}
	return why
}

// tellOwed says it in the incident, once.
func (l *lateness) tellOwed(ctx context.Context, o respond.Owed, why string) error {
	if !o.ToldAt.IsZero() {
		return nil
	}
	return l.store.Write(ctx, func(tx *store.Tx) error {
		first, err := tx.TellOwed(ctx, o.ID)
		if err != nil || !first {
			return err
		}
		tx.Audit(audit.Record{Who: incident.Guardroom, Action: "run.left_open", Object: "run/" + string(o.Run), After: o.ID, Why: why})
		return l.desk.tellOwed(ctx, tx, o, incident.KindLeftOpen, "Left open by "+string(o.Run)+": "+why)
	})
}

// stand opens the notices that are the case, and resolves those that are not.
func (l *lateness) stand(ctx context.Context, prefix string, is map[string]store.Notice) error {
	open, err := l.store.OpenNotices(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range open {
		if _, still := is[n.Key]; strings.HasPrefix(n.Key, prefix) && !still {
			errs = append(errs, l.notices.resolve(ctx, n.Key))
		}
	}
	for key, n := range is {
		n.Key = key
		errs = append(errs, l.store.Write(ctx, func(tx *store.Tx) error { return l.notices.open(ctx, tx, n, "") }))
	}
	return errors.Join(errs...)
}
