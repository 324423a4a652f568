package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/store"
)

// response contains a host, preserves its evidence, and takes it back again.
func (s *show) response(ctx context.Context) error {
	i, err := s.incidentOf(ctx, "batch-calls")
	if err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	var after sync.WaitGroup
	after.Go(func() { s.room.Respond(inner) })
	defer after.Wait()
	defer stop()
	plan, err := s.room.Responses().CreatePlan(ctx, api.PlanRequest{Incident: i.Number}, ana)
	if err != nil {
		return err
	}
	if err := s.carryOut(ctx, i.Number, plan, raj, "batch-1 is known to call out, and its evidence is needed"); err != nil {
		return err
	}
	run, err := s.newestRun(ctx, i.Number)
	if err != nil {
		return err
	}
	report, err := s.room.Responses().VerifyEvidence(ctx, i.Number, mei)
	if err != nil {
		return err
	}
	s.screen.line("verified", fmt.Sprintf("%+v", report))
	undo, err := s.room.Responses().UndoRun(ctx, run.ID, ana)
	if err != nil {
		return err
	}
	return s.carryOut(ctx, i.Number, undo, raj, "the program is known and removed")
}

func (s *show) newestRun(ctx context.Context, n incident.Number) (respond.RunRow, error) {
	_ = n
	list, err := s.room.Reader().Runs(ctx, runsOf(n))
	if err != nil || len(list) == 0 {
		return respond.RunRow{}, fmt.Errorf("no run: %w", err)
	}
	return list[0], nil
}

func (s *show) carryOut(ctx context.Context, n incident.Number, d api.PlanDetail, by, why string) error {
	b, _ := json.MarshalIndent(d.Plan, "", " ")
	s.screen.line("plan", string(d.Row.ID)+" "+string(d.Row.State)+" "+d.Row.Why)
	fmt.Fprintln(s.opts.Out, string(b))
	text, err := s.look(ctx, batch1)
	if err != nil {
		return err
	}
	s.screen.line("aws", text)
	if _, err := s.room.Responses().ApprovePlan(ctx, d.Row.ID, d.Row.Digest[:8], why, api.Approver{Name: by, How: "socket"}); err != nil {
		return err
	}
	seen := map[string]string{}
	began := s.opts.Now()
	for {
		run, err := s.newestRun(ctx, n)
		if err != nil {
			return err
		}
		row, err := s.room.Reader().GetPlan(ctx, run.Plan)
		if err != nil {
			return err
		}
		var p respond.Plan
		if err := json.Unmarshal(row.Bytes, &p); err != nil {
			return err
		}
		records, err := s.room.Reader().Steps(ctx, run.ID)
		if err != nil {
			return err
		}
		g := respond.ProgressOf(run, row, &p, records, s.clock.Now())
		for _, st := range g.Steps {
			if now := string(st.State) + st.Message; seen[st.ID] != now && st.State != respond.WordWaiting {
				seen[st.ID] = now
				s.screen.line(fmt.Sprintf("%.1f s", s.opts.Now().Sub(began).Seconds()), fmt.Sprintf("%s %s [%s] %s: %s", st.State, st.ID, st.Stage, st.Title, st.Text()))
			}
		}
		if run.State.Ended() {
			s.screen.line("end", fmt.Sprintf("%s %s contained %v open %v", run.State, run.Summary, run.Contained, run.StillOpen))
			break
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	if err := s.finished(ctx); err != nil {
		return err
	}
	if text, err = s.look(ctx, batch1); err != nil {
		return err
	}
	s.screen.line("aws", text)
	return nil
}

func runsOf(n incident.Number) store.RunFilter { return store.RunFilter{Incident: n, Limit: 1} }
