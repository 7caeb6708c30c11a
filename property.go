// This file holds the constructor and the getter of each property. It knows
// nothing of their wire form, which is props.go's.

package mqttcore

// PayloadFormat says what the payload is: 0 unspecified bytes, 1 UTF-8.
func PayloadFormat(v uint8) Property { return Property{ID: PropPayloadFormat, Num: uint32(v)} }

// MessageExpiry is the lifetime of a message, in seconds.
func MessageExpiry(v uint32) Property { return Property{ID: PropMessageExpiry, Num: v} }

// ContentType describes the payload, as a MIME type for instance.
func ContentType[T Text](v T) Property { return Property{ID: PropContentType, Value: []byte(v)} }

// ResponseTopic is the topic name for an answer.
func ResponseTopic[T Text](v T) Property { return Property{ID: PropResponseTopic, Value: []byte(v)} }

// CorrelationData tells a requester which request an answer is for.
func CorrelationData[T Text](v T) Property {
	return Property{ID: PropCorrelationData, Value: []byte(v)}
}

// SubscriptionID is the number of a subscription, 1 to 268,435,455.
func SubscriptionID(v uint32) Property { return Property{ID: PropSubscriptionID, Num: v} }

// SessionExpiry is how long a session outlives its connection, in seconds; 0
// not at all, 0xFFFFFFFF for ever.
func SessionExpiry(v uint32) Property { return Property{ID: PropSessionExpiry, Num: v} }

// AssignedClientID is the client identifier that the server chose.
func AssignedClientID[T Text](v T) Property {
	return Property{ID: PropAssignedClientID, Value: []byte(v)}
}

// ServerKeepAlive is the keep alive, in seconds, that the client is to use.
func ServerKeepAlive(v uint16) Property { return Property{ID: PropServerKeepAlive, Num: uint32(v)} }

// AuthMethod names the method of an enhanced authentication.
func AuthMethod[T Text](v T) Property { return Property{ID: PropAuthMethod, Value: []byte(v)} }

// AuthData is what the method exchanges.
func AuthData[T Text](v T) Property { return Property{ID: PropAuthData, Value: []byte(v)} }

// RequestProblemInfo 0 declines reason strings and user properties where they
// are only diagnostics.
func RequestProblemInfo(v uint8) Property {
	return Property{ID: PropRequestProblemInfo, Num: uint32(v)}
}

// WillDelay is how long the server waits before it publishes the will, in
// seconds.
func WillDelay(v uint32) Property { return Property{ID: PropWillDelay, Num: v} }

// RequestResponseInfo 1 asks for response information in CONNACK.
func RequestResponseInfo(v uint8) Property {
	return Property{ID: PropRequestResponseInfo, Num: uint32(v)}
}

// ResponseInfo is what the server offers for building response topics.
func ResponseInfo[T Text](v T) Property { return Property{ID: PropResponseInfo, Value: []byte(v)} }

// ServerReference is the server to use instead, or several with blanks between.
func ServerReference[T Text](v T) Property {
	return Property{ID: PropServerReference, Value: []byte(v)}
}

// ReasonString explains a reason code to people.
func ReasonString[T Text](v T) Property { return Property{ID: PropReasonString, Value: []byte(v)} }

// ReceiveMaximum is how many QoS 1 and 2 messages its sender takes
// unacknowledged, 1 to 65,535.
func ReceiveMaximum(v uint16) Property { return Property{ID: PropReceiveMaximum, Num: uint32(v)} }

// TopicAliasMaximum is the highest topic alias that its sender takes.
func TopicAliasMaximum(v uint16) Property { return Property{ID: PropTopicAliasMaximum, Num: uint32(v)} }

// TopicAlias is a number that stands for the topic name on this connection.
func TopicAlias(v uint16) Property { return Property{ID: PropTopicAlias, Num: uint32(v)} }

// MaximumQoS is the highest QoS that the server takes, 0 or 1.
func MaximumQoS(v uint8) Property { return Property{ID: PropMaximumQoS, Num: uint32(v)} }

// RetainAvailable says whether the server keeps retained messages, 0 or 1.
func RetainAvailable(v uint8) Property { return Property{ID: PropRetainAvailable, Num: uint32(v)} }

// UserProperty is a pair of the application's own.
func UserProperty[K, V Text](key K, value V) Property {
	return Property{ID: PropUserProperty, Key: []byte(key), Value: []byte(value)}
}

// MaximumPacketSize is the size in bytes of the largest packet that its sender
// takes, at least 1.
func MaximumPacketSize(v uint32) Property { return Property{ID: PropMaximumPacketSize, Num: v} }

// WildcardAvailable says whether the server takes wildcard filters, 0 or 1.
func WildcardAvailable(v uint8) Property { return Property{ID: PropWildcardAvailable, Num: uint32(v)} }

// SubscriptionIDsAvailable says whether the server takes subscription
// identifiers, 0 or 1.
func SubscriptionIDsAvailable(v uint8) Property {
	return Property{ID: PropSubscriptionIDsAvailable, Num: uint32(v)}
}

// SharedAvailable says whether the server takes shared subscriptions, 0 or 1.
func SharedAvailable(v uint8) Property { return Property{ID: PropSharedAvailable, Num: uint32(v)} }

