// Package configdoc writes what describes the configuration: its JSON Schema
// and its page of the reference.
//
// The structs of package config and their comments come in, config/schema.json
// and docs/reference/configuration.md go out. It must never say anything about
// a field that does not stand at the field. The test of this package fails when
// one of the files is stale; `go generate ./config` writes them anew.
//
// Read Schema.
package configdoc
