// This program does nothing; what testdata/size/client is larger by is the
// price of a client.
package main

func main() {}
