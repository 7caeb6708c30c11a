// This file holds the command: its line, and the connection that it asks for: a
// socket, TLS, or a pipe to the model broker in this process. What is done with
// it stands in main.go.

package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"mqttcore/sim"
	"mqttcore/trace"
)

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	conn, err := o.dial()
	if err == nil {
		defer conn.Close()
		alarm := time.AfterFunc(o.timeout, func() { conn.Close() })
		var rec trace.Recorder
		err = converse(conn, &o, &rec)
		fmt.Fprint(stdout, rec.Ladder())
		if !alarm.Stop() {
			err = fmt.Errorf("not done within %v", o.timeout)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return 1
	}
	return 0
}

type options struct {
	broker           string // its address; empty: the model broker
	version          uint
	secure, insecure bool
	buffer           int
	timeout          time.Duration
}

// parse reads the command line. What is wrong with it has been said when it
// returns an error.
func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.broker, "broker", "", "`address` of the broker; without it, a model broker in this process")
	flags.UintVar(&o.version, "v", 5, "protocol `version`: 3 for 3.1, 4 for 3.1.1, 5 for 5.0")
	flags.BoolVar(&o.secure, "tls", false, "speak TLS; needs -broker")
	flags.BoolVar(&o.insecure, "insecure", false, "with -tls, take any certificate")
	flags.IntVar(&o.buffer, "buffer", 4096, "`bytes` that the read buffer begins with")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long all of it may take")
	if err = flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.version < 3 || o.version > 5 || flags.NArg() > 0:
		err = errors.New("-v is 3, 4 or 5, and nothing follows the flags")
	case o.secure && o.broker == "":
		err = errors.New("-tls needs -broker")
	}
	if err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
	}
	return o, err
}

// dial opens the connection.
func (o *options) dial() (net.Conn, error) {
	if o.broker == "" {
		return modelBroker(), nil
	}
	plain := &net.Dialer{Timeout: o.timeout}
	dial := plain.Dial
	if o.secure {
		dial = (&tls.Dialer{NetDialer: plain, Config: &tls.Config{InsecureSkipVerify: o.insecure}}).Dial
	}
	conn, err := dial("tcp", o.broker)
	if err != nil {
		return nil, fmt.Errorf("cannot reach a broker: %w", err)
	}
	return conn, nil
}

// modelBroker starts the simulator's broker, and returns a connection to it. It
// is idle when that is closed.
func modelBroker() net.Conn {
	here, there := net.Pipe()
	world := sim.New(sim.Seed(1), sim.Faults{})
	gate := sim.NewGate(world, world.Add("broker", sim.NewBroker(sim.BrokerConfig{})))
	go func() {
		_ = gate.Serve(there)
		gate.Close()
	}()
	return here
}
