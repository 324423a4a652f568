package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/guardroom/guardroom/source"
)

// Name is the source of what a person imports.
const Name = "import"

// Options of an import. The zero value works.
type Options struct {
	Places
	// AsHistory records without announcing anything.
	AsHistory bool
	Now       func() time.Time
	// Progress is told after each piece; nil: nobody wants to know.
	Progress func(Progress)
}

// Progress is how far an import is.
type Progress struct {
	Name    string         // the file at hand
	Read    int64          // bytes of it, as stored
	Size    int64          // of how many; -1: not known
	Files   int            // files that are done
	Receipt source.Receipt // of everything so far
}

// Summary is what became of an import.
type Summary struct {
	Files    int // that were read to their end
	Bytes    int64
	Receipt  source.Receipt
	Failures []Failure // what could not be read, at most 1,000
	Failed   int       // how many could not be read
}

// Failure is a file that could not be read, or not to its end.
type Failure struct {
	Name string
	Err  error
}

const maxFailures = 1000

// Import takes everything that the paths name: files, folders, "-" for the
// standard input, s3://bucket/key and s3://bucket/prefix. It goes on behind
// what cannot be read, and names it in the summary. The error is about the
// intake or ctx: then the import ended early, and repeating it is safe.
func Import(ctx context.Context, paths []string, intake source.Intake, opts Options) (Summary, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	i := &importer{ctx: ctx, intake: intake, opts: opts}
	err := Walk(ctx, paths, opts.Places, i.file, i.fail)
	return i.summary, err
}

type importer struct {
	ctx     context.Context
	intake  source.Intake
	opts    Options
	summary Summary
}

func (i *importer) fail(name string, err error) error {
	i.summary.Failed++
	if len(i.summary.Failures) < maxFailures {
		i.summary.Failures = append(i.summary.Failures, Failure{Name: name, Err: err})
	}
	return i.ctx.Err()
}

// takeError is an error of the intake, which ends the import.
type takeError struct{ err error }

// Error names what was taken.
func (e *takeError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *takeError) Unwrap() error { return e.err }

func (i *importer) file(o Opened) error {
	counted := &counter{r: o, ctx: i.ctx}
	any := false
	in := source.Input{Source: Name, Position: o.Name, ReceivedAt: i.opts.Now(), AsHistory: i.opts.AsHistory}
	err := source.Pieces(counted, func(p source.Piece) error {
		any = true
		in.Body, in.FirstLine = p.Body, p.Line
		receipt, err := source.Follow(i.ctx, i.intake, i.fetcher(), in)
		if err != nil {
			return &takeError{fmt.Errorf("take %s from line %d: %w", o.Name, p.Line, err)}
		}
		i.summary.Receipt.Add(receipt)
		i.tell(o, counted.n)
		return nil
	})
	i.summary.Bytes += counted.n
	var took *takeError
	switch {
	case errors.As(err, &took):
		return err
	case i.ctx.Err() != nil:
		return i.ctx.Err()
	case err != nil:
		if damaged, ok := errors.AsType[*source.DamagedError](err); ok {
			err = fmt.Errorf("line %d: %w", damaged.Line, err)
		}
		return i.fail(o.Name, err)
	case !any:
		return i.fail(o.Name, errors.New("it is empty"))
	}
	i.summary.Files++
	i.tell(o, counted.n)
	return nil
}

func (i *importer) tell(o Opened, read int64) {
	if i.opts.Progress != nil {
		i.opts.Progress(Progress{Name: o.Name, Read: read, Size: o.Size, Files: i.summary.Files, Receipt: i.summary.Receipt})
	}
}

// fetcher follows S3 events in an imported file only if S3 can be reached.
func (i *importer) fetcher() source.Fetcher {
	if i.opts.S3 == nil {
		return nil
	}
	return NewFetcher(i.opts.S3)
}

// counter counts what was read, and stops reading when ctx ends.
type counter struct {
	r   io.Reader
	ctx context.Context
	n   int64
}

// Read reads through.
func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
