// This file is the batch mode: one JSON object in, one out. It must not know
// the listing.

package main

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"mqttcore"
)

// request is a line of input: its members by their names, which a struct's
// fields would take in any case.
type request map[string]json.RawMessage

// The answers; each type's members are in the order of doc.go.
type (
	packetAnswer struct {
		Status  string `json:"status"` // valid or trailing
		Packet  string `json:"packet"`
		Size    int    `json:"size"`
		Fields  fields `json:"fields"`
		Encoded string `json:"encoded"`
	}
	invalidAnswer struct {
		Status string              `json:"status"`
		Reason mqttcore.ReasonCode `json:"reason"`
		Rule   string              `json:"rule"`
		Offset int                 `json:"offset"`
		Error  string              `json:"error"`
	}
	incompleteAnswer struct {
		Status string `json:"status"`
	}
	errorAnswer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
	}
)

// batch answers the lines of in until its end. Lines may be of any length. What
// it wrote is flushed before it waits for input, so that a script can wait for
// each answer. The error is one of reading or writing.
func batch(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	w := bufio.NewWriterSize(out, 64<<10)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	var line []byte
	for {
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == nil || len(line) > 0 {
			if err := enc.Encode(answer(line)); err != nil {
				return err
			}
			line = line[:0]
		}
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return errors.Join(err, w.Flush())
		}
	}
}

// answer is the answer to one line.
func answer(line []byte) any {
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) {
			err = errors.New("no object")
		}
		return errorAnswer{"error", "not a request: " + err.Error()}
	}
	b, d, err := q.parse()
	if err != nil {
		return errorAnswer{"error", err.Error()}
	}
	f, p, n, err := decode(b, d)
	var e *mqttcore.Error
	switch {
	case errors.As(err, &e):
		return invalidAnswer{"invalid", e.Code, e.Rule.String(), e.Off, e.Error()}
	case err != nil:
		return errorAnswer{"error", err.Error()}
	case n == 0:
		return incompleteAnswer{"incomplete"}
	}
	encoded, err := p.AppendTo(nil, d)
	if err != nil {
		return errorAnswer{"error", "the decoded packet cannot be encoded: " + err.Error()}
	}
	status := "valid"
	if n < len(b) {
		status = "trailing"
	}
	return packetAnswer{status, f.Type.String(), n, fieldsOf(p, f, d.Version), hex.EncodeToString(encoded)}
}

// parse checks a request. Its names for versions and senders are those of the
// command line.
func (q request) parse() (b []byte, d mqttcore.Dialect, err error) {
	var version int
	var from, digits string
	if err := cmp.Or(q.member("version", "a whole number", &version),
		q.member("from", "a string", &from), q.member("hex", "a string", &digits)); err != nil {
		return nil, d, err
	}
	if version < 3 || version > 5 {
		return nil, d, fmt.Errorf("version %d is not 3, 4 or 5", version)
	}
	d.Version = mqttcore.Version(version)
	if d.From, err = parseRole(from); err != nil {
		return nil, d, err
	}
	b, err = parseHex([]byte(digits))
	return b, d, err
}

// member reads a member, which must be there and of a kind.
func (q request) member(name, kind string, to any) error {
	text := q[name]
	if len(text) == 0 || string(text) == "null" {
		return errors.New("no " + name)
	}
	if json.Unmarshal(text, to) != nil {
		return fmt.Errorf("%s is not %s", name, kind)
	}
	return nil
}

// decode takes the first packet off b; n is 0 when b ends too early. An error
// counts in the bytes as they are, where the codec counts as if the remaining
// length were as short as it can be.
func decode(b []byte, d mqttcore.Dialect) (f mqttcore.Frame, p mqttcore.Packet, n int, err error) {
	f, n, err = mqttcore.ConsumeFrame(b, d, 0)
	if err != nil || n == 0 {
		return f, nil, n, err
	}
	p, err = mqttcore.Decode(f, d)
	var e *mqttcore.Error
	if errors.As(err, &e) {
		e.Off += n - len(f.Body) - 1 - mqttcore.SizeUvarint(uint32(len(f.Body)))
	}
	return f, p, n, err
}
