package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/internal/fault"
)

// EvidenceExportCmd copies it out.
type EvidenceExportCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
	To     string `required:"" help:"Folder to make; it must not be there, or be empty." placeholder:"DIR"`
}

// Help shows an example.
func (EvidenceExportCmd) Help() string {
	return "Examples:\n  guardroom evidence export INC-42 --to inc-42\n  guardroom --server https://guardroom.example:8443 evidence export INC-42 --to inc-42\n\nREADME.txt in the folder says what each file is, and how all is checked without guardroom.\nThe export is a line in the chain of custody."
}

// Run exports evidence. What is there is never overwritten; what broke off is
// named.
func (c *EvidenceExportCmd) Run(ctx context.Context, e *env) error {
	if err := emptyFolder(c.To); err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		body, err := cl.Stream(ctx, "POST", evidencePath(c.Number)+"/export", nil)
		if err != nil {
			return err
		}
		defer body.Close()
		if err := os.MkdirAll(c.To, 0o700); err != nil {
			return fault.Wrap(fault.Usage, err, "make "+c.To, "nothing was written", "")
		}
		root, err := os.OpenRoot(c.To)
		if err != nil {
			return fault.Wrap(fault.Usage, err, "open "+c.To, "nothing was written", "")
		}
		defer root.Close()
		n, size, err := unpack(root, body)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "export the evidence", fmt.Sprintf("the evidence is untouched; %s holds %s of it and not all", c.To, plural(n, "file")), "remove "+c.To+" and export again")
		}
		if e.JSON {
			return e.object(map[string]any{"type": "exported", "incident": c.Number, "to": c.To, "files": n, "bytes": size})
		}
		e.printf("wrote %s, %d bytes, to %s\n", plural(n, "file"), size, clean(c.To))
		return nil
	})
}

// emptyFolder makes sure that nothing would be overwritten.
func emptyFolder(path string) error {
	list, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, "look into "+path, "nothing was written", "--to names a folder")
	}
	if len(list) > 0 {
		return fault.New(fault.Usage, path+" is not empty", "name a folder that is not there; nothing is overwritten")
	}
	return nil
}

// unpack writes the files of an archive below root, and cannot be led out of it.
func unpack(root *os.Root, r io.Reader) (files int, size int64, err error) {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// The archive has ended; what follows must have, too.
			_, err = io.Copy(io.Discard, r)
			return files, size, err
		}
		if err != nil {
			return files, size, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			return files, size, fmt.Errorf("the archive holds %q, which is no file of ours", h.Name)
		}
		n, err := extract(root, filepath.FromSlash(h.Name), t)
		size += n
		if err != nil {
			return files, size, err
		}
		files++
	}
}

func extract(root *os.Root, name string, r io.Reader) (n int64, err error) {
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return 0, err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, r)
	return n, errors.Join(err, f.Close())
}
