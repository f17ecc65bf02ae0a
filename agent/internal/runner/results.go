package runner

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// A reference stands between openMark and closeMark, and begins with resultsMark, blanks apart; all else is text.
	openMark, closeMark = "{{", "}}"
	resultsMark         = "results."

	// maxInstruction bounds an instruction with its results filled in, in bytes: once all that parents may have, and the
	// rest. Unbounded, a short instruction that names a long result often would take all memory there is.
	maxInstruction = 2 << 20
)

// withResults answers the lease's task with the references in its instruction filled in, from the results of the tasks that
// it depends on; the task itself where there are none. What was filled in is text: nothing in it is looked at again.
func withResults(lease *stintv1.Lease) (*stintv1.Task, error) {
	task := lease.GetTask()
	if !strings.Contains(task.GetInstruction(), openMark) {
		return task, nil
	}
	text, err := fill(task.GetInstruction(), lease.GetParents())
	if err != nil {
		return nil, err
	}
	filled := proto.CloneOf(task)
	filled.Instruction = text
	return filled, nil
}

// fill goes through text once, from left to right.
func fill(text string, parents []*stintv1.ParentResult) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, openMark)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		value := openMark
		if strings.HasPrefix(strings.TrimLeft(rest, " \t"), resultsMark) {
			reference, after, closed := strings.Cut(rest, closeMark)
			if !closed {
				return "", errors.New("runner: instruction has a {{ results. that no }} ends; write it as {{ results.ID.text }}")
			}
			var err error
			if value, err = resolve(strings.Trim(reference, " \t"), parents); err != nil {
				return "", err
			}
			rest = after
		}
		out.WriteString(value)
		if out.Len()+len(rest) > maxInstruction {
			return "", fmt.Errorf("runner: instruction with its results has over %d bytes; name fewer or shorter results", maxInstruction)
		}
		text = rest
	}
}

// resolve answers what a reference such as results.a.text stands for. Ids may have points too: the longest id that fits is
// meant. A parent that ended without a result is empty text: its child was to run all the same.
func resolve(reference string, parents []*stintv1.ParentResult) (string, error) {
	var parent *stintv1.ParentResult
	field := ""
	for _, p := range parents {
		rest, named := strings.CutPrefix(reference, resultsMark+p.GetTaskId()+".")
		if named && (rest == "text" || strings.HasPrefix(rest, "output.")) && len(p.GetTaskId()) > len(parent.GetTaskId()) {
			parent, field = p, rest
		}
	}
	switch {
	case parent == nil:
		return "", fmt.Errorf("runner: {{ %s }} names no result that came with the lease; give text or output.KEY of a task in depends_on", reference)
	case parent.GetResult() == nil:
		return "", nil
	case field == "text":
		return parent.GetResult().GetText(), nil
	}
	value, found := inside(structpb.NewStructValue(parent.GetResult().GetOutput()), strings.Split(field, ".")[1:])
	if !found {
		return "", fmt.Errorf("runner: {{ %s }}: the output of task %s has no such value", reference, parent.GetTaskId())
	}
	return valueText(value)
}

// inside walks by keys of objects and indices of lists, from 0.
func inside(value *structpb.Value, path []string) (*structpb.Value, bool) {
	for _, step := range path {
		if list := value.GetListValue(); list != nil {
			at, err := strconv.Atoi(step)
			if err != nil || at < 0 || at >= len(list.GetValues()) {
				return nil, false
			}
			value = list.GetValues()[at]
			continue
		}
		next, found := value.GetStructValue().GetFields()[step]
		if !found {
			return nil, false
		}
		value = next
	}
	return value, true
}

// valueText is a string as it is, and all else as compact JSON.
func valueText(value *structpb.Value) (string, error) {
	if said, ok := value.GetKind().(*structpb.Value_StringValue); ok {
		return said.StringValue, nil
	}
	text, err := encode(value.AsInterface())
	return string(text), err
}
