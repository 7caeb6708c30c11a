// This file turns what libraries decoded into one form, so that it can be
// compared field by field.

package compare

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	paho5 "github.com/eclipse/paho.golang/packets"
	mochi "github.com/mochi-mqtt/server/v2/packets"

	"mqttcore"
)

// A view is a packet with its lists beside it, as they were decoded, and not
// in those of the core: what that gets wrong both ways would not be seen.
type view struct {
	Packet        mqttcore.Packet
	Props, Will   []mqttcore.Property // by identifier
	Subscriptions []mqttcore.Subscription
	Filters       [][]byte
}

// sorted puts properties in the order of their identifiers: libraries keep the
// order of those with the same one, and no other.
func sorted(ps iter.Seq[mqttcore.Property]) []mqttcore.Property {
	return slices.SortedStableFunc(ps, func(a, b mqttcore.Property) int { return int(a.ID) - int(b.ID) })
}

// viewCore takes the lists out of p.
func viewCore(p mqttcore.Packet) view {
	v := view{Packet: p}
	var props *mqttcore.Properties
	switch p := p.(type) {
	case *mqttcore.Connect:
		v.Will = sorted(p.Will.Props.All())
		props, p.Will.Props = &p.Props, mqttcore.Properties{}
	case *mqttcore.ConnAck:
		props = &p.Props
	case *mqttcore.Publish:
		props = &p.Props
	case *mqttcore.Ack:
		props = &p.Props
	case *mqttcore.Subscribe:
		v.Subscriptions = slices.Collect(p.Subscriptions.All())
		props, p.Subscriptions = &p.Props, mqttcore.Subscriptions{}
	case *mqttcore.SubAck:
		props = &p.Props
	case *mqttcore.Unsubscribe:
		v.Filters = slices.Collect(p.Filters.All())
		props, p.Filters = &p.Props, mqttcore.Filters{}
	case *mqttcore.UnsubAck:
		props = &p.Props
	case *mqttcore.Disconnect:
		props = &p.Props
	case *mqttcore.Auth:
		props = &p.Props
	case *mqttcore.Ping:
		return v
	}
	v.Props = sorted(props.All())
	*props = mqttcore.Properties{}
	return v
}

// returnCodes are the reason codes with the meanings of CONNACK's return codes
// of 3.x.
var returnCodes = [...]mqttcore.ReasonCode{0, 0x84, 0x85, 0x88, 0x86, 0x87}

// present is nil where the flag says that there is nothing.
func present[T mqttcore.Text](ok bool, v T) []byte {
	if !ok {
		return nil
	}
	return append([]byte{}, v...)
}

// count appends a property if it is there.
func count[T uint8 | uint16 | uint32 | int](ps *[]mqttcore.Property, id mqttcore.PropertyID, ok bool, v T) {
	if ok {
		*ps = append(*ps, mqttcore.Property{ID: id, Num: uint32(v)})
	}
}

// pointed is count for libraries where nil is absent.
func pointed[T uint8 | uint16 | uint32 | int](ps *[]mqttcore.Property, id mqttcore.PropertyID, v *T) {
	if v != nil {
		count(ps, id, true, *v)
	}
}

// value appends a property if it is not empty: neither library tells an empty
// one from none.
func value[T mqttcore.Text](ps *[]mqttcore.Property, id mqttcore.PropertyID, v T) {
	if len(v) > 0 {
		*ps = append(*ps, mqttcore.Property{ID: id, Value: []byte(v)})
	}
}

