package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// callTimeout bounds a unary call: far longer than a coordinator under load takes, short enough to wait for.
	callTimeout = 10 * time.Second

	// waitTimeout is the longest that one WaitTask may be asked to wait; the contract's bound.
	waitTimeout = 50 * time.Second

	// pageSize is the contract's bound on a page: the fewest round trips.
	pageSize = 1000
)

// Options says where answers go and how they look.
type Options struct {
	// Coordinator is the address as it was given to Dial, for messages.
	Coordinator string
	// Out takes the answers, Notes the remarks for people. Both are required.
	Out, Notes io.Writer
	// JSON asks for JSON lines in place of tables.
	JSON bool
	// Ask puts a question that is answered with yes or no to the person at the terminal; nil: there is nobody to ask.
	Ask func(ctx context.Context, question string) (yes bool, err error)
	// Width answers how many columns the terminal behind Out has; nil if Out is no terminal, and then nothing is redrawn.
	Width func() int
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// Sleep waits for d, or until ctx ends and then returns its error; nil: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client makes the calls of the verbs. It is for one goroutine.
type Client struct {
	tasks  stintv1.TaskServiceClient
	agents stintv1.AgentServiceClient
	queues stintv1.QueueServiceClient
	opts   Options
	out    printer
}

// New builds a Client over conn, which stays the caller's to close.
func New(conn grpc.ClientConnInterface, o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return &Client{
		tasks:  stintv1.NewTaskServiceClient(conn),
		agents: stintv1.NewAgentServiceClient(conn),
		queues: stintv1.NewQueueServiceClient(conn),
		opts:   o,
		out:    printer{w: o.Out, json: o.JSON},
	}
}

// note writes one remark for people.
func (c *Client) note(format string, args ...any) {
	_, _ = fmt.Fprintf(c.opts.Notes, format+"\n", args...) // a remark that can't be shown must not stop the work
}

// unary is the shape of every generated unary method.
type unary[Req, Resp any] func(context.Context, *Req, ...grpc.CallOption) (*Resp, error)

// call makes one unary call under the usual deadline. what says what is tried, as in "get task a".
func call[Req, Resp any](ctx context.Context, c *Client, what string, f unary[Req, Resp], req *Req) (*Resp, error) {
	return callFor(ctx, c, what, callTimeout, f, req)
}

// change is call for what changes something: where the answer was lost, the error says so.
func change[Req, Resp any](ctx context.Context, c *Client, what string, f unary[Req, Resp], req *Req) (*Resp, error) {
	resp, err := call(ctx, c, what, f, req)
	if failed := (*failure)(nil); errors.As(err, &failed) && failed.unsure() {
		failed.remedy = "; whether it took effect is unknown: look before you repeat it"
	}
	return resp, err
}

// callFor is call with a deadline of its own.
func callFor[Req, Resp any](ctx context.Context, c *Client, what string, limit time.Duration, f unary[Req, Resp], req *Req) (*Resp, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := f(limited, req)
	if err != nil {
		return nil, c.failed(ctx, what, err)
	}
	return resp, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
