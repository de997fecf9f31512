// Either side of Loggregator, of the modules that Cloud Foundry publishes.
//
//	gateway URL TOKEN COUNT   go-loggregator's client of the RLP's gateway
//	firehose URL TOKEN COUNT  noaa's client of the traffic controller
//	stream URL TOKEN COUNT    the same, for an application
//	serve COUNT               a server, for ours
//
// What was read, or sent, is printed as a line of JSON: how many, and the sum of the FNV-1a of each
// message's encoding.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"google.golang.org/protobuf/proto"
)

type sum struct {
	count uint64
	total uint64
}

func (s *sum) add(encoding []byte) {
	hash := uint64(0xcbf29ce484222325)
	for _, b := range encoding {
		hash = (hash ^ uint64(b)) * 0x100000001b3
	}
	s.count++
	s.total += hash
}

func (s *sum) message(m proto.Message) {
	encoding, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	check(err)
	s.add(encoding)
}

func (s *sum) say(what string) {
	say(map[string]any{"what": what, "count": s.count, "sum": strconv.FormatUint(s.total, 10)})
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
