package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/store"
)

// DoctorCmd checks everything.
type DoctorCmd struct{}

// Help says what is checked.
func (DoctorCmd) Help() string {
	return "Checks the store, the audit chain, workers, sources, rules, AWS credentials, detectors and permissions,\nevery destination and the clock. Changes nothing. Exits with 1 when a check fails."
}

// Run prints every check and what to mend.
func (c *DoctorCmd) Run(ctx context.Context, e *env) error {
	missing, err := e.missingStore(ctx)
	if err != nil {
		return err
	}
	if missing != "" {
		checks, err := c.without(ctx, e, missing)
		if err != nil {
			return err
		}
		return c.print(e, checks)
	}
	return e.open(ctx, opening{mode: app.ModeImport, vendors: true}, func(cl *client) error {
		var list api.CheckList
		if err := cl.Do(ctx, "GET", "/v1/doctor", nil, nil, &list); err != nil {
			return err
		}
		return c.print(e, list.Checks)
	})
}

// missingStore is the place of the SQLite file when it is not there yet.
func (e *env) missingStore(ctx context.Context) (string, error) {
	if e.Server != "" {
		return "", nil
	}
	cfg, err := e.load(ctx, storeSecrets)
	if err != nil {
		return "", err
	}
	kind, where, err := app.StoreKind(cfg.Store.Reveal())
	if err != nil || kind != store.SQLite {
		return "", err
	}
	if _, err := os.Stat(where); errors.Is(err, fs.ErrNotExist) {
		return where, nil
	}
	return "", nil
}

// without checks all but the store, which is not there and is not made: the
// checks run on an empty one in a temporary folder.
func (c *DoctorCmd) without(ctx context.Context, e *env, missing string) (checks []api.Check, err error) {
	cfg, err := e.load(ctx, allSecrets)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "guardroom-doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg.Store = config.NewSecret("sqlite:" + filepath.Join(dir, "guardroom.db"))
	cfg.Audit.Head.File, cfg.Audit.Head.S3, cfg.Audit.Head.Log = "", "", false
	a, err := e.build(ctx, cfg, app.Options{Mode: app.ModeImport})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	checks = []api.Check{{Area: "store", What: "sqlite:" + missing, OK: true, Warning: true,
		Message: "no store yet: guardroom serve or guardroom finding import makes it"}}
	for _, x := range a.Doctor(ctx) {
		if x.Area != "store" && x.Area != "audit" {
			checks = append(checks, x)
		}
	}
	return checks, nil
}

func (c *DoctorCmd) print(e *env, checks []api.Check) error {
	failed, warned := 0, 0
	t := newTable("", "area", "what", "result").cut("what", 40).wrap().below("result")
	for _, x := range checks {
		word := "ok"
		switch {
		case !x.OK:
			word = "FAIL"
			failed++
		case x.Warning:
			word = "warn"
			warned++
		}
		if e.JSON {
			if err := e.object(x); err != nil {
				return err
			}
			continue
		}
		t.row(word, x.Area, x.What, x.Message)
		if x.Hint != "" && word != "ok" {
			t.row("", "", "", "hint: "+x.Hint)
		}
	}
	if !e.JSON {
		t.print(e)
		e.printf("\n%s, %d failed, %s\n", plural(len(checks), "check"), failed, plural(warned, "warning"))
	}
	if failed > 0 {
		if e.JSON {
			e.failed = exitFailed
			return nil
		}
		return fault.New(fault.Unavailable, plural(failed, "check")+" failed", "mend what is marked FAIL above")
	}
	return nil
}
