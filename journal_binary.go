// This file holds the binary form of ops and snapshots. A snapshot is the
// shortest sequence of ops that makes the session. docs/journal.md describes
// the same for readers of the bytes. It must not know what ops do (journal.go).
//
// A record, integers big-endian:
//
//	offset  size
//	0       1     0xD5
//	1       1     format version, 1
//	2       1     kind
//	3       1     flags
//	4       4     n, the size of the body
//	8       4     CRC-32 (IEEE) of the 8 bytes before
//	12      n     body
//	12+n    4     CRC-32 (IEEE) of the body
//
// What the flags and the body are, opLayout tells by kind. Header and body have
// sums of their own, so that damage to the size is never taken for the end of
// the file.

package mqttcore

import "hash/crc32"

const (
	opMagic   = 0xD5
	opFormat  = 1
	opHeader  = 12
	opTrailer = 4

	opSnapshot OpKind = 0x7F // a record whose body is the records of ops
)

// opLayout is, by kind, which flags there may be and the size of the part of
// the body that has a fixed form. Text follows it where text is set.
var opLayout = [opKinds]struct {
	flags uint8
	size  int
	text  bool
}{
	OpPut:            {flagRetain | flagQoS, 30, true}, // number 8, tag 8, expires 8, topic length 2, properties length 4; topic, properties, payload
	OpSent:           {0, 10, false},                   // number 8, identifier 2
	OpRelease:        {0, 8, false},                    // number 8
	OpHold:           {0, 8, false},
	OpDelete:         {0, 8, false},
	OpPutIncoming:    {0, 2, false}, // identifier 2
	OpDeleteIncoming: {0, 2, false},
	OpClear:          {clearSent | clearQueued | clearIncoming, 0, false},
	OpMeta:           {opEstablished | opTried, 4, true}, // session expiry interval 4; client identifier
}

// AppendBinary appends the op in the journal's format. It fails with ErrCorrupt
// for an op that cannot be, which NextOp never gives; dst is intact then.
func (op *Op) AppendBinary(dst []byte) ([]byte, error) {
	if !op.valid() {
		return dst, ErrCorrupt
	}
	var flags uint8
	for bit, set := range [...]bool{op.Retain, false, false, op.Established, op.Sent, op.Queued, op.Incoming, op.Tried} {
		if set {
			flags |= 1 << bit
		}
	}
	flags = (flags | uint8(op.QoS)<<1) & opLayout[op.Kind].flags
	at := len(dst)
	dst = append(dst, opMagic, opFormat, byte(op.Kind), flags, 0, 0, 0, 0, 0, 0, 0, 0)
	switch op.Kind {
	case OpPut:
		dst = appendUint64(appendUint64(appendUint64(dst, op.Num), op.Tag), uint64(op.Expires))
		dst = appendUint32(appendUint16(dst, uint16(len(op.Topic))), uint32(op.Props.Len()))
		dst = append(op.Props.AppendTo(append(dst, op.Topic...)), op.Payload...)
	case OpSent:
		dst = appendUint16(appendUint64(dst, op.Num), op.ID)
	case OpRelease, OpHold, OpDelete:
		dst = appendUint64(dst, op.Num)
	case OpPutIncoming, OpDeleteIncoming:
		dst = appendUint16(dst, op.ID)
	case OpMeta:
		dst = append(appendUint32(dst, op.Expiry), op.ClientID...)
	}
	return seal(dst, at), nil
}

// seal completes the record that begins at dst[at:] with its size and sums.
func seal(dst []byte, at int) []byte {
	head, body := dst[at:at+opHeader], dst[at+opHeader:]
	appendUint32(head[:4], uint32(len(body)))
	appendUint32(head[:8], crc32.ChecksumIEEE(head[:8]))
	return appendUint32(dst, crc32.ChecksumIEEE(body))
}

// unseal takes the record at the start of b. n is 0 when b ends too early.
func unseal(b []byte) (kind OpKind, flags uint8, body []byte, n int, err error) {
	if len(b) > 0 && b[0] != opMagic || len(b) > 1 && b[1] != opFormat {
		return 0, 0, nil, 0, ErrCorrupt
	}
	if len(b) < opHeader {
		return 0, 0, nil, 0, nil
	}
	if be32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return 0, 0, nil, 0, ErrCorrupt
	}
	size := uint64(be32(b[4:]))
	if uint64(len(b)) < opHeader+size+opTrailer {
		return 0, 0, nil, 0, nil
	}
	end := opHeader + int(size)
	body = b[opHeader:end:end]
	if be32(b[end:]) != crc32.ChecksumIEEE(body) {
		return 0, 0, nil, 0, ErrCorrupt
	}
	return OpKind(b[2]), b[3], body, end + opTrailer, nil
}

// ConsumeOp decodes the op at the start of b and returns the bytes taken, or 0
// when b ends in the middle of it, as a torn write leaves it. The texts of op
// alias b. It fails with ErrCorrupt for bytes that are no op of a known format.
// *op is set only when bytes were taken.
func ConsumeOp(b []byte, op *Op) (n int, err error) {
	kind, flags, body, n, err := unseal(b)
	if n == 0 || err != nil {
		return 0, err
	}
	got, ok := decodeOp(kind, flags, body)
	if !ok {
		return 0, ErrCorrupt
	}
	*op = got
	return n, nil
}

