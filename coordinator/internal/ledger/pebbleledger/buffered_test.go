package pebbleledger

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// contents reads a file behind the buffer's back.
func contents(t *testing.T, at vfs.FS, name string) []byte {
	t.Helper()
	f, err := at.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBufferedTablesAreWholeWhenTheyAreAskedFor: each call after which a table must be there, or
// its size be known, writes what was gathered (D1). Other files are written at once.
func TestBufferedTablesAreWholeWhenTheyAreAskedFor(t *testing.T) {
	for _, c := range []struct {
		name, file string
		then       func(vfs.File) error
	}{
		{"sync", "1.sst", vfs.File.Sync},
		{"sync of the data", "1.sst", vfs.File.SyncData},
		{"sync of a part", "1.sst", func(f vfs.File) error { _, err := f.SyncTo(1); return err }},
		{"size", "1.sst", func(f vfs.File) error { _, err := f.Stat(); return err }},
		{"close", "1.sst", vfs.File.Close},
		{"a log", "1.log", func(vfs.File) error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			f, err := buffered{mem}.Create(c.file, vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			all := bytes.Repeat([]byte("block"), writeBytes/4)
			for part := bytes.Clone(all); len(part) > 0; part = part[5:] { // a file may spoil what it is given
				if _, err := f.Write(part[:5:5]); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.then(f); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, mem, c.file); !bytes.Equal(got, all) {
				t.Errorf("%d bytes of %d are in the file", len(got), len(all))
			}
		})
	}
}

// TestBufferedTablesTellOfAFailure (D5): what could not be written is no table.
func TestBufferedTablesTellOfAFailure(t *testing.T) {
	for name, then := range map[string]func(vfs.File) error{
		"sync":             vfs.File.Sync,
		"sync of the data": vfs.File.SyncData,
		"close":            vfs.File.Close,
	} {
		t.Run(name, func(t *testing.T) {
			full := errors.New("no room")
			at := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileWrite {
					return full
				}
				return nil
			}))
			f, err := buffered{at}.Create("1.sst", vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte("block")); err != nil {
				t.Fatal(err)
			}
			if err := then(f); !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
		})
	}
}