func viewMochi(d mqttcore.Dialect, wire []byte) (v view, err error) {
	pk := new(mochi.Packet)
	if err := readMochi(bytes.NewReader(wire), wire, d, pk); err != nil {
		return v, err
	}
	v.Props = mochiProperties(&pk.Properties)
	fixed, code := pk.FixedHeader, mqttcore.ReasonCode(pk.ReasonCode)
	switch t := mqttcore.PacketType(fixed.Type); t {
	case mqttcore.TypeConnect:
		c := &pk.Connect
		if pk.ProtocolVersion != byte(d.Version) {
			return v, fmt.Errorf("version %d", pk.ProtocolVersion)
		}
		v.Will = mochiProperties(&c.WillProperties)
		v.Packet = &mqttcore.Connect{
			ClientID: []byte(c.ClientIdentifier), CleanStart: c.Clean, KeepAlive: c.Keepalive,
			Username: present(c.UsernameFlag, c.Username), Password: present(c.PasswordFlag, c.Password),
			Will: mqttcore.Will{Topic: []byte(c.WillTopic), Payload: c.WillPayload, QoS: mqttcore.QoS(c.WillQos), Retain: c.WillRetain},
		}
	case mqttcore.TypeConnAck:
		if d.Version != mqttcore.V5 && int(code) < len(returnCodes) {
			code = returnCodes[code]
		}
		v.Packet = &mqttcore.ConnAck{SessionPresent: pk.SessionPresent, Code: code}
	case mqttcore.TypePublish:
		v.Packet = &mqttcore.Publish{Topic: []byte(pk.TopicName), Payload: pk.Payload, ID: pk.PacketID,
			QoS: mqttcore.QoS(fixed.Qos), Dup: fixed.Dup, Retain: fixed.Retain}
	case mqttcore.TypePubAck, mqttcore.TypePubRec, mqttcore.TypePubRel, mqttcore.TypePubComp:
		v.Packet = &mqttcore.Ack{Type: t, Code: code, ID: pk.PacketID, Dup: fixed.Dup}
	case mqttcore.TypeSubscribe:
		for _, s := range pk.Filters {
			v.Subscriptions = append(v.Subscriptions, mqttcore.Subscription{Filter: []byte(s.Filter), QoS: mqttcore.QoS(s.Qos), NoLocal: s.NoLocal,
				RetainAsPublished: s.RetainAsPublished, RetainHandling: mqttcore.RetainHandling(s.RetainHandling)})
		}
		v.Packet = &mqttcore.Subscribe{ID: pk.PacketID, Dup: fixed.Dup}
	case mqttcore.TypeSubAck:
		v.Packet = &mqttcore.SubAck{ID: pk.PacketID, Codes: pk.ReasonCodes}
	case mqttcore.TypeUnsubscribe:
		for _, s := range pk.Filters {
			v.Filters = append(v.Filters, []byte(s.Filter))
		}
		v.Packet = &mqttcore.Unsubscribe{ID: pk.PacketID, Dup: fixed.Dup}
	case mqttcore.TypeUnsubAck:
		v.Packet = &mqttcore.UnsubAck{ID: pk.PacketID, Codes: pk.ReasonCodes}
	case mqttcore.TypePingReq, mqttcore.TypePingResp:
		v.Packet = &mqttcore.Ping{Type: t}
	case mqttcore.TypeDisconnect:
		v.Packet = &mqttcore.Disconnect{Code: code}
	case mqttcore.TypeAuth:
		v.Packet = &mqttcore.Auth{Code: code}
	}
	return v, nil
}

// mochiProperties lists what is in p. Where p cannot tell 0 from absent, 0 is
// taken as absent.
func mochiProperties(p *mochi.Properties) []mqttcore.Property {
	var ps []mqttcore.Property
	count(&ps, mqttcore.PropPayloadFormat, p.PayloadFormatFlag, p.PayloadFormat)
	count(&ps, mqttcore.PropMessageExpiry, p.MessageExpiryInterval > 0, p.MessageExpiryInterval)
	value(&ps, mqttcore.PropContentType, p.ContentType)
	value(&ps, mqttcore.PropResponseTopic, p.ResponseTopic)
	value(&ps, mqttcore.PropCorrelationData, p.CorrelationData)
	for _, id := range p.SubscriptionIdentifier {
		count(&ps, mqttcore.PropSubscriptionID, true, id)
	}
	count(&ps, mqttcore.PropSessionExpiry, p.SessionExpiryIntervalFlag, p.SessionExpiryInterval)
	value(&ps, mqttcore.PropAssignedClientID, p.AssignedClientID)
	count(&ps, mqttcore.PropServerKeepAlive, p.ServerKeepAliveFlag, p.ServerKeepAlive)
	value(&ps, mqttcore.PropAuthMethod, p.AuthenticationMethod)
	value(&ps, mqttcore.PropAuthData, p.AuthenticationData)
	count(&ps, mqttcore.PropRequestProblemInfo, p.RequestProblemInfoFlag, p.RequestProblemInfo)
	count(&ps, mqttcore.PropWillDelay, p.WillDelayInterval > 0, p.WillDelayInterval)
	count(&ps, mqttcore.PropRequestResponseInfo, p.RequestResponseInfo > 0, p.RequestResponseInfo)
	value(&ps, mqttcore.PropResponseInfo, p.ResponseInfo)
	value(&ps, mqttcore.PropServerReference, p.ServerReference)
	value(&ps, mqttcore.PropReasonString, p.ReasonString)
	count(&ps, mqttcore.PropReceiveMaximum, p.ReceiveMaximum > 0, p.ReceiveMaximum)
	count(&ps, mqttcore.PropTopicAliasMaximum, p.TopicAliasMaximum > 0, p.TopicAliasMaximum)
	count(&ps, mqttcore.PropTopicAlias, p.TopicAliasFlag, p.TopicAlias)
	count(&ps, mqttcore.PropMaximumQoS, p.MaximumQosFlag, p.MaximumQos)
	count(&ps, mqttcore.PropRetainAvailable, p.RetainAvailableFlag, p.RetainAvailable)
	for _, u := range p.User {
		ps = append(ps, mqttcore.Property{ID: mqttcore.PropUserProperty, Key: []byte(u.Key), Value: []byte(u.Val)})
	}
	count(&ps, mqttcore.PropMaximumPacketSize, p.MaximumPacketSize > 0, p.MaximumPacketSize)
	count(&ps, mqttcore.PropWildcardAvailable, p.WildcardSubAvailableFlag, p.WildcardSubAvailable)
	count(&ps, mqttcore.PropSubscriptionIDsAvailable, p.SubIDAvailableFlag, p.SubIDAvailable)
	count(&ps, mqttcore.PropSharedAvailable, p.SharedSubAvailableFlag, p.SharedSubAvailable)
	return sorted(slices.Values(ps))
}

