package queue

// fifo is what waits in order. It moves its elements to the front of its room instead of asking
// for more, so that a line that is as long as before makes no garbage.
type fifo[T any] struct {
	items []T
	head  int // of items, the first that waits
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

// first gives the one that has waited longest; there must be one.
func (q *fifo[T]) first() *T { return &q.items[q.head] }

func (q *fifo[T]) push(x T) {
	if len(q.items) == cap(q.items) && 2*q.head > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, x)
}

// pop takes the first out.
func (q *fifo[T]) pop() T {
	x := q.items[q.head]
	var none T
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > mostKept {
			q.items = nil
		}
	}
	return x
}

// keep takes out all that f does not want to stay.
func (q *fifo[T]) keep(f func(T) bool) {
	kept := q.items[:0]
	for _, x := range q.items[q.head:] {
		if f(x) {
			kept = append(kept, x)
		}
	}
	clear(q.items[len(kept):])
	q.items, q.head = kept, 0
}