// UnmarshalBinary decodes exactly one op. Its texts alias b. On ErrCorrupt
// nothing changed.
func (op *Op) UnmarshalBinary(b []byte) error {
	var got Op
	if n, err := ConsumeOp(b, &got); err != nil || n == 0 || n != len(b) {
		return ErrCorrupt
	}
	*op = got
	return nil
}

func decodeOp(kind OpKind, flags uint8, b []byte) (op Op, ok bool) {
	if kind == 0 || kind >= opKinds {
		return op, false
	}
	l := &opLayout[kind]
	if flags&^l.flags != 0 || len(b) < l.size || len(b) > l.size && !l.text {
		return op, false
	}
	op = Op{
		Kind: kind, Retain: flags&flagRetain != 0, QoS: QoS(flags & flagQoS >> 1), Established: flags&opEstablished != 0, Tried: flags&opTried != 0,
		Sent: flags&clearSent != 0, Queued: flags&clearQueued != 0, Incoming: flags&clearIncoming != 0,
	}
	text := b[l.size:]
	switch kind {
	case OpPut:
		op.Num, op.Tag, op.Expires = be64(b), be64(b[8:]), int64(be64(b[16:]))
		t, p := int(be16(b[24:])), int64(be32(b[26:]))
		if int64(len(text)) < int64(t)+p {
			return op, false
		}
		end := t + int(p)
		var err error
		if op.Props, err = ParseProperties(text[t:end:end]); err != nil {
			return op, false
		}
		op.Topic, op.Payload = text[:t:t], text[end:]
	case OpSent:
		op.Num, op.ID = be64(b), be16(b[8:])
	case OpRelease, OpHold, OpDelete:
		op.Num = be64(b)
	case OpPutIncoming, OpDeleteIncoming:
		op.ID = be16(b)
	case OpMeta:
		op.Expiry, op.ClientID = be32(b), text
	}
	return op, op.valid()
}

// Replay applies the ops in b, the bytes of a journal. It returns how many
// bytes it took: fewer than len(b) when the last op is torn, whose bytes the
// caller cuts off. When it fails, with ErrCorrupt or ErrInUse, the ops before
// b[n:] are applied.
func (s *Session) Replay(b []byte) (n int, err error) {
	var op Op
	for n < len(b) {
		k, err := ConsumeOp(b[n:], &op)
		if err == nil && k > 0 {
			err = s.Apply(&op)
		}
		if err != nil || k == 0 {
			return n, err
		}
		n += k
	}
	return n, nil
}

// AppendBinary appends a snapshot of the session: all of it, with untaken ops
// in it already. Received messages whose acknowledgement the application has
// not decided are left out: they come again. It fails with ErrTooLarge for a
// session of more than 4 GiB; dst is intact then.
func (s *Session) AppendBinary(dst []byte) ([]byte, error) {
	at := len(dst)
	out := append(dst, opMagic, opFormat, byte(opSnapshot), 0, 0, 0, 0, 0, 0, 0, 0, 0)
	var err error
	for op := range s.ops() {
		if out, err = op.AppendBinary(out); err != nil {
			return dst, err
		}
	}
	if uint64(len(out)-at-opHeader) > 0xFFFFFFFF {
		return dst, ErrTooLarge
	}
	return seal(out, at), nil
}

// UnmarshalBinary makes the session what the snapshot b holds, copying it. When
// it fails, with ErrCorrupt or ErrInUse, nothing changed.
func (s *Session) UnmarshalBinary(b []byte) error {
	if n, _, _ := sealed(b); n != len(b) {
		return ErrCorrupt
	}
	_, err := s.ConsumeBinary(b)
	return err
}

// ConsumeBinary is UnmarshalBinary for a snapshot at the start of b, which a
// journal may follow in the same file; n is its size.
func (s *Session) ConsumeBinary(b []byte) (n int, err error) {
	if s.used {
		return 0, ErrInUse
	}
	n, body, err := sealed(b)
	if err != nil {
		return 0, err
	}
	var fresh Session
	if k, err := fresh.Replay(body); err != nil || k != len(body) {
		return 0, ErrCorrupt
	}
	*s = fresh
	return n, nil
}

// sealed is the size and the body of the snapshot at the start of b.
func sealed(b []byte) (n int, body []byte, err error) {
	kind, flags, body, n, err := unseal(b)
	if err != nil || n == 0 || kind != opSnapshot || flags != 0 {
		return 0, nil, ErrCorrupt
	}
	return n, body, nil
}

func appendUint16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }

func appendUint32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func appendUint64(b []byte, v uint64) []byte {
	return appendUint32(appendUint32(b, uint32(v>>32)), uint32(v))
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func be64(b []byte) uint64 { return uint64(be32(b))<<32 | uint64(be32(b[4:])) }
