package store

import (
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The encoder and decoder are stateless in the way in which we use them
// (EncodeAll, DecodeAll) and made for being shared.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // only for options that contradict each other
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// where builds a condition with numbered parameters.
type where struct {
	parts []string
	args  []any
}

// add appends a condition in which every $? stands for the next argument.
func (w *where) add(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "$?", w.arg(a), 1)
	}
	w.parts = append(w.parts, condition)
}

// eq appends column = value unless value is empty.
func (w *where) eq(column, value string) {
	if value != "" {
		w.add(column+" = $?", value)
	}
}

// arg adds an argument and returns its placeholder.
func (w *where) arg(a any) string {
	w.args = append(w.args, a)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) sql() string {
	if len(w.parts) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(w.parts, " AND ")
}

const (
	defaultLimit = 50
	maxLimit     = 10_000
)

func limit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}
