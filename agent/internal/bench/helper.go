package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// The words with which helpers tell that they are ready; what follows says with what.
const (
	echoing = "echoing"
	sitting = "sitting"
)

// Echo serves grpc.health.v1 on a free port of this machine, says where on out, and ends when ctx
// or in does.
func Echo(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: echo: %w", err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	ctx, cancel := untilEnd(ctx, in)
	defer cancel()
	go func() { <-ctx.Done(); server.Stop() }()
	_, _ = fmt.Fprintln(out, echoing, listener.Addr())
	if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("bench: echo: %w", err)
	}
	return nil
}

// untilEnd gives a context that also ends when in does: when the bench that started us is gone.
func untilEnd(parent context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		_, _ = io.Copy(io.Discard, in) // any end of it is the end
		cancel()
	}()
	return ctx, cancel
}

// dialing is how many connections a helper opens at once: more would overflow the backlog of the
// coordinator's listener.
const dialing = 32

// Sit keeps n idle sessions at a coordinator, one connection each, says on out when all are
// welcome, and ends when ctx or in does. prefix begins the agents' ids.
func Sit(ctx context.Context, coordinator, prefix string, n int, in io.Reader, out io.Writer) error {
	ctx, cancel := untilEnd(ctx, in)
	defer cancel()
	var welcome atomic.Int64
	places := make(chan struct{}, dialing)
	return all(n, func(i int) error {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		const buffer = 4 << 10 // heartbeats are small, and many connections share this process
		conn, err := grpc.NewClient(coordinator, append(lean(), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithReadBufferSize(buffer), grpc.WithWriteBufferSize(buffer))...)
		if err != nil {
			return fmt.Errorf("bench: session %d: %w", i, err)
		}
		defer func() { _ = conn.Close() }() // an error says that it is closed
		w := newWorker(newFlow(Load{Slots: 1}), fmt.Sprintf("%s-%d", prefix, i))
		w.welcomed = sync.OnceFunc(func() {
			<-places
			if welcome.Add(1) == int64(n) {
				_, _ = fmt.Fprintln(out, sitting, n)
			}
		})
		if err := w.run(ctx, conn); ctx.Err() == nil {
			cancel()
			return fmt.Errorf("bench: session %d: %w", i, err)
		}
		return nil
	})
}

// grinding is what a bare client posts: what the agent's default dialect posts for a bench task.
const grinding = `{"prompt":%q,"min_budget":0.05,"max_budget":0.1,"intensity":"medium","task_id":%q}`

// Call posts to a sandbox's grind path as a bare HTTP client does, from several goroutines, and
// reads the answers: what a task costs at least.
func Call(ctx context.Context, endpoint string, calls, callers, instruction int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	text := strings.Repeat("x", instruction)
	var taken atomic.Int64
	return all(callers, func(int) error {
		for taken.Add(1) <= int64(calls) {
			if err := post(ctx, client, endpoint+"/grind", fmt.Sprintf(grinding, text, newID().String())); err != nil {
				return err
			}
		}
		return nil
	})
}

func post(ctx context.Context, client *http.Client, url, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("bench: call: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("bench: call: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it is read to its end
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("bench: call: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: call: status %s; look at the sandbox", answer.Status)
	}
	return nil
}
