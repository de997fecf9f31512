package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.cloudfoundry.org/go-loggregator/v10/rpc/loggregator_v2"
	"github.com/cloudfoundry/sonde-go/events"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Messages between two looks at the clock.
const turn = 1024

// Decodes what is in a file over and over, as the clients do, and says what that took.
func decode(what, file string, seconds float64) {
	data, err := os.ReadFile(file)
	check(err)
	each := uint64(1)
	var one func() error
	switch what {
	case "dropsonde":
		one = func() error { return proto.Unmarshal(data, &events.Envelope{}) }
	case "v2":
		one = func() error { return proto.Unmarshal(data, &loggregator_v2.Envelope{}) }
	case "json":
		var batch loggregator_v2.EnvelopeBatch
		check(protojson.Unmarshal(data, &batch))
		each = uint64(len(batch.GetBatch()))
		one = func() error { return protojson.Unmarshal(data, &loggregator_v2.EnvelopeBatch{}) }
	default:
		check(fmt.Errorf("found %q; allowed: dropsonde, v2, json", what))
	}
	begun, cpu, count := time.Now(), used(), uint64(0)
	for time.Since(begun).Seconds() < seconds {
		for range max(turn/each, 1) {
			check(one())
			count += each
		}
	}
	say(map[string]any{
		"count": count, "seconds": time.Since(begun).Seconds(), "cpu": used() - cpu, "rss_mib": peak(),
	})
}

// CPU seconds of this process so far, its collector's among them.
func used() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

// The peak of resident memory in MiB.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	check(err)
	return kib / 1024
}
