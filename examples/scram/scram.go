// This file holds SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding:
// what either side says, and what it checks. It knows no MQTT and has no
// randomness.

package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// method is the Authentication Method of MQTT, which is the name of SASL.
const method = "SCRAM-SHA-256"

const (
	minIterations = 4096    // RFC 7677 §4: fewer make guessing cheap
	maxIterations = 1 << 20 // or a server could keep its clients computing

	gs2Header     = "n,,"  // no channel binding
	gs2HeaderBase = "biws" // the same in base64
)

// base64Text has one way to write each value.
var base64Text = base64.StdEncoding.Strict()

var (
	errText    = errors.New("scram: user name and password must be printable ASCII")
	errMessage = errors.New("scram: a message is malformed, or not the one that is due")
	errNonce   = errors.New("scram: the nonce is not one that continues the client's")
	errEffort  = errors.New("scram: too few iterations, or too many")
	errProof   = errors.New("scram: the other side does not know the password")
)

// scramClient is the client's side of one exchange:
//
//	send first; receive and give to final; send what it returns; receive and
//	give to verify, without whose consent nothing is proven
type scramClient struct {
	password  string
	bare      string // client-first-bare
	nonce     string
	signature []byte // by which the server proves itself; nil: not that far
}

// newScramClient begins an exchange with a nonce that was never used before.
// RFC 5802 has other texts than printable ASCII prepared by SASLprep, which the
// standard library does not have; it leaves these as they are.
func newScramClient(user, password, nonce string) (*scramClient, error) {
	if !printable(user) || !printable(password) {
		return nil, errText
	}
	escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
	return &scramClient{password: password, bare: "n=" + escaped + ",r=" + nonce, nonce: nonce}, nil
}

func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// first is client-first-message.
func (s *scramClient) first() string { return gs2Header + s.bare }

// final answers server-first-message with client-final-message.
func (s *scramClient) final(serverFirst string) (string, error) {
	v, err := values(serverFirst, "r=", "s=", "i=")
	if err != nil || s.signature != nil {
		return "", errMessage
	}
	nonce := v[0]
	if len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) {
		return "", errNonce
	}
	salt, err := base64Text.DecodeString(v[1])
	if err != nil {
		return "", errMessage
	}
	iterations, err := strconv.Atoi(v[2])
	if err != nil || iterations < minIterations || iterations > maxIterations {
		return "", errEffort
	}
	clientKey, serverKey, err := keys(s.password, salt, iterations)
	if err != nil {
		return "", err
	}
	withoutProof := "c=" + gs2HeaderBase + ",r=" + nonce
	authMessage := s.bare + "," + serverFirst + "," + withoutProof
	s.signature = mac(serverKey, authMessage)
	stored := sha256.Sum256(clientKey)
	proof := mac(stored[:], authMessage)
	subtle.XORBytes(proof, proof, clientKey)
	return withoutProof + ",p=" + base64Text.EncodeToString(proof), nil
}

// verify checks server-final-message: only a server that has the user's
// credentials can make it.
func (s *scramClient) verify(serverFinal string) error {
	v, err := values(serverFinal, "v=")
	if err != nil || s.signature == nil {
		return errMessage
	}
	got, err := base64Text.DecodeString(v[0])
	if err != nil || !hmac.Equal(got, s.signature) {
		return errProof
	}
	return nil
}

// credentials are what a server keeps of a user: enough to check a proof, and
// not enough to make one.
type credentials struct {
	salt                 string
	iterations           int
	storedKey, serverKey []byte
}

func newCredentials(password, salt string, iterations int) (credentials, error) {
	clientKey, serverKey, err := keys(password, []byte(salt), iterations)
	stored := sha256.Sum256(clientKey)
	return credentials{salt, iterations, stored[:], serverKey}, err
}

// scramServer is the server's side of one exchange.
type scramServer struct {
	credentials
	user  string
	nonce string // of both
	said  string // client-first-bare and server-first-message
}

// newScramServer takes client-first-message and returns server-first-message.
func newScramServer(clientFirst string, users map[string]credentials, nonce string) (*scramServer, string, error) {
	bare, ok := strings.CutPrefix(clientFirst, gs2Header)
	v, err := values(bare, "n=", "r=")
	if !ok || err != nil || v[1] == "" {
		return nil, "", errMessage
	}
	user := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(v[0])
	c, ok := users[user]
	if !ok {
		return nil, "", errProof
	}
	s := &scramServer{credentials: c, user: user, nonce: v[1] + nonce}
	first := "r=" + s.nonce + ",s=" + base64Text.EncodeToString([]byte(c.salt)) + ",i=" + strconv.Itoa(c.iterations)
	s.said = bare + "," + first
	return s, first, nil
}

// final takes client-final-message and returns server-final-message.
func (s *scramServer) final(clientFinal string) (string, error) {
	end := strings.LastIndex(clientFinal, ",p=")
	if end < 0 {
		return "", errMessage
	}
	v, err := values(clientFinal[:end], "c=", "r=")
	if err != nil || v[0] != gs2HeaderBase {
		return "", errMessage
	}
	if v[1] != s.nonce {
		return "", errNonce
	}
	authMessage := s.said + "," + clientFinal[:end]
	clientKey := mac(s.storedKey, authMessage)
	proof, err := base64Text.DecodeString(clientFinal[end+len(",p="):])
	if err != nil || len(proof) != len(clientKey) {
		return "", errMessage
	}
	subtle.XORBytes(clientKey, clientKey, proof)
	if stored := sha256.Sum256(clientKey); !hmac.Equal(stored[:], s.storedKey) {
		return "", errProof
	}
	return "v=" + base64Text.EncodeToString(mac(s.serverKey, authMessage)), nil
}

// keys are ClientKey and ServerKey of RFC 5802 §3.
func keys(password string, salt []byte, iterations int) (client, server []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	return mac(salted, "Client Key"), mac(salted, "Server Key"), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// values are those of the attributes that a message begins with. Extensions may
// follow and are skipped; one that must not be skipped (m=) stands in front, and
// makes the message malformed.
func values(message string, attributes ...string) ([]string, error) {
	parts := strings.Split(message, ",")
	if len(parts) < len(attributes) {
		return nil, errMessage
	}
	for i, a := range attributes {
		v, ok := strings.CutPrefix(parts[i], a)
		if !ok {
			return nil, errMessage
		}
		parts[i] = v
	}
	return parts[:len(attributes)], nil
}
