package config

import _ "embed"

//go:generate go test ../internal/gen/configdoc -run TestGeneratedFilesAreFresh -update

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a configuration file, made from
// the structs of this package and their comments.
func Schema() ([]byte, error) {
	out := make([]byte, len(schema))
	copy(out, schema)
	return out, nil
}

//go:embed template.yaml
var template []byte

// Template is a file to begin with: it works as soon as the environment
// variables that it names are set.
func Template() []byte {
	out := make([]byte, len(template))
	copy(out, template)
	return out
}
