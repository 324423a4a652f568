package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/source"
)

// Cursors keeps a source's place between runs. *store.DB has it.
type Cursors interface {
	// Cursor reads a cursor; an unknown one is empty.
	Cursor(ctx context.Context, name string) (string, error)
	// SetCursor stores it durably before it returns.
	SetCursor(ctx context.Context, name, value string) error
}

// Deps are what the poller needs besides its bucket. The zero value works.
type Deps struct {
	// Looked notes that the source looked, and the trouble that it had; nil:
	// nobody wants to know. *store.DB has it.
	Looked func(ctx context.Context, name, trouble string) error
	Now    func() time.Time
	Random func() float64 // [0, 1) for jitter
	Log    *slog.Logger
	// TimeScale divides the waits between polls.
	TimeScale float64
	// LookBack is how old an object may be at the very first poll; 0: 90 days,
	// for which GuardDuty itself keeps findings.
	LookBack time.Duration
	// Polled is told when a poll has ended; nil: nobody waits for it.
	Polled func(err error)
}

// Poller reads the objects that GuardDuty exports to a bucket: gzip and JSON
// Lines, under AWSLogs/<account>/GuardDuty/<region>/<yyyy>/<mm>/<dd>/. Any other
// layout below the prefix works too, only that all of it is listed each time.
type Poller struct {
	name           string
	bucket, prefix string
	interval       time.Duration
	api            S3
	intake         source.Intake
	cursors        Cursors
	deps           Deps
	tries          map[string]int // polls in which an object failed; by digest
}

var _ source.Source = (*Poller)(nil)

const (
	defaultInterval = 5 * time.Minute
	defaultLookBack = 90 * 24 * time.Hour
	// overlap is how far behind the newest object a poll looks again. Objects
	// become visible late, and days are those of the exporter's clock.
	overlap = 24 * time.Hour
	// announceWithin is how old a finding may be to be announced at the very
	// first poll.
	announceWithin = 24 * time.Hour
	saveEvery      = 50 // objects, at least
	giveUpAfter    = 5  // objects in a row that cannot be read end a poll
	maxTries       = 5  // polls in which an object may fail
	objectLimit    = 10 * time.Minute
)

// NewPoller returns a poller. It does nothing before Run. The error is about
// the configured URL.
func NewPoller(cfg config.S3Source, api S3, intake source.Intake, cursors Cursors, deps Deps) (*Poller, error) {
	bucket, prefix, err := ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	p := &Poller{name: "s3:" + cfg.Name, bucket: bucket, prefix: prefix, interval: cfg.Interval.Std(), api: api, intake: intake, cursors: cursors, deps: deps}
	if p.interval <= 0 {
		p.interval = defaultInterval
	}
	d := &p.deps
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Random == nil {
		d.Random = rand.Float64
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.Log = d.Log.With("source", p.name)
	if d.TimeScale <= 0 {
		d.TimeScale = 1
	}
	if d.LookBack <= 0 {
		d.LookBack = defaultLookBack
	}
	return p, nil
}

// Name is "s3:" and the configured name.
func (p *Poller) Name() string { return p.name }

// Run polls until ctx ends, then returns nil. A poll that fails is repeated at
// the next interval.
func (p *Poller) Run(ctx context.Context) error {
	said := ""
	for {
		err := p.Poll(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		trouble := ""
		if err != nil {
			trouble = err.Error()
		}
		switch {
		case err != nil && said == "":
			p.deps.Log.Warn("bucket cannot be read in full; guardroom keeps trying", "bucket", p.bucket, "error", err)
		case err == nil && said != "":
			p.deps.Log.Info("bucket can be read again", "bucket", p.bucket)
		}
		said = trouble
		p.look(ctx, trouble)
		if p.deps.Polled != nil {
			p.deps.Polled(err)
		}
		t := time.NewTimer(time.Duration(float64(p.interval) * (0.95 + 0.1*p.deps.Random()) / p.deps.TimeScale))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func (p *Poller) look(ctx context.Context, trouble string) {
	if p.deps.Looked == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := p.deps.Looked(ctx, p.name, trouble); err != nil && ctx.Err() == nil {
		p.deps.Log.Warn("a look at the bucket was not noted", "error", err)
	}
}

// Poll lists the bucket once and takes what is new, oldest first. It may be
// repeated, but not at the same time. The error joins what could not be read;
// the rest was taken.
func (p *Poller) Poll(ctx context.Context) error {
	now := p.deps.Now()
	c, err := p.load(ctx, now)
	if err != nil {
		return err
	}
	found, listErr := p.discover(ctx, c)
	r := round{poller: p, cursor: c, now: now, complete: listErr == nil}
	if listErr != nil {
		r.errs = append(r.errs, listErr)
	}
	for _, o := range found {
		if ctx.Err() != nil || r.inARow == giveUpAfter {
			break
		}
		if err := r.object(ctx, o); err != nil {
			r.errs = append(r.errs, err)
			break
		}
	}
	if ctx.Err() == nil {
		r.park(ctx)
	}
	if len(r.failed) == 0 && len(r.errs) == 0 && ctx.Err() == nil {
		c.ended(now)
	}
	// What is missing is looked for again, as the floor stays before it.
	saved := p.save(context.WithoutCancel(ctx), c)
	return errors.Join(errors.Join(r.errs...), ctx.Err(), saved)
}

// Fetch implements source.Fetcher for the objects of the poller's bucket.
func (p *Poller) Fetch(ctx context.Context, ref source.Reference) (io.ReadCloser, error) {
	return fetch(ctx, p.api, ref)
}

// discover lists what may be new. Folders of days that are over are left out.
func (p *Poller) discover(ctx context.Context, c *cursor) ([]object, error) {
	var found []object
	err := p.descend(ctx, p.prefix, c, func(o object) {
		if strings.HasSuffix(o.key, "/") || !Holds(o.key) || !c.wants(o) {
			return
		}
		found = append(found, o)
	})
	slices.SortFunc(found, func(a, b object) int {
		if d := a.modified.Compare(b.modified); d != 0 {
			return d
		}
		return strings.Compare(a.key, b.key)
	})
	return found, err
}

func (p *Poller) descend(ctx context.Context, prefix string, c *cursor, each func(object)) error {
	var below []string
	in := &s3.ListObjectsV2Input{Bucket: &p.bucket, Prefix: &prefix, Delimiter: aws.String("/")}
	err := pages(ctx, p.api, in, func(page *s3.ListObjectsV2Output) error {
		for _, o := range objects(page) {
			each(o)
		}
		for _, f := range page.CommonPrefixes {
			if folder := aws.ToString(f.Prefix); len(folder) > len(prefix) && !over(folder, c.Floor) {
				below = append(below, folder)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(below) > maxFolders {
		return fmt.Errorf("s3://%s/%s holds more than %d folders: name a longer prefix", p.bucket, prefix, maxFolders)
	}
	for _, folder := range below {
		if err := p.descend(ctx, folder, c, each); err != nil {
			return err
		}
	}
	return nil
}

// maxFolders in one folder: accounts of a large organisation.
const maxFolders = 50_000
