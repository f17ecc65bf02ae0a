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
	usualMaxCost = queue.Micros(100_000) // what the contract reserves where a task names no sum
)

var usualRetry = queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute}

// terms are the fields that specs and live records share.
type terms struct {
	digest      queue.Digest
	queue       string
	priority    int32
	parents     []queue.Serial
	policy      queue.Policy
	timeout     time.Duration
	retry       queue.Retry
	requires    []queue.Requirement
	maxCost     queue.Micros
	fairness    string
	concurrency string
}

const (
	termQueue = 1 << iota
	termPriority
	termParents
	termPolicy
	termTimeout
	termRetry
	termEquals  // requirements, all of them equalities
	termMaxCost // since format 2, as all below
	termFairness
	termConcurrency
	termRequires // requirements of any sort
	termsKnown   = 1<<iota - 1
)

func appendTerms(b []byte, t *terms) []byte {
	f := bit(t.queue != usualQueue, termQueue) | bit(t.priority != 0, termPriority) |
		bit(len(t.parents) > 0, termParents) | bit(t.policy != usualPolicy, termPolicy) |
		bit(t.timeout != usualTimeout, termTimeout) | bit(t.retry != usualRetry, termRetry) |
		bit(t.maxCost != usualMaxCost, termMaxCost) | bit(t.fairness != "", termFairness) |
		bit(t.concurrency != "", termConcurrency) | requiresFlag(t.requires)
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
		b = appendRetry(b, &t.retry)
	}
	if f&termEquals != 0 {
		b = appendEquals(b, t.requires)
	}
	if f&termMaxCost != 0 {
		b = binary.AppendVarint(b, int64(t.maxCost))
	}
	if f&termFairness != 0 {
		b = appendString(b, t.fairness)
	}
	if f&termConcurrency != 0 {
		b = appendString(b, t.concurrency)
	}
	if f&termRequires != 0 {
		b = appendRequires(b, t.requires)
	}
	return b
}

// terms reads what appendTerms wrote; parents and requires reuse the slices in t.
func (s *scan) terms(t *terms) {
	parents, requires := t.parents[:0], t.requires[:0]
	*t = terms{queue: usualQueue, policy: usualPolicy, timeout: usualTimeout, retry: usualRetry, maxCost: usualMaxCost}
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
		s.retry(&t.retry)
	}
	if f&termEquals != 0 {
		requires = s.equals(requires)
	}
	if f&termMaxCost != 0 {
		t.maxCost = queue.Micros(s.varint())
	}
	if f&termFairness != 0 {
		t.fairness = s.name()
	}
	if f&termConcurrency != 0 {
		t.concurrency = s.name()
	}
	if f&termRequires != 0 {
		requires = s.requires(requires)
	}
	t.parents, t.requires = parents, requires
}

func appendRetry(b []byte, v *queue.Retry) []byte {
	b = binary.AppendVarint(b, int64(v.MaxAttempts))
	b = binary.AppendVarint(b, int64(v.InitialBackoff))
	b = binary.AppendVarint(b, int64(v.MaxBackoff))
	return append(b, byte(v.Unknown))
}

func (s *scan) retry(v *queue.Retry) {
	v.MaxAttempts = s.int32()
	v.InitialBackoff, v.MaxBackoff = time.Duration(s.varint()), time.Duration(s.varint())
	v.Unknown = queue.UnknownOutcome(s.byte())
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
