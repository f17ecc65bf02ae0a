package server

import (
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// canonical appends a message, encoded such that equal content gives equal bytes.
func canonical(b []byte, m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
	if err != nil {
		return nil, fmt.Errorf("server: encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return b, nil
}

// encoder encodes what is kept of messages: canonically, which for most of them it does by hand,
// for a third of the price. It is for one goroutine.
type encoder struct {
	shared []byte // what the results of a message share; it ends with the newest
	items  int    // how many results are to come, about
}

// task encodes a task that is filled in. The bytes have an array of their own, since some outlive
// by far the tasks that came with them.
func (e *encoder) task(t *stintv1.Task) ([]byte, error) {
	if !hasPlainCode(t) {
		return canonical(nil, t)
	}
	return appendTask(make([]byte, 0, sizeTask(t)), t), nil
}

// What a report's digest begins with, so that a result and a failure never compare as equal.
const (
	resultMark  = 'r'
	failureMark = 'f'
)

// result encodes a result.
func (e *encoder) result(r *stintv1.Result) ([]byte, queue.Digest, error) {
	const share, overhead = 16 << 10, 32 // bytes that results share at most; and that one has besides its text
	b := e.shared[len(e.shared):]
	if need := len(r.GetText()) + len(r.GetModel()) + overhead; cap(b) < need {
		b = make([]byte, 0, max(need, min(need*e.items, share)))
	}
	e.items--
	b = append(b, resultMark)
	var err error
	if r.Output == nil && r.Usage == nil && len(r.ProtoReflect().GetUnknown()) == 0 && utf8.ValidString(r.Text) && utf8.ValidString(r.Model) {
		b = appendResult(b, r)
	} else if b, err = canonical(b, r); err != nil {
		return nil, queue.Digest{}, err
	}
	e.shared = b
	return b[1:len(b):len(b)], queue.DigestOf(b), nil
}

// hasPlainCode tells that appendTask encodes all of a task.
func hasPlainCode(t *stintv1.Task) bool {
	return t.Parameters == nil && t.NotBefore == nil && t.ExpireTime == nil && len(t.Labels) == 0 && t.Status == nil &&
		t.FairnessKey == "" && t.ConcurrencyKey == "" &&
		t.Budget == unsetBudget && t.AttemptTimeout == unsetAttemptTimeout && t.Retry == unsetRetry &&
		len(t.ProtoReflect().GetUnknown()) == 0 && utf8.ValidString(t.Id) && utf8.ValidString(t.Queue) &&
		utf8.ValidString(t.Instruction) && allValid(t.DependsOn) && allValid(t.Requires)
}

func allValid(list []string) bool {
	for _, s := range list {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

// The messages that stand for unset fields, encoded.
var (
	unsetBudgetCode         = constant(unsetBudget)
	unsetAttemptTimeoutCode = constant(unsetAttemptTimeout)
	unsetRetryCode          = constant(unsetRetry)
)

func constant(m proto.Message) string {
	b, err := canonical(nil, m)
	if err != nil {
		panic(err) // they are well formed
	}
	return string(b)
}

// appendTask encodes the fields in the order of their numbers, as the library does.
func appendTask(b []byte, t *stintv1.Task) []byte {
	b = appendText(b, taskID, t.Id)
	b = appendText(b, taskQueue, t.Queue)
	b = appendText(b, taskInstruction, t.Instruction)
	b = appendTexts(b, taskDependsOn, t.DependsOn)
	b = appendNumber(b, taskOnDependencyFailure, int64(t.OnDependencyFailure))
	b = appendItem(b, taskBudget, unsetBudgetCode)
	b = appendNumber(b, taskIntensity, int64(t.Intensity))
	b = appendNumber(b, taskPriority, int64(t.Priority))
	b = appendItem(b, taskAttemptTimeout, unsetAttemptTimeoutCode)
	b = appendItem(b, taskRetry, unsetRetryCode)
	return appendTexts(b, taskRequires, t.Requires)
}

// sizeTask is the number of bytes that appendTask appends.
func sizeTask(t *stintv1.Task) int {
	n := sizeText(t.Id) + sizeText(t.Queue) + sizeText(t.Instruction) + sizeNumber(int64(t.OnDependencyFailure)) +
		sizeItem(len(unsetBudgetCode)) + sizeNumber(int64(t.Intensity)) + sizeNumber(int64(t.Priority)) +
		sizeItem(len(unsetAttemptTimeoutCode)) + sizeItem(len(unsetRetryCode))
	for _, v := range t.DependsOn {
		n += sizeItem(len(v))
	}
	for _, v := range t.Requires {
		n += 1 + sizeItem(len(v)) // its number takes two bytes
	}
	return n
}

func appendResult(b []byte, r *stintv1.Result) []byte {
	b = appendText(b, resultText, r.Text)
	b = appendText(b, resultModel, r.Model)
	if r.BudgetUsedUsd != nil {
		b = protowire.AppendTag(b, resultBudgetUsed, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(*r.BudgetUsedUsd))
	}
	return b
}

// appendItem appends a field of bytes, a text or a message, even if it is empty.
func appendItem(b []byte, n protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func appendText(b []byte, n protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return appendItem(b, n, v)
}

func appendTexts(b []byte, n protowire.Number, list []string) []byte {
	for _, v := range list {
		b = appendItem(b, n, v)
	}
	return b
}

func appendNumber(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

// sizeItem is what appendItem appends for a value of n bytes; the field's number is below 16.
func sizeItem(n int) int { return 1 + protowire.SizeBytes(n) }

func sizeText(v string) int {
	if v == "" {
		return 0
	}
	return sizeItem(len(v))
}

func sizeNumber(v int64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(uint64(v))
}
