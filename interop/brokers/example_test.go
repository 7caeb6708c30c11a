package brokers_test

import (
	"fmt"
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
	conn.Close()
	fmt.Println("it listens")
	// Output: it listens
}
