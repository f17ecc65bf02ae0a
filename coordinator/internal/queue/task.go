package queue

import (
	"hash/maphash"
	"time"
)

// task is the scheduling state of one task: no pointers, 120 bytes.
type task struct {
	serial    Serial
	digest    Digest
	create    Instant
	ready     Instant
	start     Instant
	notBefore Instant
	expire    Instant
	spent     Micros
	name      nameRef
	terms     uint32 // interned terms
	lane      uint32 // 0 once terminal
	fair      uint32
	gate      uint32 // 0: no concurrency key, or terminal
	edges     uint32 // first of its dependency edges
	lease     uint32 // the live lease, or that of the attempt that ended it
	run       int32
	attempt   int32
	uncounted int32
	waiting   uint8 // parents that it still waits for
	counted   uint8
	lost      uint8
	denied    uint8
	priority  int8
	state     State
	counts    State // the state under which its queue counts it
	flags     taskFlags
}

type taskFlags uint8

const (
	flagBackingOff taskFlags = 1 << iota // SCHEDULED because of a failure
	flagSpilled                          // has attempt records of its own
	flagDirty                            // its live record is written with this batch
	flagStored                           // a live record of it is in the ledger
	flagParked                           // READY and parked: see lane
	flagAside                            // READY and standing aside: see aside
	flagWatched                          // in Machine.expiring
)

func (t *task) has(f taskFlags) bool { return t.flags&f != 0 }

func (t *task) set(f taskFlags, on bool) {
	if on {
		t.flags |= f
	} else {
		t.flags &^= f
	}
}

// terms are what many tasks share of their specs.
type terms struct {
	onFailure Policy
	timeout   time.Duration
	retry     Retry
	maxCost   Micros
}

// order is the static key of the ready order: a point of priority is worth a minute.
func (t *task) order() int64 {
	return int64(t.ready) - int64(t.priority)*time.Minute.Microseconds()
}

// tasks finds tasks by id and by serial.
type tasks struct {
	slab[task]
	names    names
	seed     maphash.Seed // places ids in the index; nothing outside depends on it
	byID     index
	bySerial serials
}

// hash places an id in the index.
func (ts *tasks) hash(id string) uint64 { return maphash.String(ts.seed, id) }

func (ts *tasks) find(id string) (uint32, *task) { return ts.findHashed(id, ts.hash(id)) }

func (ts *tasks) findHashed(id string, hash uint64) (uint32, *task) {
	h := ts.byID.find(hash, func(h uint32) bool {
		return ts.names.peek(ts.at(h).name) == id
	})
	if h == 0 {
		return 0, nil
	}
	return h, ts.at(h)
}

func (ts *tasks) findSerial(s Serial) (uint32, *task) {
	h := ts.bySerial.find(s)
	if h == 0 {
		return 0, nil
	}
	return h, ts.at(h)
}

func (ts *tasks) add(id string, s Serial) (uint32, *task) { return ts.addHashed(id, ts.hash(id), s) }

func (ts *tasks) addHashed(id string, hash uint64, s Serial) (uint32, *task) {
	h, t := ts.take()
	t.serial, t.name = s, ts.names.put(id)
	ts.byID.insert(hash, h)
	ts.bySerial.insert(s, h)
	return h, t
}

func (ts *tasks) remove(h uint32) {
	t := ts.at(h)
	ts.byID.remove(ts.hash(ts.names.peek(t.name)), h)
	ts.bySerial.remove(t.serial)
	ts.names.drop(t.name)
	ts.put(h)
}

func (t *task) status() Status {
	return Status{
		State: t.state, Run: t.run, Attempt: t.attempt,
		Create: t.create, Ready: t.ready, Start: t.start,
		NotBefore: t.notBefore, ExpireTime: t.expire,
		Counted: int32(t.counted), Lost: int32(t.lost), Uncounted: t.uncounted, Denied: int32(t.denied), Spent: t.spent,
		BackingOff: t.has(flagBackingOff), Spilled: t.has(flagSpilled),
	}
}

func (t *task) restore(s *Status) {
	t.state, t.run, t.attempt = s.State, s.Run, s.Attempt
	t.create, t.ready, t.start = s.Create, s.Ready, s.Start
	t.notBefore, t.expire = s.NotBefore, s.ExpireTime
	t.counted, t.lost, t.uncounted, t.denied = uint8(s.Counted), uint8(s.Lost), s.Uncounted, uint8(s.Denied)
	t.spent = s.Spent
	t.set(flagBackingOff, s.BackingOff)
	t.set(flagSpilled, s.Spilled)
}
