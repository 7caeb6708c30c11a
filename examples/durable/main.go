// Durable is a program that may be killed at any instant: started again, it
// goes on as if nothing had happened. It publishes numbered messages to ID/out,
// receives those of ID/in, and keeps its MQTT session and its own effects in
// one file.
//
//	go run ./examples/durable -broker 127.0.0.1:1883 -file courier.log -send 100 -receive 100
//
// At QoS 2 each message arrives once, at QoS 1 at least once, in both
// directions, however often the program is killed. That needs one rule: what
// the client wants to write goes out only after the ops of its journal are on
// disk, and, where it can be had, after the effects of its events, in the same
// transaction. See courier.turn; docs/journal.md says why.
//
// With -order apart the effects have a file of their own, as where they cannot
// be in one transaction with the session: first act, then journal, then write.
// A crash between the two may then repeat an event, and loses none.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"mqttcore"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("durable", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.broker, "broker", "127.0.0.1:1883", "`address` of the broker")
	flags.StringVar(&o.file, "file", "durable.log", "`name` of the file that keeps everything")
	flags.StringVar(&o.id, "id", "courier", "client `identifier`")
	flags.UintVar(&o.version, "v", 5, "protocol `version`: 3 for 3.1, 4 for 3.1.1, 5 for 5.0")
	flags.UintVar(&o.qos, "qos", 2, "quality of `service`, 1 or 2")
	flags.IntVar(&o.send, "send", 10, "`number` of messages to publish, over all runs")
	flags.IntVar(&o.receive, "receive", 0, "end when so `many` different messages have come, over all runs, and all are published; less than 0: never")
	flags.StringVar(&o.order, "order", "together", "effects and session in one file (together) or in two (apart)")
	flags.IntVar(&o.compact, "compact", 64<<10, "`bytes` that the file may grow before it is replaced by a snapshot")
	list := flags.Bool("list", false, "print the ledger and end")
	exitAt := flags.String("exit-at", "", "for tests: `PLACE:N` ends the process when it is at that place for the Nth time")
	if flags.Parse(args) != nil {
		return 2
	}
	place, count, _ := strings.Cut(*exitAt, ":")
	left, _ := strconv.Atoi(count)
	o.at = func(p string) {
		if p == place {
			if left--; left == 0 {
				os.Exit(exitStatus)
			}
		}
	}
	if o.version < 3 || o.version > 5 || o.qos < 1 || o.qos > 2 || o.order != "together" && o.order != "apart" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "durable: -v is 3, 4 or 5, -qos 1 or 2, -order together or apart, and nothing follows the flags")
		return 2
	}
	do := o.run
	if *list {
		do = func() error { return o.list(stdout) }
	}
	if err := do(); err != nil {
		fmt.Fprintf(stderr, "durable: %v\n", err)
		return 1
	}
	return 0
}

// exitStatus is that of a process that -exit-at ended.
const exitStatus = 7

type options struct {
	broker, file, id, order string
	version, qos            uint
	send, receive, compact  int
	at                      func(place string)
}

// list prints what the application knows. It only reads: the program may be
// running.
func (o *options) list(w io.Writer) error {
	file := o.file
	if o.order == "apart" {
		file += ".effects"
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var l ledger
	if _, _, err = loadGroups(b, func(g group, _ bool) error { return l.load(g.ledger) }); err != nil {
		return err
	}
	_, err = w.Write(l.lines())
	return err
}

// run connects again and again until everything is done.
func (o *options) run() error {
	k, err := o.open()
	if err != nil {
		return err
	}
	wait := 5 * time.Millisecond
	for !k.done() {
		if conn, err := net.DialTimeout("tcp", o.broker, 5*time.Second); err == nil {
			err = k.converse(conn)
			conn.Close()
			if err != nil {
				return err // what is on disk holds; nothing else does
			}
			wait = 5 * time.Millisecond
		}
		if !k.done() {
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
		}
	}
	return nil
}

// open restores session and ledger from disk and makes the client.
func (o *options) open() (*courier, error) {
	k := &courier{options: o}
	session := new(mqttcore.Session)
	empty, err := session.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	k.store, err = openStore(o.file, group{session: empty}, o.at, func(g group, first bool) error {
		if first {
			return errors.Join(session.UnmarshalBinary(g.session), k.ledger.load(g.ledger))
		}
		n, err := session.Replay(g.session)
		if n < len(g.session) {
			err = errors.Join(err, errDamaged) // a group is whole
		}
		return errors.Join(err, k.ledger.load(g.ledger))
	})
	if err == nil && o.order == "apart" {
		k.effectStore, err = openStore(o.file+".effects", group{}, o.at, func(g group, _ bool) error {
			return k.ledger.load(g.ledger)
		})
	}
	if err != nil {
		return nil, err
	}
	cfg := mqttcore.Config{Version: mqttcore.Version(o.version), ClientID: []byte(o.id), KeepAlive: 30, MaxPacketSize: 1 << 20, Journal: true}
	if cfg.Version == mqttcore.V5 {
		if cfg.Props, err = mqttcore.NewProperties(mqttcore.SessionExpiry(3600)); err != nil {
			return nil, err
		}
	}
	if k.client, err = mqttcore.NewClient(cfg, session); err != nil {
		return nil, err
	}
	return k, k.again(time.Now())
}
