package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/google/go-cmp/cmp"

	"github.com/guardroom/guardroom/respond/awscalls"
)

func disks(e *Editor) {
	_, r := e.w.at(attacked, home)
	add := func(s snapshot) {
		s.Owner, s.Size = attacked, 1
		put(&r.EC2.Snapshots, s.ID, &s)
	}
	past, later := restStart.Add(-time.Hour), restStart.Add(time.Hour)
	add(snapshot{made: made{ID: "snap-1"}, Content: "vol-1", Ends: past})
	add(snapshot{made: made{ID: "snap-2"}, Content: "vol-1", Ends: past, Key: oursARN, Shares: []string{forensic}})
	add(snapshot{made: made{ID: "snap-3"}, Content: "vol-2", Ends: past, Shares: []string{forensic}})
	add(snapshot{made: made{ID: "snap-pending"}, Content: "vol-1", Ends: later})
	add(snapshot{made: made{ID: "snap-error"}, Content: "vol-1", Ends: past, Fails: "the key is gone"})
	e.SetBlocks(attacked, home, "vol-1", map[int32][]byte{0: []byte("boot"), 7: {0xaa}, 8: {1, 2, 3}, 2047: []byte("last"), 9: {}, 5000: []byte("outside")})
}

// indexes reads all pages.
func indexes(t *testing.T, c ebsClient, snapshotID string, most *int32) (all []int32, empty int) {
	t.Helper()
	in := &ebs.ListSnapshotBlocksInput{SnapshotId: &snapshotID, MaxResults: most}
	for {
		out := val(c.ListSnapshotBlocks(context.Background(), in))(t)
		if len(out.Blocks) == 0 && out.NextToken != nil {
			empty++
		}
		for _, b := range out.Blocks {
			all = append(all, *b.BlockIndex)
		}
		if out.NextToken == nil {
			return all, empty
		}
		in.NextToken = out.NextToken
	}
}

func readBlock(c ebsClient, snapshotID string, index int32, token *string) ([]byte, string, error) {
	out, err := c.GetSnapshotBlock(context.Background(), &ebs.GetSnapshotBlockInput{SnapshotId: &snapshotID, BlockIndex: &index, BlockToken: token})
	if err != nil {
		return nil, "", err
	}
	data, err := io.ReadAll(out.BlockData)
	return data, *out.Checksum, err
}

func TestEBSListsBlocksThatAreNotZero(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"in one page": {}, "in short and empty pages": {PageSize: 1}} {
		w := newRest(t, o, disks)
		got, empty := indexes(t, ebsClient{w.act()}, "snap-1", nil)
		if diff := cmp.Diff([]int32{0, 7, 8, 2047}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if (empty > 0) != (o.PageSize > 0) {
			t.Errorf("%s: %d empty pages", name, empty)
		}
	}
	w := newRest(t, Options{}, disks)
	c := ebsClient{w.act()}
	out := val(c.ListSnapshotBlocks(context.Background(), &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-1"), StartingBlockIndex: aws.Int32(8)}))(t)
	if len(out.Blocks) != 2 || *out.VolumeSize != 1 || *out.BlockSize != BlockSize {
		t.Errorf("from block 8: %d blocks of %d, %d GiB", len(out.Blocks), *out.BlockSize, *out.VolumeSize)
	}
	one, _ := indexes(t, c, "snap-3", nil)
	two, _ := indexes(t, ebsClient{newRest(t, Options{}, disks).act()}, "snap-3", nil)
	if len(one) == 0 || !cmp.Equal(one, two) {
		t.Errorf("a disk of which nothing is said is %v, then %v", one, two)
	}
}

func TestEBSReadsBlocksWithTheirChecksum(t *testing.T) {
	t.Parallel()
	w := newRest(t, Options{BlockTokens: time.Minute}, disks)
	c := ebsClient{w.act()}
	list := val(c.ListSnapshotBlocks(context.Background(), &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-1")}))(t)
	token := list.Blocks[2].BlockToken // block 8
	read := func() ([]byte, string) {
		t.Helper()
		data, sum, err := readBlock(c, "snap-1", 8, token)
		if err != nil {
			t.Fatal(err)
		}
		return data, sum
	}
	sumOf := func(b []byte) string {
		s := sha256.Sum256(b)
		return base64.StdEncoding.EncodeToString(s[:])
	}
	data, sum := read()
	if want := bytes.Repeat([]byte{1, 2, 3}, BlockSize)[:BlockSize]; !bytes.Equal(data, want) || sum != sumOf(data) {
		t.Errorf("%d bytes, checksum %s", len(data), sum)
	}
	_, _, err := readBlock(c, "snap-1", 7, token)
	wantCode(t, err, "ValidationException")
	w.edit(func(e *Editor) { e.CorruptBlock(attacked, home, "snap-1", 8) })
	corrupt, same := read()
	if same != sum || same == sumOf(corrupt) {
		t.Error("a corrupt block is not one whose checksum is another's")
	}
	w.edit(func(e *Editor) { e.ChangeBlock(attacked, home, "snap-2", 8, []byte("other")) })
	if _, s := read(); s != sum {
		t.Error("a change of one snapshot is seen in another")
	}
	w.pass(time.Minute)
	_, _, err = readBlock(c, "snap-1", 8, token)
	wantCode(t, err, "ValidationException")
}

func TestEBSRefusesWhatItRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in      ebs.ListSnapshotBlocksInput
		account string
		keys    bool
		code    string
	}{
		"an unknown snapshot":                       {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-9")}, attacked, true, "ResourceNotFoundException"},
		"one that is pending":                       {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-pending")}, attacked, true, "ValidationException"},
		"one that failed":                           {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-error")}, attacked, true, "ValidationException"},
		"99 at once":                                {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-1"), MaxResults: aws.Int32(99)}, attacked, true, "ValidationException"},
		"a page token that is none":                 {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-1"), NextToken: aws.String("x")}, attacked, true, "ValidationException"},
		"one of another account":                    {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-1")}, forensic, true, "ResourceNotFoundException"},
		"one that is shared":                        {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-3")}, forensic, true, ""},
		"a shared one whose key is not":             {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-2")}, forensic, true, "AccessDeniedException"},
		"one whose key is there":                    {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-2")}, attacked, true, ""},
		"one whose key is gone and not only hidden": {ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-2")}, attacked, false, "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRest(t, Options{}, disks)
			if c.keys {
				w.edit(keys)
			}
			_, err := ebsClient{w.in(awscalls.Forensics, c.account, home)}.ListSnapshotBlocks(context.Background(), &c.in)
			wantCode(t, err, c.code)
		})
	}
}
