package pebbleledger

import (
	"cmp"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options are a ledger's settings. Only Dir must be set.
type Options struct {
	Dir        string       // folder; made if it is not there
	FS         vfs.FS       // nil: the machine's
	CacheBytes int64        // memory for blocks of tables, used as they are read; 0: DefaultCache
	Logger     *slog.Logger // nil: slog.Default
	// OnFatal is told the first failure of the background: the process must stop serving and
	// exit non-zero. It is called once, on a goroutine that may hold locks of the ledger: it
	// must neither block nor call the ledger. A Commit under way may never return then, so
	// the exit must not wait for it. nil: only later calls return the failure.
	OnFatal func(error)
}

// DefaultCache is 64 MiB: the filters and indexes of ten million tasks, and hot blocks.
const DefaultCache = 64 << 20

const (
	// memtable holds some tenths of a second of full load, so that most live records are
	// overwritten and deleted before they reach a table. It starts at 256 KiB and doubles
	// when full: an idle ledger doesn't pay for it. After a load two of them stay in memory.
	memtable = 20 << 20
	// memtables may wait to be flushed before writes stall: one filling, three behind a
	// disk that is busy syncing.
	memtables = 4
	// bloomBits a key make a miss cheap (1 % are looked for in vain): each submit looks
	// its id up and finds nothing.
	bloomBits = 10
	// l0Compact: twice the tables in level 0 above each other from which Pebble merges them down, whatever they
	// hold. As a rule sweep comes before: a generation of the index is some seventeen. A read of an id looks at each
	// table, 0.9 µs.
	l0Compact = 64
	// l0Stop stalls writes at so many above each other, each of which a read looks at; well above
	// what is merged, so that a burst is taken first and merged later.
	l0Stop = 256
	// tableBytes is the size of a table in level 0; each level below doubles it. A memtable makes
	// one of each kind.
	tableBytes = 16 << 20
	// l0Files is no reason to merge: tables of terminal records mostly lie side by side.
	l0Files = 5000
	// baseBytes is the size of the first level below 0: some memtables.
	baseBytes = 4 * memtable
	// blockBytes of a table are read and checked as one: some ten records.
	blockBytes = 8 << 10
	// indexBytes of an index block: large, so that most tables have one.
	indexBytes = 64 << 10
	// syncBytes lets the kernel write tables out bit by bit, so that the sync at the end
	// of one doesn't hold up the syncs of the log.
	syncBytes = 512 << 10
	// openFiles bounds the tables held open; below the usual limit of 1024 descriptors.
	openFiles = 512
	// compactions may run at once: a second only when the first falls behind, which is when so
	// many tables of level 0 lie above each other, or when a table is to be moved.
	compactions   = 2
	fallsBehindAt = l0Compact / 2 * 5 / 4
)

// pebbleOptions is the whole configuration: what is not set here is Pebble's own matter.
func (o *Options) pebbleOptions(f *failure, lock *pebble.Lock) *pebble.Options {
	p := &pebble.Options{
		FS:   buffered{cmp.Or(o.FS, vfs.Default)},
		Lock: lock,
		// Pebble takes the memtables out of the cache; they come on top here.
		CacheSize:                   o.CacheBytes + 2*memtable,
		FormatMajorVersion:          pebble.FormatNewest, // its logs tell a hole from a torn tail
		MemTableSize:                memtable,
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       l0Compact,
		L0StopWritesThreshold:       l0Stop,
		L0CompactionFileThreshold:   l0Files,
		LBaseMaxBytes:               baseBytes,
		BytesPerSync:                syncBytes,
		WALBytesPerSync:             0, // every batch is synced as a whole anyway
		MaxOpenFiles:                openFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, compactions },
		Logger:                      f,
		EventListener:               f.listener(),
	}
	if o.FS == nil {
		p.WithFSDefaults() // a watch over slow operations
	}
	p.TargetFileSizes[0] = tableBytes
	p.Experimental.L0CompactionConcurrency = fallsBehindAt
	// It would merge each table of deletions by itself: sweep takes many at once.
	p.Experimental.TombstoneDenseCompactionThreshold = -1
	for i := range p.Levels {
		p.Levels[i].BlockSize = blockBytes
		p.Levels[i].IndexBlockSize = indexBytes
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	// The cheapest that there is: at full load merging competes with serving for the processor.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}
