package runner

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// dialect is the shape of one API. Its methods are pure; a panic in one costs its task alone.
type dialect interface {
	// path is added to the endpoint; "": nothing is.
	path() string
	// request is the body for a task. An error means that no request can ever be made of it.
	request(task *stintv1.Task) ([]byte, error)
	// result reads the JSON object of an answer with a 2xx status, which is its to change and keep. Exactly one of the two
	// is not nil.
	result(answer *structpb.Struct) (*stintv1.Result, *refusal)
}

var dialects = map[string]dialect{
	"grind": grind{},
	"http":  plain{},
}

// refusal says why an answer is no result.
type refusal struct {
	class stintv1.FailureClass
	text  string
	cost  *float64 // US dollars; nil: not said
}

func badResponse(format string, args ...any) *refusal {
	return &refusal{class: stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE, text: fmt.Sprintf(format, args...)}
}

// encode is JSON as people write it, without escapes for HTML.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("runner: task can't be written as JSON: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// textOf is what stands under key, if it is a string.
func textOf(answer *structpb.Struct, key string) (string, bool) {
	said, ok := answer.GetFields()[key].GetKind().(*structpb.Value_StringValue)
	if !ok {
		return "", false
	}
	return said.StringValue, true
}

// statedFailure is not nil if the answer itself says that the task failed.
func statedFailure(answer *structpb.Struct) *refusal {
	status, _ := textOf(answer, "status")
	if status != "failed" && status != "error" {
		return nil
	}
	text := statedError(answer)
	if said, ok := textOf(answer, "result"); ok && text == "" {
		text = said
	}
	if text == "" {
		text = "status is " + status
	}
	return &refusal{class: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, text: text, cost: cost(answer)}
}

// statedError finds the text of an error where APIs usually put it; "": nowhere.
func statedError(answer *structpb.Struct) string {
	for _, key := range []string{"error", "message", "detail"} {
		if text, _ := textOf(answer, key); text != "" {
			return text
		}
		if text, _ := textOf(answer.GetFields()[key].GetStructValue(), "message"); text != "" {
			return text
		}
	}
	return ""
}

// maxCost is the most that a report can state, in US dollars.
const maxCost = 1_000_000

// cost is the answer's budget_used; nil if it says none that a report can carry.
func cost(answer *structpb.Struct) *float64 {
	said, ok := answer.GetFields()["budget_used"].GetKind().(*structpb.Value_NumberValue)
	if !ok || said.NumberValue < 0 || said.NumberValue > maxCost {
		return nil
	}
	return proto.Float64(said.NumberValue)
}

// filled is s if there is anything in it.
func filled(s *structpb.Struct) *structpb.Struct {
	if len(s.GetFields()) == 0 {
		return nil
	}
	return s
}
