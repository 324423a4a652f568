package forensics

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/playbook"
	"github.com/guardroom/guardroom/respond"
	"github.com/guardroom/guardroom/respond/awscalls"
)

const (
	// window is how many blocks are read side by side; with 512 KiB each, that is
	// the memory that one volume needs.
	window = 32
	// A block manifest has at most partsMany parts, of at least partBlocks each: so
	// much is read again after a crash, and no more is kept in the journal.
	partsMany  = 256
	partBlocks = 256
	// zeroPart is after how many bytes of nothing the state is saved.
	zeroPart = 16 << 30
)

// hashing is how far the hash of a snapshot is, as it is saved.
type hashing struct {
	State []byte               `json:"state,omitempty"` // of the digest over the image so far
	Bytes int64                `json:"bytes"`           // of the image so far
	Next  int64                `json:"next"`            // the first block that was not read
	Count int64                `json:"blocks"`
	Size  int                  `json:"block_size,omitempty"`
	Parts []evidence.BlockPart `json:"parts,omitempty"`
}

// hashBlocks reads every block of a snapshot by the EBS direct APIs, checks it
// against the checksum that AWS gives with it, and keeps the list of the blocks'
// hashes and the hash of the whole image, in which absent blocks are zeros. It
// goes on from where it was after a crash.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-accessing-snapshot.html
func hashBlocks(x *respond.Exec) (playbook.Outcome, error) {
	var p snapshotParams
	if err := x.Params(&p); err != nil {
		return playbook.Outcome{}, err
	}
	id, err := snapshotOf(x, p)
	if err != nil {
		return playbook.Outcome{}, err
	}
	h := &hasher{x: x, p: p, id: id, size: p.Volume.GiB << 30, sum: newRunning()}
	x.Load("hashing", &h.at)
	if h.at.State != nil {
		if err := h.sum.restore(h.at.State); err != nil {
			return playbook.Outcome{}, playbook.Permanent(fmt.Errorf("go on with the hash of %s: %w", id, err))
		}
	}
	if err := h.all(); err != nil {
		return playbook.Outcome{}, notHashed(id, err)
	}
	return h.finish()
}

// notHashed says what became of it, unless the step is tried again. The report
// states the gap.
func notHashed(id string, err error) error {
	if ended(err) || respond.Transient(err) {
		return err
	}
	return respond.Explain(err, "hash the blocks of "+id, "the snapshot is safe; its blocks can be hashed later")
}

type hasher struct {
	x    *respond.Exec
	p    snapshotParams
	id   string
	size int64
	sum  running
	at   hashing

	lines bytes.Buffer // of the part that is being made
	first int64
	count int64
	zeros []byte
}

// block is one block of a snapshot and the token to read it with.
type block struct {
	index int64
	token string
	data  []byte
	err   error
}

// all lists the blocks from where it was and reads them in windows. Tokens end
// after a time: then it lists again from the first block that was not read.
func (h *hasher) all() error {
	var next *string
	again := int64(-1)
	for {
		page, token, err := h.list(next)
		if err == nil {
			err = h.page(page)
		}
		if respond.Is(err, "ValidationException") && again != h.unread() {
			again, next = h.unread(), nil
			continue
		}
		if err != nil {
			return err
		}
		if token == nil {
			break
		}
		next = token
	}
	if h.count > 0 {
		if err := h.part(); err != nil {
			return err
		}
	}
	return h.fill(h.size)
}

