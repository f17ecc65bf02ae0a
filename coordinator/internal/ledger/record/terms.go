package record

import (
	"encoding/binary"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Usual values, which are left out. Part of the format.
const (
	usualQueue   = "default"
	usualTimeout = 120 * time.Second
	usualPolicy  = queue.PolicyCancel
	usualRun     = 1
)

var usualRetry = queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute}

// terms are the fields that specs and live records share.
type terms struct {
	digest   queue.Digest
	queue    string
	priority int32
	parents  []queue.Serial
	policy   queue.Policy
	timeout  time.Duration
	retry    queue.Retry
	requires []queue.Label
}

const (
	termQueue = 1 << iota
	termPriority
	termParents
	termPolicy
	termTimeout
	termRetry
	termRequires
	termsKnown = 1<<iota - 1
)

func appendTerms(b []byte, t *terms) []byte {
	f := bit(t.queue != usualQueue, termQueue) | bit(t.priority != 0, termPriority) |
		bit(len(t.parents) > 0, termParents) | bit(t.policy != usualPolicy, termPolicy) |
		bit(t.timeout != usualTimeout, termTimeout) | bit(t.retry != usualRetry, termRetry) |
		bit(len(t.requires) > 0, termRequires)
	b = binary.AppendUvarint(b, f)
	b = append(b, t.digest[:]...)
	if f&termQueue != 0 {
		b = appendString(b, t.queue)
	}
	if f&termPriority != 0 {
		b = binary.AppendVarint(b, int64(t.priority))
	}
	if f&termParents != 0 {
		b = appendSerials(b, t.parents)
	}
	if f&termPolicy != 0 {
		b = append(b, byte(t.policy))
	}
	if f&termTimeout != 0 {
		b = binary.AppendVarint(b, int64(t.timeout))
	}
	if f&termRetry != 0 {
		b = binary.AppendVarint(b, int64(t.retry.MaxAttempts))
		b = binary.AppendVarint(b, int64(t.retry.InitialBackoff))
		b = binary.AppendVarint(b, int64(t.retry.MaxBackoff))
		b = append(b, byte(t.retry.Unknown))
	}
	if f&termRequires != 0 {
		b = appendLabels(b, t.requires)
	}
	return b
}

// terms reads what appendTerms wrote; parents and requires reuse the slices in t.
func (s *scan) terms(t *terms) {
	parents, requires := t.parents[:0], t.requires[:0]
	*t = terms{queue: usualQueue, policy: usualPolicy, timeout: usualTimeout, retry: usualRetry}
	f := s.flags(termsKnown)
	copy(t.digest[:], s.take(uint64(len(t.digest))))
	if f&termQueue != 0 {
		t.queue = s.name()
	}
	if f&termPriority != 0 {
		t.priority = s.int32()
	}
	if f&termParents != 0 {
		parents = s.serials(parents)
	}
	if f&termPolicy != 0 {
		t.policy = queue.Policy(s.byte())
	}
	if f&termTimeout != 0 {
		t.timeout = time.Duration(s.varint())
	}
	if f&termRetry != 0 {
		t.retry.MaxAttempts = s.int32()
		t.retry.InitialBackoff = time.Duration(s.varint())
		t.retry.MaxBackoff = time.Duration(s.varint())
		t.retry.Unknown = queue.UnknownOutcome(s.byte())
	}
	if f&termRequires != 0 {
		requires = s.labels(requires)
	}
	t.parents, t.requires = parents, requires
}

func appendLabels(b []byte, ls []queue.Label) []byte {
	b = binary.AppendUvarint(b, uint64(len(ls)))
	for i := range ls {
		b = appendString(appendString(b, ls[i].Key), ls[i].Value)
	}
	return b
}

func (s *scan) labels(to []queue.Label) []queue.Label {
	const least = 2 // two lengths
	for range s.count(least) {
		to = append(to, queue.Label{Key: s.name(), Value: s.name()})
	}
	return to
}

func appendSerials(b []byte, ss []queue.Serial) []byte {
	b = binary.AppendUvarint(b, uint64(len(ss)))
	for _, v := range ss {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

func (s *scan) serials(to []queue.Serial) []queue.Serial {
	for range s.count(1) {
		to = append(to, queue.Serial(s.uvarint()))
	}
	return to
}

func appendStrings(b []byte, ss []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(ss)))
	for _, v := range ss {
		b = appendString(b, v)
	}
	return b
}

func (s *scan) strings(to []string) []string {
	for range s.count(1) {
		to = append(to, s.string())
	}
	return to
}
