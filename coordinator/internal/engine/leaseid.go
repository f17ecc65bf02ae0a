package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A lease id is base64url(serial, attempt, first 16 bytes of HMAC-SHA256 over both).
const (
	refBytes   = 8 + 4
	macBytes   = 16
	leaseBytes = refBytes + macBytes
)

// leaseIDs does not take a second spelling of the same bytes.
var leaseIDs = base64.RawURLEncoding.Strict()

// signer makes and checks lease ids under the ledger's secret. Any goroutine may use it.
type signer struct{ hashers sync.Pool }

func newSigner(secret []byte) *signer {
	return &signer{hashers: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// id spells a lease.
func (s *signer) id(l queue.LeaseRef) string {
	var b [leaseBytes]byte
	s.sign(&b, l)
	return leaseIDs.EncodeToString(b[:])
}

// ref reads a lease id; the zero LeaseRef if it is malformed, forged, or of another ledger.
func (s *signer) ref(id string) queue.LeaseRef {
	var got, want [leaseBytes]byte
	if len(id) != leaseIDs.EncodedLen(leaseBytes) {
		return queue.LeaseRef{}
	}
	if _, err := leaseIDs.Decode(got[:], []byte(id)); err != nil {
		return queue.LeaseRef{}
	}
	l := queue.LeaseRef{
		Serial:  queue.Serial(binary.BigEndian.Uint64(got[:])),
		Attempt: int32(binary.BigEndian.Uint32(got[8:])),
	}
	s.sign(&want, l)
	if !hmac.Equal(got[:], want[:]) {
		return queue.LeaseRef{}
	}
	return l
}

func (s *signer) sign(b *[leaseBytes]byte, l queue.LeaseRef) {
	binary.BigEndian.PutUint64(b[:], uint64(l.Serial))
	binary.BigEndian.PutUint32(b[8:], uint32(l.Attempt))
	h := s.hashers.Get().(hash.Hash)
	defer s.hashers.Put(h)
	h.Reset()
	h.Write(b[:refBytes])
	var sum [sha256.Size]byte
	copy(b[refBytes:], h.Sum(sum[:0])[:macBytes])
}
