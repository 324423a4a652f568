package evidence

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/guardroom/guardroom/internal/fault"
)

// ErrMissing is what Objects and Blocks return, wrapped or not, for what is not
// there any more.
var ErrMissing = errors.New("it is not there any more")

// Objects reads objects as they are stored now.
type Objects interface {
	// Open returns the bytes of an item at its location and version, s3://…
	Open(ctx context.Context, i Item) (io.ReadCloser, error)
	// Newest returns the version of an object that a reader gets who names none;
	// empty: its bucket keeps none. An object that is hidden by a delete marker is
	// ErrMissing, wrapped or not.
	Newest(ctx context.Context, i Item) (version string, err error)
}

// Blocks reads snapshots as they are stored now.
type Blocks interface {
	// Read calls each with every block that a snapshot has, in rising order of
	// index, with its bytes. An error of each ends it and is returned. data is
	// valid until each returns. size is that of a block.
	Read(ctx context.Context, i Item, each func(index int64, size int, data []byte) error) error
}

// Options of a verification.
type Options struct {
	// Trusted is the key that must have signed; nil: the one that the manifest
	// names, which proves only that nobody without it changed the manifest.
	Trusted ed25519.PublicKey
	// Recorded is the digest that was written down elsewhere, in the audit chain;
	// empty: none.
	Recorded string
	// Earlier are the manifests before, the first first; they are checked as a chain.
	Earlier []Sealed
	// Copies are where the manifests were written outside the store; each is read back.
	Copies []KeptCopy
	// At is when the verification began.
	At time.Time
	// Done is told each item as it was checked; nil: nobody.
	Done func(Checked)
	// Rows are what the store shows, to be compared with the manifest; nil: nothing is.
	Rows *Rows
	// Places looks at what is named as evidence where it is; nil: nobody does.
	Places Places
}

// Verify computes every hash again from what is stored and names what differs:
// an object, a block of a snapshot, the manifest itself and its copies. With Rows and Places it
// also names rows of the store that are not what was sealed, and snapshots,
// copies, volumes and locks that are gone. It blocks as long as that takes; what cannot be read is a problem and does not end it. An error is
// returned only when ctx ends. The items of a manifest that was changed are
// still compared, as far as it can be read.
func Verify(ctx context.Context, s Sealed, objects Objects, blocks Blocks, o Options) (Report, error) {
	v := &verifying{ctx: ctx, objects: objects, blocks: blocks, places: o.Places, done: o.Done, lists: map[string]Item{},
		report: Report{At: o.At, Manifests: len(o.Earlier) + 1, Items: []Checked{}, Problems: []Problem{}}}
	m, err := v.manifest(s, o)
	v.report.Incident = m.Case.Incident
	v.copies(append(append([]Sealed(nil), o.Earlier...), s), o.Copies)
	if err != nil {
		return v.report, ctx.Err() // it is named as a problem, and nothing can be read from it
	}
	v.gone = givenUp(m, o.Rows)
	if o.Rows != nil {
		v.rows(m, *o.Rows)
	}
	for _, i := range m.Items {
		if i.Kind == BlockManifest {
			v.lists[i.Source] = i
		}
	}
	for _, i := range m.Items {
		if ctx.Err() != nil {
			break
		}
		v.item(i)
	}
	if err := ctx.Err(); err != nil {
		return v.report, fmt.Errorf("verify the evidence of %s: %w", m.Case.Incident, err)
	}
	return v.report, nil
}

type verifying struct {
	ctx     context.Context //nolint:containedctx // it is the life of one verification
	objects Objects
	blocks  Blocks
	places  Places
	gone    []Custody // lines that say that something was given up
	report  Report
	done    func(Checked)
	lists   map[string]Item // block manifests, by the snapshot's id
}

func (v *verifying) checked(c Checked) {
	v.report.Items = append(v.report.Items, c)
	if v.done != nil {
		v.done(c)
	}
}

func (v *verifying) problem(what, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, Problem{What: what, Why: fmt.Sprintf(format, args...)})
}

