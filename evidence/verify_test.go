package evidence_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
)

// stock is what is stored: objects by location, blocks of snapshots by id.
type stock struct {
	objects map[string][]byte
	blocks  map[string]map[int64][]byte
	fail    error
	over    map[string]string // versions that lie over what was sealed, by location
	hidden  bool              // by delete markers
}

const blockSize = 1024

func (s stock) Open(_ context.Context, i evidence.Item) (io.ReadCloser, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	data, ok := s.objects[i.Location]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", i.Location, evidence.ErrMissing)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s stock) Newest(_ context.Context, i evidence.Item) (string, error) {
	if s.hidden {
		return "", evidence.ErrMissing
	}
	if v, ok := s.over[i.Location]; ok {
		return v, nil
	}
	return i.Version, nil
}

func (s stock) Read(_ context.Context, i evidence.Item, each func(int64, int, []byte) error) error {
	all, ok := s.blocks[i.Location]
	if !ok {
		return evidence.ErrMissing
	}
	var indexes []int64
	for n := range all {
		indexes = append(indexes, n)
	}
	slices.Sort(indexes)
	for _, n := range indexes {
		if err := each(n, blockSize, all[n]); err != nil {
			return err
		}
	}
	return nil
}

// scene is a manifest with an object, a snapshot of 8 KiB with blocks 1, 3 and 6,
// its block manifest in two parts, and a working copy without a hash.
func scene(t *testing.T) (stock, evidence.Sealed, ed25519.PublicKey) {
	t.Helper()
	st := stock{objects: map[string][]byte{"s3://b/console.txt": []byte("login:")}, blocks: map[string]map[int64][]byte{"snap-1": {}}}
	image := make([]byte, 8*blockSize)
	lines := map[int64]string{}
	for _, n := range []int64{1, 3, 6} {
		data := bytes.Repeat([]byte{byte(n)}, blockSize)
		st.blocks["snap-1"][n] = data
		copy(image[n*blockSize:], data)
		lines[n] = fmt.Sprintf("%d %s\n", n, evidence.Digest(data))
	}
	list := evidence.BlockList{Schema: 1, Snapshot: "snap-1", VolumeBytes: int64(len(image)), BlockSize: blockSize, Blocks: 3, ImageSHA256: evidence.Digest(image)}
	for n, body := range []string{lines[1] + lines[3], lines[6]} {
		where := fmt.Sprintf("s3://b/blocks/%d", n)
		st.objects[where] = []byte(body)
		list.Parts = append(list.Parts, evidence.BlockPart{Location: where, SHA256: evidence.Digest([]byte(body)), Bytes: int64(len(body))})
	}
	head, err := list.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	st.objects["s3://b/blocks.json"] = head
	key := signer(t, 1)
	s := sealed(t, build(t, nil, parts(
		evidence.Item{ID: "console", Kind: evidence.Console, Location: "s3://b/console.txt", Version: "v1", SHA256: evidence.Digest([]byte("login:")), SizeBytes: 6},
		evidence.Item{ID: "snapshot/vol-1", Kind: evidence.Snapshot, Location: "snap-1", SHA256: evidence.Digest(image), SizeBytes: int64(len(image))},
		evidence.Item{ID: "hash/vol-1", Kind: evidence.BlockManifest, Source: "snap-1", Location: "s3://b/blocks.json", SHA256: evidence.Digest(head)},
		evidence.Item{ID: "volume/vol-1", Kind: evidence.Volume, Location: "vol-9", Gap: "it is a working copy"},
	)), key)
	return st, s, key.Public().(ed25519.PublicKey)
}

func TestVerificationNamesWhatDiffersAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(st *stock, s *evidence.Sealed)
		want   []string // what the problems name, in order
	}{
		"nothing was changed": {func(*stock, *evidence.Sealed) {}, nil},
		"one byte of an object": {func(st *stock, _ *evidence.Sealed) { st.objects["s3://b/console.txt"][2] ^= 1 },
			[]string{"run_1/console"}},
		"one byte of a block": {func(st *stock, _ *evidence.Sealed) { st.blocks["snap-1"][3][100] ^= 1 },
			[]string{"run_1/snapshot/vol-1, block 3 of snap-1", "run_1/snapshot/vol-1"}},
		"a block that is gone": {func(st *stock, _ *evidence.Sealed) { delete(st.blocks["snap-1"], 3) },
			[]string{"run_1/snapshot/vol-1, block 3 of snap-1", "run_1/snapshot/vol-1"}},
		"the last block gone": {func(st *stock, _ *evidence.Sealed) { delete(st.blocks["snap-1"], 6) },
			[]string{"run_1/snapshot/vol-1, block 6 of snap-1", "run_1/snapshot/vol-1"}},
		"a block more": {func(st *stock, _ *evidence.Sealed) { st.blocks["snap-1"][4] = bytes.Repeat([]byte{9}, blockSize) },
			[]string{"run_1/snapshot/vol-1, block 4 of snap-1", "run_1/snapshot/vol-1"}},
		"one byte of the manifest": {func(_ *stock, s *evidence.Sealed) {
			s.Bytes = bytes.Replace(s.Bytes, []byte("vol-9"), []byte("vol-8"), 1)
		},
			[]string{"manifest revision 1"}},
		"a byte that makes the manifest unreadable": {func(_ *stock, s *evidence.Sealed) { s.Bytes[0] = '[' },
			[]string{"manifest revision 1"}},
		"a line of the block manifest": {func(st *stock, _ *evidence.Sealed) { st.objects["s3://b/blocks/1"][0] = '7' },
			[]string{"run_1/snapshot/vol-1"}},
		"the head of the block manifest": {func(st *stock, _ *evidence.Sealed) { st.objects["s3://b/blocks.json"][5] ^= 1 },
			[]string{"run_1/hash/vol-1", "run_1/snapshot/vol-1"}},
		"another version over an object": {func(st *stock, _ *evidence.Sealed) { st.over = map[string]string{"s3://b/console.txt": "v2"} },
			[]string{"run_1/console"}},
		"a delete marker over an object": {func(st *stock, _ *evidence.Sealed) { st.hidden = true }, []string{"run_1/console"}},
		"an object that is gone":         {func(st *stock, _ *evidence.Sealed) { delete(st.objects, "s3://b/console.txt") }, []string{"run_1/console"}},
		"a snapshot that is gone":        {func(st *stock, _ *evidence.Sealed) { delete(st.blocks, "snap-1") }, []string{"run_1/snapshot/vol-1"}},
		"nothing can be read": {func(st *stock, _ *evidence.Sealed) { st.fail = errors.New("no permission") },
			[]string{"run_1/console", "run_1/hash/vol-1", "run_1/snapshot/vol-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, s, public := scene(t)
			s.Bytes = bytes.Clone(s.Bytes)
			c.change(&st, &s)
			r, err := evidence.Verify(t.Context(), s, st, st, evidence.Options{Trusted: public, At: noon})
			if err != nil {
				t.Fatal(err)
			}
			var named []string
			for _, p := range r.Problems {
				named = append(named, p.What)
			}
			if !slices.Equal(named, c.want) {
				t.Errorf("named: %q\nwant:  %q\n%+v", named, c.want, r.Problems)
			}
			if r.Good() != (len(c.want) == 0) {
				t.Errorf("good: %v", r.Good())
			}
			for _, i := range r.Items {
				if i.ID == "run_1/volume/vol-1" && (i.Good || !strings.Contains(i.How, "not checked: it is a working copy")) {
					t.Errorf("what has no hash is said to be %+v", i)
				}
			}
		})
	}
}

