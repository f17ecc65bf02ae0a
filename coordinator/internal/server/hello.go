package server

import (
	"fmt"
	"slices"

	"buf.build/go/protovalidate"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func noHello() *refusal {
	return refuse(stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL,
		"the first message has no hello; begin a stream with it")
}

// helloOf translates the first message of a stream. refused are the acks of its malformed
// reports.
func helloOf(r *stintv1.SessionRequest, rules protovalidate.Validator) (h engine.Hello, refused []*stintv1.ReportAck, err error) {
	x := r.GetHello()
	if x == nil {
		return h, nil, noHello()
	}
	if v := x.GetProtocolVersion(); v != 0 && v != 1 {
		return h, nil, &refusal{
			reason: stintv1.ErrorReason_ERROR_REASON_VERSION_UNSUPPORTED,
			text:   fmt.Sprintf("hello.protocol_version is %d and 1 is spoken here; use an agent that fits", v),
			names:  []string{"protocol_version"},
		}
	}
	if faults := checkHello(x); len(faults) > 0 {
		return h, nil, invalidFields(faults)
	}
	h = engine.Hello{
		Agent: x.GetAgentId(), Instance: x.GetInstanceId(), Version: cut(x.GetVersion(), maxVersionText),
		Labels: labels(x.GetLabels()), Queues: x.GetQueues(), Slots: x.GetSlots(),
	}
	h.First, refused, err = message(r, rules)
	return h, refused, err
}

// checkHello holds the hello to what the contract says of it.
func checkHello(h *stintv1.Hello) []fault {
	const id = "must begin with a letter or digit and have 1 to 128 of letters, digits and ._:-"
	var faults []fault
	bad := func(is bool, path, text string) {
		if is {
			faults = append(faults, fault{path, text})
		}
	}
	bad(!queue.IsID(h.GetAgentId()), "hello.agent_id", id)
	bad(!queue.IsID(h.GetInstanceId()), "hello.instance_id", id)
	bad(h.GetSlots() < 0, "hello.slots", "must not be negative")
	bad(len(h.GetLabels()) > maxLabels, "hello.labels", fmt.Sprintf("must have at most %d labels", maxLabels))
	for _, k := range sortedKeys(h.GetLabels()) {
		path := fmt.Sprintf("hello.labels[%q]", cut(k, maxKeyText))
		bad(!isLabelKey(k), path, "key must begin with a letter or digit and have 1 to 63 of letters, digits and ._/-")
		bad(!isLabelValue(h.GetLabels()[k]), path, "value must have at most 128 of letters, digits and ._:/@+-")
	}
	bad(len(h.GetQueues()) > maxHelloQueues, "hello.queues", fmt.Sprintf("must have at most %d queues; leave it empty for all", maxHelloQueues))
	for i, q := range h.GetQueues() {
		if len(faults) > maxErrorNames {
			break
		}
		bad(!queue.IsID(q), fmt.Sprintf("hello.queues[%d]", i), id)
	}
	return faults
}

// sortedKeys gives the first keys of a map, so that the same fault is told in the same way.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys[:min(len(keys), maxLabels)]
}