// manifest checks the manifest itself and those before it. The error says that
// the newest cannot be read at all.
func (v *verifying) manifest(s Sealed, o Options) (Manifest, error) {
	before := ""
	for _, e := range append(append([]Sealed(nil), o.Earlier...), s) {
		err := inChain(e, before, o.Trusted)
		before = Digest(e.Bytes)
		if err != nil {
			v.problem(nameOf(e), "%s", fault.Of(err).Error())
		}
		v.checked(Checked{ID: nameOf(e), How: "digest, signature and chain", SHA256: before, Good: err == nil})
	}
	if o.Recorded != "" && o.Recorded != before {
		v.problem(nameOf(s), "its digest is %s, and %s was recorded when it was sealed", before, o.Recorded)
	}
	return Decode(s.Bytes)
}

func nameOf(s Sealed) string { return fmt.Sprintf("manifest revision %d", s.Revision) }

// inChain checks one manifest, and that it follows the one whose digest is
// before; empty: none was given.
func inChain(s Sealed, before string, trusted ed25519.PublicKey) error {
	if err := s.Check(trusted); err != nil {
		return err
	}
	m, err := Decode(s.Bytes)
	if err != nil {
		return err
	}
	if before != "" && m.Previous != before {
		return fmt.Errorf("revision %d follows a manifest with digest %s, and the one that is there has %s", m.Revision, m.Previous, before)
	}
	return nil
}

