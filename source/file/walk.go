package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/guardroom/guardroom/source"
)

// Opened is one file, object or stream, ready to be read.
type Opened struct {
	// Name is the path as a person would write it: dir/a.json, s3://b/k, stdin.
	Name string
	// Size in bytes as it is stored; -1 where it is not known.
	Size int64
	io.ReadCloser
}

// Places says where Walk may look besides the file system.
type Places struct {
	// Stdin is read for the path "-"; nil: os.Stdin.
	Stdin io.Reader
	// S3 gives a client for s3:// paths; nil: they are refused. The region is
	// empty: only the client's own default is known.
	S3 func(region string) S3
}

// Walk opens everything that the paths name, one after the other, and gives it
// to visit, which must not close it. A path that cannot be opened is given to
// fail with its error. Either may end the walk with an error, which Walk
// returns.
func Walk(ctx context.Context, paths []string, places Places, visit func(Opened) error, fail func(name string, err error) error) error {
	w := walker{ctx: ctx, places: places, visit: visit, fail: fail}
	for _, path := range paths {
		if err := w.path(path); err != nil {
			return err
		}
	}
	return nil
}

type walker struct {
	ctx    context.Context
	places Places
	visit  func(Opened) error
	fail   func(name string, err error) error
	stdin  bool // was read
}

func (w *walker) path(path string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if path == "-" {
		return w.standardInput()
	}
	if strings.HasPrefix(path, "s3://") {
		return w.bucket(path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return w.fail(path, plain(err))
	case info.IsDir():
		return w.folder(path)
	}
	return w.file(path)
}

func (w *walker) standardInput() error {
	if w.stdin {
		return w.fail("-", errors.New("the standard input can be read only once"))
	}
	w.stdin = true
	in := w.places.Stdin
	if in == nil {
		in = os.Stdin
	}
	return w.visit(Opened{Name: "stdin", Size: -1, ReadCloser: io.NopCloser(in)})
}

func (w *walker) file(path string) error {
	f, err := os.Open(path) //nolint:gosec // the person names the file
	if err != nil {
		return w.fail(path, plain(err))
	}
	defer func() { _ = f.Close() }()
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return w.visit(Opened{Name: path, Size: size, ReadCloser: f})
}

// folder reads the files of a folder in the order of their names. Links to
// folders are not followed.
func (w *walker) folder(dir string) error {
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if ctxErr := w.ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		if err != nil {
			found = true
			return w.fail(path, plain(err))
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != dir
		if d.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		if hidden || !Holds(d.Name()) || !regular(path, d) {
			return nil
		}
		found = true
		return w.file(path)
	})
	if err != nil {
		return err
	}
	if !found {
		return w.fail(dir, errors.New("the folder holds no .json, .jsonl, .ndjson or .gz file"))
	}
	return nil
}

func regular(path string, d fs.DirEntry) bool {
	if d.Type().IsRegular() {
		return true
	}
	if d.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular() // a dangling link is reported when it is opened
}

// Holds reports whether a file or object may hold findings, by its name.
func Holds(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".jsonl", ".ndjson", ".gz":
		return true
	}
	return false
}

// plain drops the path from an error that is told beside its path.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// bucket reads an object, or all objects under a prefix.
func (w *walker) bucket(path string) error {
	bucket, key, err := ParseURL(path)
	if err != nil {
		return w.fail(path, err)
	}
	if w.places.S3 == nil {
		return w.fail(path, errors.New("there is no way to AWS here"))
	}
	api := w.places.S3("")
	found := false
	err = list(w.ctx, api, bucket, key, func(o object) error {
		exact := o.key == key
		if !exact && (strings.HasSuffix(o.key, "/") || !Holds(o.key)) {
			return nil
		}
		found = true
		ref := source.Reference{Bucket: bucket, Key: o.key}
		body, err := fetch(w.ctx, api, ref)
		if err != nil {
			return w.fail(ref.String(), err)
		}
		defer func() { _ = body.Close() }()
		if err := w.visit(Opened{Name: ref.String(), Size: o.size, ReadCloser: body}); err != nil {
			return err
		}
		if exact {
			return errStop // the object was meant, not what begins like it
		}
		return nil
	})
	var failed *listError
	switch {
	case errors.Is(err, errStop):
		return nil
	case errors.As(err, &failed):
		return w.fail(path, err)
	case err != nil:
		return err
	case !found:
		return w.fail(path, errors.New("there is no such object, and none with findings under it"))
	}
	return nil
}

var errStop = errors.New("enough")

// ParseURL reads s3://bucket/key; the key may be empty.
func ParseURL(text string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", fmt.Errorf("%q is not s3://bucket/prefix", text)
	}
	return bucket, key, nil
}
