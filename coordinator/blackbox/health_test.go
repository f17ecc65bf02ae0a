package blackbox

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

// TestHealth: each service is SERVING while the coordinator serves, and NOT_SERVING as soon as it is told to leave; the HTTP
// port answers probes.
func TestHealth(t *testing.T) {
	c := startCoordinator(t, "--drain", "1h")
	l := c.dial(t)
	client := healthpb.NewHealthClient(l.conn)
	for _, service := range []string{"", "stint.v1.TaskService", "stint.v1.AgentService", "stint.v1.QueueService"} {
		got, err := client.Check(bounded(t), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, got, err)
		}
	}
	probe := command{name: grpcurl(t), args: []string{"-plaintext", "-d", `{"service":"stint.v1.TaskService"}`, c.grpc, "grpc.health.v1.Health/Check"}}.run(t)
	if probe.code != 0 || !strings.Contains(probe.stdout, `"SERVING"`) {
		t.Errorf("by grpcurl: exit code %d: %s%s", probe.code, probe.stdout, probe.stderr)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready"} {
		if got := probeHTTP(t, c, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}

	watch, err := client.Watch(bounded(t), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("watch: %v, %v", got, err)
	}
	if code := c.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch when leaving: %v, %v", got, err)
	}
}

// probeHTTP is what a path of the HTTP port answers with 200.
func probeHTTP(t *testing.T, c *coordinator, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, "http://"+c.http+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // nothing of it stays behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", path, resp.Status, err)
	}
	return strings.TrimSpace(string(body))
}

// TestReflectionVersions: clients of either version of reflection get the same services.
func TestReflectionVersions(t *testing.T) {
	l := startCoordinator(t).dial(t)
	stream, err := reflectionv1.NewServerReflectionClient(l.conn).ServerReflectionInfo(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, stream, &reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{ListServices: "*"}})
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	if older := servicesByAlpha(t, l); !slices.Contains(names, "stint.v1.TaskService") || !slices.Equal(names, older) {
		t.Errorf("v1 has %q, v1alpha %q", names, older)
	}
}

// servicesByAlpha lists the services by the older version.
//
//nolint:staticcheck // deprecated, and what many tools still ask by
func servicesByAlpha(t *testing.T, l *link) []string {
	t.Helper()
	stream, err := reflectionv1alpha.NewServerReflectionClient(l.conn).ServerReflectionInfo(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, stream, &reflectionv1alpha.ServerReflectionRequest{
		MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{ListServices: "*"}})
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names
}

// exchange sends one message and gives the answer.
func exchange[Req, Resp any](t *testing.T, stream grpc.BidiStreamingClient[Req, Resp], req *Req) *Resp {
	t.Helper()
	if err := stream.Send(req); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
