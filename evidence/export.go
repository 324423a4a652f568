package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/guardroom/guardroom/internal/fault"
)

// Exported is what was written.
type Exported struct {
	Folder string   `json:"folder"`
	Files  []string `json:"files"`
	Bytes  int64    `json:"bytes"`
	// Left are the items that have no object of their own and stay where they are.
	Left []string `json:"left"`
}

// Export writes the manifests, oldest first, and every object of the newest one
// into a folder that must not exist. It writes under another name beside it and
// renames at the end, when all is on disk and has the hash that the manifest
// says; otherwise nothing is left behind. A manifest whose copy is changed or gone
// is not exported. Snapshots stay in AWS and are listed. Beside them it writes the
// chain of custody, the signatures and keys as other tools read them, and a
// README.txt that says what each file is and how all is checked without guardroom.
func Export(ctx context.Context, folder string, list []Sealed, copies []KeptCopy, objects Objects) (Exported, error) {
	out := Exported{Folder: folder}
	if len(list) == 0 {
		return out, fault.New(fault.NotFound, "there is no manifest to export", "the evidence is sealed at the end of a run")
	}
	if _, err := os.Lstat(folder); err == nil {
		return out, exists(folder)
	}
	newest, err := Decode(list[len(list)-1].Bytes)
	if err != nil {
		return out, err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return out, fmt.Errorf("make the folder above %s: %w", folder, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(folder), "."+filepath.Base(folder)+".tmp-*")
	if err != nil {
		return out, fmt.Errorf("make a folder beside %s: %w", folder, err)
	}
	defer os.RemoveAll(tmp) // gone after the rename
	w := &exporting{ctx: ctx, dir: tmp, out: &out, keys: map[string]bool{}}
	for _, s := range list {
		if err := w.sealed(s); err != nil {
			return out, err
		}
	}
	if err := w.copies(list, copies, objects); err != nil {
		return out, err
	}
	var released []string
	given := givenUp(newest, nil)
	for n, i := range newest.Items {
		if !strings.HasPrefix(i.Location, "s3://") {
			what := strings.TrimSpace(string(i.Kind) + " " + i.Location)
			if i.Location != "" && slices.ContainsFunc(given, func(l Custody) bool { return l.From == i.Location }) {
				released = append(released, what)
			} else {
				out.Left = append(out.Left, what)
			}
			continue
		}
		if err := w.object(n, i, objects); err != nil {
			return out, err
		}
	}
	if err := w.custody(newest); err != nil {
		return out, err
	}
	if err := w.file(readmeFile, strings.NewReader(readme(newest, list, w.items, out.Left, released)), ""); err != nil {
		return out, err
	}
	if err := w.file(sumsFile, strings.NewReader(w.sums.String()), ""); err != nil {
		return out, err
	}
	if err := syncDir(tmp); err != nil {
		return out, fmt.Errorf("write %s: %w", folder, err)
	}
	// A folder that came into being meanwhile is not replaced: rename onto a
	// folder with something in it fails, and an empty one holds nothing to lose.
	if err := os.Rename(tmp, folder); err != nil {
		return out, exists(folder)
	}
	return out, syncDir(filepath.Dir(folder))
}

func exists(folder string) error {
	f := fault.New(fault.Conflict, folder+" exists already", "name another folder")
	f.Safe = "nothing was written"
	return f
}

type exporting struct {
	ctx  context.Context //nolint:containedctx // it is the life of one export
	dir  string
	out  *Exported
	sums strings.Builder
	keys map[string]bool // the files of public keys that are written
	// items are those that have a file, in the order of the manifest.
	items []exportedItem
}

func (w *exporting) sealed(s Sealed) error {
	if err := s.Check(nil); err != nil {
		return err
	}
	name := manifestName(s.Revision)
	if err := w.file(name+".json", strings.NewReader(string(s.Bytes)), s.SHA256); err != nil {
		return err
	}
	sig, err := Canonical(Sealed{SHA256: s.SHA256, Revision: s.Revision, Location: s.Location, Version: s.Version, Signature: s.Signature})
	if err != nil {
		return err
	}
	if err := w.file(name+".sig.json", strings.NewReader(string(sig)), ""); err != nil {
		return err
	}
	return w.signature(name, s.Signature)
}

func (w *exporting) object(n int, i Item, objects Objects) error {
	body, err := objects.Open(w.ctx, i)
	if err != nil {
		return fmt.Errorf("read %s: %w", i.ID, err)
	}
	defer body.Close()
	name := fmt.Sprintf("%03d-%s", n+1, fileName(i.Location))
	w.items = append(w.items, exportedItem{name, i})
	return w.file(name, body, i.SHA256)
}

// fileName is the last part of a location, with nothing in it that a file system
// or a terminal may take for more than a letter.
func fileName(location string) string {
	name := location[strings.LastIndexByte(location, '/')+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, name)
	if len(name) > 100 {
		name = name[len(name)-100:]
	}
	return strings.TrimLeft(name, ".-")
}

// file writes one file whole and to the disk. Contents with another hash than
// want are refused.
func (w *exporting) file(name string, from io.Reader, want string) error {
	f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), from)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if want != "" && sum != want {
		f := fault.New(fault.Corrupt, fmt.Sprintf("%s has SHA-256 %s and had %s when it was sealed", name, sum, want), "guardroom evidence verify names all that differs")
		f.Safe = "nothing was exported"
		return f
	}
	w.out.Files, w.out.Bytes = append(w.out.Files, name), w.out.Bytes+n
	if name != sumsFile {
		fmt.Fprintf(&w.sums, "%s  %s\n", sum, name)
	}
	return w.ctx.Err()
}
