package pebbleledger

import "github.com/cockroachdb/pebble/v2"

// IndexAt lets the ledger write its index of ids at so many.
func (l *Ledger) IndexAt(n int) { l.index.at = n }

// RefillAt lets the ledger fill its filters of ids anew from so many on.
func (l *Ledger) RefillAt(n int) { l.absent.atLeast = n }

// Tables gives the first and last key of each table.
func (l *Ledger) Tables() (spans [][2][]byte, err error) {
	if err := l.db.Flush(); err != nil {
		return nil, err
	}
	levels, err := l.db.SSTables()
	for _, level := range levels {
		for _, t := range level {
			spans = append(spans, [2][]byte{t.Smallest.UserKey, t.Largest.UserKey})
		}
	}
	return spans, err
}

// DB is the database itself.
func (l *Ledger) DB() *pebble.DB { return l.db }

// HeardOfTables tells whether new tables are looked at for what can be moved.
func (l *Ledger) HeardOfTables() bool {
	l.settle.mu.Lock()
	defer l.settle.mu.Unlock()
	return len(l.settle.top) > 0
}
