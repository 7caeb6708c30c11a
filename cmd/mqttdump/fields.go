// This file turns a decoded packet into the members of "fields". What they are
// called and in which order they stand is said in doc.go.

package main

import (
	"encoding/hex"
	"unicode/utf8"

	"mqttcore"
)

// fields holds every member that any packet has; nil ones are left out.
type fields struct {
	Name           any `json:"name,omitempty"`
	Level          any `json:"level,omitempty"`
	Flags          any `json:"flags,omitempty"`
	KeepAlive      any `json:"keepalive,omitempty"`
	Clean          any `json:"clean,omitempty"`
	Topic          any `json:"topic,omitempty"`
	QoS            any `json:"qos,omitempty"`
	Dup            any `json:"dup,omitempty"`
	Retain         any `json:"retain,omitempty"`
	SessionPresent any `json:"session_present,omitempty"`
	PacketID       any `json:"packet_id,omitempty"`
	Code           any `json:"code,omitempty"`
	Props          any `json:"props,omitempty"`
	ClientID       any `json:"client_id,omitempty"`
	WillTopic      any `json:"will_topic,omitempty"`
	WillPayload    any `json:"will_payload,omitempty"`
	WillQoS        any `json:"will_qos,omitempty"`
	WillRetain     any `json:"will_retain,omitempty"`
	Username       any `json:"username,omitempty"`
	Password       any `json:"password,omitempty"`
	Filters        any `json:"filters,omitempty"`
	Codes          any `json:"codes,omitempty"`
	Payload        any `json:"payload,omitempty"`
}

// propertyLists are the property lists of a packet by name.
type propertyLists map[string][][2]any

const willProperties = "Will Properties"

// fieldsOf describes p, which was decoded from f. The frame is asked where the
// struct does not keep what the wire said.
func fieldsOf(p mqttcore.Packet, f mqttcore.Frame, v mqttcore.Version) (x fields) {
	props := func(ps mqttcore.Properties) {
		if v == mqttcore.V5 {
			x.Props = propertyLists{f.Type.String(): propertyList(ps)}
		}
	}
	// short sets the code and the properties of a packet that may end before
	// either; at is where the code stands.
	short := func(at int, ps mqttcore.Properties) {
		if len(f.Body) > at {
			x.Code = f.Body[at]
		}
		if len(f.Body) > at+1 {
			props(ps)
		}
	}
	repeated := func(dup bool) {
		if dup {
			x.Dup = true
		}
	}
	switch p := p.(type) {
	case *mqttcore.Connect:
		name, n := mqttcore.ConsumeString(f.Body)
		x.Name, x.Level, x.Flags = text(name), f.Body[n], f.Body[n+1]
		x.KeepAlive, x.Clean, x.ClientID = p.KeepAlive, p.CleanStart, text(p.ClientID)
		props(p.Props)
		if w := &p.Will; w.Topic != nil {
			x.WillTopic, x.WillPayload = text(w.Topic), hex.EncodeToString(w.Payload)
			x.WillQoS, x.WillRetain = w.QoS, w.Retain
			if v == mqttcore.V5 {
				x.Props.(propertyLists)[willProperties] = propertyList(w.Props)
			}
		}
		if p.Username != nil {
			x.Username = text(p.Username)
		}
		if p.Password != nil {
			x.Password = hex.EncodeToString(p.Password)
		}
	case *mqttcore.ConnAck:
		x.SessionPresent = 0
		if p.SessionPresent {
			x.SessionPresent = 1
		}
		short(1, p.Props)
	case *mqttcore.Publish:
		x.Topic, x.QoS, x.Retain, x.Dup = text(p.Topic), p.QoS, p.Retain, f.Flags&8 != 0
		if p.QoS != mqttcore.QoS0 {
			x.PacketID = p.ID
		}
		props(p.Props)
		x.Payload = hex.EncodeToString(p.Payload)
	case *mqttcore.Ack:
		x.PacketID = p.ID
		repeated(p.Dup)
		short(2, p.Props)
	case *mqttcore.Subscribe:
		x.PacketID = p.ID
		repeated(p.Dup)
		props(p.Props)
		filters := make([][2]any, 0, p.Subscriptions.Len())
		for s := range p.Subscriptions.All() {
			filters = append(filters, [2]any{text(s.Filter), s.Options()})
		}
		x.Filters = filters
	case *mqttcore.SubAck:
		x.PacketID, x.Codes = p.ID, numbers(p.Codes)
		props(p.Props)
	case *mqttcore.Unsubscribe:
		x.PacketID = p.ID
		repeated(p.Dup)
		props(p.Props)
		filters := make([]any, 0, p.Filters.Len())
		for s := range p.Filters.All() {
			filters = append(filters, text(s))
		}
		x.Filters = filters
	case *mqttcore.UnsubAck:
		x.PacketID = p.ID
		if v == mqttcore.V5 {
			x.Codes = numbers(p.Codes)
		}
		props(p.Props)
	case *mqttcore.Disconnect:
		short(0, p.Props)
	case *mqttcore.Auth:
		short(0, p.Props)
	}
	return x
}

// text is s as JSON: a string, or an object where a string would lose bytes.
func text(s []byte) any {
	if utf8.Valid(s) {
		return string(s)
	}
	return map[string]string{"hex": hex.EncodeToString(s)}
}

// numbers keeps a list of codes from being taken for binary data.
func numbers(codes []byte) []int {
	list := make([]int, len(codes))
	for i, c := range codes {
		list[i] = int(c)
	}
	return list
}

func propertyList(ps mqttcore.Properties) [][2]any {
	list := [][2]any{}
	for x := range ps.All() {
		var value any
		switch propertyForms[x.ID] {
		case formString:
			value = text(x.Value)
		case formBinary:
			value = hex.EncodeToString(x.Value)
		case formPair:
			value = [2]any{text(x.Key), text(x.Value)}
		default:
			value = x.Num
		}
		list = append(list, [2]any{x.ID, value})
	}
	return list
}
