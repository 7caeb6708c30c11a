package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// The exchange of RFC 7677 §3.
const (
	vectorClientNonce = "rOprNGfwEbeRWgbNEkqO"
	vectorServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	vectorSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	vectorFirst       = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
	vectorServerFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	vectorFinal       = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	vectorServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

// vectorUsers are the users of a server that knows the one of the vector.
func vectorUsers(t *testing.T) map[string]credentials {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString(vectorSalt)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCredentials("pencil", string(salt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]credentials{"user": c}
}

func counted(s string) func() string {
	n := 0
	return func() string {
		n++
		return fmt.Sprintf("%s%d", s, n)
	}
}

// newVectorTalk is a client and a server that agree, with the vector's nonces
// first.
func newVectorTalk(t *testing.T, password string) *talk {
	t.Helper()
	nonces := func(first, then string) func() string {
		next := counted(then)
		return func() string { s := first; first = next(); return s }
	}
	b := &broker{users: vectorUsers(t), nonce: nonces(vectorServerNonce, "server")}
	k, err := newTalk(&login{user: "user", password: password, nonce: nonces(vectorClientNonce, "client")}, b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// said is a packet and its message of SCRAM.
func said(p mqttcore.Packet) string {
	var props mqttcore.Properties
	var code mqttcore.ReasonCode
	switch p := p.(type) {
	case *mqttcore.Auth:
		props, code = p.Props, p.Code
	case *mqttcore.ConnAck:
		props, code = p.Props, p.Code
	}
	data, _ := props.AuthData()
	return strings.TrimSpace(fmt.Sprintf("%v %#02x %s", p.PacketType(), uint8(code), data))
}

// TestVector checks both sides against RFC 7677.
func TestVector(t *testing.T) {
	c, err := newScramClient("user", "pencil", vectorClientNonce)
	if err != nil {
		t.Fatal(err)
	}
	s, serverFirst, err := newScramServer(c.first(), vectorUsers(t), vectorServerNonce)
	if err != nil {
		t.Fatal(err)
	}
	final, err := c.final(serverFirst)
	if err != nil {
		t.Fatal(err)
	}
	serverFinal, err := s.final(final)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{vectorFirst, vectorServerFirst, vectorFinal, vectorServerFinal}
	if d := cmp.Diff(want, []string{c.first(), serverFirst, final, serverFinal}); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if err := c.verify(serverFinal); err != nil {
		t.Error(err)
	}
}

// TestClientRefuses gives a client what its server must not say.
func TestClientRefuses(t *testing.T) {
	const nonce = vectorClientNonce
	for _, c := range []struct {
		name, serverFirst string
		want              error
	}{
		{"the vector", vectorServerFirst, nil},
		{"an extension at the end", vectorServerFirst + ",x=1", nil},
		{"nothing", "", errMessage},
		{"no salt", "r=" + nonce + "x,i=4096", errMessage},
		{"no iterations", "r=" + nonce + "x,s=AAAA", errMessage},
		{"a salt that is not base64", "r=" + nonce + "x,s=A,i=4096", errMessage},
		{"an extension that must be known", "m=1,r=" + nonce + "x,s=AAAA,i=4096", errMessage},
		{"another nonce", "r=x" + nonce + ",s=AAAA,i=4096", errNonce},
		{"no nonce of the server", "r=" + nonce + ",s=AAAA,i=4096", errNonce},
		{"too few iterations", "r=" + nonce + "x,s=AAAA,i=4095", errEffort},
		{"too many iterations", "r=" + nonce + "x,s=AAAA,i=1048577", errEffort},
		{"no number", "r=" + nonce + "x,s=AAAA,i=many", errEffort},
		{"negative", "r=" + nonce + "x,s=AAAA,i=-4096", errEffort},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := newScramClient("user", "pencil", nonce)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.final(c.serverFirst); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.want != nil {
				if err := s.verify("v="); err == nil {
					t.Error("a server that proved nothing is taken")
				}
				return
			}
			if _, err := s.final(c.serverFirst); !errors.Is(err, errMessage) {
				t.Errorf("a second server-first: %v", err)
			}
		})
	}
	for _, c := range []struct {
		final string
		want  error
	}{
		{vectorServerFinal, nil},
		{vectorServerFinal + ",x=1", nil},
		{"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", errProof},
		{"v=", errProof},
		{"v=?", errProof},
		{"e=invalid-proof", errMessage},
		{"", errMessage},
	} {
		s, _ := newScramClient("user", "pencil", nonce)
		if err := s.verify(c.final); !errors.Is(err, errMessage) {
			t.Errorf("%q before the challenge: %v", c.final, err)
		}
		s.final(vectorServerFirst)
		if err := s.verify(c.final); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.final, err, c.want)
		}
	}
}

