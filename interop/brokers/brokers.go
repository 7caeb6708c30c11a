// This file holds what all brokers have in common. How each is started is in
// the file of its name.

package brokers

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// Options is what a broker is started with. The zero value takes anybody,
// keeps sessions and queues without bound, and loses nothing on its own.
type Options struct {
	// Users are the accepted user names with their passwords; nil: everybody
	// is accepted, without a name, too.
	Users map[string]string
	// MaxPacketSize is the size in bytes of the largest packet that the broker
	// takes; 0: no limit.
	MaxPacketSize uint32
	// MaxKeepAlive is the longest keep alive in seconds that the broker
	// grants in 5.0, as its Server Keep Alive; 0: any.
	MaxKeepAlive uint16
	// RefuseEmptyID refuses clients that ask for an identifier. Not mochi.
	RefuseEmptyID bool
	// Copies makes overlapping subscriptions bring a copy each in 5.0. Mosquitto
	// does so in any case, mochi never, and neither in 3.x.
	Copies bool
	// MinVersion is the lowest protocol level that is taken; 0: 3. Not mosquitto.
	MinVersion uint8
}

// Broker is a running broker.
type Broker struct {
	// Addr is where it listens, as host:port.
	Addr string

	close func() error
	once  sync.Once
	err   error
	log   log
}

// ErrNotInstalled says that this machine has no such broker.
var ErrNotInstalled = errors.New("the broker is not installed")

// errOption is an option that a broker does not have.
func errOption(name string) error { return fmt.Errorf("this broker has no option %s", name) }

// Close ends the broker and its connections. It may be called several times.
func (b *Broker) Close() error {
	b.once.Do(func() { b.err = b.close() })
	return b.err
}

// Log is what the broker has logged: at least the last 4 MiB.
func (b *Broker) Log() string { return b.log.String() }

// log keeps the end of what is written to it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const logSize = 4 << 20

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	if over := l.b.Len() - logSize; over > logSize {
		l.b.Next(over)
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
