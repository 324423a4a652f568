package app

import (
	"archive/tar"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guardroom/guardroom/audit"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/incident"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/respond/forensics"
	"github.com/guardroom/guardroom/store"
)

// manifests returns the sealed manifests of an incident, the first first.
func (d *desk) manifests(ctx context.Context, n incident.Number) ([]evidence.Sealed, error) {
	if _, err := d.store.GetIncident(ctx, n); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "there is no "+n.String(), "guardroom incident list")
		}
		return nil, err
	}
	list, err := d.store.Manifests(ctx, n)
	if err != nil {
		return nil, err
	}
	out := make([]evidence.Sealed, len(list))
	for i, m := range list {
		if err := json.Unmarshal(m.Bytes, &out[i]); err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, fmt.Sprintf("read manifest %d of %s", m.Revision, n), "", "the store was changed by hand, or is damaged: guardroom audit verify")
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "no evidence of "+n.String()+" is sealed", "it is sealed at the end of a run: guardroom run list")
	}
	return out, nil
}

// VerifyEvidence computes every hash again from what is stored, looks whether all
// that is named as evidence is there, and compares the store's tables with what
// was sealed. Copies of manifests are read back from the evidence bucket. The digest that each manifest had when it was sealed stands in the
// audit chain as well.
func (d *desk) VerifyEvidence(ctx context.Context, n incident.Number, who string) (evidence.Report, error) {
	c, err := d.chain(ctx, n)
	if err != nil {
		return evidence.Report{}, err
	}
	open, err := d.openRuns(ctx)
	if err != nil {
		return evidence.Report{}, err
	}
	list, err := d.manifests(ctx, n)
	if fault.CodeOf(err) == fault.NotFound && len(c.seals) > 0 {
		return evidence.Report{Incident: n.String(), At: d.now(), Items: []evidence.Checked{}, Problems: missingManifests(nil, c.seals)}, nil
	}
	if err != nil {
		return evidence.Report{}, err
	}
	rows, err := d.rows(ctx, n, c, open)
	if err != nil {
		return evidence.Report{}, err
	}
	reader := d.reader(n)
	newest := list[len(list)-1]
	o := evidence.Options{Earlier: list[:len(list)-1], Copies: c.kept(), At: d.now(), Recorded: c.seals[newest.Revision], Rows: &rows, Places: reader}
	if d.seal.key != nil {
		o.Trusted = d.seal.key.Public().(ed25519.PublicKey)
	}
	report, err := evidence.Verify(ctx, newest, reader, reader, o)
	if err != nil {
		return report, err
	}
	report.Problems = append(report.Problems, missingManifests(list, c.seals)...)
	after := "good"
	if !report.Good() {
		after = fmt.Sprintf("%d problems", len(report.Problems))
	}
	return report, d.store.Write(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Who: who, Action: "evidence.verified", Object: n.String(), After: after, Why: fmt.Sprintf("manifest %d sha256:%s", newest.Revision, newest.SHA256)})
		return tx.AddCustody(ctx, n, "", []evidence.Custody{{At: tx.Now(), Who: who, Action: "verified", Item: fmt.Sprintf("manifest revision %d", newest.Revision), Reason: after}})
	})
}

func (d *desk) reader(n incident.Number) forensics.Reader {
	return forensics.Reader{AWS: d.aws, Incident: n.String(), Home: d.policy.Forensics.Account}
}

// openRuns are the runs that have not ended.
func (d *desk) openRuns(ctx context.Context) ([]string, error) {
	list, err := d.store.OpenRuns(ctx)
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = string(r.ID)
	}
	return out, err
}

// rows are the store's tables about the evidence of an incident. It reads the
// items before the chain of custody, and that before the end of the audit chain,
// so that what is written meanwhile has its reasons.
func (d *desk) rows(ctx context.Context, n incident.Number, c *chained, open []string) (evidence.Rows, error) {
	items, err := d.store.Evidence(ctx, n)
	if err != nil {
		return evidence.Rows{}, err
	}
	gaps, err := d.store.Gaps(ctx, n)
	if err != nil {
		return evidence.Rows{}, err
	}
	custody, err := d.store.Custody(ctx, n)
	if err != nil {
		return evidence.Rows{}, err
	}
	if err := c.read(ctx, d.store); err != nil {
		return evidence.Rows{}, err
	}
	later, err := d.openRuns(ctx)
	if err != nil {
		return evidence.Rows{}, err
	}
	r := evidence.Rows{Items: itemsOf(items), Custody: custodyOf(custody), Open: slices.Concat(open, later), Noted: c.noted}
	for _, g := range gaps {
		r.Gaps = append(r.Gaps, evidence.RunGap{Run: string(g.Run), Gap: g.Gap})
	}
	return r, nil
}

