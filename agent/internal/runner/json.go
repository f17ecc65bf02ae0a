package runner

import (
	"bytes"

	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// maxDepth is how deep a Struct may be nested, itself included, for every protobuf library to read it.
	maxDepth = 30

	// maxScanDepth is a little above, so that an answer which is hardly too deep gets the exact figure.
	maxScanDepth = 64

	// maxValues bounds the values of an answer. Each takes at least two bytes of an encoded Struct, so more than this
	// are too large a result anyway; unbounded, 8 MiB of `{},{},…` would take hundreds of MiB as Go values.
	maxValues = maxResult / 2
)

// decode reads a body as one JSON object, having bounded first what it can become.
func decode(body []byte) (*structpb.Struct, *refusal) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, badResponse("answer has no body")
	}
	depth, values := measure(body)
	switch {
	case depth > maxScanDepth:
		return nil, badResponse("answer is nested over %d deep; at most %d can be recorded", maxScanDepth, maxDepth)
	case values > maxValues:
		return nil, &refusal{class: stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE,
			text: "answer has too many values; a result has at most 1 MiB"}
	}
	object, err := parseObject(body)
	switch {
	case err != nil:
		return nil, badResponse("answer is not JSON: %v: %.200s", err, body)
	case object == nil:
		return nil, badResponse("answer is no JSON object: %.200s", body)
	}
	return object, nil
}

// measure counts depth and values of JSON without building any of it; exact for valid JSON, harmless for the rest.
func measure(body []byte) (depth, values int) {
	level, inString, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			level++
			values++
			depth = max(depth, level)
		case c == '}' || c == ']':
			level--
		case c == ',':
			values++
		}
	}
	return depth, values
}

// structDepth counts levels of objects and lists; a Struct without any inside is 1, none is 0.
func structDepth(s *structpb.Struct) int {
	if s == nil {
		return 0
	}
	inner := 0
	for _, v := range s.GetFields() {
		inner = max(inner, valueDepth(v))
	}
	return inner + 1
}

func valueDepth(v *structpb.Value) int {
	if list := v.GetListValue(); list != nil {
		inner := 0
		for _, v := range list.GetValues() {
			inner = max(inner, valueDepth(v))
		}
		return inner + 1
	}
	return structDepth(v.GetStructValue())
}
