package demo

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/respond"
)

// person is how somebody of the story approves: with a personal token.
func person(name string) api.Approver { return api.Approver{Name: name, How: "token", Own: true} }

// response contains the host of the last incident, preserves its evidence and
// takes the containment back, all in the simulated AWS.
func (s *show) response(ctx context.Context) error {
	i, err := s.incidentOf(ctx, "batch-calls")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	life := ctx // not whose identity asks below
	var running sync.WaitGroup
	running.Go(func() { s.room.Respond(life) })
	running.Go(func() { s.room.Beat(life) })
	defer running.Wait()
	defer stop()

	s.screen.head("Guardroom acts")
	s.screen.text(0, fmt.Sprintf("A person asks for a plan, another approves it, and guardroom carries it out. For this there is an AWS that is simulated, on this machine, whose clock goes %.0f times faster: a snapshot that takes %.0f minutes is there in %.0f s. The program that acts is the real one.",
		s.tempo, s.snapshotsTake()[0].Minutes(), s.snapshotsTake()[0].Seconds()/s.tempo))
	// Who asked may not approve, so Raj approves with a token of his own.
	if _, err := s.room.Responses().CreateToken(ctx, raj, api.ApproverRole, s.clock.Now().AddDate(0, 0, 1), ana); err != nil {
		return err
	}
	s.scene("17:10", "Ana asks for a plan. That changes nothing: the plan says what would be done, to what is there now.")
	ctx = api.WithIdentity(ctx, api.Identity{Name: ana, Role: api.ResponderRole, Own: true})
	d, err := s.room.Responses().CreatePlan(ctx, api.PlanRequest{Incident: i.Number}, ana)
	if err != nil {
		return err
	}
	before, err := s.look(ctx, batch1)
	if err != nil {
		return err
	}
	s.seenAWS(before)
	run, err := s.carryOut(ctx, d.Row.ID, "17:14", "Raj reads it and approves exactly this plan, by its digest.", raj, "it is not known what talks there, and the data of payments is within reach")
	if err != nil {
		return err
	}
	if !run.Contained {
		return fmt.Errorf("the run %s contained nothing: %s", run.ID, run.Summary)
	}
	contained, err := s.look(ctx, batch1)
	if err != nil {
		return err
	}
	s.seenAWS(contained)
	s.scene("17:20", "What is preserved, by the manifest that the run has sealed. Mei has it hashed again.")
	if err := s.evidence(ctx, i.Number); err != nil {
		return err
	}
	s.scene("18:30", "The program is found in the copy, and is known. Ana asks for the undo, from what the run has recorded.")
	if d, err = s.room.Responses().UndoRun(ctx, run.ID, ana); err != nil {
		return err
	}
	if _, err = s.carryOut(ctx, d.Row.ID, "18:34", "Raj approves that too.", raj, "the key that it used is revoked, the program is removed"); err != nil {
		return err
	}
	after, err := s.look(ctx, batch1)
	if err != nil {
		return err
	}
	s.seenAWS(after)
	if !reflect.DeepEqual(before, after) {
		return fmt.Errorf("the host is not as it was before; it was %+v and is %+v", before, after)
	}
	s.result.Restored = true
	s.screen.line("compared", "looked at past guardroom, the host is as it was before the plan: groups, profile, role, network ACL, protection, tags. Its snapshots stay")
	return nil
}

func (s *show) seenAWS(v sight) {
	s.screen.line("aws", "simulated: "+batch1.name+" is "+v.words())
}

// scene begins a part of the response at a time of the day.
func (s *show) scene(at, caption string) {
	s.clock.jump(s.start.Add(clock(at)))
	s.screen.story(clock(at), caption)
}

// carryOut shows a plan, has it approved, and follows its run to the end.
func (s *show) carryOut(ctx context.Context, id respond.PlanID, at, caption, by, why string) (respond.RunRow, error) {
	var none respond.RunRow
	row, err := s.plan(ctx, id)
	if err != nil {
		return none, err
	}
	if err := s.finished(ctx); err != nil {
		return none, err
	}
	if err := s.pause(ctx, 3*time.Second); err != nil {
		return none, err
	}
	s.scene(at, caption)
	run, err := s.approve(ctx, row, by, why)
	if err != nil {
		return none, err
	}
	ended, err := s.follow(ctx, run)
	if err != nil {
		return ended, err
	}
	if ended.State != respond.RunCompleted {
		return ended, fmt.Errorf("the run %s is %s: %s", run, ended.State, ended.Summary)
	}
	return ended, s.finished(ctx)
}

// pause gives who watches time to read.
func (s *show) pause(ctx context.Context, d time.Duration) error {
	if s.opts.Fast {
		return nil
	}
	return sleep(ctx, d)
}
