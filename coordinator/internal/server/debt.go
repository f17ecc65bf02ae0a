package server

import (
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// debt counts the answers that an agent waits for, so that a session that is half-closed ends
// with the last of them. An ack may never come (a full disk): nobody waits for ever.
type debt struct {
	mu      sync.Mutex
	reports int
	beating bool  // a heartbeat is not acknowledged
	beat    int64 // the newest
}

func (d *debt) add(m engine.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports += len(m.Reports)
	if m.Beats {
		d.beating, d.beat = true, m.Number
	}
}

func (d *debt) pay(o engine.Out) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports -= len(o.Acks)
	if o.HasHeartbeatAck && o.HeartbeatAck == d.beat {
		d.beating = false
	}
}

func (d *debt) none() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reports <= 0 && !d.beating
}
