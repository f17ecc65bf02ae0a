package proto_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// exampleLine is the only form in which the comments show a call, so that programs can find them.
var exampleLine = regexp.MustCompile(`^ *// grpcurl -plaintext -d '([^']*)' 127\.0\.0\.1:7070 stint\.v1\.(\w+)/(\w+)$`)

// examples gives the body of the example of each method, as `Service/Method`, out of the .proto files.
func examples(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("stint/v1/*.proto")
	if err != nil || len(files) == 0 {
		t.Fatalf("proto: no .proto files in stint/v1: %v", err)
	}
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "grpcurl -plaintext") {
				continue
			}
			m := exampleLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil {
				t.Errorf("%s: example of another form: %s", file, line)
				continue
			}
			if _, twice := found[m[2]+"/"+m[3]]; twice {
				t.Errorf("%s: second example of %s/%s", file, m[2], m[3])
			}
			found[m[2]+"/"+m[3]] = m[1]
		}
	}
	return found
}

// TestEveryMethodHasAnExample: each RPC comment shows one call, of fields that exist, that no rule refuses.
func TestEveryMethodHasAnExample(t *testing.T) {
	v := newValidator(t)
	bodies := examples(t)
	for _, method := range contractMethods() {
		name := string(method.Parent().Name()) + "/" + string(method.Name())
		body, ok := bodies[name]
		if !ok {
			t.Errorf("%s has no example", name)
			continue
		}
		delete(bodies, name)
		mt, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		msg := mt.New().Interface()
		if err := protojson.Unmarshal([]byte(body), msg); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if paths := refusedAt(t, v, msg); len(paths) > 0 {
			t.Errorf("%s: example refused at %q", name, paths)
		}
	}
	for name := range bodies {
		t.Errorf("example of %s, which does not exist", name)
	}
}

// contractMethods gives every RPC of the contract.
func contractMethods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("stint.v1", func(fd protoreflect.FileDescriptor) bool {
		for i := range fd.Services().Len() {
			methods := fd.Services().Get(i).Methods()
			for j := range methods.Len() {
				all = append(all, methods.Get(j))
			}
		}
		return true
	})
	return all
}
