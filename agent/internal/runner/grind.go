package runner

import (
	"maps"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// grind is the dialect of POST {endpoint}/grind:
//
//	prompt, model, model_tier, min_budget, max_budget, intensity, task_id, and the task's other parameters
//	→ status, result, model, budget_used, usage, task_id
//
// A result that is no string stands in the output under `result`, and as compact JSON in the text. Keys of the answer
// that have no field of their own go to the output as they are.
type grind struct{}

func (grind) path() string { return "grind" }

// grindTask is what a task says itself.
type grindTask struct {
	Prompt    string   `json:"prompt"`
	TaskID    string   `json:"task_id"`
	Intensity string   `json:"intensity"`
	MinBudget *float64 `json:"min_budget,omitempty"`
	MaxBudget *float64 `json:"max_budget,omitempty"`
}

// request lets parameters add keys, never change what the task says itself: its budget is money.
func (grind) request(task *stintv1.Task) ([]byte, error) {
	own := grindTask{Prompt: task.GetInstruction(), TaskID: task.GetId(), Intensity: intensity(task.GetIntensity())}
	if budget := task.GetBudget(); budget != nil {
		own.MinBudget, own.MaxBudget = budget.MinUsd, budget.MaxUsd
	}
	body, err := encode(own)
	if err != nil || len(task.GetParameters().GetFields()) == 0 {
		return body, err
	}
	rest := task.GetParameters().AsMap()
	maps.DeleteFunc(rest, func(key string, _ any) bool { return own.says(key) })
	if len(rest) == 0 {
		return body, nil
	}
	more, err := encode(rest)
	if err != nil {
		return nil, err
	}
	return append(append(body[:len(body)-1], ','), more[1:]...), nil
}

// says is true for the keys that t has.
func (t grindTask) says(key string) bool {
	switch key {
	case "prompt", "task_id", "intensity":
		return true
	case "min_budget":
		return t.MinBudget != nil
	case "max_budget":
		return t.MaxBudget != nil
	}
	return false
}

func intensity(i stintv1.Intensity) string {
	if i == stintv1.Intensity_INTENSITY_UNSPECIFIED {
		i = stintv1.Intensity_INTENSITY_MEDIUM
	}
	return strings.ToLower(strings.TrimPrefix(i.String(), "INTENSITY_"))
}

func (grind) result(answer *structpb.Struct) (*stintv1.Result, *refusal) {
	if failure := statedFailure(answer); failure != nil {
		return nil, failure
	}
	result := &stintv1.Result{}
	switch said := answer.GetFields()["result"]; said.GetKind().(type) {
	case nil, *structpb.Value_NullValue:
		return nil, noResult(answer)
	case *structpb.Value_StringValue:
		result.Text = said.GetStringValue()
		delete(answer.GetFields(), "result")
	default:
		text, err := encode(said.AsInterface())
		if err != nil {
			return nil, badResponse("result can't be recorded: %v", err)
		}
		result.Text = string(text)
	}
	delete(answer.GetFields(), "status")
	delete(answer.GetFields(), "task_id")
	takeFacts(result, answer)
	result.Output = filled(answer)
	return result, nil
}

// noResult is a failure of the task if the answer states an error, otherwise an answer of no use.
func noResult(answer *structpb.Struct) *refusal {
	if text := statedError(answer); text != "" {
		return &refusal{class: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, text: text, cost: cost(answer)}
	}
	status, _ := textOf(answer, "status")
	refusal := badResponse("answer has no result (its status is %q)", status)
	refusal.cost = cost(answer)
	return refusal
}

// takeFacts moves model, cost and usage from rest to result, if they have the shape for it.
func takeFacts(result *stintv1.Result, rest *structpb.Struct) {
	if model, ok := textOf(rest, "model"); ok {
		result.Model = model
		delete(rest.GetFields(), "model")
	}
	if usd := cost(rest); usd != nil {
		result.BudgetUsedUsd = usd
		delete(rest.GetFields(), "budget_used")
	}
	if usage := rest.GetFields()["usage"].GetStructValue(); usage != nil {
		result.Usage = filled(usage)
		delete(rest.GetFields(), "usage")
	}
}
