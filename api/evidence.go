package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// EvidenceDetail is the answer of GET /v1/incidents/{n}/evidence.
type EvidenceDetail struct {
	Items     []store.Preserved  `json:"items"`
	Gaps      []store.Lacking    `json:"gaps"`
	Custody   []evidence.Custody `json:"custody"`
	Manifests []SealedManifest   `json:"manifests"`
	// Approvals are who approved the plans of its runs, as the newest manifest that
	// can be read says.
	Approvals []evidence.Approval `json:"approvals"`
}

// SealedManifest is one revision of an incident's manifest.
type SealedManifest struct {
	store.Manifest
	// Content are the bytes that the digest is over.
	Content string `json:"content"`
}

func (h *handler) evidence(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	rd, ctx := h.s.Reader(), r.Context()
	if _, err := rd.GetIncident(ctx, n); err != nil {
		return missing(err, n.String(), "guardroom incident list")
	}
	d := EvidenceDetail{Manifests: []SealedManifest{}, Approvals: []evidence.Approval{}}
	if d.Items, err = rd.Evidence(ctx, n); err != nil {
		return err
	}
	if d.Gaps, err = rd.Gaps(ctx, n); err != nil {
		return err
	}
	if d.Custody, err = rd.Custody(ctx, n); err != nil {
		return err
	}
	manifests, err := rd.Manifests(ctx, n)
	if err != nil {
		return err
	}
	for _, m := range manifests {
		d.Manifests = append(d.Manifests, SealedManifest{Manifest: m, Content: string(m.Bytes)})
		if list, ok := approvalsOf(m); ok {
			d.Approvals = list
		}
	}
	slices.SortStableFunc(d.Items, func(a, b store.Preserved) int { return evidence.InOrder(a.Item, b.Item) })
	return answer(w, d)
}

// approvalsOf are the approvals that a manifest names. One that cannot be read names
// none: verify says what is wrong with it.
func approvalsOf(row store.Manifest) ([]evidence.Approval, bool) {
	var sealed evidence.Sealed
	if err := json.Unmarshal(row.Bytes, &sealed); err != nil {
		return nil, false
	}
	m, err := evidence.Decode(sealed.Bytes)
	if err != nil || len(m.Approvals) == 0 {
		return nil, false
	}
	return m.Approvals, true
}

func (h *handler) verifyEvidence(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	unhurried(w)
	report, err := h.s.Responses().VerifyEvidence(r.Context(), n, identity(r))
	if err != nil {
		return missing(err, n.String(), "guardroom incident list")
	}
	return answer(w, report)
}

// unhurried lets an answer take as long as it needs: what reads evidence again
// may do so for hours, and an answer has a deadline otherwise. A writer without
// one is inside this process.
func unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{})
	_ = c.SetReadDeadline(time.Time{}) // whose end would look as if the asker had gone
}

// exportEvidence streams an archive. An error before its first byte is answered
// as any other; after that the connection breaks, so that a part never looks
// like the whole.
func (h *handler) exportEvidence(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	unhurried(w)
	out := &lateHeader{w: w, kind: tar}
	err = h.s.Responses().ExportEvidence(r.Context(), n, out, identity(r))
	switch {
	case err == nil && !out.begun:
		return fault.New(fault.NotFound, fmt.Sprintf("there is no evidence of %s", n), "guardroom evidence list "+n.String())
	case err != nil && out.begun:
		h.log.Error("an export of evidence broke off", "incident", n.String(), "error", err.Error())
		panic(http.ErrAbortHandler)
	}
	return missing(err, n.String(), "guardroom incident list")
}

// lateHeader sets the media type with the first byte, and sends both at once, so
// that what breaks off later does so for the reader too.
type lateHeader struct {
	w     http.ResponseWriter
	kind  string
	begun bool
}

var _ io.Writer = (*lateHeader)(nil)

// Write implements io.Writer.
func (l *lateHeader) Write(b []byte) (int, error) {
	if l.begun {
		return l.w.Write(b)
	}
	l.begun = true
	l.w.Header().Set("Content-Type", l.kind)
	n, err := l.w.Write(b)
	if err == nil {
		// A writer that cannot is one inside this process, and keeps nothing back.
		if ferr := http.NewResponseController(l.w).Flush(); !errors.Is(ferr, http.ErrNotSupported) {
			err = ferr
		}
	}
	return n, err
}
