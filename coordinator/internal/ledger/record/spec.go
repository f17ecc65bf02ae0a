package record

import (
	"bytes"
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	specDependsOn = 1 << iota
	specNotBefore
	specExpire
	specLabels
	specKnown = 1<<iota - 1
)

// AppendSpec appends the value of a spec, its payload last. The serial is in the key.
func AppendSpec(b []byte, v *queue.Spec) []byte {
	b = append(b, version)
	b = appendString(b, v.ID)
	b = appendTerms(b, &terms{
		digest: v.Digest, queue: v.Queue, priority: v.Priority, parents: v.Parents,
		policy: v.OnFailure, timeout: v.AttemptTimeout, retry: v.Retry, requires: v.Requires,
		maxCost: v.MaxCost, fairness: v.FairnessKey, concurrency: v.ConcurrencyKey,
	})
	f := bit(len(v.DependsOn) > 0, specDependsOn) | bit(v.NotBefore != 0, specNotBefore) |
		bit(v.ExpireTime != 0, specExpire) | bit(len(v.Labels) > 0, specLabels)
	b = binary.AppendUvarint(b, f)
	if f&specDependsOn != 0 {
		b = appendStrings(b, v.DependsOn)
	}
	if f&specNotBefore != 0 {
		b = binary.AppendVarint(b, int64(v.NotBefore))
	}
	if f&specExpire != 0 {
		b = binary.AppendVarint(b, int64(v.ExpireTime))
	}
	if f&specLabels != 0 {
		b = appendLabels(b, v.Labels)
	}
	return appendBytes(b, v.Payload)
}

// DecodeSpec reads a spec into v, with its payload only if that is asked for.
func DecodeSpec(key, value []byte, payload bool, names *Names, v *queue.Spec) error {
	*v = queue.Spec{}
	serial, err := SerialOf(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, names)
	if err != nil {
		return err
	}
	v.Serial, v.ID = serial, s.string()
	if v.ID == "" {
		s.fail("no id")
	}
	s.spec(payload, v)
	return s.done(key)
}

// DecodeOldSpec reads a spec as it was up to format 2, its payload too.
func DecodeOldSpec(key, value []byte, v *queue.Spec) error {
	*v = queue.Spec{}
	id, err := oldID(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, nil)
	if err != nil {
		return err
	}
	v.ID, v.Serial = id, s.serial()
	s.spec(true, v)
	return s.done(key)
}

// spec reads what the key and the head of a value don't say.
func (s *scan) spec(payload bool, v *queue.Spec) {
	var t terms
	s.terms(&t)
	v.Digest, v.Queue, v.Priority, v.Parents = t.digest, t.queue, t.priority, t.parents
	v.OnFailure, v.AttemptTimeout, v.Retry, v.Requires = t.policy, t.timeout, t.retry, t.requires
	v.MaxCost, v.FairnessKey, v.ConcurrencyKey = t.maxCost, t.fairness, t.concurrency
	f := s.flags(specKnown)
	if f&specDependsOn != 0 {
		v.DependsOn = s.strings(nil)
	}
	if f&specNotBefore != 0 {
		v.NotBefore = queue.Instant(s.varint())
	}
	if f&specExpire != 0 {
		v.ExpireTime = queue.Instant(s.varint())
	}
	if f&specLabels != 0 {
		v.Labels = s.labels(nil)
	}
	if p := s.bytes(); payload && len(p) > 0 {
		v.Payload = bytes.Clone(p)
	}
}

// SpecID reads only the id of a spec.
func SpecID(key, value []byte) (string, error) {
	s, err := open(key, value, nil)
	if err != nil {
		return "", err
	}
	id := s.string()
	if id == "" {
		return "", corrupt(key, "no id")
	}
	return id, nil
}
