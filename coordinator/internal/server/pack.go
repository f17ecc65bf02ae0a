package server

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// packer says what the engine has to say to one agent. Grants, acks and cancels, of which there
// are many, are encoded as they come: a message carries them as bytes that it doesn't look at.
type packer struct {
	send func(*stintv1.SessionResponse) error // done with the message when it returns
	code []byte                               // of the message being filled; its array serves the next one too
	err  error                                // of the first send that failed
}

// say sends it in as many messages as its size asks for.
func (p *packer) say(o engine.Out) error {
	for i := range o.Acks {
		p.ack(&o.Acks[i])
	}
	for i := range o.Grants {
		if err := p.grant(&o.Grants[i]); err != nil {
			return err
		}
	}
	for _, c := range o.Cancels {
		n := sizeText(c.LeaseID) + sizeNumber(int64(c.Reason))
		p.begin(responseCancels, n)
		p.code = appendText(p.code, cancelLease, c.LeaseID)
		p.code = appendNumber(p.code, cancelReason, int64(c.Reason))
	}
	m := &stintv1.SessionResponse{GoingAway: o.GoingAway}
	if o.HasHeartbeatAck {
		m.HeartbeatAck = &stintv1.HeartbeatAck{Number: o.HeartbeatAck}
	}
	if o.Drain {
		m.Drain = &stintv1.Drain{}
		if o.DrainLeft > 0 {
			m.Drain.TimeLeft = durationpb.New(o.DrainLeft)
		}
	}
	p.flush(m)
	return p.err
}

// begin opens an item of a repeated field, of n bytes, in the message where it fits.
func (p *packer) begin(field protowire.Number, n int) {
	if len(p.code) > 0 && len(p.code)+n > maxReply {
		p.flush(&stintv1.SessionResponse{})
	}
	p.code = protowire.AppendTag(p.code, field, protowire.BytesType)
	p.code = protowire.AppendVarint(p.code, uint64(n))
}

func (p *packer) ack(a *engine.ReportAck) {
	p.begin(responseAcks, sizeText(a.LeaseID)+sizeNumber(int64(a.Ack))+sizeNumber(int64(a.End))+sizeText(a.Message))
	b := appendText(p.code, ackLease, a.LeaseID)
	b = appendNumber(b, ackOutcome, int64(a.Ack))
	b = appendNumber(b, ackReason, int64(a.End))
	p.code = appendText(b, ackMessage, a.Message)
}

// grant encodes a lease. The task of a first run is as it was submitted, so that its stored
// bytes go out as they are.
func (p *packer) grant(l *engine.Lease) error {
	if l.Run > 1 || len(l.Parents) > 0 {
		lease, err := grantedLease(l)
		if err != nil {
			return err
		}
		p.begin(responseGrants, proto.Size(lease))
		p.code, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(p.code, lease)
		return err
	}
	seconds, nanos := int64(l.Left/time.Second), int64(l.Left%time.Second)
	expires := sizeNumber(seconds) + sizeNumber(nanos)
	p.begin(responseGrants, sizeText(l.ID)+sizeItem(len(l.Payload))+sizeNumber(int64(l.Attempt))+
		sizeNumber(int64(l.Run))+sizeItem(expires))
	b := appendText(p.code, leaseID, l.ID)
	b = protowire.AppendBytes(protowire.AppendTag(b, leaseTask, protowire.BytesType), l.Payload)
	b = appendNumber(b, leaseAttempt, int64(l.Attempt))
	b = appendNumber(b, leaseRun, int64(l.Run))
	b = protowire.AppendVarint(protowire.AppendTag(b, leaseExpiresIn, protowire.BytesType), uint64(expires))
	b = appendNumber(b, durationSeconds, seconds)
	p.code = appendNumber(b, durationNanos, nanos)
	return nil
}

// flush sends what has been encoded with a message.
func (p *packer) flush(m *stintv1.SessionResponse) {
	const kept = 64 << 10 // bytes of an array that an idle session may hold: the usual message
	if p.err == nil {
		m.ProtoReflect().SetUnknown(p.code)
		p.err = p.send(m)
	}
	if p.code = p.code[:0]; cap(p.code) > kept {
		p.code = nil
	}
}
