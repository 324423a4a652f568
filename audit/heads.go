package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
)

// Keeper writes heads down somewhere that whoever changes the store cannot
// reach as well, and reads them back.
type Keeper interface {
	// Keep writes a head durably before it returns. It only ever adds.
	Keep(ctx context.Context, h Head) error
	// Heads returns every head that was kept, in any order. Places that cannot
	// be read back return none.
	Heads(ctx context.Context) ([]Head, error)
	// String says where, for people.
	String() string
}

// FileKeeper appends heads to a file, one JSON object a line.
type FileKeeper struct{ Path string }

var _ Keeper = FileKeeper{}

// Keep implements Keeper.
func (k FileKeeper) Keep(_ context.Context, h Head) error {
	if err := os.MkdirAll(filepath.Dir(k.Path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.Path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	line, err := json.Marshal(h)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := dropHalfLine(f); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// dropHalfLine removes the end of a line that a crash or a full disk cut short:
// that head was never kept, and the next one must not be glued to it.
func dropHalfLine(f *os.File) error {
	const most = 1024 // a line is about 130 bytes
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	tail := make([]byte, min(size, most))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return err
	}
	half := len(tail) - 1 - bytes.LastIndexByte(tail, '\n')
	if half == 0 {
		return nil
	}
	if half == len(tail) && size > most {
		return fmt.Errorf("the end of %s is not a head of the audit chain", f.Name())
	}
	return f.Truncate(size - int64(half))
}

// Heads implements Keeper. A last line that a crash cut short is left out; any
// other line that is no head is an error, because somebody changed the file.
func (k FileKeeper) Heads(context.Context) ([]Head, error) {
	b, err := os.ReadFile(k.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Head
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		var h Head
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil || h.Seq < 0 {
			if !bytes.HasSuffix(b, []byte("\n")) && bytes.HasSuffix(b, lines.Bytes()) {
				break
			}
			return nil, fmt.Errorf("line %d of %s is not a head of the audit chain", n, k.Path)
		}
		out = append(out, h)
	}
	return out, lines.Err()
}

// String implements Keeper.
func (k FileKeeper) String() string { return "file " + k.Path }

// LogKeeper writes heads as log lines, for logs that are kept elsewhere.
type LogKeeper struct{ Log *slog.Logger }

var _ Keeper = LogKeeper{}

// Keep implements Keeper.
func (k LogKeeper) Keep(_ context.Context, h Head) error {
	k.Log.Info("audit head", "seq", h.Seq, "hash", h.Hash, "at", h.At)
	return nil
}

// Heads implements Keeper: a log cannot be read back from here.
func (k LogKeeper) Heads(context.Context) ([]Head, error) { return nil, nil }

// String implements Keeper.
func (k LogKeeper) String() string { return "the log" }
