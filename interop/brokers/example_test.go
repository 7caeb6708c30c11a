package brokers_test

import (
	"fmt"
	"io"
	"net"

	"mqttcore/interop/brokers"
)

func ExampleMochi() {
	b, err := brokers.Mochi(brokers.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	conn, err := net.Dial("tcp", b.Addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "\x10\x0C\x00\x04MQTT\x04\x02\x00\x00\x00\x00") // CONNECT of 3.1.1, clean session
	ack := make([]byte, 4)
	if _, err := io.ReadFull(conn, ack); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("CONNACK % x\n", ack)
	// Output: CONNACK 20 02 00 00
}

func ExampleModel() {
	b, err := brokers.Model(brokers.Options{Users: map[string]string{"anna": "right"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	conn, err := net.Dial("tcp", b.Addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "\x10\x0C\x00\x04MQTT\x04\x02\x00\x00\x00\x00") // CONNECT without a name
	ack := make([]byte, 4)
	if _, err := io.ReadFull(conn, ack); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("CONNACK % x\n", ack)
	// Output: CONNACK 20 02 00 04
}
