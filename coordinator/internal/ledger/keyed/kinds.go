package keyed

import (
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Decode decodes one record by its key, and forgets it.
func Decode(key, value []byte) error {
	var err error
	switch record.KindOf(key) {
	case record.KindMeta:
		_, err = record.DecodeMeta(key, value)
	case record.KindHead:
		err = record.DecodeHead(key, value, new(queue.Head))
	case record.KindQueue:
		err = record.DecodeQueue(key, value, new(queue.QueueRecord))
	case record.KindSpend:
		err = record.DecodeSpend(key, value, nil, new(queue.SpendRecord))
	case record.KindSpec:
		err = record.DecodeSpec(key, value, false, nil, new(queue.Spec))
	case record.KindOldSpec:
		err = record.DecodeOldSpec(key, value, new(queue.Spec))
	case record.KindIndex:
		_, err = record.DecodeIndex(key, value)
	case record.KindOldIndex:
		_, err = record.DecodeOldIndex(key, value)
	case record.KindIndexed:
		_, err = record.DecodeIndexed(key, value)
	case record.KindLive:
		err = record.DecodeLive(key, value, nil, new(queue.Live))
	case record.KindTerminal:
		err = record.DecodeTerminal(key, value, false, nil, new(queue.Terminal))
	case record.KindAttempt:
		err = record.DecodeAttempt(key, value, nil, new(queue.Attempt))
	case record.KindDeferred:
		_, err = record.DecodeDeferred(key, value)
	case record.KindEvents:
		_, err = record.DecodeEvents(key, value, nil, nil)
	default:
		err = wrong("key %q is of no known kind", key)
	}
	return err
}

// strangers looks for keys of no known kind.
func (c *checker) strangers() (err error) {
	it, err := c.v.Iter([]byte{0}, []byte{0xff})
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	for ok := it.First(); ok; {
		switch k := record.KindOf(it.Key()); k {
		case record.KindMeta, record.KindHead, record.KindQueue, record.KindSpend, record.KindSpec, record.KindIndex, record.KindIndexed, record.KindLive,
			record.KindTerminal, record.KindAttempt, record.KindDeferred, record.KindEvents:
			ok = it.SeekGE(record.AppendKindEnd(nil, k))
		default:
			c.fault(wrong("key %q is of no known kind", it.Key()))
			ok = it.Next()
		}
	}
	return it.Error()
}
