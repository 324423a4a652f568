package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/source"
)

// Options are what Play needs. Open and Out are required.
type Options struct {
	Open  Opener
	Out   io.Writer
	Fast  bool // about ten seconds instead of a minute
	Width int  // columns; 0: 80
	Color bool
	// Dir is where the store and the configuration are kept; it must be empty
	// or not there yet. Empty: a new folder among the system's temporary ones.
	Dir string
	// Command is how the person calls guardroom; empty: guardroom.
	Command string
	// Now is the real clock; nil: time.Now.
	Now func() time.Time
}

const (
	minute = 52 * time.Second
	moment = 5 * time.Second
	// Every wait of guardroom and of the stand-ins alike is divided by a scale.
	scale     = 180
	fastScale = 200
	// unhurried is how long an event waits for the vendors, at most: a person
	// who watches is not kept longer. In the fast form the order counts, however
	// busy the machine is.
	unhurried     = 1200 * time.Millisecond
	fastUnhurried = 3 * time.Minute
)

// show is one performance.
type show struct {
	opts    Options
	screen  *screen
	vendors *vendors
	clock   *daylight
	room    Room
	start   time.Time // of the day
	seen    map[incident.Number]int64
	// digested is for how many incidents of a destination a digest stands.
	digested map[string]int
	config   []byte
	aws      string  // the file of the simulated AWS
	tempo    float64 // by which every wait is divided
	result   Result
}

// Play shows the day before today. It blocks until the story is over, and
// returns early with the context's error when ctx ends: everything is closed
// then as well, and the store is kept. An error says that the show could not go
// on, or that the vendors do not show what they should.
func Play(ctx context.Context, opts Options) (Result, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Command == "" {
		opts.Command = "guardroom"
	}
	s := &show{opts: opts, screen: newScreen(opts.Out, opts.Width, opts.Color), seen: map[incident.Number]int64{}, digested: map[string]int{}}
	if err := s.folder(); err != nil {
		return s.result, err
	}
	s.start = opts.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	s.clock = newDaylight(s.start.Add(6*time.Hour), opts.Now)
	var err error
	s.tempo = scale
	if opts.Fast {
		s.tempo = fastScale
	}
	if s.vendors, err = start(s.tempo); err != nil {
		return s.result, err
	}
	defer s.vendors.close()
	err = s.play(ctx)
	if ctx.Err() != nil {
		s.screen.head("stopped; what came so far is kept in " + s.result.Dir)
		return s.result, ctx.Err()
	}
	return s.result, errors.Join(err, s.screen.err)
}

func (s *show) folder() (err error) {
	if s.opts.Dir == "" {
		s.result.Dir, err = os.MkdirTemp("", "guardroom-demo-")
		return err
	}
	// What is kept names itself in its configuration, which is read anywhere.
	if s.result.Dir, err = filepath.Abs(s.opts.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.result.Dir, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(s.result.Dir)
	if err == nil && len(list) > 0 {
		return fmt.Errorf("the folder %s is not empty", s.result.Dir)
	}
	return err
}

// play opens the room, tells the story and closes the room again.
func (s *show) play(ctx context.Context) (err error) {
	s.aws = filepath.Join(s.result.Dir, awsFile)
	if err := s.furnish(); err != nil {
		return err
	}
	s.config = Config(s.vendors.setup(Setup{Store: "sqlite:" + filepath.Join(s.result.Dir, "guardroom.db"), Start: s.start, TimeScale: s.tempo, SimulatedAWS: s.aws}))
	if err := os.WriteFile(filepath.Join(s.result.Dir, "guardroom.yaml"), s.config, 0o600); err != nil {
		return err
	}
	s.opening()
	if s.room, err = s.opts.Open(ctx, s.config, s.clock.Now); err != nil {
		return err
	}
	defer func() {
		if s.room != nil {
			err = errors.Join(err, s.room.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.room.Deliver(ctx); err != nil {
		return err
	}
	if err := s.tell(ctx); err != nil {
		return err
	}
	if err := s.finished(ctx); err != nil {
		return err
	}
	if err := s.response(ctx); err != nil {
		return err
	}
	return s.ending(ctx)
}

// tell streams the day. Each event has a share of the time by the length of its
// caption, because people read it.
func (s *show) tell(ctx context.Context) error {
	day := Day(s.start)
	whole := 0
	for _, e := range day {
		whole += weight(e)
	}
	total, limit := minute, unhurried
	if s.opts.Fast {
		total, limit = moment, fastUnhurried
	}
	began, passed := s.opts.Now(), 0
	for _, e := range day {
		passed += weight(e)
		s.clock.jump(s.start.Add(e.At))
		if err := s.event(ctx, e); err != nil {
			return fmt.Errorf("at %s of the story: %w", ofDay(e.At), err)
		}
		until := began.Add(total * time.Duration(passed) / time.Duration(whole))
		if err := s.settle(ctx, limit, e.Caption == ""); err != nil {
			return err
		}
		if err := sleep(ctx, until.Sub(s.opts.Now())); err != nil {
			return err
		}
	}
	return nil
}

func weight(e Event) int {
	if e.Caption == "" {
		return 40
	}
	return 60 + len(e.Caption)
}

func (s *show) event(ctx context.Context, e Event) error {
	if e.Caption != "" {
		s.screen.story(e.At, e.Caption)
	} else {
		s.screen.at(e.At)
	}
	switch {
	case e.Outage != nil:
		return s.vendors.fail(e.Outage)
	case e.Act != nil:
		return s.act(ctx, e.Act)
	}
	in := source.Input{Source: e.Source, Body: e.Body, Position: "the demo at " + ofDay(e.At), ReceivedAt: s.clock.Now(), Confirmed: e.Confirmed}
	s.before(in)
	receipt, err := s.room.Take(ctx, in)
	if err != nil {
		return err
	}
	return s.took(ctx, in, receipt)
}

// settle waits until the vendors show everything, or until the time is over,
// and puts what is new onto the screen, in full or in brief.
func (s *show) settle(ctx context.Context, limit time.Duration, short bool) error {
	until := s.opts.Now().Add(limit)
	for {
		armed, _, err := s.room.Reader().Unfinished(ctx)
		if err != nil {
			return err
		}
		if armed == 0 || !s.opts.Now().Before(until) {
			break
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	news := s.vendors.news()
	if short {
		news = brief(news)
	}
	s.rows(news)
	return s.screen.err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
