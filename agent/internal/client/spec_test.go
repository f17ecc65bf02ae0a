package client

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Every word that can be typed arrives on the wire; what isn't typed is left to the coordinator.
func TestSpec(t *testing.T) {
	for name, tc := range map[string]struct {
		spec Spec
		want *stintv1.Task
	}{
		"nothing but the text": {
			Spec{ID: "a", Instruction: "do"},
			&stintv1.Task{Id: "a", Instruction: "do"},
		},
		"everything": {
			Spec{
				ID: "a", Instruction: "do", DependsOn: []string{"b", "c"}, Queue: "q", Priority: -5,
				Parameters: []string{"model=small", "temperature=0.2", "n=3", "stream=false", `stop=["a","b"]`, "empty=", "eq=a=b", "text=a, b;c"},
				Labels:     map[string]string{"team": "a"}, Requires: []string{"gpu=true", "!spot"}, FairnessKey: "f", ConcurrencyKey: "c",
				MinUSD: ptr(0.0), MaxUSD: ptr(2.5), Intensity: "High", OnDependencyFailure: "wait", UnknownOutcome: "UNKNOWN_OUTCOME_RETRY",
				MaxAttempts: 1, AttemptTimeout: time.Minute, NotBefore: "10m", ExpireTime: "2026-01-03T00:00:00+01:00",
			},
			&stintv1.Task{
				Id: "a", Instruction: "do", DependsOn: []string{"b", "c"}, Queue: "q", Priority: -5,
				Parameters: object(map[string]any{"model": "small", "temperature": 0.2, "n": 3, "stream": false, "stop": []any{"a", "b"},
					"empty": "", "eq": "a=b", "text": "a, b;c"}),
				Labels: map[string]string{"team": "a"}, Requires: []string{"gpu=true", "!spot"}, FairnessKey: "f", ConcurrencyKey: "c",
				Budget:    &stintv1.Budget{MinUsd: ptr(0.0), MaxUsd: ptr(2.5)},
				Intensity: stintv1.Intensity_INTENSITY_HIGH, OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT,
				Retry:          &stintv1.RetryPolicy{MaxAttempts: 1, UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_RETRY},
				AttemptTimeout: durationpb.New(time.Minute), NotBefore: at(10 * time.Minute),
				ExpireTime: at(time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC).Sub(now)),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.spec.task(now)
			if err != nil || !proto.Equal(got, tc.want) {
				t.Errorf("got  %v, %v\nwant %v", got, err, tc.want)
			}
		})
	}
}

// A word that can't be understood is refused with its name, its value and the remedy.
func TestSpecRefuses(t *testing.T) {
	for _, tc := range []struct {
		spec Spec
		want []string
	}{
		{Spec{Instruction: "\xff"}, []string{"instruction", "1 bytes", "UTF-8", "convert"}},
		{Spec{Parameters: []string{"model"}}, []string{"param", `"model"`, "KEY=VALUE"}},
		{Spec{Parameters: []string{"=x"}}, []string{"param", `"=x"`, "KEY=VALUE"}},
		{Spec{Parameters: []string{"a=1", "a=2"}}, []string{"param", `"a"`, "once"}},
		{Spec{NotBefore: "tomorrow"}, []string{"not-before", `"tomorrow"`, "2026-01-02T15:04:05Z", "10m"}},
		{Spec{ExpireTime: "-5m"}, []string{"expire-time", `"-5m"`, "10m"}},
		{Spec{Intensity: "max"}, []string{"intensity", `"max"`, "low, medium, high"}},
		{Spec{Intensity: "unspecified"}, []string{"intensity", `"unspecified"`, "low, medium, high"}},
		{Spec{OnDependencyFailure: "skip"}, []string{"on-dependency-failure", `"skip"`, "cancel, run, wait"}},
		{Spec{UnknownOutcome: "maybe"}, []string{"unknown-outcome", `"maybe"`, "fail, retry"}},
	} {
		_, err := tc.spec.task(now)
		for _, part := range tc.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: got %v, want it to have %q", tc.spec, err, part)
			}
		}
	}
}

// A filter arrives as it was typed, and tells an unknown state.
func TestFilter(t *testing.T) {
	got, err := Filter{Queue: "q", States: []string{"ready", "Failed", "TASK_STATE_RUNNING"}, Labels: map[string]string{"a": "b"},
		IDPrefix: "x", FinishedAfter: "1h"}.message(now)
	want := &stintv1.TaskFilter{
		Queue: "q", Labels: map[string]string{"a": "b"}, IdPrefix: "x", FinishedAfter: at(-time.Hour),
		States: []stintv1.TaskState{stintv1.TaskState_TASK_STATE_READY, stintv1.TaskState_TASK_STATE_FAILED, stintv1.TaskState_TASK_STATE_RUNNING},
	}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, state := range []string{"done", ""} {
		_, err := Filter{States: []string{state}}.message(now)
		if err == nil || !strings.Contains(err.Error(), `state "`+state+`"`) {
			t.Errorf("state %q: got %v", state, err)
		}
	}
}
