// Package config turns one YAML file into a Config: strict, with every problem
// reported at its place, secrets as references, defaults filled in once.
//
// A file's bytes come in, a validated Config goes out. The package must never
// print a secret, and never accept a key silently that does nothing.
//
// Read Config, then Load.
package config