func (v *verifying) item(i Item) {
	switch {
	case v.looksAt(i) && (!v.stands(i) || i.SHA256 == ""):
	case i.SHA256 == "" || i.Location == "":
		v.checked(Checked{ID: i.ID, How: "not checked: " + orElse(i.Gap, "it has no hash")})
	case strings.HasPrefix(i.Location, "s3://"):
		v.object(i)
	case strings.HasPrefix(i.Location, "snap-"):
		v.snapshot(i)
	default:
		v.checked(Checked{ID: i.ID, How: "not checked: nothing is known of how to read " + i.Location})
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (v *verifying) object(i Item) {
	sum, n, err := v.sum(i)
	switch {
	case err != nil:
		v.failed(i, err)
		return
	case sum != i.SHA256:
		v.problem(i.ID, "%s has SHA-256 %s and had %s (%d bytes, were %d)", i.Location, sum, i.SHA256, n, i.SizeBytes)
	}
	v.checked(Checked{ID: i.ID, How: "hashed again", SHA256: sum, Good: v.onTop(i) && sum == i.SHA256})
}

// onTop reports whether the version that was sealed is the one that people get who
// name none: a changed copy that lies over it deceives them, whatever a lock keeps.
func (v *verifying) onTop(i Item) bool {
	if i.Version == "" {
		return true
	}
	now, err := v.objects.Newest(v.ctx, i)
	switch {
	case errors.Is(err, ErrMissing):
		v.problem(i.ID, "%s is hidden by a delete marker; version %s of it was sealed, and is there", i.Location, i.Version)
	case err != nil:
		v.problem(i.ID, "%s: whether another version lies over the one that was sealed cannot be seen: %s", i.Location, fault.Of(err).Error())
	case now != "" && now != i.Version:
		v.problem(i.ID, "%s: version %s lies over version %s, which was sealed, and is there", i.Location, now, i.Version)
	default:
		return true
	}
	return false
}

func (v *verifying) failed(i Item, err error) {
	how := "could not be read"
	if errors.Is(err, ErrMissing) {
		how = "missing"
	}
	v.problem(i.ID, "%s: %s: %s", i.Location, how, fault.Of(err).Error())
	v.checked(Checked{ID: i.ID, How: how})
}

func (v *verifying) sum(i Item) (string, int64, error) {
	body, err := v.objects.Open(v.ctx, i)
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	h := sha256.New()
	n, err := io.Copy(h, body)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// snapshot reads all blocks and compares each with the block manifest, and all
// together with the hash of the image.
func (v *verifying) snapshot(i Item) {
	list, known, err := v.known(i)
	if err != nil {
		v.problem(i.ID, "its block manifest cannot be used, so its blocks are not compared one by one: %s", fault.Of(err).Error())
	}
	c := &comparing{image: sha256.New(), size: i.SizeBytes, known: known, listed: list != nil}
	if list != nil {
		c.size = list.VolumeBytes
	}
	err = v.blocks.Read(v.ctx, i, c.block)
	if err == nil {
		err = c.end()
	}
	if err != nil {
		v.failed(i, err)
		return
	}
	for _, b := range c.differ {
		v.problem(fmt.Sprintf("%s, block %d of %s", i.ID, b.Index, i.Location), "%s", b.SHA256)
	}
	if c.more > 0 {
		v.problem(i.ID, "%d further blocks of %s differ", c.more, i.Location)
	}
	image := hex.EncodeToString(c.image.Sum(nil))
	if image != i.SHA256 {
		v.problem(i.ID, "the image of %s has SHA-256 %s and had %s", i.Location, image, i.SHA256)
	}
	v.checked(Checked{ID: i.ID, How: fmt.Sprintf("%d blocks hashed again", c.count), SHA256: image, Good: image == i.SHA256 && len(c.differ) == 0})
}

// known reads the block manifest of a snapshot; nil where there is none.
func (v *verifying) known(i Item) (*BlockList, []Block, error) {
	item, ok := v.lists[i.Location]
	if !ok {
		return nil, nil, nil
	}
	raw, err := v.whole(item, item.SHA256)
	if err != nil {
		return nil, nil, err
	}
	list, err := DecodeBlockList(raw)
	if err != nil {
		return nil, nil, err
	}
	if list.Snapshot != i.Location {
		return nil, nil, fmt.Errorf("it is of %s", list.Snapshot)
	}
	var all []Block
	last := int64(-1)
	for n, p := range list.Parts {
		raw, err := v.whole(Item{ID: item.ID, Location: p.Location, Version: p.Version, Account: item.Account, Region: item.Region}, p.SHA256)
		if err != nil {
			return nil, nil, fmt.Errorf("part %d: %w", n, err)
		}
		some, err := DecodeBlocks(raw, last)
		if err != nil {
			return nil, nil, fmt.Errorf("part %d: %w", n, err)
		}
		all = append(all, some...)
		if len(some) > 0 {
			last = some[len(some)-1].Index
		}
	}
	return &list, all, nil
}

// maxList bounds what is read into memory of one object of a block manifest.
const maxList = 64 << 20

func (v *verifying) whole(i Item, sum string) ([]byte, error) {
	body, err := v.objects.Open(v.ctx, i)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxList))
	if err != nil {
		return nil, err
	}
	if d := Digest(raw); d != sum {
		return nil, fmt.Errorf("%s has SHA-256 %s and had %s", i.Location, d, sum)
	}
	return raw, nil
}

// mostNamed is how many blocks that differ are named; the others are counted.
const mostNamed = 10

// comparing goes through the blocks of a snapshot beside those of its manifest.
type comparing struct {
	image  hash.Hash
	size   int64
	at     int64 // of the image
	known  []Block
	listed bool
	count  int64
	differ []Block // with what is wrong in place of the hash
	more   int
}

func (c *comparing) bad(index int64, format string, args ...any) {
	if len(c.differ) >= mostNamed {
		c.more++
		return
	}
	c.differ = append(c.differ, Block{Index: index, SHA256: fmt.Sprintf(format, args...)})
}

func (c *comparing) block(index int64, size int, data []byte) error {
	c.count++
	if offset := index * int64(size); offset >= c.at {
		if err := c.zeros(offset); err != nil {
			return err
		}
	}
	if _, err := c.image.Write(data); err != nil {
		return err
	}
	c.at += int64(len(data))
	if !c.listed {
		return nil
	}
	for len(c.known) > 0 && c.known[0].Index < index {
		c.bad(c.known[0].Index, "it is not there any more")
		c.known = c.known[1:]
	}
	if len(c.known) == 0 || c.known[0].Index > index {
		c.bad(index, "it was not there when the snapshot was hashed")
		return nil
	}
	if d := Digest(data); d != c.known[0].SHA256 {
		c.bad(index, "it has SHA-256 %s and had %s", d, c.known[0].SHA256)
	}
	c.known = c.known[1:]
	return nil
}

func (c *comparing) end() error {
	for _, b := range c.known {
		c.bad(b.Index, "it is not there any more")
	}
	return c.zeros(c.size)
}

func (c *comparing) zeros(to int64) error {
	zero := make([]byte, 1<<20)
	for c.at < to {
		n := min(int64(len(zero)), to-c.at)
		if _, err := c.image.Write(zero[:n]); err != nil {
			return err
		}
		c.at += n
	}
	return nil
}