// chained is what the audit chain has about the evidence of an incident.
type chained struct {
	incident incident.Number
	last     int64          // the number of the last record that was read
	seals    map[int]string // digests of manifests, by revision
	copies   []evidence.KeptCopy
	lines    map[string]bool
}

func (d *desk) chain(ctx context.Context, n incident.Number) (*chained, error) {
	c := &chained{incident: n, seals: map[int]string{}, lines: map[string]bool{}}
	return c, c.read(ctx, d.store)
}

// read reads what was added to the audit chain since the last time.
func (c *chained) read(ctx context.Context, db *store.DB) error {
	prefix := strings.TrimSuffix(sealedObject(c.incident, 0), "0")
	return db.AuditRecords(ctx, c.last, 0, func(r audit.Record) bool {
		c.last = r.Seq
		what, is := strings.CutPrefix(r.Action, "evidence.")
		if !is {
			return true
		}
		if number, is := strings.CutPrefix(r.Object, prefix); is && what == "sealed" {
			if revision, err := strconv.Atoi(number); err == nil {
				c.seals[revision] = r.After
			}
		}
		if number, is := strings.CutPrefix(r.Object, prefix); is && what == "manifest_kept" {
			c.keptAt(number, r)
		}
		who := r.Who
		if run, is := strings.CutPrefix(r.Object, "run/"); is {
			who = "guardroom/" + run
		} else if r.Object != c.incident.String() {
			return true
		}
		c.lines[lineKey(what, who, r.At, r.Before)] = true
		return true
	})
}

// keptAt reads a record about where a copy of a manifest is; one that is there
// twice is the same copy.
func (c *chained) keptAt(number string, r audit.Record) {
	revision, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	account, region, _ := strings.Cut(r.Why, "/")
	one := evidence.KeptCopy{Revision: revision, Location: r.After, Account: account, Region: region}
	if !slices.Contains(c.copies, one) {
		c.copies = append(c.copies, one)
	}
}

// kept are the copies of manifests, each with the digest that was recorded when
// it was sealed.
func (c *chained) kept() []evidence.KeptCopy {
	out := slices.Clone(c.copies)
	for i := range out {
		out[i].SHA256 = c.seals[out[i].Revision]
	}
	return out
}

// noted reports whether a line of custody stands in the audit chain as well.
func (c *chained) noted(l evidence.Custody) bool {
	return c.lines[lineKey(l.Action, l.Who, l.At, l.From)]
}

// lineKey is what both have; the audit chain keeps microseconds and texts that
// every database holds.
func lineKey(action, who string, at time.Time, from string) string {
	return strings.Join([]string{action, audit.Clean(who), at.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano), audit.Clean(from)}, "\x00")
}

// missingManifests names the manifests that the audit chain knows, and the store
// does not have or has otherwise.
func missingManifests(list []evidence.Sealed, seals map[int]string) []evidence.Problem {
	problems := []evidence.Problem{}
	have := map[int]string{}
	for _, s := range list {
		have[s.Revision] = s.SHA256
	}
	for _, revision := range slices.Sorted(maps.Keys(seals)) {
		what := fmt.Sprintf("manifest revision %d", revision)
		switch sum, there := have[revision]; {
		case !there:
			problems = append(problems, evidence.Problem{What: what, Why: "the audit chain says that it was sealed, and it is not in the store"})
		case sum != seals[revision]:
			problems = append(problems, evidence.Problem{What: what, Why: "the audit chain has the digest " + seals[revision] + " for it, and the store " + sum})
		}
	}
	return problems
}

func sealedObject(n incident.Number, revision int) string {
	return fmt.Sprintf("%s/manifest/%d", n, revision)
}

// ExportEvidence writes manifests and objects as a tar stream, once everything
// is here and has the hash that the manifest says.
func (d *desk) ExportEvidence(ctx context.Context, n incident.Number, w io.Writer, who string) error {
	list, err := d.manifests(ctx, n)
	if err != nil {
		return err
	}
	c, err := d.chain(ctx, n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "guardroom-export-")
	if err != nil {
		return fmt.Errorf("make a folder for the export: %w", err)
	}
	defer os.RemoveAll(dir)
	out, err := evidence.Export(ctx, filepath.Join(dir, n.String()), list, c.kept(), d.reader(n))
	if err != nil {
		return err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Who: who, Action: "evidence.exported", Object: n.String(), After: fmt.Sprintf("%d files, %d bytes", len(out.Files), out.Bytes)})
		return tx.AddCustody(ctx, n, "", []evidence.Custody{{At: tx.Now(), Who: who, Action: "exported", Item: "manifest and objects"}})
	})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	files := slices.Clone(out.Files)
	slices.Sort(files)
	for _, name := range files {
		if err := addFile(t, out.Folder, name); err != nil {
			return err
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, folder, name string) error {
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}