// mochiHides reports whether mochi cannot tell x from absent.
func mochiHides(x mqttcore.Property) bool {
	switch x.ID {
	case mqttcore.PropMessageExpiry, mqttcore.PropWillDelay, mqttcore.PropRequestResponseInfo, mqttcore.PropTopicAliasMaximum:
		return x.Num == 0
	}
	return emptyText(x)
}

// emptyText reports whether x is an empty string or empty data. Numbers always
// have a field of their own.
func emptyText(x mqttcore.Property) bool {
	return x.ID != mqttcore.PropUserProperty && x.Num == 0 && x.Value != nil && len(x.Value) == 0
}

func viewPaho5(d mqttcore.Dialect, wire []byte) (v view, err error) {
	r := bytes.NewReader(wire)
	cp, err := paho5.ReadPacket(r)
	if err != nil {
		return v, err
	}
	if r.Len() > 0 {
		return v, fmt.Errorf("%d bytes left", r.Len())
	}
	var props *paho5.Properties
	ack := func(id uint16, code byte) *mqttcore.Ack {
		return &mqttcore.Ack{Type: mqttcore.PacketType(cp.Type), ID: id, Code: mqttcore.ReasonCode(code)}
	}
	switch x := cp.Content.(type) {
	case *paho5.Connect:
		if x.ProtocolVersion != byte(d.Version) {
			return v, fmt.Errorf("version %d", x.ProtocolVersion)
		}
		props = x.Properties
		v.Will = pahoProperties(x.WillProperties)
		v.Packet = &mqttcore.Connect{
			ClientID: []byte(x.ClientID), CleanStart: x.CleanStart, KeepAlive: x.KeepAlive,
			Username: present(x.UsernameFlag, x.Username), Password: present(x.PasswordFlag, x.Password),
			Will: mqttcore.Will{Topic: []byte(x.WillTopic), Payload: x.WillMessage, QoS: mqttcore.QoS(x.WillQOS), Retain: x.WillRetain},
		}
	case *paho5.Connack:
		props, v.Packet = x.Properties, &mqttcore.ConnAck{SessionPresent: x.SessionPresent, Code: mqttcore.ReasonCode(x.ReasonCode)}
	case *paho5.Publish:
		props = x.Properties
		v.Packet = &mqttcore.Publish{Topic: []byte(x.Topic), Payload: x.Payload, ID: x.PacketID, QoS: mqttcore.QoS(x.QoS), Dup: x.Duplicate, Retain: x.Retain}
	case *paho5.Puback:
		props, v.Packet = x.Properties, ack(x.PacketID, x.ReasonCode)
	case *paho5.Pubrec:
		props, v.Packet = x.Properties, ack(x.PacketID, x.ReasonCode)
	case *paho5.Pubrel:
		props, v.Packet = x.Properties, ack(x.PacketID, x.ReasonCode)
	case *paho5.Pubcomp:
		props, v.Packet = x.Properties, ack(x.PacketID, x.ReasonCode)
	case *paho5.Subscribe:
		for _, s := range x.Subscriptions {
			v.Subscriptions = append(v.Subscriptions, mqttcore.Subscription{Filter: []byte(s.Topic), QoS: mqttcore.QoS(s.QoS), NoLocal: s.NoLocal,
				RetainAsPublished: s.RetainAsPublished, RetainHandling: mqttcore.RetainHandling(s.RetainHandling)})
		}
		props, v.Packet = x.Properties, &mqttcore.Subscribe{ID: x.PacketID}
	case *paho5.Suback:
		props, v.Packet = x.Properties, &mqttcore.SubAck{ID: x.PacketID, Codes: x.Reasons}
	case *paho5.Unsubscribe:
		for _, s := range x.Topics {
			v.Filters = append(v.Filters, []byte(s))
		}
		props, v.Packet = x.Properties, &mqttcore.Unsubscribe{ID: x.PacketID}
	case *paho5.Unsuback:
		props, v.Packet = x.Properties, &mqttcore.UnsubAck{ID: x.PacketID, Codes: x.Reasons}
	case *paho5.Pingreq, *paho5.Pingresp:
		v.Packet = &mqttcore.Ping{Type: mqttcore.PacketType(cp.Type)}
	case *paho5.Disconnect:
		props, v.Packet = x.Properties, &mqttcore.Disconnect{Code: mqttcore.ReasonCode(x.ReasonCode)}
	case *paho5.Auth:
		props, v.Packet = x.Properties, &mqttcore.Auth{Code: mqttcore.ReasonCode(x.ReasonCode)}
	}
	v.Props = pahoProperties(props)
	return v, nil
}

