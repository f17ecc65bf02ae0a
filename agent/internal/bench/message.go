package bench

import (
	"errors"
	"slices"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// encoded is a message to be sent, in a buffer of the pool. It can be sent once.
type encoded struct{ bytes *[]byte }

// The fields of the messages that a flow consists of, as the contract numbers them.
const (
	submitTasks = 1 // of a SubmitTasksRequest; SubmitTaskRequest.task has the same number
	taskID      = 1

	submitResults = 1
	resultTask    = 1

	requestCredit  = 2
	requestReports = 4
	reportLease    = 1

	responseGrants = 2
	responseAcks   = 3
	grantLease     = 1
	grantTask      = 2
	ackLease       = 1
	ackOutcome     = 2
)

// id is that of a task of a flow.
type id [26]byte

// encode makes what the library would, of a message that can't be wrong.
func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("bench: a message of a flow can't be encoded: " + err.Error())
	}
	return b
}

// submission encodes a request of tasks that differ in nothing but their ids. rest is an encoded
// task without one.
func submission(ids []id, rest []byte) encoded {
	size := sizeBytes(taskID, len(id{})) + len(rest)
	bytes := pool.Get(len(ids) * sizeBytes(submitTasks, size))
	b := (*bytes)[:0]
	for i := range ids {
		b = appendHead(b, submitTasks, size)
		b = appendHead(b, taskID, len(id{}))
		b = append(b, ids[i][:]...)
		b = append(b, rest...)
	}
	*bytes = b
	return encoded{bytes}
}

// reporting encodes reports of leases that differ in nothing but these, after the credit. rest is an
// encoded report without one.
func reporting(credit int64, leases []grant, rest []byte) encoded {
	size := protowire.SizeTag(requestCredit) + protowire.SizeVarint(uint64(credit))
	for i := range leases {
		size += sizeBytes(requestReports, sizeBytes(reportLease, len(leases[i].lease))+len(rest))
	}
	bytes := pool.Get(size)
	b := protowire.AppendTag((*bytes)[:0], requestCredit, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(credit))
	for i := range leases {
		lease := leases[i].lease
		b = appendHead(b, requestReports, sizeBytes(reportLease, len(lease))+len(rest))
		b = appendHead(b, reportLease, len(lease))
		b = append(b, lease...)
		b = append(b, rest...)
	}
	*bytes = b
	return encoded{bytes}
}

func sizeBytes(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}

// appendHead begins a field of n bytes.
func appendHead(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

// fields are those of an encoded message, one after the other.
type fields struct {
	rest   []byte
	bad    bool // the message is malformed, and there are no more
	name   protowire.Number
	bytes  []byte // of a field that has bytes
	number uint64 // of one that has a varint
}

func (f *fields) next() bool {
	if len(f.rest) == 0 {
		return false
	}
	name, kind, n := protowire.Number(f.rest[0]>>3), protowire.Type(f.rest[0]&7), 1
	if name == 0 || name > 15 { // not of one byte
		name, kind, n = protowire.ConsumeTag(f.rest)
	}
	if n < 0 {
		f.bad = true
		return false
	}
	f.name, f.bytes, f.number, f.rest = name, nil, 0, f.rest[n:]
	switch kind {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.rest)
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(f.rest)
	default:
		n = protowire.ConsumeFieldValue(name, kind, f.rest)
	}
	if n < 0 {
		f.bad = true
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// receipt is the answer to a submission. It must name the same tasks in the same order.
type receipt struct{ ids []id }

func (r *receipt) read(message mem.Buffer) bool {
	defer message.Free()
	n := 0
	results := fields{rest: message.ReadOnlyData()}
	for results.next() {
		if results.name != submitResults || n == len(r.ids) {
			return false
		}
		result, named := fields{rest: results.bytes}, false
		for result.next() {
			if result.name == resultTask {
				named = string(result.bytes) == string(r.ids[n][:])
			}
		}
		if !named || result.bad {
			return false
		}
		n++
	}
	return n == len(r.ids) && !results.bad
}

func (r *receipt) check(m *stintv1.SubmitTasksResponse) error {
	named := slices.EqualFunc(m.GetResults(), r.ids, func(result *stintv1.SubmitTasksResult, want id) bool {
		return result.GetTaskId() == string(want[:])
	})
	if !named {
		return errors.New("bench: a submit was answered for other tasks than its own")
	}
	return nil
}

// delivery is what a session has received. Its texts last until the next is read into it.
type delivery struct {
	grants  []grant
	acks    []ack
	other   *stintv1.SessionResponse // the whole message, if it has anything else
	message mem.Buffer
}

type grant struct{ lease, task []byte }

type ack struct {
	lease   []byte
	outcome stintv1.ReportOutcome
}

// read takes grants and acks off a message; false: it has something else.
func (d *delivery) read(message mem.Buffer) bool {
	if d.message != nil {
		d.message.Free()
	}
	d.message = message
	d.grants, d.acks, d.other = d.grants[:0], d.acks[:0], nil
	items := fields{rest: message.ReadOnlyData()}
	for items.next() {
		ok := false
		switch items.name {
		case responseGrants:
			ok = d.readGrant(items.bytes)
		case responseAcks:
			ok = d.readAck(items.bytes)
		}
		if !ok {
			return false
		}
	}
	return !items.bad
}

func (d *delivery) readGrant(message []byte) bool {
	var g grant
	lease := fields{rest: message}
	for lease.next() {
		switch lease.name {
		case grantLease:
			g.lease = lease.bytes
		case grantTask:
			task := fields{rest: lease.bytes}
			for task.next() {
				if task.name == taskID {
					g.task = task.bytes
				}
			}
			if task.bad {
				return false
			}
		}
	}
	d.grants = append(d.grants, g)
	return !lease.bad && len(g.lease) > 0
}

func (d *delivery) readAck(message []byte) bool {
	var a ack
	fields := fields{rest: message}
	for fields.next() {
		switch fields.name {
		case ackLease:
			a.lease = fields.bytes
		case ackOutcome:
			a.outcome = stintv1.ReportOutcome(fields.number)
		}
	}
	d.acks = append(d.acks, a)
	return !fields.bad && len(a.lease) > 0
}

// set takes a message that the library has decoded.
func (d *delivery) set(m *stintv1.SessionResponse) {
	d.grants, d.acks, d.other = d.grants[:0], d.acks[:0], m
	for _, g := range m.GetGrants() {
		d.grants = append(d.grants, grant{[]byte(g.GetLeaseId()), []byte(g.GetTask().GetId())})
	}
	for _, a := range m.GetReportAcks() {
		d.acks = append(d.acks, ack{[]byte(a.GetLeaseId()), a.GetOutcome()})
	}
}
