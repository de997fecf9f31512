// Either side of Loggregator, of the modules that Cloud Foundry publishes.
//
//	gateway URL TOKEN COUNT   go-loggregator's client of the RLP's gateway
//	firehose URL TOKEN COUNT  noaa's client of the traffic controller
//	stream URL TOKEN COUNT    the same, for an application
//	serve COUNT               a server, for ours
//	decode WHAT FILE SECONDS  one message, decoded from memory over and over
//
// Each message that is read is compared with the one of its number, field by field, and none may
// come twice. How many there were is printed as a line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// Which messages came.
type seen struct {
	count uint64
	bits  []bool
}

func (s *seen) add(number int64, got, sent proto.Message) {
	if number < 1 || number >= int64(len(s.bits)) || s.bits[number] {
		log.Fatalf("message %d is not one that was sent, or comes again", number)
	}
	if !proto.Equal(got, sent) {
		log.Fatalf("in place of %s there is %s", prototext.Format(sent), prototext.Format(got))
	}
	s.bits[number] = true
	s.count++
}

func say(value any) {
	line, err := json.Marshal(value)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	args := os.Args[1:]
	if len(args) == 2 && args[0] == "serve" {
		serve(number(args[1]))
		return
	}
	if len(args) == 4 && args[0] == "decode" {
		decode(args[1], args[2], float64(number(args[3])))
		return
	}
	if len(args) != 4 {
		fmt.Fprintln(os.Stderr, "serve COUNT, or gateway, firehose or stream with URL TOKEN COUNT")
		os.Exit(2)
	}
	read(args[0], args[1], args[2], number(args[3]))
}

func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	check(err)
	return n
}
