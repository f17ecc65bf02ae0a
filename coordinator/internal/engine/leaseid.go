package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A lease id is base64url(serial, attempt, seal). The seal is the one block of AES-256 under the
// ledger's secret that serial, attempt and zeros make: of inputs that are a single block, all of
// one length, the cipher by itself is a message authentication code, and costs a tenth of an HMAC.
const (
	refBytes   = 8 + 4
	leaseBytes = refBytes + aes.BlockSize
	leaseChars = (leaseBytes*8 + 5) / 6
)

// leaseIDs does not take a second spelling of the same bytes.
var leaseIDs = base64.RawURLEncoding.Strict()

// signer makes and checks lease ids under the ledger's secret. Any goroutine may use it.
type signer struct{ block cipher.Block }

func newSigner(secret []byte) *signer {
	key := sha256.Sum256(secret)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(fmt.Sprintf("engine: a key of %d bytes: %v", len(key), err)) // AES-256 takes 32
	}
	return &signer{block}
}

// pen is what a signer writes with; it is for one goroutine, and many leases.
type pen struct {
	block cipher.Block
	lease [aes.BlockSize]byte
	seal  [aes.BlockSize]byte
}

func (s *signer) pen() *pen { return &pen{block: s.block} }

// id spells a lease.
func (p *pen) id(l queue.LeaseRef) string {
	var b [leaseBytes]byte
	var text [leaseChars]byte
	p.sign(l)
	copy(b[:], p.lease[:refBytes])
	copy(b[refBytes:], p.seal[:])
	leaseIDs.Encode(text[:], b[:])
	return string(text[:])
}

// ref reads a lease id; the zero LeaseRef if it is malformed, forged, or of another ledger.
func (p *pen) ref(id string) queue.LeaseRef {
	var b [leaseBytes]byte
	var text [leaseChars]byte
	if len(id) != leaseChars {
		return queue.LeaseRef{}
	}
	copy(text[:], id)
	if _, err := leaseIDs.Decode(b[:], text[:]); err != nil {
		return queue.LeaseRef{}
	}
	l := queue.LeaseRef{
		Serial:  queue.Serial(binary.BigEndian.Uint64(b[:])),
		Attempt: int32(binary.BigEndian.Uint32(b[8:])),
	}
	p.sign(l)
	if subtle.ConstantTimeCompare(b[refBytes:], p.seal[:]) != 1 {
		return queue.LeaseRef{}
	}
	return l
}

func (p *pen) sign(l queue.LeaseRef) {
	binary.BigEndian.PutUint64(p.lease[:], uint64(l.Serial))
	binary.BigEndian.PutUint32(p.lease[8:], uint32(l.Attempt))
	p.block.Encrypt(p.seal[:], p.lease[:])
}
