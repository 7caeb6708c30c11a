// Tcp runs a Client over TCP or TLS for a whole program: one goroutine reads,
// one writes, and one, the owner, alone touches the Client; any others give it
// commands. A lost connection is made again, after a pause that grows.
//
// The adapter is conn.go (what the program sees), owner.go (the Client) and
// link.go (the transport); copy these three. The demonstration in this file
// publishes from several goroutines at a time to a topic that it has
// subscribed to. Stop the broker meanwhile, and start it again:
//
//	go run ./examples/tcp -broker 127.0.0.1:1883 -n 100 -pause 100ms
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"mqttcore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tcp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	broker := flags.String("broker", "127.0.0.1:1883", "`address` of the broker")
	version := flags.Uint("v", 5, "protocol `version`: 3 for 3.1, 4 for 3.1.1, 5 for 5.0")
	secure := flags.Bool("tls", false, "speak TLS")
	n := flags.Int("n", 5, "`messages` a goroutine publishes")
	pause := flags.Duration("pause", 0, "how long it waits after each")
	timeout := flags.Duration("timeout", time.Minute, "how long all of it may take")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *version < 3 || *version > 5 || flags.NArg() > 0:
		fmt.Fprintln(stderr, "tcp: -v is 3, 4 or 5, and nothing follows the flags")
		return 2
	}
	dial := new(net.Dialer).DialContext
	if *secure {
		dial = new(tls.Dialer).DialContext
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("not done within %v", *timeout))
	defer cancel()
	err := demonstrate(ctx, mqttcore.Version(*version), *n, *pause, stdout, func(ctx context.Context) (net.Conn, error) {
		return dial(ctx, "tcp", *broker)
	})
	if err != nil {
		fmt.Fprintf(stderr, "tcp: %v\n", err)
		return 1
	}
	return 0
}

// demonstrate publishes n messages at each quality of service, from a goroutine
// each, and waits until the broker has them.
func demonstrate(ctx context.Context, version mqttcore.Version, n int, pause time.Duration,
	stdout io.Writer, dial func(context.Context) (net.Conn, error)) (err error) {
	id := []byte("tcp-" + rand.Text()[:8])
	topic := append([]byte("mqttcore/"), id...)
	cfg := mqttcore.Config{Version: version, ClientID: id, KeepAlive: 30, MaxPacketSize: 1 << 20}
	if version == mqttcore.V5 {
		cfg.Props, _ = mqttcore.NewProperties(mqttcore.SessionExpiry(60))
	} else {
		cfg.CleanStart = true // a session of 3.x would stay with the broker for ever
	}
	fresh := make(chan struct{}, 1) // connected
	conn, err := Start(context.Background(), Options{
		Dial:   dial,
		Config: cfg,
		OnEvent: func(ev *mqttcore.Event) {
			fmt.Fprintln(stdout, ev)
			if ev.Kind == mqttcore.EventConnected {
				select {
				case fresh <- struct{}{}:
				default:
				}
			}
		},
		OnRetry: func(cause error, pause time.Duration) {
			fmt.Fprintf(stdout, "%v; again in %v\n", cause, pause.Round(time.Millisecond))
		},
	})
	if err != nil {
		return err
	}
	defer func() { // whatever has happened, say goodbye
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx))
	}()

	subs, err := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: topic, QoS: mqttcore.QoS2})
	if err != nil {
		return err
	}
	for subscribed := false; !subscribed; {
		select {
		case <-fresh:
			result, err := conn.Subscribe(ctx, &mqttcore.Subscribe{Subscriptions: subs})
			subscribed = await(ctx, result, err) == nil // if not, the connection is lost again
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	failures := make(chan error, 3)
	for q := range mqttcore.QoS2 + 1 {
		go func() {
			var failed error
			for range n {
				result, err := conn.Publish(ctx, &mqttcore.Publish{Topic: topic, Payload: []byte(q.String()), QoS: q})
				err = await(ctx, result, err)
				if q > mqttcore.QoS0 || !errors.Is(err, mqttcore.ErrNotConnected) { // at QoS 0 it may be lost
					failed = errors.Join(failed, err)
				}
				time.Sleep(pause)
			}
			failures <- failed
		}()
	}
	return errors.Join(<-failures, <-failures, <-failures)
}

// await waits for what becomes of a command that gave result and err.
func await(ctx context.Context, result <-chan Result, err error) error {
	if err != nil {
		return err
	}
	select {
	case r := <-result:
		return r.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
