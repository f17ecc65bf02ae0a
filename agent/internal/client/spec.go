package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Spec is a task as people type it. A zero field is left to the coordinator's default; bounds are the coordinator's to
// check, since it knows its own.
type Spec struct {
	ID          string
	Instruction string
	DependsOn   []string
	Queue       string
	Priority    int32
	// Parameters are KEY=VALUE, each value JSON or else plain text.
	Parameters []string
	Labels     map[string]string
	// Requires are expressions over the labels of agents, as "gpu=true", "region in (eu,us)" or "!spot".
	Requires []string
	// FairnessKey is whose task it is; ConcurrencyKey is whose tasks it must not run beside. Empty: no key.
	FairnessKey, ConcurrencyKey string
	// MinUSD and MaxUSD are the budget of an attempt in US dollars; nil: the default.
	MinUSD, MaxUSD *float64
	// Intensity, OnDependencyFailure and UnknownOutcome are names of the contract's values, without their prefix.
	Intensity, OnDependencyFailure, UnknownOutcome string
	MaxAttempts                                    int32
	// AttemptTimeout bounds one attempt.
	AttemptTimeout time.Duration
	// NotBefore and ExpireTime are an RFC 3339 time, or a duration from now.
	NotBefore, ExpireTime string
}

// task turns the words into a message. Its errors name field, value and remedy.
func (s Spec) task(now time.Time) (*stintv1.Task, error) {
	if !utf8.ValidString(s.Instruction) {
		return nil, fmt.Errorf("client: instruction of %d bytes is not UTF-8 text; convert it first, for instance with iconv", len(s.Instruction))
	}
	t := &stintv1.Task{
		Id:          s.ID,
		Queue:       s.Queue,
		Instruction: s.Instruction,
		DependsOn:   s.DependsOn,
		Priority:    s.Priority,
		Labels:      s.Labels,
		Requires:    s.Requires,
		FairnessKey: s.FairnessKey, ConcurrencyKey: s.ConcurrencyKey,
	}
	if s.MinUSD != nil || s.MaxUSD != nil {
		t.Budget = &stintv1.Budget{MinUsd: s.MinUSD, MaxUsd: s.MaxUSD}
	}
	if s.AttemptTimeout != 0 {
		t.AttemptTimeout = durationpb.New(s.AttemptTimeout)
	}
	var err error
	if t.Parameters, err = parameters(s.Parameters); err != nil {
		return nil, err
	}
	if t.NotBefore, err = moment("not-before", s.NotBefore, now, ahead); err != nil {
		return nil, err
	}
	if t.ExpireTime, err = moment("expire-time", s.ExpireTime, now, ahead); err != nil {
		return nil, err
	}
	return t, s.choices(t)
}

// choices fills in what is one of a few words.
func (s Spec) choices(t *stintv1.Task) error {
	intensity, err := parseName("intensity", intensityPrefix, stintv1.Intensity_value, s.Intensity)
	if err != nil {
		return err
	}
	dependency, err := parseName("on-dependency-failure", dependencyPrefix, stintv1.OnDependencyFailure_value, s.OnDependencyFailure)
	if err != nil {
		return err
	}
	unknown, err := parseName("unknown-outcome", unknownPrefix, stintv1.UnknownOutcome_value, s.UnknownOutcome)
	if err != nil {
		return err
	}
	t.Intensity = stintv1.Intensity(intensity)
	t.OnDependencyFailure = stintv1.OnDependencyFailure(dependency)
	if s.MaxAttempts != 0 || unknown != 0 {
		t.Retry = &stintv1.RetryPolicy{MaxAttempts: s.MaxAttempts, UnknownOutcome: stintv1.UnknownOutcome(unknown)}
	}
	return nil
}

// parameters reads KEY=VALUE pairs; none is nil.
func parameters(pairs []string) (*structpb.Struct, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, pair := range pairs {
		key, text, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("client: param %q is not KEY=VALUE; give it as in model=small or temperature=0.2", pair)
		}
		if s.Fields[key] != nil {
			return nil, fmt.Errorf("client: param %q is given twice; give each key once", key)
		}
		s.Fields[key] = value(text)
	}
	return s, nil
}

// value takes text for JSON where it is JSON, and for itself where it isn't.
func value(text string) *structpb.Value {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		if converted, err := structpb.NewValue(v); err == nil {
			return converted
		}
	}
	return structpb.NewStringValue(text)
}

// direction is which way from now a duration counts.
type direction time.Duration

const (
	ahead direction = 1
	ago   direction = -1
)

// moment reads an RFC 3339 time or a duration from now; empty text is nil, unset.
func moment(field, text string, now time.Time, way direction) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return timestamppb.New(t), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return timestamppb.New(now.Add(d * time.Duration(way))), nil
	}
	return nil, fmt.Errorf("client: %s %q is no time; give one as 2026-01-02T15:04:05Z, or how far from now as 90s, 10m or 2h", field, text)
}
