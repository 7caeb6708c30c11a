// This file starts mochi-mqtt inside this process.

package brokers

import (
	"fmt"
	"log/slog"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Mochi starts mochi-mqtt in this process. It speaks 3.1, 3.1.1 and 5.0.
func Mochi(o Options) (*Broker, error) {
	if o.RefuseEmptyID {
		return nil, errOption("RefuseEmptyID")
	}
	if o.Copies {
		return nil, errOption("Copies")
	}
	b := new(Broker)
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = o.MaxPacketSize
	caps.MaximumInflight = 65535 // also bounds what waits for a client that is away
	caps.MaximumClientWritesPending = 1 << 16
	if o.MinVersion != 0 {
		caps.MinimumProtocolVersion = o.MinVersion
	}
	s := mqtt.New(&mqtt.Options{
		Capabilities: caps,
		Logger:       slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	var err error
	if o.Users == nil {
		err = s.AddHook(new(auth.AllowHook), nil)
	} else {
		var rules auth.AuthRules
		for name, password := range o.Users {
			rules = append(rules, auth.AuthRule{Username: auth.RString(name), Password: auth.RString(password), Allow: true})
		}
		err = s.AddHook(new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{Auth: rules}})
	}
	if err == nil && o.MaxKeepAlive != 0 {
		err = s.AddHook(&keepAliveHook{max: o.MaxKeepAlive}, nil)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err == nil {
		err = s.AddListener(l)
	}
	if err == nil {
		err = s.Serve()
	}
	if err != nil {
		return nil, fmt.Errorf("mochi: %w", err)
	}
	b.Addr, b.close = l.Address(), s.Close
	return b, nil
}

// keepAliveHook lowers the keep alive of clients of 5.0.
type keepAliveHook struct {
	mqtt.HookBase
	max uint16
}

func (*keepAliveHook) ID() string { return "keep-alive" }

func (*keepAliveHook) Provides(b byte) bool { return b == mqtt.OnConnect }

func (h *keepAliveHook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if cl.Properties.ProtocolVersion == 5 && (cl.State.Keepalive == 0 || cl.State.Keepalive > h.max) {
		cl.State.Keepalive = h.max
		cl.State.ServerKeepalive = true
	}
	return nil
}