// TestServerRefuses gives a server what a client must not say.
func TestServerRefuses(t *testing.T) {
	users := vectorUsers(t)
	for _, c := range []struct {
		name, first, final string
		want               error
	}{
		{"the vector", vectorFirst, vectorFinal, nil},
		{"channel binding", "p=tls-unique,,n=user,r=x", "", errMessage},
		{"no nonce", "n,,n=user,r=", "", errMessage},
		{"no user", "n,,r=x", "", errMessage},
		{"an unknown user", "n,,n=root,r=x", "", errProof},
		{"another proof", vectorFirst, strings.Replace(vectorFinal, "p=d", "p=e", 1), errProof},
		{"a short proof", vectorFirst, vectorFinal[:strings.Index(vectorFinal, ",p=")] + ",p=AAAA", errMessage},
		{"no proof", vectorFirst, vectorFinal[:strings.Index(vectorFinal, ",p=")], errMessage},
		{"another nonce", vectorFirst, strings.Replace(vectorFinal, "r=r", "r=s", 1), errNonce},
		{"another channel binding", vectorFirst, strings.Replace(vectorFinal, "biws", "eSws", 1), errMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, err := newScramServer(c.first, users, vectorServerNonce)
			if err == nil {
				_, err = s.final(c.final)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// User names are escaped, and what would need SASLprep is refused.
func TestNames(t *testing.T) {
	const name = "a=2C,b="
	c, err := newScramClient(name, "pencil", "x")
	if err != nil || c.first() != "n,,n=a=3D2C=2Cb=3D,r=x" {
		t.Fatalf("%v, %v", c, err)
	}
	s, _, err := newScramServer(c.first(), map[string]credentials{name: {}}, "y")
	if err != nil || s.user != name {
		t.Errorf("%v, %v", s, err)
	}
	for _, x := range [][2]string{{"", "p"}, {"u", ""}, {"ü", "p"}, {"u", "p\n"}} {
		if _, err := newScramClient(x[0], x[1], "x"); !errors.Is(err, errText) {
			t.Errorf("%q: %v", x, err)
		}
	}
}

// TestConversation authenticates twice on one connection, while messages flow.
func TestConversation(t *testing.T) {
	k := newVectorTalk(t, "pencil")
	var wire []string
	k.b.meddle = func(p mqttcore.Packet) mqttcore.Packet { wire = append(wire, said(p)); return p }
	if err := errors.Join(k.connect(), k.reauthenticate()); err != nil {
		t.Fatal(err)
	}
	if k.c.State() != mqttcore.StateConnected || k.login.err != nil {
		t.Fatalf("%v, %v\n%v", k.c.State(), k.login.err, k.rec.Ladder())
	}
	want := []string{
		"AUTH 0x18 " + vectorServerFirst, "CONNACK 0x00 " + vectorServerFinal,
		"PUBLISH 0x00", "PUBACK 0x00",
		"AUTH 0x18 r=client1server1,s=" + vectorSalt + ",i=4096",
		"PUBLISH 0x00", "PUBACK 0x00",
	}
	if len(wire) != len(want)+3 || !strings.HasPrefix(wire[7], "AUTH 0x00 v=") || wire[7] == "AUTH 0x00 "+vectorServerFinal {
		t.Errorf("sent %q", wire)
	}
	if d := cmp.Diff(want, wire[:min(len(want), len(wire))]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"before", "while", "after"}, k.b.received); d != "" {
		t.Errorf("the broker received (-want +got)\n%s", d)
	}
	told := []string{"auth challenge", "auth done", "connected", "message", "published", "auth challenge",
		"message", "published", "auth done", "message", "published"}
	if d := cmp.Diff(told, k.told); d != "" {
		t.Errorf("events (-want +got)\n%s", d)
	}

	// It cannot be begun while one is under way, which then goes on.
	var err error
	if k.out, err = k.login.again(k.c, k.out, k.now); err != nil {
		t.Fatal(err)
	}
	if _, err := k.login.again(k.c, nil, k.now); !errors.Is(err, mqttcore.ErrAuth) {
		t.Errorf("a second one at a time: %v", err)
	}
	if err := k.run(); err != nil || k.login.err != nil || k.told[len(k.told)-1] != "auth done" {
		t.Errorf("%v, %v, %v", err, k.login.err, k.told)
	}
}

// TestServerSaysNo lets the server refuse, at the first authentication and at
// a later one.
func TestServerSaysNo(t *testing.T) {
	for _, c := range []struct{ name, user, password string }{
		{"wrong password", "user", "crayon"},
		{"unknown user", "root", "pencil"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newVectorTalk(t, "pencil")
			l := k.login
			if err := k.connect(); err != nil {
				t.Fatal(err)
			}
			l.user, l.password = c.user, c.password
			if err := k.reauthenticate(); err != nil {
				t.Fatal(err)
			}
			if k.cause != mqttcore.CauseServerDisconnect || k.b.connected {
				t.Errorf("re-authentication: %v, %v", k.cause, k.told)
			}

			b := &broker{users: vectorUsers(t), nonce: counted("s")}
			k, err := newTalk(&login{user: c.user, password: c.password, nonce: counted("c")}, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.connect(); err != nil {
				t.Fatal(err)
			}
			if k.cause != mqttcore.CauseNotAuthorized || b.connected {
				t.Errorf("connecting: %v, %v", k.cause, k.told)
			}
		})
	}
	k := newVectorTalk(t, "pencil")
	k.b.users["other"] = k.b.users["user"]
	if err := k.connect(); err != nil {
		t.Fatal(err)
	}
	k.login.user = "other"
	if k.reauthenticate(); k.cause != mqttcore.CauseServerDisconnect {
		t.Errorf("as somebody else: %v, %v", k.cause, k.told)
	}
}

// TestClientSaysNo lets somebody else than the server answer, when connecting
// and later. The client says DISCONNECT 0x83 and nothing else, not even the
// message that waited for the connection.
func TestClientSaysNo(t *testing.T) {
	is := func(code mqttcore.ReasonCode) func(mqttcore.Packet) bool {
		return func(p mqttcore.Packet) bool {
			a, ok := p.(*mqttcore.Auth)
			return ok && a.Code == code || !ok && p.PacketType() == mqttcore.TypeConnAck && code == mqttcore.ReasonSuccess
		}
	}
	first, final := is(mqttcore.ReasonContinueAuthentication), is(mqttcore.ReasonSuccess)
	replace := func(s string) func(string) string { return func(string) string { return s } }
	for _, c := range []struct {
		name    string
		which   func(mqttcore.Packet) bool
		pretend func(message string) string
		want    error
	}{
		{"wrong signature", final, replace("v=AAAA"), errProof},
		{"empty signature", final, replace("v="), errProof},
		{"no signature", final, replace(""), errMessage},
		{"an error instead", final, replace("e=other-error"), errMessage},
		{"an old signature", final, replace(vectorServerFinal[:10] + "A" + vectorServerFinal[11:]), errProof},
		{"another nonce", first, func(s string) string { return "r=x" + s[2:] }, errNonce},
		{"few iterations", first, func(s string) string { return strings.Replace(s, "i=4096", "i=1", 1) }, errEffort},
	} {
		t.Run(c.name, func(t *testing.T) {
			meddle := func(p mqttcore.Packet) mqttcore.Packet {
				if c.which(p) {
					switch p := p.(type) {
					case *mqttcore.Auth:
						p.Props = rewritten(t, p.Props, c.pretend)
					case *mqttcore.ConnAck:
						p.Props = rewritten(t, p.Props, c.pretend)
					}
				}
				return p
			}
			connecting, later := newVectorTalk(t, "pencil"), newVectorTalk(t, "pencil")
			if err := later.connect(); err != nil {
				t.Fatal(err)
			}
			connecting.b.meddle, later.b.meddle = meddle, meddle
			if err := errors.Join(connecting.publish("secret", 1), connecting.connect()); err != nil {
				t.Fatal(err)
			}
			var err error
			if later.out, err = later.login.again(later.c, later.out, later.now); err == nil {
				err = later.run()
			}
			if err != nil {
				t.Fatal(err)
			}
			checkGaveUp(t, connecting, c.want)
			checkGaveUp(t, later, c.want)
		})
	}
	t.Run("a challenge more", func(t *testing.T) {
		k := newVectorTalk(t, "pencil")
		k.b.meddle = func(p mqttcore.Packet) mqttcore.Packet {
			if a, ok := p.(*mqttcore.ConnAck); ok {
				return &mqttcore.Auth{Code: mqttcore.ReasonContinueAuthentication, Props: a.Props}
			}
			return p
		}
		if err := k.connect(); err != nil {
			t.Fatal(err)
		}
		checkGaveUp(t, k, errMessage)
	})
	t.Run("an answer that does not fit", func(t *testing.T) {
		k := newVectorTalk(t, "pencil")
		k.b.nonce = func() string { return strings.Repeat("x", 65535-len("r=,s=,i=4096")-len(vectorClientNonce)) }
		c := k.b.users["user"]
		c.salt = ""
		k.b.users["user"] = c
		if err := k.connect(); err != nil {
			t.Fatal(err)
		}
		var fault *mqttcore.Error
		if !errors.As(k.login.err, &fault) {
			t.Fatalf("%v\n%v", k.login.err, k.told)
		}
		checkGaveUp(t, k, k.login.err)
	})
	// Success comes at once: the core takes it, for there are such methods, and
	// the login does not.
	for _, final := range []string{"", "v=", vectorServerFinal} {
		k := newVectorTalk(t, "pencil")
		k.b.meddle = func(p mqttcore.Packet) mqttcore.Packet {
			if a, ok := p.(*mqttcore.Auth); ok {
				return &mqttcore.ConnAck{Props: rewritten(t, a.Props, replace(final))}
			}
			return p
		}
		if err := errors.Join(k.publish("secret", 1), k.connect()); err != nil {
			t.Fatal(err)
		}
		checkGaveUp(t, k, errMessage)
	}
}

// rewritten are the properties with another message.
func rewritten(t *testing.T, p mqttcore.Properties, pretend func(string) string) mqttcore.Properties {
	t.Helper()
	data, _ := p.AuthData()
	p, err := authProperties(pretend(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkGaveUp wants the client to have closed with DISCONNECT 0x83, because of
// want, and no message to have come through.
func checkGaveUp(t *testing.T, k *talk, want error) {
	t.Helper()
	if !errors.Is(k.login.err, want) || k.cause != mqttcore.CauseLocalDisconnect || len(k.b.received) != 0 {
		t.Errorf("%v, want %v; %v; the broker received %q", k.login.err, want, k.cause, k.b.received)
	}
	if s := k.rec.String(); !strings.Contains(s, "─ DISCONNECT Implementation specific error") {
		t.Errorf("no DISCONNECT 0x83 in\n%s", s)
	}
}

func TestDemonstration(t *testing.T) {
	var out bytes.Buffer
	if err := demonstrate(&out, counted("nonce")); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, part := range []string{
		"The right password", "n,,n=user,r=nonce1", "─ CONNECT", "<─ AUTH Continue", "─ AUTH Continue", "<─ CONNACK Success", "v=", "* connected",
		"─ PUBLISH waiting", "─ AUTH Re-authenticate", "─ PUBLISH while", "<─ AUTH Success", "─ PUBLISH after", "─ DISCONNECT ─",
		"A wrong password", "<─ CONNACK Not authorized", "* closed: not authorized",
		"A server that cannot", "<─ CONNACK Success", "v=AAAA", "─ DISCONNECT Implementation specific error",
	} {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("%q is not in its place in\n%s", part, out.String())
		}
		rest = after
	}
	if n := strings.Count(out.String(), "─ PUBLISH waiting q1"); n != 1 {
		t.Errorf("the waiting message was written %d times", n)
	}
	if strings.Contains(out.String(), "pencil") {
		t.Error("the password is in the output")
	}
}