func (h *hasher) page(list []block) error {
	for len(list) > 0 {
		n := min(window, len(list))
		if err := h.read(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (h *hasher) list(next *string) ([]block, *string, error) {
	var page []block
	var token *string
	err := h.x.Look(func(ctx context.Context) error {
		c, err := h.x.AWS.EBS(ctx, h.x.Place())
		if err != nil {
			return err
		}
		in := &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String(h.id), MaxResults: aws.Int32(1000)}
		if next != nil {
			in.NextToken = next
		} else if from := h.unread(); from > 0 {
			in.StartingBlockIndex = aws.Int32(int32(from)) //nolint:gosec // an index that AWS gave as int32
		}
		out, err := c.ListSnapshotBlocks(ctx, in)
		if err != nil {
			return err
		}
		page, token = nil, nil
		for _, b := range out.Blocks {
			page = append(page, block{index: int64(aws.ToInt32(b.BlockIndex)), token: aws.ToString(b.BlockToken)})
		}
		if aws.ToString(out.NextToken) != "" {
			token = out.NextToken
		}
		h.at.Size = int(aws.ToInt32(out.BlockSize))
		return nil
	})
	if err == nil && h.at.Size <= 0 {
		err = playbook.Permanent(fault.New(fault.Unavailable, "AWS does not say how large the blocks of "+h.id+" are", "hash it later"))
	}
	return page, token, err
}

// unread is the index of the first block that was not read.
func (h *hasher) unread() int64 {
	if h.count == 0 {
		return h.at.Next
	}
	return h.first
}

// read gets a window of blocks side by side and takes them in their order.
func (h *hasher) read(list []block) error {
	g := h.x.Group()
	for i := range list {
		b := &list[i]
		g.Go(func() { b.err = h.get(b) })
	}
	g.Wait()
	for i := range list {
		if list[i].err != nil {
			return list[i].err
		}
		if err := h.take(list[i].index, list[i].data); err != nil {
			return err
		}
		list[i].data = nil
	}
	return nil
}

func (h *hasher) get(b *block) error {
	return h.x.Look(func(ctx context.Context) error {
		c, err := h.x.AWS.EBS(ctx, h.x.Place())
		if err != nil {
			return err
		}
		b.data, err = blockOf(ctx, c, h.id, b.index, b.token)
		return err
	})
}

// blockOf reads one block. Data that does not fit the checksum that came with it
// is an error, and never read again in silence.
// https://docs.aws.amazon.com/ebs/latest/APIReference/API_GetSnapshotBlock.html
func blockOf(ctx context.Context, c awscalls.EBS, id string, index int64, token string) ([]byte, error) {
	out, err := c.GetSnapshotBlock(ctx, &ebs.GetSnapshotBlockInput{SnapshotId: aws.String(id), BlockIndex: aws.Int32(int32(index)), BlockToken: aws.String(token)}) //nolint:gosec // an index that AWS gave as int32
	if err != nil {
		return nil, err
	}
	defer out.BlockData.Close()
	data, err := io.ReadAll(io.LimitReader(out.BlockData, 64<<20))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, respond.Worded(err), fmt.Sprintf("read block %d of %s", index, id), "", "it is asked again")
	}
	sum := sha256.Sum256(data)
	if out.ChecksumAlgorithm != ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256 || aws.ToString(out.Checksum) != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, playbook.Permanent(fault.New(fault.Corrupt, fmt.Sprintf("block %d of %s does not fit the checksum that AWS gave with it", index, id), "read it again and compare; ask AWS Support"))
	}
	return data, nil
}

// take adds a block to the image and to the list.
func (h *hasher) take(index int64, data []byte) error {
	offset := index * int64(h.at.Size)
	if offset < h.at.Bytes || offset+int64(len(data)) > h.size {
		return playbook.Permanent(fault.New(fault.Corrupt, fmt.Sprintf("block %d of %s is out of order or beyond the end of the volume", index, h.id), "ask AWS Support"))
	}
	if err := h.fill(offset); err != nil {
		return err
	}
	h.sum.Write(data)
	h.at.Bytes += int64(len(data))
	if h.count == 0 {
		h.lines.Reset()
	}
	fmt.Fprintf(&h.lines, "%d %s\n", index, evidence.Digest(data))
	h.count++
	h.first = index + 1
	if h.count >= max(partBlocks, h.size/int64(h.at.Size)/partsMany) {
		return h.part()
	}
	return nil
}