func TestVerificationChecksTheChainOfRevisionsAndWhatWasRecorded(t *testing.T) {
	t.Parallel()
	key := signer(t, 1)
	first := sealed(t, build(t, nil, parts(evidence.Item{ID: "a", Gap: "x"})), key)
	second := sealed(t, build(t, first.Bytes, parts(evidence.Item{ID: "b", Gap: "x"})), key)
	other := sealed(t, build(t, nil, parts(evidence.Item{ID: "z", Gap: "x"})), key)
	verify := func(s evidence.Sealed, o evidence.Options) evidence.Report {
		t.Helper()
		r, err := evidence.Verify(t.Context(), s, stock{}, stock{}, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verify(second, evidence.Options{Earlier: []evidence.Sealed{first}, Recorded: second.SHA256}); !r.Good() || r.Manifests != 2 {
		t.Errorf("a whole chain: %+v", r)
	}
	if r := verify(second, evidence.Options{Earlier: []evidence.Sealed{other}}); r.Good() {
		t.Error("a first revision was exchanged, and nobody noticed")
	}
	if r := verify(second, evidence.Options{Recorded: first.SHA256}); r.Good() {
		t.Error("another digest was recorded, and nobody noticed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := evidence.Verify(ctx, second, stock{}, stock{}, evidence.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a verification that was cancelled: %v", err)
	}
}

func TestAnExportIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	st, s, _ := scene(t)
	base := t.TempDir()
	folder := filepath.Join(base, "case", "INC-42")
	out, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, nil, st)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"manifest-0001.json", "manifest-0001.sig.json", "manifest-0001.sig", "key-" + s.Signature.KeyID + ".pem", "001-console.txt", "002-blocks.json", "custody.json", "README.txt", "SHA256SUMS"}
	if !slices.Equal(out.Files, want) || len(out.Left) != 2 {
		t.Errorf("wrote %q and left %q, want %q", out.Files, out.Left, want)
	}
	if raw, err := os.ReadFile(filepath.Join(folder, "manifest-0001.json")); err != nil || !bytes.Equal(raw, s.Bytes) {
		t.Errorf("the manifest on disk is another: %v", err)
	}
	if raw, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS")); err != nil || !strings.Contains(string(raw), evidence.Digest([]byte("login:"))+"  001-console.txt\n") {
		t.Errorf("SHA256SUMS: %s, %v", raw, err)
	}
	if _, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, nil, st); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("a folder that exists: %v", err)
	}
	st.objects["s3://b/console.txt"] = []byte("logout")
	other := filepath.Join(base, "case", "again")
	if _, err := evidence.Export(t.Context(), other, []evidence.Sealed{s}, nil, st); fault.CodeOf(err) != fault.Corrupt {
		t.Errorf("an object that was changed: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(base, "case"))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the first export: %v, %v", left, err)
	}
}

func TestNamesOfExportedFilesStayInTheFolder(t *testing.T) {
	t.Parallel()
	st := stock{objects: map[string][]byte{}}
	var items []evidence.Item
	for n, location := range []string{"s3://b/../../etc/passwd", "s3://b/..", "s3://b/a\x1b[31m;rm -rf", "s3://b/" + strings.Repeat("x", 300)} {
		st.objects[location] = []byte("x")
		items = append(items, evidence.Item{ID: fmt.Sprint(n), Location: location, SHA256: evidence.Digest([]byte("x"))})
	}
	s := sealed(t, build(t, nil, parts(items...)), nil)
	folder := filepath.Join(t.TempDir(), "out")
	out, err := evidence.Export(t.Context(), folder, []evidence.Sealed{s}, nil, st)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Files {
		if strings.ContainsAny(f, "/\\\x1b; ") || len(f) > 110 {
			t.Errorf("a file is named %q", f)
		}
	}
}
