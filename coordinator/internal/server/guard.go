package server

import "time"

// guarded bounds the time of each send. The transport gives no way to end a send that is stuck:
// so stuck is called, from another goroutine, and whoever owns the stream has to end it, which
// frees the send. One send at a time.
func guarded[M any](send func(M) error, bound time.Duration, stuck func(M)) func(M) error {
	return func(m M) error {
		t := time.AfterFunc(bound, func() { stuck(m) })
		defer t.Stop()
		return send(m)
	}
}
