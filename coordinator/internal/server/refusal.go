package server

import (
	"fmt"
	"strings"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// refusal is an error with its reason: what the door makes a status of. Its texts are safe to
// show to any caller and say what to do.
type refusal struct {
	reason   stintv1.ErrorReason
	text     string
	fields   []fault           // for INVALID_ARGUMENT: what is wrong where
	names    []string          // the tasks, queue or agent it is about
	retry    time.Duration     // 0: the delay of its reason, if that has one
	metadata map[string]string // further facts, for programs
}

// fault is one field that breaks its rule.
type fault struct {
	path string // like tasks[3].depends_on[0]
	text string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("server: %s: %s", reasonName(r.reason), r.text)
}

// reasonName is the reason as ErrorInfo carries it.
func reasonName(r stintv1.ErrorReason) string {
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

const reasonPrefix = "ERROR_REASON_"

// invalid refuses a field.
func invalid(path, format string, args ...any) *refusal {
	return invalidFields([]fault{{path, fmt.Sprintf(format, args...)}})
}

// invalidFields refuses fields, at least one.
func invalidFields(fields []fault) *refusal {
	return &refusal{reason: stintv1.ErrorReason_ERROR_REASON_FIELD_INVALID, text: tell(fields), fields: fields}
}

// refuse makes a refusal that is about no field.
func refuse(reason stintv1.ErrorReason, format string, args ...any) *refusal {
	return &refusal{reason: reason, text: fmt.Sprintf(format, args...)}
}

// refuseField makes a refusal of another reason than FIELD_INVALID that is about a field.
func refuseField(reason stintv1.ErrorReason, path, format string, args ...any) *refusal {
	f := []fault{{path, fmt.Sprintf(format, args...)}}
	return &refusal{reason: reason, text: tell(f), fields: f}
}

// tell puts the first fault in words and says how many more there are.
func tell(fields []fault) string {
	text := fields[0].text
	if p := fields[0].path; p != "" {
		text = p + ": " + text
	}
	if more := len(fields) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// list puts names in words, the first few of many.
func list(names []string) string {
	quoted := make([]string, 0, min(len(names), maxErrorNames))
	for _, n := range names[:min(len(names), maxErrorNames)] {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	s := strings.Join(quoted, ", ")
	if more := len(names) - len(quoted); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