// fill adds zeros up to an offset, for blocks that the snapshot does not have.
func (h *hasher) fill(to int64) error {
	if h.zeros == nil {
		h.zeros = make([]byte, 1<<20)
	}
	for since := int64(0); h.at.Bytes < to; {
		n := min(int64(len(h.zeros)), to-h.at.Bytes)
		h.sum.Write(h.zeros[:n])
		h.at.Bytes += n
		if since += n; since >= zeroPart && h.count == 0 {
			since = 0
			if err := h.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// part keeps the lines so far as an object and saves how far the hash is. A
// repeat after a crash writes the same bytes under the same name.
func (h *hasher) part() error {
	body := bytes.Clone(h.lines.Bytes())
	s := stored{Key: key(h.x, fmt.Sprintf("blocks/%s/%05d.txt", h.id, len(h.at.Parts))), SHA256: evidence.Digest(body), Bytes: int64(len(body))}
	s.lock(h.x)
	version, err := put(h.x, s, "text/plain", body)
	if s.Mode != "" && respond.NoObjectLock(err) {
		s.Mode = ""
		version, err = put(h.x, s, "text/plain", body)
	}
	switch {
	case respond.Is(err, "PreconditionFailed", "ConditionalRequestConflict"):
		if err := taken(h.x, &s); err != nil {
			return err
		}
		version = s.Version
	case err != nil:
		return err
	}
	h.at.Parts = append(h.at.Parts, evidence.BlockPart{Location: location(h.x.Policy.Evidence.Bucket, s.Key), Version: version, SHA256: s.SHA256, Bytes: s.Bytes, Blocks: h.count})
	h.at.Count += h.count
	h.at.Next, h.count = h.first, 0
	return h.save()
}

func (h *hasher) save() error {
	state, err := h.sum.state()
	if err != nil {
		return playbook.Permanent(fmt.Errorf("keep the hash of %s: %w", h.id, err))
	}
	h.at.State = state
	gib := h.at.Bytes >> 30
	h.x.Progress(playbook.Progress{Done: gib, Total: h.size >> 30, Unit: "GiB"})
	return h.x.Save("hashing", h.at)
}

// finish keeps the head of the block manifest and records both items.
func (h *hasher) finish() (playbook.Outcome, error) {
	image := h.sum.hex()
	head := evidence.BlockList{Schema: evidence.SchemaVersion, Snapshot: h.id, VolumeBytes: h.size, BlockSize: h.at.Size, Blocks: h.at.Count, ImageSHA256: image, Parts: h.at.Parts}
	data, err := head.Bytes()
	if err != nil {
		return playbook.Outcome{}, playbook.Permanent(err)
	}
	s, err := keep(h.x, "blocks/"+h.id+"/blocks.json", "application/json", func() ([]byte, error) { return data, nil })
	if err != nil {
		return playbook.Outcome{}, err
	}
	list := s.object(h.x, evidence.BlockManifest, fmt.Sprintf("hashes of the blocks of %s", h.id), h.id, "EBS.GetSnapshotBlock", trustAWS)
	whole := evidence.Merge(item(h.x, itemID(h.x, h.p)), evidence.Item{ID: itemID(h.x, h.p), SHA256: image, HashOver: evidence.HashOverImage})
	whole.Gap = ""
	if err := h.x.Preserve(list, whole); err != nil {
		return playbook.Outcome{}, err
	}
	if err := h.x.Save(savedImage, hashedImage{Snapshot: h.id, SHA256: image, Parts: h.at.Parts}); err != nil {
		return playbook.Outcome{}, err
	}
	if err := h.x.Custody("hashed", whole.ID, "", h.id, strings.ToLower(evidence.HashOverImage)); err != nil {
		return playbook.Outcome{}, err
	}
	return playbook.Outcome{Message: fmt.Sprintf("%s: %s, image SHA-256 %s", h.id, respond.Count(int(h.at.Count), "block"), image)}, nil
}
