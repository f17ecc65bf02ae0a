package server

import (
	"encoding/base64"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// listing names the call that a page token is of, so that no other takes it.
type listing byte

const (
	listTasks   listing = 't'
	cancelTasks listing = 'c'
	retryTasks  listing = 'r'
	listAgents  listing = 'a'
	listQueues  listing = 'q'
	listSpend   listing = 's'
)

// token makes a page token of a cursor; no cursor, no token.
func (l listing) token(cursor []byte) string {
	if len(cursor) == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(l)}, cursor...))
}

// cursor gives back what a token was made of.
func (l listing) cursor(token string) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != byte(l) {
		return nil, badToken()
	}
	return b[1:], nil
}

// pageSize gives the size asked for; the rules of the contract have bounded it.
func pageSize(n int32) int {
	if n == 0 {
		return defaultPage
	}
	return int(n)
}

// query translates a filter.
func query(path string, f *stintv1.TaskFilter) (ledger.Query, error) {
	if faults := checkTime(path+".finished_after", f.GetFinishedAfter()); faults != nil {
		return ledger.Query{}, invalidFields(faults)
	}
	if f != nil && len(f.ProtoReflect().GetUnknown()) > 0 {
		return ledger.Query{}, invalid(path, "has conditions that this coordinator does not know; upgrade it or drop them")
	}
	q := ledger.Query{
		Queue: f.GetQueue(), Labels: labels(f.GetLabels()), IDPrefix: f.GetIdPrefix(),
		FinishedAfter: instant(f.GetFinishedAfter()), Examine: examined,
	}
	for _, s := range f.GetStates() {
		q.States = append(q.States, queue.State(s))
	}
	return q, nil
}

// selective tells whether a filter has a condition.
func selective(f *stintv1.TaskFilter) bool {
	return f.GetQueue() != "" || len(f.GetStates()) > 0 || len(f.GetLabels()) > 0 ||
		f.GetIdPrefix() != "" || f.GetFinishedAfter() != nil
}

// fitting is how many of the items a reply takes; the first always.
func fitting[M proto.Message](items []M) int { return fittingIn(items, maxReply) }

// fittingIn is fitting for a reply of another size.
func fittingIn[M proto.Message](items []M, most int) int {
	size := 0
	for i, m := range items {
		if size += proto.Size(m); size > most && i > 0 {
			return i
		}
	}
	return len(items)
}
