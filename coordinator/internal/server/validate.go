package server

import (
	"errors"
	"fmt"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// fullReport is the size in bytes up to which a bad request gets all of its violations named.
// A larger one gets the first: its violations could take far more memory than it does itself.
const fullReport = 16 << 10

// rules checks messages against the rules of the contract.
type rules struct{ protovalidate.Validator }

// newRules compiles the rules of all requests now, so that no call pays for it.
func newRules() (rules, error) {
	services := []protoreflect.FileDescriptor{
		stintv1.File_stint_v1_task_service_proto,
		stintv1.File_stint_v1_agent_service_proto,
		stintv1.File_stint_v1_queue_service_proto,
	}
	var requests []protoreflect.MessageDescriptor
	for _, file := range services {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				requests = append(requests, methods.Get(j).Input())
			}
		}
	}
	v, err := protovalidate.New(protovalidate.WithMessageDescriptors(requests...))
	if err != nil {
		return rules{}, fmt.Errorf("server: rules of the contract: %w", err)
	}
	return rules{v}, nil
}

// obeys gives a request that breaks a rule of the contract its reason and field paths.
func (c *chain) obeys(m proto.Message) error {
	err := c.rules.Validate(m)
	if err == nil {
		return nil
	}
	var v *protovalidate.ValidationError
	if !errors.As(err, &v) {
		return fmt.Errorf("server: rules of the contract: %w", err)
	}
	return violated(v.ToProto().GetViolations())
}

// explainStream gives violations, as the validation interceptor answers them, the same.
func explainStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return explained(next(srv, stream))
}

func explained(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range st.Details() {
		if v, ok := d.(*validate.Violations); ok && len(v.GetViolations()) > 0 {
			return violated(v.GetViolations())
		}
	}
	return err
}

func violated(violations []*validate.Violation) *refusal {
	fields := make([]fault, len(violations))
	for i, v := range violations {
		fields[i] = fault{protovalidate.FieldPathString(v.GetField()), v.GetMessage()}
		if v.GetMessage() == "" {
			fields[i].text = v.GetRuleId()
		}
	}
	return invalidFields(fields)
}
