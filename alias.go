// This file holds topic aliases, both ways: the numbers that stand for topic
// names on one connection (5.0 §3.3.2.3.4). It must not know sessions: an
// alias never outlives its connection.

package mqttcore

// aliases are those of one connection, both ways.
type aliases struct {
	in       [][]byte    // topics by the server's alias
	chosen   [][]byte    // topics by the caller's alias
	assigned *aliasTable // topics by our own
}

// aliases is made when the first alias turns up: most connections have none.
func (c *Client) aliases() *aliases {
	if c.conn.aliases == nil {
		c.conn.aliases = new(aliases)
	}
	return c.conn.aliases
}

// aliasTable is which topics the server knows by an alias that was assigned
// automatically. When all aliases are taken, the one that was used least
// recently goes to the next new topic.
type aliasTable struct {
	entry  []aliasEntry // indexed by alias; entry[0] closes the ring
	bucket []uint16     // first alias of a chain, by hash; a power of two of them
	used   uint16       // aliases that were given a topic so far
}

type aliasEntry struct {
	topic        []byte
	hash         uint32
	older, newer uint16 // neighbours in the ring: entry[0].newer is the oldest
	chain        uint16
}

// newAliasTable makes a table of n aliases, n not 0.
func newAliasTable(n uint16) *aliasTable {
	size := 1
	for size < int(n) {
		size *= 2
	}
	return &aliasTable{entry: make([]aliasEntry, int(n)+1), bucket: make([]uint16, size)}
}

// assign returns the alias to send for a topic, and whether the server knows
// it already.
func (t *aliasTable) assign(topic []byte) (alias uint16, known bool) {
	hash := uint32(2166136261) // FNV-1a
	for _, c := range topic {
		hash = (hash ^ uint32(c)) * 16777619
	}
	first := &t.bucket[hash&uint32(len(t.bucket)-1)]
	a := *first
	for a != 0 && (t.entry[a].hash != hash || string(t.entry[a].topic) != string(topic)) {
		a = t.entry[a].chain
	}
	if a != 0 {
		t.unring(a)
		t.ring(a)
		return a, true
	}
	if int(t.used) < len(t.entry)-1 {
		t.used++
		a = t.used
	} else {
		a = t.entry[0].newer
		t.unring(a)
		t.unchain(a)
	}
	e := &t.entry[a]
	e.topic, e.hash = append(e.topic[:0], topic...), hash
	e.chain, *first = *first, a
	t.ring(a)
	return a, false
}

func (t *aliasTable) unchain(a uint16) {
	at := &t.bucket[t.entry[a].hash&uint32(len(t.bucket)-1)]
	for *at != a {
		at = &t.entry[*at].chain
	}
	*at = t.entry[a].chain
}

// ring makes a the newest.
func (t *aliasTable) ring(a uint16) {
	last := t.entry[0].older
	t.entry[a].older, t.entry[a].newer = last, 0
	t.entry[last].newer, t.entry[0].older = a, a
}

func (t *aliasTable) unring(a uint16) {
	older, newer := t.entry[a].older, t.entry[a].newer
	t.entry[older].newer, t.entry[newer].older = newer, older
}

// minAliased is the length from which on a topic is worth an alias.
const minAliased = 4

// maxAliased is by how much a packet with alias may be larger than its body
// without: the fixed header, the property, and the longer size of the
// properties.
const maxAliased = 5 + 3 + 1

// assign chooses how a topic goes out in a packet that has size bytes without
// alias: with the alias, 0 for none, and the topic, empty when the alias alone
// will do.
func (c *Client) assign(topic []byte, size int) (alias uint16, name []byte) {
	a := c.conn.aliases
	if a == nil || a.assigned == nil || len(topic) < minAliased || size+maxAliased > maxRemaining || !c.fits(size+maxAliased) {
		return 0, topic
	}
	alias, known := a.assigned.assign(topic)
	if known {
		return alias, nil
	}
	return alias, topic
}

// explicit takes the Topic Alias property of a message that is about to be
// published, and gives it its full topic if the alias stands for it. It
// changes nothing else.
func (c *Client) explicit(p *Publish) bool {
	a, _ := p.Props.TopicAlias()
	if c.cfg.TopicAliases != 0 || c.state != StateConnected || a > c.lim.TopicAliasMaximum {
		return false
	}
	if t := c.conn.aliases; len(p.Topic) == 0 && t != nil && int(a) < len(t.chosen) {
		p.Topic = t.chosen[a]
	}
	return len(p.Topic) > 0
}

// choose notes that the server now knows a topic by the caller's alias.
func (c *Client) choose(a uint16, topic []byte) {
	t := c.aliases()
	for int(a) >= len(t.chosen) {
		t.chosen = append(t.chosen, nil)
	}
	t.chosen[a] = append(t.chosen[a][:0], topic...)
}

// resolve puts the topic in the place of an inbound alias.
func (c *Client) resolve(p *Publish) rule {
	alias, _ := p.Props.TopicAlias()
	limit, _ := c.cfg.Props.TopicAliasMaximum()
	if alias > limit {
		return ruleAliasRange
	}
	t := c.aliases()
	if t.in == nil {
		t.in = make([][]byte, int(limit)+1)
	}
	known := &t.in[alias]
	if len(p.Topic) > 0 {
		*known = append((*known)[:0], p.Topic...)
	} else if p.Topic = *known; len(p.Topic) == 0 {
		return ruleAliasUnknown
	}
	return ruleNone
}
