package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// object is JSON under construction.
type object = map[string]any

// pathParams says what the parameters in paths are.
var pathParams = map[string]string{
	"n": "incident, as INC-42 or 42", "id": "id", "name": "name", "verb": "what to do",
}

var inPath = regexp.MustCompile(`\{([a-z]+)\}`)

// openAPIVersion is the version of the specification that the document follows:
// https://spec.openapis.org/oas/v3.1.0
const openAPIVersion = "3.1.0"

// OpenAPI returns the description of this API as an OpenAPI 3.1 document, made
// from Operations and the Go types of what goes in and comes out.
func OpenAPI() ([]byte, error) {
	s := &schemas{known: object{}}
	failure := s.of(Failure{})
	paths := object{}
	for _, o := range Operations() {
		at, ok := paths[o.Path].(object)
		if !ok {
			at = object{}
			paths[o.Path] = at
		}
		at[strings.ToLower(o.Method)] = o.document(s, failure)
	}
	b, err := json.MarshalIndent(object{
		"openapi": openAPIVersion,
		"info": object{"title": "guardroom", "version": "v1",
			"description": "The API of guardroom. Bodies are JSON, times RFC 3339 in UTC. Fields are only added: ignore those that you do not know.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"security":   []object{{"bearer": []string{}}},
		"paths":      paths,
		"components": object{"schemas": s.known, "securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer", "description": "a personal token (guardroom token create), or listen.api_token"}}},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), s.err
}

// document describes one call.
func (o Operation) document(s *schemas, failure any) object {
	params := []object{}
	for _, m := range inPath.FindAllStringSubmatch(o.Path, -1) {
		schema := object{"type": "string"}
		if m[1] == "verb" {
			schema["enum"] = o.Verbs
		}
		params = append(params, object{"name": m[1], "in": "path", "required": true, "description": pathParams[m[1]], "schema": schema})
	}
	for _, p := range o.Query {
		params = append(params, object{"name": p.Name, "in": "query", "description": p.Help, "schema": p.schema()})
	}
	broken := func(status, why string) object {
		return object{status: object{"description": why, "content": object{"application/json": object{"schema": failure}}}}
	}
	responses := broken("default", "an error, in three parts")
	for status, why := range map[string]string{"401": "nobody knows who asks", "403": "the caller has not the role " + string(o.Role)} {
		responses[status] = broken(status, why)[status]
	}
	responses["200"] = object{"description": "done", "content": o.content(s, failure)}
	out := object{"operationId": o.id(), "summary": o.Summary, "x-role": o.Role, "responses": responses}
	if len(params) > 0 {
		out["parameters"] = params
	}
	switch {
	case o.Body != nil:
		out["requestBody"] = object{"content": object{"application/json": object{"schema": s.body(o.Body)}}}
	case o.BodyType != "":
		out["requestBody"] = object{"required": true, "content": object{o.BodyType: object{}}}
	}
	return out
}

// content is the answer by media type. A stream that breaks ends with an error
// in place of a line.
func (o Operation) content(s *schemas, failure any) object {
	switch o.Type {
	case "":
		return object{"application/json": object{"schema": s.of(o.Answer)}}
	case ndjson:
		return object{ndjson: object{"schema": object{"description": "each line", "anyOf": []any{s.of(o.Answer), failure}}}}
	}
	return object{o.Type: object{}}
}

// id is a name for the call in generated clients: getIncidentsN.
func (o Operation) id() string {
	words := strings.FieldsFunc(strings.TrimPrefix(o.Path, "/v1/"), func(r rune) bool { return strings.ContainsRune("/{}._", r) })
	id := strings.ToLower(o.Method)
	for _, w := range words {
		id += strings.ToUpper(w[:1]) + w[1:]
	}
	return id
}

func (p Param) schema() object {
	one := object{"type": "string"}
	if len(p.Values) > 0 {
		one["enum"] = p.Values
	}
	switch p.Kind {
	case "number":
		return object{"type": "integer"}
	case "time":
		return object{"type": "string", "format": "date-time"}
	case "flag":
		return object{"type": "boolean"}
	case "list":
		return object{"type": "array", "items": one}
	}
	return one
}

func (h *handler) openapi(w http.ResponseWriter, _ *http.Request) error {
	b, err := OpenAPI()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}
