package pebbleledger

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// spans are the kinds, from the first to the last, that have tables of their own.
var spans = [...][2]record.Kind{
	{record.KindAttempt, record.KindDeferred},
	{record.KindEvents, record.KindEvents},
	{record.KindHead, record.KindHead},
	{record.KindOldIndex, record.KindIndexed},
	{record.KindIndex, record.KindIndex},
	{record.KindLive, record.KindLive},
	{record.KindMeta, record.KindOldSpec},
	{record.KindTerminal, record.KindTerminal},
	{record.KindSpec, record.KindSpec},
}

// spanOf is the first kind of the span that a key is in.
func spanOf(key []byte) record.Kind {
	for _, k := range spans {
		if record.KindOf(key) <= k[1] {
			return k[0]
		}
	}
	return 0
}

// apart ends tables where a span begins, and where it ends. A table of what comes in the order of
// its keys then overlaps none before it and is never merged with them, and the deletions of live
// records go at the first merge. One that reached into its neighbours would cover all that is old
// of one of the two. Generations of the index are apart too; no range of it may be deleted, which would be cut at
// each that there can be.
func (s *settle) apart(start []byte) (pebble.SpanPolicy, []byte, error) {
	for _, k := range spans {
		from, to := record.AppendKind(nil, k[0]), record.AppendKindEnd(nil, k[1])
		if above := s.above(k[0]); bytes.Compare(start, from) >= 0 && bytes.Compare(start, above) < 0 {
			return pebble.SpanPolicy{}, above, nil
		}
		if bytes.Compare(start, from) < 0 {
			return pebble.SpanPolicy{}, from, nil
		}
		if bytes.Compare(start, to) < 0 {
			if k[0] == record.KindIndex {
				to = record.GenerationEnd(start)
			}
			return pebble.SpanPolicy{}, to, nil
		}
	}
	return pebble.SpanPolicy{}, nil, nil
}
