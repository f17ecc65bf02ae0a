package server

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// S1: every method of the contract has a row, with a role, and no row is of nothing.
func TestEveryMethodHasAPolicy(t *testing.T) {
	s, err := New(Config{Engine: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	methods := s.methods()
	for _, m := range contractMethods() {
		if !slices.Contains(methods, m) {
			t.Errorf("%s is not served", m)
		}
	}
	if missing := unlisted(methods); len(missing) > 0 {
		t.Errorf("no policy for %v", missing)
	}
	for m, p := range policies {
		if !slices.Contains(methods, m) {
			t.Errorf("the policy of %s is of no method", m)
		}
		if len(p.roles) == 0 {
			t.Errorf("%s is for nobody", m)
		}
	}
}

func contractMethods() (out []string) {
	for _, f := range []protoreflect.FileDescriptor{
		stintv1.File_stint_v1_task_service_proto, stintv1.File_stint_v1_agent_service_proto,
		stintv1.File_stint_v1_queue_service_proto,
	} {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				out = append(out, "/"+string(s.FullName())+"/"+string(s.Methods().Get(j).Name()))
			}
		}
	}
	return out
}

// S1: a method without a row is refused, before its handler.
func TestNoPolicyNoCall(t *testing.T) {
	c := &chain{}
	_, err := c.inside(context.Background(), nil, "/x/Y",
		func(context.Context, any) (any, error) { t.Error("handler called"); return nil, nil })
	if r, _ := judge(err); r == nil || !r.faulty() {
		t.Errorf("got %v", err)
	}
	err = c.policyStream(nil, nil, &grpc.StreamServerInfo{FullMethod: "/x/Y"},
		func(any, grpc.ServerStream) error { t.Error("handler called"); return nil })
	if r, _ := judge(err); r == nil || !r.faulty() {
		t.Errorf("got %v", err)
	}
	if got := unlisted([]string{"/x/Y", stintv1.TaskService_GetTask_FullMethodName}); !slices.Equal(got, []string{"/x/Y"}) {
		t.Errorf("unlisted: %v", got)
	}
}
