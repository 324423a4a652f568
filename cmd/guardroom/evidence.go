package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/evidence"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// EvidenceCmd is about what was preserved.
type EvidenceCmd struct {
	List   EvidenceListCmd   `cmd:"" help:"List what was preserved of an incident, and what could not be."`
	Show   EvidenceShowCmd   `cmd:"" help:"Show items whole, the chain of custody and the manifests."`
	Verify EvidenceVerifyCmd `cmd:"" help:"Compute the hashes again from what is stored."`
	Export EvidenceExportCmd `cmd:"" help:"Copy manifest, objects and custody into a folder."`
}

func evidencePath(number string) string { return incidentPath(number) + "/evidence" }

func (e *env) evidence(ctx context.Context, number string, show func(d api.EvidenceDetail) error) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var d api.EvidenceDetail
		if err := cl.Do(ctx, "GET", evidencePath(number), nil, nil, &d); err != nil {
			return err
		}
		return show(d)
	})
}

// EvidenceListCmd lists items.
type EvidenceListCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
}

// Help shows examples.
func (EvidenceListCmd) Help() string {
	return "Examples:\n  guardroom evidence list INC-42\n  guardroom evidence list INC-42 --json"
}

// Run lists evidence. With --json items and gaps are told apart by their type.
func (c *EvidenceListCmd) Run(ctx context.Context, e *env) error {
	return e.evidence(ctx, c.Number, func(d api.EvidenceDetail) error {
		if e.JSON {
			return e.evidenceObjects(d)
		}
		t := newTable("item", "kind", "what", "where", "sha256", "locked until").
			wrap().drop("locked until", "kind").below("sha256", "where", "what")
		for _, i := range d.Items {
			hash := cell{i.SHA256, short(i.SHA256)}
			if evidence.IsRemoved(i.Gap) {
				hash = cell{i.Gap, i.Gap}
			} else if i.SHA256 == "" {
				hash = cell{"none: " + i.Gap, "none: " + i.Gap}
			}
			locked := ""
			if !i.LockUntil.IsZero() {
				locked = i.LockUntil.UTC().Format("2006-01-02") + " " + i.LockMode
			}
			t.row(i.ID, string(i.Kind), titleOf(i), i.Location, hash, locked)
		}
		if err := e.list(t, len(d.Items), "no evidence of this incident: a run of a plan preserves it"); err != nil {
			return err
		}
		for _, g := range d.Gaps {
			e.printf("lacks  %s\n", oneLine(g.What+": "+g.Why))
		}
		return nil
	})
}

type evidenceLine struct {
	Type string `json:"type"` // item
	store.Preserved
}

type gapLine struct {
	Type string `json:"type"` // gap
	store.Lacking
}

func (e *env) evidenceObjects(d api.EvidenceDetail) error {
	for _, i := range d.Items {
		if err := e.object(evidenceLine{"item", i}); err != nil {
			return err
		}
	}
	for _, g := range d.Gaps {
		if err := e.object(gapLine{"gap", g}); err != nil {
			return err
		}
	}
	return nil
}

func titleOf(i store.Preserved) string {
	s := i.Title
	if i.Simulated {
		s += ", simulated"
	}
	if i.Working {
		s += ", a working copy"
	}
	return s
}

// evidenceWords is an item on one line, for the end of a run.
func evidenceWords(i evidence.Item) string {
	s := i.Title
	if i.Location != "" {
		s += " " + i.Location
	}
	switch {
	case i.SHA256 != "":
		s += ", sha256 " + short(i.SHA256)
	case evidence.IsRemoved(i.Gap):
		s += ", " + i.Gap
	case i.Gap != "":
		s += ", no hash: " + i.Gap
	}
	return s
}

// EvidenceShowCmd shows all about it.
type EvidenceShowCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
	Item   string `arg:"" optional:"" help:"One item [all]."`
}

// Help shows examples.
func (EvidenceShowCmd) Help() string {
	return "Examples:\n  guardroom evidence show INC-42\n  guardroom evidence show INC-42 snapshot/vol-0a1b2c3d4e5f60001"
}

// Run shows evidence.
func (c *EvidenceShowCmd) Run(ctx context.Context, e *env) error {
	return e.evidence(ctx, c.Number, func(d api.EvidenceDetail) error {
		if c.Item != "" {
			var only []store.Preserved
			for _, i := range d.Items {
				if i.ID == c.Item {
					only = append(only, i)
				}
			}
			if len(only) == 0 {
				return fault.New(fault.NotFound, fmt.Sprintf("%s has no evidence %s", c.Number, c.Item), "guardroom evidence list "+c.Number)
			}
			d.Items = only
		}
		if e.JSON {
			return e.object(d)
		}
		for _, i := range d.Items {
			e.item(i)
		}
		if c.Item != "" {
			return nil
		}
		for _, g := range d.Gaps {
			e.printf("lacks  %s\n", oneLine(g.What+": "+g.Why))
		}
		e.approvals(d.Approvals)
		e.custody(d)
		return nil
	})
}

