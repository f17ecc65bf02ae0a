package server

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// A stream whose first message does not come holds nobody up who leaves.
func TestLeavingBeforeTheFirstMessage(t *testing.T) {
	f := newFake()
	f.status = func() (engine.Status, error) { return engine.Status{}, nil }
	conn, stop := served(t, f, time.Hour)
	session := must(stintv1.NewAgentServiceClient(conn).Session(t.Context()))(t)
	watch := must(conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, stintv1.TaskService_WatchEvents_FullMethodName))(t)
	must(stintv1.NewQueueServiceClient(conn).GetStatus(t.Context(), &stintv1.GetStatusRequest{}))(t) // they have come
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := session.Recv(); read(t, err).reason != "SHUTTING_DOWN" {
		t.Errorf("session: %v", err)
	}
	if err := watch.RecvMsg(&stintv1.WatchEventsResponse{}); read(t, err).reason != "SHUTTING_DOWN" {
		t.Errorf("watch: %v", err)
	}
}

// silent is a stream on which nothing comes until it is closed.
type silent struct {
	grpc.ServerStream
	closed chan struct{}
}

func (s silent) RecvMsg(any) error {
	<-s.closed
	return errors.New("closed")
}

// It has the time that a connection has to open; later messages may take as long as they like.
func TestFirstMessageIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chain{stopping: make(chan struct{})}
		under := silent{closed: make(chan struct{})}
		began := time.Now()
		err := c.promptStream(nil, under, nil, func(_ any, s grpc.ServerStream) error { return s.RecvMsg(nil) })
		if r, _ := judge(err); r == nil || !r.slow() || time.Since(began) != handshake {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(under.closed)

		heard := make(chan struct{})
		go func() {
			time.Sleep(time.Hour)
			close(heard)
		}()
		under = silent{closed: make(chan struct{})}
		_ = c.promptStream(nil, under, nil, func(_ any, s grpc.ServerStream) error {
			go close(under.closed)
			_ = s.RecvMsg(nil)
			s.(*prompt).ServerStream = silent{closed: heard}
			return s.RecvMsg(nil)
		})
		if got := time.Since(began); got != handshake+time.Hour {
			t.Errorf("the second message had %v", got-handshake)
		}
	})
}
