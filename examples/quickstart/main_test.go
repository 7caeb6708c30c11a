package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/examples/internal/testbroker"
)

// quickstart runs the command.
func quickstart(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// inOrder reports the first of parts that is not in s after those before it.
func inOrder(s string, parts ...string) (missing string) {
	for _, p := range parts {
		_, after, ok := strings.Cut(s, p)
		if !ok {
			return p
		}
		s = after
	}
	return ""
}

// checkLadder looks for the whole conversation in a ladder.
func checkLadder(t *testing.T, stdout string) {
	t.Helper()
	if p := inOrder(stdout, "─ CONNECT quickstart-", "<─ CONNACK", "─ SUBSCRIBE", "<─ SUBACK",
		"─ PUBLISH", `"QoS 0"`, "─ PUBLISH", `"QoS 1"`, "─ PUBLISH", `"QoS 2"`,
		"─ PUBREL", "* closed: local disconnect", "─ DISCONNECT"); p != "" {
		t.Errorf("%q is not in its place in\n%s", p, stdout)
	}
	// Each exchange is complete, in both directions.
	for _, p := range []string{"<─ PUBACK", "<─ PUBREC", "<─ PUBREL", "<─ PUBCOMP",
		"─ PUBACK id=1 ─", "─ PUBREC id=2 ─", "─ PUBCOMP id=2 ─"} {
		if !strings.Contains(stdout, p) {
			t.Errorf("no %s in\n%s", p, stdout)
		}
	}
}

func TestConversation(t *testing.T) {
	for _, version := range []string{"3", "4", "5"} {
		for _, buffer := range []string{"0", "7", "4096"} {
			t.Run(version+" with a buffer of "+buffer, func(t *testing.T) {
				var server testbroker.Server
				addr := server.Start(t)
				code, stdout, stderr := quickstart("-broker", addr, "-v", version, "-buffer", buffer)
				if code != 0 || stderr != "" {
					t.Errorf("exit code %d, error output %q", code, stderr)
				}
				checkLadder(t, stdout)
				var got []string
				for _, m := range server.Received() {
					got = append(got, m.QoS.String()+" "+string(m.Payload))
				}
				if want := "QoS 0 QoS 0, QoS 1 QoS 1, QoS 2 QoS 2"; strings.Join(got, ", ") != want {
					t.Errorf("the broker received %q, want %q", got, want)
				}
			})
		}
	}
}

// Without a broker's address the model broker answers, and nobody waits for it.
func TestModelBroker(t *testing.T) {
	for _, version := range []string{"3", "4", "5"} {
		t.Run(version, func(t *testing.T) {
			before := runtime.NumGoroutine()
			code, stdout, stderr := quickstart("-v", version, "-timeout", "10s")
			if code != 0 || stderr != "" {
				t.Errorf("exit code %d, error output %q", code, stderr)
			}
			checkLadder(t, stdout)
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines are left over", n-before)
			}
		})
	}
}

