package main

import (
	"context"
	"path/filepath"

	"github.com/guardroom/guardroom/api"
	"github.com/guardroom/guardroom/app"
)

// StoreCmd is about the store.
type StoreCmd struct {
	Backup  StoreBackupCmd  `cmd:"" help:"Copy the live store to a file."`
	Migrate StoreMigrateCmd `cmd:"" help:"Bring the store's schema up to date, or make a new store."`
	Prune   StorePruneCmd   `cmd:"" help:"Remove what is older than the configured retention."`
}

// StoreBackupCmd copies the store.
type StoreBackupCmd struct {
	File string `arg:"" help:"File to write; it must not exist."`
}

// Run backs the store up while it is in use.
func (c *StoreBackupCmd) Run(ctx context.Context, e *env) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	return e.withClient(ctx, func(cl *api.Client) error {
		var told api.Told
		if err := cl.Do(ctx, "POST", "/v1/store/backup", nil, api.BackupCommand{Path: path}, &told); err != nil {
			return err
		}
		return e.told(told)
	})
}

// StoreMigrateCmd brings the schema up to date.
type StoreMigrateCmd struct{}

// Help says when it is needed.
func (StoreMigrateCmd) Help() string {
	return "Every command does it by itself; this one is for doing it at a time of your choice, after a backup.\nA store that a newer guardroom has migrated is refused."
}

// Run opens the store, which migrates it.
func (c *StoreMigrateCmd) Run(ctx context.Context, e *env) error {
	return e.open(ctx, opening{mode: app.ModeImport}, func(cl *client) error {
		var s api.Status
		if err := cl.Do(ctx, "GET", "/v1/status", nil, nil, &s); err != nil {
			return err
		}
		return e.told(api.Told{Message: s.Store + " is up to date"})
	})
}

// StorePruneCmd removes old things.
type StorePruneCmd struct{}

// Run prunes the store.
func (c *StorePruneCmd) Run(ctx context.Context, e *env) error {
	return e.withClient(ctx, func(cl *api.Client) error {
		var told api.Told
		if err := cl.Do(ctx, "POST", "/v1/store/prune", nil, nil, &told); err != nil {
			return err
		}
		return e.told(told)
	})
}

func (e *env) told(t api.Told) error {
	if e.JSON {
		return e.object(t)
	}
	e.printf("%s\n", clean(t.Message))
	return nil
}
