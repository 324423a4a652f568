package httpin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const maxGzip = 3 // how often gzip may be packed into gzip

var (
	errTooLarge = errors.New("the body is too large")
	errDamaged  = errors.New("the gzip data is damaged")
)

// read reads a body of at most limit bytes, counted after unpacking, that arrives
// within a time. It answers
// itself when it reports false. gzip is recognised by its bytes, whatever the
// header says: API destinations and proxies differ in whether they set it.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) ([]byte, bool) {
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity", "gzip", "x-gzip":
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		answer(w, http.StatusUnsupportedMediaType, problem{Error: "send the body plain or with gzip"})
		return nil, false
	}
	if r.ContentLength > limit {
		tooLarge(w, limit)
		return nil, false
	}
	// A server that cannot set a deadline has one of its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		tooLarge(w, limit)
		return nil, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		tooSlow(w)
		return nil, false
	case err != nil:
		answer(w, http.StatusBadRequest, problem{Error: "the body was cut off"})
		return nil, false
	}
	switch body, err = unpack(body, limit); {
	case errors.Is(err, errTooLarge):
		tooLarge(w, limit)
		return nil, false
	case err != nil:
		answer(w, http.StatusBadRequest, problem{Error: err.Error()})
		return nil, false
	case len(bytes.TrimSpace(body)) == 0:
		answer(w, http.StatusBadRequest, problem{Error: "the body is empty"})
		return nil, false
	}
	return body, true
}

func tooSlow(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	answer(w, http.StatusRequestTimeout, problem{Error: "the body came too slowly"})
}

func tooLarge(w http.ResponseWriter, limit int64) {
	w.Header().Set("Connection", "close")
	answer(w, http.StatusRequestEntityTooLarge, problem{Error: fmt.Sprintf("the body is larger than %d bytes: send fewer findings at once", limit)})
}

// unpack unpacks gzip to at most limit bytes, so that a small body cannot
// become a large one.
func unpack(body []byte, limit int64) ([]byte, error) {
	for range maxGzip {
		if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			return body, nil
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, errDamaged
		}
		plain, err := io.ReadAll(io.LimitReader(z, limit+1))
		if int64(len(plain)) > limit {
			return nil, errTooLarge
		}
		if err != nil {
			return nil, errDamaged
		}
		body = plain
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return nil, errors.New("gzip is packed into gzip too often")
	}
	return body, nil
}
