package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/guardroom/guardroom/app"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
)

// ConfigCmd is about the configuration.
type ConfigCmd struct {
	Init   ConfigInitCmd   `cmd:"" help:"Write a configuration to begin with."`
	Check  ConfigCheckCmd  `cmd:"" help:"Check the configuration and show what is wrong at its place."`
	Show   ConfigShowCmd   `cmd:"" help:"Print the effective configuration, secrets masked."`
	Schema ConfigSchemaCmd `cmd:"" help:"Print the JSON Schema of the configuration."`
}

// configPlaces are looked at in order when --config is not given.
var configPlaces = []string{"guardroom.yaml", "/etc/guardroom/guardroom.yaml"}

// configFile is the file that is used, or empty where there is none.
func (e *env) configFile() string {
	if e.Config != "" {
		return e.Config
	}
	for _, p := range configPlaces {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// secrets says which references a command needs the values of.
type secrets int

const (
	storeSecrets secrets = iota // only the store's address
	localSecrets                // what environment and files hold
	allSecrets                  // AWS is asked too
)

func secretsOf(o opening) secrets {
	if o.vendors {
		return allSecrets
	}
	return storeSecrets
}

// load reads the configuration, or takes the defaults where there is none.
func (e *env) load(ctx context.Context, s secrets) (*config.Config, error) {
	cfg := config.Default()
	if file := e.configFile(); file != "" {
		opts := config.LoadOptions{CheckCondition: app.CheckCondition, Offline: true, StoreOnly: s == storeSecrets}
		var err error
		if cfg, err = config.Load(ctx, file, opts); err != nil {
			return nil, err
		}
		// The first look said how AWS is reached, and whether it must be asked.
		if s == allSecrets || e.StoreAddr == "" && cfg.Store.Reveal() == "" {
			opts.Offline, opts.Resolvers = false, app.Resolvers(cfg)
			if cfg, err = config.Load(ctx, file, opts); err != nil {
				return nil, err
			}
		}
	}
	if e.StoreAddr != "" {
		cfg.Store = config.NewSecret(e.StoreAddr)
	}
	return cfg, nil
}

// ConfigInitCmd writes a first file.
type ConfigInitCmd struct {
	File string `arg:"" optional:"" help:"File to write; - prints it." default:"guardroom.yaml"`
}

// Run writes a starter file. One that is there is never overwritten.
func (c *ConfigInitCmd) Run(e *env) error {
	if c.File == "-" {
		_, err := e.stdout.Write(config.Template())
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &fault.Error{Code: fault.Usage, Message: c.File + " is there already", Safe: "it was not touched", Hint: "name another file: guardroom config init FILE"}
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, "write "+c.File, "nothing was written", "")
	}
	_, err = f.Write(config.Template())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	e.say("wrote %s; edit it, then: guardroom config check --config %s", c.File, c.File)
	return nil
}

// ConfigCheckCmd checks the configuration.
type ConfigCheckCmd struct {
	Online bool `help:"Also resolve references to AWS and ask every destination."`
}

// Run checks the file. With --online it also does what doctor does with the
// destinations.
func (c *ConfigCheckCmd) Run(ctx context.Context, e *env) error {
	file := e.configFile()
	if file == "" {
		return fault.New(fault.Usage, "there is no configuration", "guardroom config init writes one; --config names another")
	}
	s := localSecrets
	if c.Online {
		s = allSecrets
	}
	cfg, err := e.load(ctx, s)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings(e.now()) {
		if e.JSON {
			_ = newEncoder(e.stderr).Encode(map[string]any{"warning": w})
			continue
		}
		e.say("warning: %s", w)
	}
	if c.Online {
		checks, err := app.CheckDestinations(ctx, cfg, e.logger(cfg))
		if err != nil {
			return err
		}
		bad := 0
		for _, x := range checks {
			if e.JSON {
				if err := e.object(x); err != nil {
					return err
				}
			} else if !x.OK {
				e.say("error: %s: %s\nhint:  %s", clean(x.What), clean(x.Message), clean(x.Hint))
			}
			if !x.OK {
				bad++
			}
		}
		if bad > 0 {
			e.failed = exitFailed
			return nil
		}
	}
	if e.JSON {
		return e.object(map[string]any{"file": file, "ok": true})
	}
	e.printf("ok: %s\n", file)
	return nil
}

// ConfigShowCmd prints the effective configuration.
type ConfigShowCmd struct{}

// Run prints the configuration with defaults filled in and secrets masked.
func (c *ConfigShowCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(ctx, storeSecrets)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.object(cfg)
	}
	b, err := config.Masked(cfg)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(b)
	return err
}

// ConfigSchemaCmd prints the schema.
type ConfigSchemaCmd struct{}

// Run prints the JSON Schema, for editors.
func (c *ConfigSchemaCmd) Run(e *env) error {
	b, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(b)
	return err
}
