package sim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/guardroom/guardroom/respond/awscalls"
)

// BlockSize is how large a block of a snapshot is.
const BlockSize = 512 << 10

const (
	blocksPerGiB = 1 << 30 / BlockSize
	blocksMost   = 10000
	blocksLeast  = 100
	tokenLives   = 7 * 24 * time.Hour
)

// ebsState is what blocks hold. It belongs to the content of disks, which is the
// same in a snapshot, its copies and the volumes made of it.
type ebsState struct {
	// Disks are blocks by content and index; the pattern is repeated to a block.
	Disks map[string]map[int32][]byte `json:"disks,omitempty"`
	// Corrupt are blocks of a snapshot that are not what their checksum says.
	Corrupt map[string][]int32 `json:"corrupt,omitempty"`
	// Changed are blocks of one snapshot that are others than of its content.
	Changed map[string]map[int32][]byte `json:"changed,omitempty"`
}

// blockSource is what the blocks of a snapshot depend on.
type blockSource struct {
	ID, Owner, Content, Key string
	GiB                     int32
	Completed               bool
	Shares                  []string
}

// SetBlocks says what a volume holds: a pattern for each block that is not zero,
// repeated to 512 KiB. A volume about which nothing is said holds a few blocks
// that follow from its id.
func (e *Editor) SetBlocks(accountID, regionName, volumeID string, blocks map[int32][]byte) {
	_, r := e.w.at(accountID, regionName)
	content := volumeID
	if v := r.EC2.Volumes[volumeID]; v != nil {
		content = v.Content
	}
	put(&r.EBS.Disks, content, blocks)
}

// CorruptBlock makes a block of a snapshot differ from the checksum that AWS
// gives for it.
func (e *Editor) CorruptBlock(accountID, regionName, snapshotID string, index int32) {
	_, r := e.w.at(accountID, regionName)
	put(&r.EBS.Corrupt, snapshotID, append(r.EBS.Corrupt[snapshotID], index))
}

// ChangeBlock makes a block of one snapshot hold something else, checksum
// included; an empty pattern makes it zero, and so not listed.
func (e *Editor) ChangeBlock(accountID, regionName, snapshotID string, index int32, pattern []byte) {
	_, r := e.w.at(accountID, regionName)
	m := r.EBS.Changed[snapshotID]
	put(&m, index, pattern)
	put(&r.EBS.Changed, snapshotID, m)
}

// DeleteSnapshot deletes a snapshot, locked or not: what an account shows that
// lost one.
func (e *Editor) DeleteSnapshot(accountID, regionName, id string) {
	s := e.scope(accountID, regionName)
	delete(s.Snapshots, id)
}

// UnlockSnapshot takes the lock of a snapshot away, as somebody with
// ec2:UnlockSnapshot may.
func (e *Editor) UnlockSnapshot(accountID, regionName, id string) {
	e.scope(accountID, regionName).Snapshots[id].Lock = nil
}

// disk is what a content holds: what was set anywhere, else what follows from
// its name.
func (w *World) disk(content string, total int32) map[int32][]byte {
	for _, id := range keysOf(w.state.Accounts) {
		for _, r := range w.state.Accounts[id].Regions {
			if d, ok := r.EBS.Disks[content]; ok {
				return d
			}
		}
	}
	d := map[int32][]byte{}
	for i := range min(total, 6) {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", content, i))
		at := int32(0)
		if i > 0 {
			at = (int32(sum[0])<<16 | int32(sum[1])<<8 | int32(sum[2])) % total
		}
		d[at] = sum[:]
	}
	return d
}

// blocks are the patterns of a snapshot's blocks that are not zero.
func (w *World) blocks(r *region, s blockSource) map[int32][]byte {
	total := s.GiB * blocksPerGiB
	all := map[int32][]byte{}
	for i, p := range w.disk(s.Content, total) {
		if i < total && len(p) > 0 {
			all[i] = p
		}
	}
	for i, p := range r.EBS.Changed[s.ID] {
		if len(p) == 0 {
			delete(all, i)
			continue
		}
		all[i] = p
	}
	return all
}

// pattern is that of one block; empty: it is zero.
func (w *World) pattern(r *region, s blockSource, index int32) []byte {
	total := s.GiB * blocksPerGiB
	if p, ok := r.EBS.Changed[s.ID][index]; ok || index < 0 || index >= total {
		return p
	}
	return w.disk(s.Content, total)[index]
}

// fillBlock repeats a pattern to a block.
func fillBlock(pattern []byte) []byte {
	return bytes.Repeat(pattern, BlockSize/len(pattern)+1)[:BlockSize]
}

type ebsClient struct{ client }

var _ awscalls.EBS = ebsClient{}

