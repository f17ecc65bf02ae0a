package runner

import (
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

// request lets parameters add keys, never change what the task says itself: its budget is money.
func (grind) request(task *stintv1.Task) ([]byte, error) {
	body := task.GetParameters().AsMap()
	body["prompt"] = task.GetInstruction()
	body["task_id"] = task.GetId()
	body["intensity"] = intensity(task.GetIntensity())
	if budget := task.GetBudget(); budget != nil {
		if budget.MinUsd != nil {
			body["min_budget"] = budget.GetMinUsd()
		}
		if budget.MaxUsd != nil {
			body["max_budget"] = budget.GetMaxUsd()
		}
	}
	return encode(body)
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