// pahoProperties lists what is in p; nil has nothing.
func pahoProperties(p *paho5.Properties) []mqttcore.Property {
	var ps []mqttcore.Property
	if p == nil {
		return nil
	}
	pointed(&ps, mqttcore.PropPayloadFormat, p.PayloadFormat)
	pointed(&ps, mqttcore.PropMessageExpiry, p.MessageExpiry)
	value(&ps, mqttcore.PropContentType, p.ContentType)
	value(&ps, mqttcore.PropResponseTopic, p.ResponseTopic)
	value(&ps, mqttcore.PropCorrelationData, p.CorrelationData)
	pointed(&ps, mqttcore.PropSubscriptionID, p.SubscriptionIdentifier)
	pointed(&ps, mqttcore.PropSessionExpiry, p.SessionExpiryInterval)
	value(&ps, mqttcore.PropAssignedClientID, p.AssignedClientID)
	pointed(&ps, mqttcore.PropServerKeepAlive, p.ServerKeepAlive)
	value(&ps, mqttcore.PropAuthMethod, p.AuthMethod)
	value(&ps, mqttcore.PropAuthData, p.AuthData)
	pointed(&ps, mqttcore.PropRequestProblemInfo, p.RequestProblemInfo)
	pointed(&ps, mqttcore.PropWillDelay, p.WillDelayInterval)
	pointed(&ps, mqttcore.PropRequestResponseInfo, p.RequestResponseInfo)
	value(&ps, mqttcore.PropResponseInfo, p.ResponseInfo)
	value(&ps, mqttcore.PropServerReference, p.ServerReference)
	value(&ps, mqttcore.PropReasonString, p.ReasonString)
	pointed(&ps, mqttcore.PropReceiveMaximum, p.ReceiveMaximum)
	pointed(&ps, mqttcore.PropTopicAliasMaximum, p.TopicAliasMaximum)
	pointed(&ps, mqttcore.PropTopicAlias, p.TopicAlias)
	pointed(&ps, mqttcore.PropMaximumQoS, p.MaximumQOS)
	pointed(&ps, mqttcore.PropRetainAvailable, p.RetainAvailable)
	for _, u := range p.User {
		ps = append(ps, mqttcore.Property{ID: mqttcore.PropUserProperty, Key: []byte(u.Key), Value: []byte(u.Value)})
	}
	pointed(&ps, mqttcore.PropMaximumPacketSize, p.MaximumPacketSize)
	pointed(&ps, mqttcore.PropWildcardAvailable, p.WildcardSubAvailable)
	pointed(&ps, mqttcore.PropSubscriptionIDsAvailable, p.SubIDAvailable)
	pointed(&ps, mqttcore.PropSharedAvailable, p.SharedSubAvailable)
	return sorted(slices.Values(ps))
}
