package server

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"
)

// checkStruct looks for the first value that could not be kept or read again: nested deeper
// than maxStructDepth, not a number, or without a kind.
func checkStruct(path string, s *structpb.Struct) []fault {
	if where, text := badStruct(s, 1); text != "" {
		return []fault{{path + where, text}}
	}
	return nil
}

// badStruct gives the place below s, and what is wrong there; depth counts the containers.
// Places are put together on the way back, so a good struct costs nothing.
func badStruct(s *structpb.Struct, depth int) (where, text string) {
	if depth > maxStructDepth {
		return "", tooDeep
	}
	for key, v := range s.GetFields() {
		if where, text := badValue(v, depth); text != "" {
			return "[" + strconv.Quote(cut(key, maxKeyText)) + "]" + where, text
		}
	}
	return "", ""
}

func badList(l *structpb.ListValue, depth int) (where, text string) {
	if depth > maxStructDepth {
		return "", tooDeep
	}
	for i, v := range l.GetValues() {
		if where, text := badValue(v, depth); text != "" {
			return "[" + strconv.Itoa(i) + "]" + where, text
		}
	}
	return "", ""
}

func badValue(v *structpb.Value, depth int) (where, text string) {
	switch k := v.GetKind().(type) {
	case nil:
		return "", "has no kind; send null for nothing"
	case *structpb.Value_NumberValue:
		if math.IsNaN(k.NumberValue) || math.IsInf(k.NumberValue, 0) {
			return "", "is not a finite number; send a string or null"
		}
	case *structpb.Value_StructValue:
		return badStruct(k.StructValue, depth+1)
	case *structpb.Value_ListValue:
		return badList(k.ListValue, depth+1)
	}
	return "", ""
}

var tooDeep = "is nested more than " + strconv.Itoa(maxStructDepth) + " deep; flatten it, or send it as a string of JSON"
