package outbox

import (
	"maps"
	"slices"
)

// flush brings the disk up to date: what others have put meanwhile too, whose own flush then finds nothing to do. If tidy,
// a file in which all is done with is emptied.
func (b *Box) flush(tidy bool) {
	b.disk.Lock()
	defer b.disk.Unlock()
	fresh, over, empty := b.due()
	switch {
	case b.journal.due() || tidy && empty && b.journal.size > 0:
		b.rewrite()
	case len(fresh)+len(over) > 0:
		b.extend(fresh, over)
	}
}

// due takes what is not on disk yet; empty: nothing belongs there.
func (b *Box) due() (fresh []*entry, over []uint64, empty bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh, over = b.fresh, b.over
	b.fresh, b.over = nil, nil
	return fresh, over, len(b.kept) == 0
}

// extend appends, with a sync if there are reports.
func (b *Box) extend(fresh []*entry, over []uint64) {
	data, encoded := b.journal.buf[:0], fresh[:0]
	for _, e := range fresh {
		more, err := appendReport(data, e)
		if err != nil {
			b.notWritten(e, err)
			continue
		}
		data, encoded = more, append(encoded, e)
	}
	if len(over) > 0 {
		data = appendDone(data, over)
	}
	b.wrote(encoded, b.append(data, len(encoded) > 0))
}

// rewrite makes a new file of all that belongs on disk.
func (b *Box) rewrite() {
	b.mu.Lock()
	kept := slices.SortedFunc(maps.Values(b.kept), byNumber)
	b.mu.Unlock()
	b.wrote(kept, b.journal.rewrite(b.write, fillWith(kept, b.notWritten)))
}

// wrote takes note of how writing entries ended. What failed is done again by a rewrite.
func (b *Box) wrote(entries []*entry, err error) {
	missing := 0
	for _, e := range entries {
		if err == nil {
			e.written = true
		} else if !e.written {
			missing++
			b.notWritten(e, err)
		}
	}
	if err != nil && missing == 0 {
		b.log.Error("entries not deleted, tried again later", "folder", b.folder, "error", err)
	}
}

func (b *Box) notWritten(e *entry, err error) {
	b.log.Error("report not on disk, kept in memory", "lease", e.report.GetLeaseId(), "error", err)
}