func (p Properties) num8(id PropertyID) (uint8, bool) {
	x, ok := p.Get(id)
	return uint8(x.Num), ok
}

func (p Properties) num16(id PropertyID) (uint16, bool) {
	x, ok := p.Get(id)
	return uint16(x.Num), ok
}

func (p Properties) num32(id PropertyID) (uint32, bool) {
	if !p.mask.Has(id) {
		return 0, false // spares the common case the copy of a Property
	}
	x, ok := p.Get(id)
	return x.Num, ok
}

func (p Properties) text(id PropertyID) ([]byte, bool) {
	x, ok := p.Get(id)
	return x.Value, ok
}

// PayloadFormat returns the payload format indicator; absent means 0.
func (p Properties) PayloadFormat() (uint8, bool) { return p.num8(PropPayloadFormat) }

// MessageExpiry returns the message expiry interval in seconds.
func (p Properties) MessageExpiry() (uint32, bool) { return p.num32(PropMessageExpiry) }

// ContentType returns the content type. Like every text it aliases the list.
func (p Properties) ContentType() ([]byte, bool) { return p.text(PropContentType) }

// ResponseTopic returns the response topic.
func (p Properties) ResponseTopic() ([]byte, bool) { return p.text(PropResponseTopic) }

// CorrelationData returns the correlation data.
func (p Properties) CorrelationData() ([]byte, bool) { return p.text(PropCorrelationData) }

// SubscriptionID returns the first subscription identifier.
func (p Properties) SubscriptionID() (uint32, bool) { return p.num32(PropSubscriptionID) }

// SessionExpiry returns the session expiry interval in seconds.
func (p Properties) SessionExpiry() (uint32, bool) { return p.num32(PropSessionExpiry) }

// AssignedClientID returns the assigned client identifier.
func (p Properties) AssignedClientID() ([]byte, bool) { return p.text(PropAssignedClientID) }

// ServerKeepAlive returns the server keep alive in seconds.
func (p Properties) ServerKeepAlive() (uint16, bool) { return p.num16(PropServerKeepAlive) }

// AuthMethod returns the authentication method.
func (p Properties) AuthMethod() ([]byte, bool) { return p.text(PropAuthMethod) }

// AuthData returns the authentication data.
func (p Properties) AuthData() ([]byte, bool) { return p.text(PropAuthData) }

// RequestProblemInfo returns the request for problem information; absent means 1.
func (p Properties) RequestProblemInfo() (uint8, bool) { return p.num8(PropRequestProblemInfo) }

// WillDelay returns the will delay interval in seconds; absent means 0.
func (p Properties) WillDelay() (uint32, bool) { return p.num32(PropWillDelay) }

// RequestResponseInfo returns the request for response information; absent means 0.
func (p Properties) RequestResponseInfo() (uint8, bool) { return p.num8(PropRequestResponseInfo) }

// ResponseInfo returns the response information.
func (p Properties) ResponseInfo() ([]byte, bool) { return p.text(PropResponseInfo) }

// ServerReference returns the server reference.
func (p Properties) ServerReference() ([]byte, bool) { return p.text(PropServerReference) }

// ReasonString returns the reason string.
func (p Properties) ReasonString() ([]byte, bool) { return p.text(PropReasonString) }

// ReceiveMaximum returns the receive maximum; absent means 65,535.
func (p Properties) ReceiveMaximum() (uint16, bool) { return p.num16(PropReceiveMaximum) }

// TopicAliasMaximum returns the topic alias maximum; absent means 0.
func (p Properties) TopicAliasMaximum() (uint16, bool) { return p.num16(PropTopicAliasMaximum) }

// TopicAlias returns the topic alias.
func (p Properties) TopicAlias() (uint16, bool) { return p.num16(PropTopicAlias) }

// MaximumQoS returns the maximum QoS, 0 or 1; absent means 2.
func (p Properties) MaximumQoS() (uint8, bool) { return p.num8(PropMaximumQoS) }

// RetainAvailable returns whether retained messages are kept; absent means 1.
func (p Properties) RetainAvailable() (uint8, bool) { return p.num8(PropRetainAvailable) }

// UserProperty returns the value of the first user property with the name key.
func (p Properties) UserProperty(key string) ([]byte, bool) {
	if p.mask.Has(PropUserProperty) {
		for k, v := range p.UserProperties() {
			if string(k) == key {
				return v, true
			}
		}
	}
	return nil, false
}

// MaximumPacketSize returns the maximum packet size in bytes; absent means no limit.
func (p Properties) MaximumPacketSize() (uint32, bool) { return p.num32(PropMaximumPacketSize) }

// WildcardAvailable returns whether wildcard filters are taken; absent means 1.
func (p Properties) WildcardAvailable() (uint8, bool) { return p.num8(PropWildcardAvailable) }

// SubscriptionIDsAvailable returns whether subscription identifiers are taken; absent means 1.
func (p Properties) SubscriptionIDsAvailable() (uint8, bool) {
	return p.num8(PropSubscriptionIDsAvailable)
}

// SharedAvailable returns whether shared subscriptions are taken; absent means 1.
func (p Properties) SharedAvailable() (uint8, bool) { return p.num8(PropSharedAvailable) }
