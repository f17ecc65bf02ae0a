package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxTaskID is the longest id of a task, in bytes.
const maxTaskID = 128

// faults collects what is wrong with a request, so that the caller hears of all of it at once.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *faults) checkTaskID(id string) {
	if len(id) > maxTaskID {
		f.add("task_id has %d bytes; give at most %d", len(id), maxTaskID)
	}
}

// reply is the 400 that names the faults.
func (f faults) reply() reply {
	return failure(http.StatusBadRequest, "invalid_request", "%s", strings.Join(f, "; "))
}

// decode reads one JSON object into request; what is wrong with its shape comes back as faults.
func decode(body []byte, request any) (f faults) {
	if len(bytes.TrimSpace(body)) == 0 {
		f.add("body is empty; send a JSON object")
		return f
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	err := dec.Decode(request)
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field == "":
		f.add("body is a JSON %s; send an object", wrongType.Value)
	case errors.As(err, &wrongType):
		f.add("%s is a %s; give a %s", wrongType.Field, wrongType.Value, jsonName(wrongType.Type.Kind().String()))
	case errors.As(err, &syntax):
		f.add("body is not JSON at byte %d: %v; send an object", syntax.Offset, syntax)
	case err != nil:
		f.add("body is not JSON: %v; send an object", err)
	default:
		if _, err := dec.Token(); err != io.EOF {
			f.add("body goes on after its JSON object; send one object")
		}
	}
	return f
}

// jsonName is the word that people who write JSON have for a kind of Go value.
func jsonName(kind string) string {
	switch kind {
	case "float64":
		return "number"
	case "bool":
		return "true or false"
	case "slice":
		return "list"
	case "struct":
		return "object"
	}
	return kind
}
