package runner

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// dialect is the shape of one API. Its methods are pure; a panic in one costs its task alone.
type dialect interface {
	// path is added to the endpoint; "": nothing is.
	path() string
	// request is the body for a task. An error means that no request can ever be made of it.
	request(task *stintv1.Task) ([]byte, error)
	// result reads the JSON object of an answer with a 2xx status. Exactly one of the two is not nil.
	result(answer map[string]any) (*stintv1.Result, *refusal)
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

// statedFailure is not nil if the answer itself says that the task failed.
func statedFailure(answer map[string]any) *refusal {
	status, _ := answer["status"].(string)
	if status != "failed" && status != "error" {
		return nil
	}
	text := statedError(answer)
	if said, ok := answer["result"].(string); ok && text == "" {
		text = said
	}
	if text == "" {
		text = "status is " + status
	}
	return &refusal{class: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, text: text, cost: cost(answer)}
}

// statedError finds the text of an error where APIs usually put it; "": nowhere.
func statedError(answer map[string]any) string {
	for _, key := range []string{"error", "message", "detail"} {
		switch said := answer[key].(type) {
		case string:
			if said != "" {
				return said
			}
		case map[string]any:
			if text, ok := said["message"].(string); ok && text != "" {
				return text
			}
		}
	}
	return ""
}

// maxCost is the most that a report can state, in US dollars.
const maxCost = 1_000_000

// cost is the answer's budget_used; nil if it says none that a report can carry.
func cost(answer map[string]any) *float64 {
	usd, ok := answer["budget_used"].(float64)
	if !ok || usd < 0 || usd > maxCost {
		return nil
	}
	return &usd
}

// toStruct turns the rest of an answer into a Struct; nil if nothing is left.
func toStruct(object map[string]any) (*structpb.Struct, *refusal) {
	if len(object) == 0 {
		return nil, nil
	}
	s, err := structpb.NewStruct(object)
	if err != nil {
		return nil, badResponse("answer can't be recorded: %v", err)
	}
	return s, nil
}