// Packets come that are larger than the read buffer, and many at a time.
func TestSmallBuffer(t *testing.T) {
	for _, buffer := range []string{"5", "64", "1000"} {
		t.Run(buffer, func(t *testing.T) {
			var server testbroker.Server
			var acks atomic.Int64
			server.Hook = func(p mqttcore.Packet) error {
				switch p := p.(type) {
				case *mqttcore.Publish:
					for n := range 20 {
						server.Send(mqttcore.Publish{Topic: p.Topic, Payload: make([]byte, n*n*100), QoS: mqttcore.QoS1})
					}
				case *mqttcore.Ack:
					if p.Type == mqttcore.TypePubAck {
						acks.Add(1)
					}
				}
				return nil
			}
			addr := server.Start(t)
			code, stdout, stderr := quickstart("-broker", addr, "-buffer", buffer)
			if code != 0 {
				t.Errorf("exit code %d, error output %q", code, stderr)
			}
			if got := strings.Count(stdout, "* message PUBLISH"); got != 63 {
				t.Errorf("%d messages arrived, want 60 and 3", got)
			}
			if got := acks.Load(); got != 61 {
				t.Errorf("%d messages were acknowledged with PUBACK, want 60 and 1", got)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	unreachable := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	for _, c := range []struct {
		name string
		addr func(t *testing.T) string
		args []string
		code int
		want string // of the error output, a pattern
	}{
		{"unreachable", unreachable, nil, 1, `^quickstart: cannot reach a broker: dial tcp .* refused\n$`},
		{"no address", func(*testing.T) string { return "nowhere" }, nil, 1, `^quickstart: cannot reach a broker: .*missing port.*\n$`},
		{"no such version", unreachable, []string{"-v", "6"}, 2, `^quickstart: -v is 3, 4 or 5,.*\n$`},
		{"too old a version", unreachable, []string{"-v", "2"}, 2, `^quickstart: -v is 3, 4 or 5,.*\n$`},
		{"TLS to nowhere", func(*testing.T) string { return "" }, []string{"-tls"}, 2, `^quickstart: .*-tls needs -broker,.*\n$`},
		{"help", unreachable, []string{"-h"}, 0, `^Usage of quickstart:\n(?s:.*)-broker address\n`},
		{"no flag", unreachable, []string{"localhost"}, 2, `^quickstart: .*nothing follows the flags\n$`},
		{"no number", unreachable, []string{"-v", "five"}, 2, `invalid value "five" for flag -v`},
		{"refused in 5.0", refusing(mqttcore.ReasonNotAuthorized), nil, 1, `^quickstart: closed: not authorized, Not authorized\n$`},
		{"refused in 3.1.1", refusing(mqttcore.ReasonNotAuthorized), []string{"-v", "4"}, 1, `^quickstart: closed: not authorized, Not authorized\n$`},
		{"cut at once", cutting(mqttcore.TypeConnect), nil, 1, `^quickstart: closed: transport invalid, EOF\n$`},
		{"cut in the middle", cutting(mqttcore.TypePubRel), nil, 1, `^quickstart: closed: transport invalid, .*\n$`},
		{"silent", silent, []string{"-timeout", "50ms"}, 1, `^quickstart: not done within 50ms\n$`},
		{"no MQTT", saying("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, 1, `^quickstart: closed: protocol violation, .*\n$`},
		{"too large", saying("\x20\x03\x00\x00\x00\x30\xff\xff\xff\x7f"), nil, 1, `^quickstart: closed: protocol violation, Packet too large, .*\n$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			code, stdout, stderr := quickstart(append([]string{"-broker", c.addr(t)}, c.args...)...)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%d bytes were allocated", n) // as the length of a packet said
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !regexp.MustCompile(c.want).MatchString(stderr) {
				t.Errorf("error output %q, want %s", stderr, c.want)
			}
			if connected := strings.Contains(stdout, "CONNECT quickstart-"); connected != (c.code == 1 && !strings.Contains(c.want, "reach")) {
				t.Errorf("the output is\n%s", stdout)
			}
		})
	}
}

func refusing(code mqttcore.ReasonCode) func(*testing.T) string {
	return func(t *testing.T) string { return (&testbroker.Server{Code: code}).Start(t) }
}

func cutting(at mqttcore.PacketType) func(*testing.T) string {
	hook := func(p mqttcore.Packet) error {
		if p.PacketType() == at {
			return errors.New("cut")
		}
		return nil
	}
	return func(t *testing.T) string { return (&testbroker.Server{Hook: hook}).Start(t) }
}

// saying is a server that is no broker: it says text and then only listens.
func saying(text string) func(*testing.T) string {
	return func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Write([]byte(text))
			for err == nil {
				_, err = conn.Read(make([]byte, 1000))
			}
		}()
		t.Cleanup(func() { l.Close(); <-done })
		return l.Addr().String()
	}
}

func silent(t *testing.T) string { return saying("")(t) }

func TestTLS(t *testing.T) {
	server := testbroker.Server{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}}
	addr := server.Start(t)
	code, stdout, stderr := quickstart("-broker", addr, "-tls", "-insecure", "-buffer", "7")
	if code != 0 || !strings.Contains(stdout, "* closed: local disconnect") || len(server.Received()) != 3 {
		t.Errorf("exit code %d, error output %q, output\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = quickstart("-broker", addr, "-tls")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "certificate") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("a certificate of its own: exit code %d, error output %q, output %q", code, stderr, stdout)
	}
}

// certificate is one that nobody has reason to trust.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