func (e *env) item(i store.Preserved) {
	hash := i.SHA256
	if hash != "" && i.HashOver != "" {
		hash += " over " + i.HashOver
	}
	lacks := "no hash"
	if hash != "" {
		lacks = "lacks"
	}
	size, locked, until := "", "", ""
	if i.SizeBytes > 0 {
		size = fmt.Sprintf("%d bytes", i.SizeBytes)
	}
	if !i.LockUntil.IsZero() {
		locked = i.LockMode + " until " + stamp(i.LockUntil)
	}
	if i.Working {
		until = "a working copy, cleaned up after " + stamp(i.WorkingUntil)
	}
	e.printf("%s  %s\n", oneLine(i.ID), clean(string(i.Kind)))
	e.pairs("what", titleOf(i), "taken from", strings.TrimSpace(i.Source+" "+i.Device), "is at", i.Location, "version", i.Version, "account", i.Account+", "+i.Region,
		"size", size, "made", stamp(i.CreatedAt), "sha256", hash, lacks, i.Gap, "how", i.How, "tool", i.Tool, "key", i.Key, "locked", locked,
		"trust", i.Trust, "instant of", i.Set, "kept", until, "run", string(i.Run))
	e.printf("\n")
}

// approvals prints who approved which plan, by its digest, when and why.
func (e *env) approvals(list []evidence.Approval) {
	if len(list) == 0 {
		return
	}
	e.printf("\napprovals\n")
	t := newTable("when", "who", "how", "digest", "plan", "run", "why").wrap().below("why", "run", "plan")
	for _, a := range list {
		how := a.How
		if a.Rule != "" {
			how = strings.TrimSpace(how + " " + a.Rule)
		}
		t.row(stamp(a.At), a.Who, how, cell{a.Digest, short(a.Digest)}, a.Plan, a.Run, a.Reason)
	}
	t.print(e)
}

func (e *env) custody(d api.EvidenceDetail) {
	e.printf("\nchain of custody\n")
	t := newTable("when", "who", "action", "item", "from", "to", "why").wrap().below("why", "from", "to")
	for _, c := range d.Custody {
		t.row(stamp(c.At), c.Who, c.Action, c.Item, c.From, c.To, c.Reason)
	}
	t.print(e)
	e.printf("\nmanifests\n")
	t = newTable("revision", "sealed", "sha256")
	for _, m := range d.Manifests {
		t.row(fmt.Sprint(m.Revision), stamp(m.At), m.Digest)
	}
	t.print(e)
}

// EvidenceVerifyCmd checks it.
type EvidenceVerifyCmd struct {
	Number string `arg:"" help:"Incident, as INC-42."`
}

// Help shows what it ends with.
func (EvidenceVerifyCmd) Help() string {
	return "Examples:\n  guardroom evidence verify INC-42\n  guardroom evidence verify INC-42 --json\n\nExits with 4 when something differs, and names each."
}

// Run verifies evidence and names what differs.
func (c *EvidenceVerifyCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		if !e.JSON {
			e.say("reading what is stored; large disks take their time …")
		}
		var r evidence.Report
		if err := cl.Do(ctx, "POST", evidencePath(c.Number)+"/verify", url.Values{}, nil, &r); err != nil {
			return err
		}
		if !r.Good() {
			e.failed = exitVerify
		}
		if e.JSON {
			return e.object(r)
		}
		e.verified(r)
		return nil
	})
}

func (e *env) verified(r evidence.Report) {
	t := newTable("", "item", "checked", "sha256").wrap().below("sha256", "checked")
	good, unchecked := 0, 0
	for _, i := range r.Items {
		word := "FAIL"
		switch {
		case i.Good:
			word = "ok"
			good++
		case strings.HasPrefix(i.How, "not checked"): // and how says why
			word = "-"
			unchecked++
		}
		t.row(word, i.ID, i.How, i.SHA256)
	}
	if len(r.Items) > 0 {
		t.print(e)
	}
	if r.Good() {
		e.printf("ok: %s agrees with what is stored: %d checked, %d not, %s\n", clean(r.Incident), good, unchecked, plural(r.Manifests, "manifest"))
		return
	}
	for _, p := range r.Problems {
		fmt.Fprintf(e.stderr, "error: %s\n", oneLine(p.What+": "+p.Why))
	}
	fmt.Fprintln(e.stderr, "safe:  nothing was changed by this check, and sealed evidence is never deleted by guardroom")
	fmt.Fprintf(e.stderr, "hint:  keep all of it as it is; guardroom evidence show %s names who had it in hand\n", clean(r.Incident))
}
