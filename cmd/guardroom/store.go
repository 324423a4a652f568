package main

import (
	"context"
	"path/filepath"

	"github.com/guardroom/guardroom/api"
)

// StoreCmd is about the store.
type StoreCmd struct {
	Backup StoreBackupCmd `cmd:"" help:"Copy the live store to a file."`
	Prune  StorePruneCmd  `cmd:"" help:"Remove what is older than the configured retention."`
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
