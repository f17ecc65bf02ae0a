package runner

import (
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// plain is the dialect `http`, for an API of one's own: POST to the endpoint itself
//
//	instruction, parameters, task_id
//	→ any JSON object
//
// The object is the output; its `text`, or else `result`, is the text if it is a string. Model, cost and usage are taken
// from the keys that grind has for them, and stay in the output too.
type plain struct{}

func (plain) path() string { return "" }

func (plain) request(task *stintv1.Task) ([]byte, error) {
	return encode(map[string]any{
		"instruction": task.GetInstruction(),
		"parameters":  task.GetParameters().AsMap(),
		"task_id":     task.GetId(),
	})
}

func (plain) result(answer *structpb.Struct) (*stintv1.Result, *refusal) {
	if failure := statedFailure(answer); failure != nil {
		return nil, failure
	}
	result := &stintv1.Result{BudgetUsedUsd: cost(answer), Output: filled(answer)}
	for _, key := range []string{"text", "result"} {
		if text, ok := textOf(answer, key); ok {
			result.Text = text
			break
		}
	}
	result.Model, _ = textOf(answer, "model")
	result.Usage = filled(answer.GetFields()["usage"].GetStructValue())
	return result, nil
}