// source finds a snapshot whose blocks the caller may read.
func (c ebsClient) source(a *account, r *region, id *string) (blockSource, error) {
	s, ok := c.w.snapshotForBlocks(r, aws.ToString(id))
	switch {
	case !ok:
		return s, fail("ResourceNotFoundException", "The snapshot '%s' does not exist.", aws.ToString(id))
	case s.Owner != a.ID && !slices.Contains(s.Shares, a.ID):
		return s, fail("ResourceNotFoundException", "The snapshot '%s' does not exist.", aws.ToString(id))
	case !s.Completed:
		return s, fail("ValidationException", "The snapshot '%s' is not in the completed state.", s.ID)
	}
	if s.Key == "" {
		return s, nil
	}
	k, err := c.w.findKey(s.Owner, r.Name, s.Key)
	if err != nil || !k.usable() || !k.lets(a.ID, "Decrypt") {
		return s, refusal("EBS", c.w.principal(c.place), "kms:Decrypt")
	}
	return s, nil
}

// ListSnapshotBlocks implements awscalls.EBS. Indexes come in their order, and
// only those of blocks that are not zero. Where the world has a page size, pages
// are short, and every other one is empty.
func (c ebsClient) ListSnapshotBlocks(ctx context.Context, in *ebs.ListSnapshotBlocksInput, _ ...func(*ebs.Options)) (*ebs.ListSnapshotBlocksOutput, error) {
	return do(ctx, c.client, "EBS", "ListSnapshotBlocks", false, in, func(a *account, r *region) (*ebs.ListSnapshotBlocksOutput, error) {
		s, err := c.source(a, r, in.SnapshotId)
		if err != nil {
			return nil, err
		}
		limit := blocksMost
		if in.MaxResults != nil {
			if *in.MaxResults < blocksLeast || *in.MaxResults > blocksMost {
				return nil, fail("ValidationException", "MaxResults must be between 100 and 10000.")
			}
			limit = int(*in.MaxResults)
		}
		from, empty := aws.ToInt32(in.StartingBlockIndex), false
		if t := aws.ToString(in.NextToken); t != "" {
			number, later := strings.CutSuffix(t, "+")
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil {
				return nil, fail("ValidationException", "The page token is invalid.")
			}
			from, empty = int32(n), later
		}
		ends := c.w.now().Add(c.w.blockTokens())
		out := &ebs.ListSnapshotBlocksOutput{BlockSize: aws.Int32(BlockSize), VolumeSize: aws.Int64(int64(s.GiB)), ExpiryTime: aws.Time(ends), Blocks: []types.Block{}}
		if empty {
			out.NextToken = aws.String(strconv.Itoa(int(from)))
			return out, nil
		}
		if p := c.w.opts.PageSize; p > 0 {
			limit = min(limit, p)
		}
		for _, i := range keysOf(c.w.blocks(r, s)) {
			if i < from {
				continue
			}
			if len(out.Blocks) == limit {
				out.NextToken = aws.String(strconv.Itoa(int(i)))
				if c.w.opts.PageSize > 0 {
					*out.NextToken += "+"
				}
				break
			}
			out.Blocks = append(out.Blocks, types.Block{BlockIndex: aws.Int32(i), BlockToken: aws.String(blockToken(s.ID, i, ends))})
		}
		return out, nil
	})
}

func (w *World) blockTokens() time.Duration {
	if w.opts.BlockTokens > 0 {
		return w.opts.BlockTokens
	}
	return tokenLives
}

// blockToken is what reads one block, until it expires.
func blockToken(snapshotID string, index int32, ends time.Time) string {
	text := fmt.Sprintf("%d", ends.UnixNano())
	m := hmac.New(sha256.New, []byte("simulated"))
	fmt.Fprintf(m, "%s/%d/%s", snapshotID, index, text)
	return text + "." + hex.EncodeToString(m.Sum(nil)[:16])
}

// GetSnapshotBlock implements awscalls.EBS.
func (c ebsClient) GetSnapshotBlock(ctx context.Context, in *ebs.GetSnapshotBlockInput, _ ...func(*ebs.Options)) (*ebs.GetSnapshotBlockOutput, error) {
	return do(ctx, c.client, "EBS", "GetSnapshotBlock", false, in, func(a *account, r *region) (*ebs.GetSnapshotBlockOutput, error) {
		s, err := c.source(a, r, in.SnapshotId)
		if err != nil {
			return nil, err
		}
		index := aws.ToInt32(in.BlockIndex)
		nano, _, _ := strings.Cut(aws.ToString(in.BlockToken), ".")
		n, err := strconv.ParseInt(nano, 10, 64)
		if ends := time.Unix(0, n); err != nil || aws.ToString(in.BlockToken) != blockToken(s.ID, index, ends) || !c.w.now().Before(ends) {
			return nil, fail("ValidationException", "The block token is invalid or has expired.")
		}
		pattern := c.w.pattern(r, s, index)
		if len(pattern) == 0 {
			return nil, fail("ResourceNotFoundException", "The block %d does not exist.", index)
		}
		data := fillBlock(pattern)
		sum := sum256(data)
		if slices.Contains(r.EBS.Corrupt[s.ID], index) {
			data[0] ^= 0xff
		}
		return &ebs.GetSnapshotBlockOutput{
			BlockData: io.NopCloser(bytes.NewReader(data)), DataLength: aws.Int32(BlockSize), Checksum: aws.String(sum), ChecksumAlgorithm: types.ChecksumAlgorithmChecksumAlgorithmSha256,
		}, nil
	})
}
