package engine

import (
	"strings"
	"sync"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A lease id can be made by the holder of the secret alone, and has one spelling.
func TestLeaseIDs(t *testing.T) {
	s := newSigner([]byte("a secret")).pen()
	lease := queue.LeaseRef{Serial: 1<<40 + 7, Attempt: 3}
	id := s.id(lease)
	flip := func(at int) string {
		b := []byte(id)
		if b[at]++; b[at] == '{' || b[at] == '[' || b[at] == '`' || b[at] == ':' || b[at] == '.' {
			b[at] = 'x'
		}
		return string(b)
	}
	for name, row := range map[string]struct {
		id   string
		want queue.LeaseRef
	}{
		"its own":          {id, lease},
		"empty":            {"", queue.LeaseRef{}},
		"not base64":       {strings.Repeat("!", len(id)), queue.LeaseRef{}},
		"cut":              {id[:len(id)-1], queue.LeaseRef{}},
		"longer":           {id + "A", queue.LeaseRef{}},
		"padded":           {id + "==", queue.LeaseRef{}},
		"line break":       {id[:10] + "\n" + id[10:], queue.LeaseRef{}},
		"other serial":     {flip(5), queue.LeaseRef{}},
		"other attempt":    {flip(14), queue.LeaseRef{}},
		"other signature":  {flip(30), queue.LeaseRef{}},
		"second spelling":  {flip(len(id) - 1), queue.LeaseRef{}},
		"of other secret":  {newSigner([]byte("another")).pen().id(lease), queue.LeaseRef{}},
		"mixed signature":  {id[:16] + s.id(queue.LeaseRef{Serial: 9, Attempt: 3})[16:], queue.LeaseRef{}},
		"zero lease":       {s.id(queue.LeaseRef{}), queue.LeaseRef{}},
		"negative attempt": {s.id(queue.LeaseRef{Serial: 1, Attempt: -1}), queue.LeaseRef{Serial: 1, Attempt: -1}},
	} {
		if row.id == id && name != "its own" {
			t.Errorf("%s: the row changes nothing", name)
		}
		if got := s.ref(row.id); got != row.want {
			t.Errorf("%s: %q reads as %+v, want %+v", name, row.id, got, row.want)
		}
	}
}

func TestSignerServesManyGoroutines(t *testing.T) {
	s := newSigner([]byte("a secret"))
	var all sync.WaitGroup
	for n := range queue.Serial(8) {
		all.Go(func() {
			p := s.pen()
			for i := range int32(100) {
				l := queue.LeaseRef{Serial: n + 1, Attempt: i + 1}
				if got := p.ref(p.id(l)); got != l {
					t.Errorf("%+v comes back as %+v", l, got)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkLeaseID(b *testing.B) {
	p := newSigner([]byte("a secret")).pen()
	b.ReportAllocs()
	for b.Loop() {
		p.ref(p.id(queue.LeaseRef{Serial: 1, Attempt: 1}))
	}
}
