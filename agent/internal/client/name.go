package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// The prefixes that enum values carry on the wire and people needn't type or read.
const (
	statePrefix       = "TASK_STATE_"
	classPrefix       = "FAILURE_CLASS_"
	outcomePrefix     = "ATTEMPT_OUTCOME_"
	kindPrefix        = "EVENT_KIND_"
	leaseEndPrefix    = "LEASE_END_REASON_"
	agentStatePrefix  = "AGENT_STATE_"
	codePrefix        = "EXPLANATION_CODE_"
	rolePrefix        = "COORDINATOR_ROLE_"
	intensityPrefix   = "INTENSITY_"
	dependencyPrefix  = "ON_DEPENDENCY_FAILURE_"
	unknownPrefix     = "UNKNOWN_OUTCOME_"
	periodPrefix      = "BUDGET_PERIOD_"
	spendGroupPrefix  = "SPEND_GROUP_"
	unspecifiedSuffix = "UNSPECIFIED"
)

// bare answers the name of an enum value without its prefix; "" if it is unset.
func bare(prefix string, value interface {
	fmt.Stringer
	protoreflect.Enum
}) string {
	if value.Number() == 0 {
		return ""
	}
	return strings.TrimPrefix(value.String(), prefix)
}

// parseName finds the number of an enum value by its name, in any case, with or without prefix. Empty text is 0, unset.
func parseName(field, prefix string, numbers map[string]int32, text string) (int32, error) {
	if text == "" {
		return 0, nil
	}
	name := strings.TrimPrefix(strings.ToUpper(strings.ReplaceAll(text, "-", "_")), prefix)
	if number, ok := numbers[prefix+name]; ok && name != unspecifiedSuffix {
		return number, nil
	}
	return 0, fmt.Errorf("client: %s %q is unknown; give one of %s", field, text, strings.Join(names(prefix, numbers), ", "))
}

// names lists what parseName takes, in the order of the contract.
func names(prefix string, numbers map[string]int32) []string {
	full := slices.SortedFunc(maps.Keys(numbers), func(a, b string) int { return int(numbers[a] - numbers[b]) })
	var list []string
	for _, name := range full {
		if name = strings.TrimPrefix(name, prefix); name != unspecifiedSuffix {
			list = append(list, strings.ToLower(name))
		}
	}
	return list
}

// terminal answers whether s is a state that only a retry leads out of.
func terminal(s stintv1.TaskState) bool {
	return s >= stintv1.TaskState_TASK_STATE_COMPLETED
}
