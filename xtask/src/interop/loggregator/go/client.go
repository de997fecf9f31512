package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	loggregator "code.cloudfoundry.org/go-loggregator/v10"
	"code.cloudfoundry.org/go-loggregator/v10/rpc/loggregator_v2"
	"github.com/cloudfoundry/noaa/consumer"
	"github.com/cloudfoundry/sonde-go/events"
)

const app = "55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c"

// Nothing for so long is the end: something was lost.
const patience = 20 * time.Second

type authorized struct{ token string }

func (a authorized) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", a.token)
	return http.DefaultClient.Do(request)
}

func read(what, url, token string, count uint64) {
	got := seen{bits: make([]bool, count+1)}
	switch what {
	case "gateway":
		gateway(url, token, count, &got)
	case "firehose", "stream":
		controller(what, url, token, count, &got)
	default:
		log.Fatalf("found %q", what)
	}
	say(map[string]any{"what": what, "count": got.count})
}

func gateway(url, token string, count uint64, got *seen) {
	client := loggregator.NewRLPGatewayClient(url,
		loggregator.WithRLPGatewayHTTPClient(authorized{token}),
		loggregator.WithRLPGatewayClientLogger(log.New(os.Stderr, "", 0)))
	late := time.AfterFunc(patience, func() { os.Exit(3) })
	selectors := []*loggregator_v2.Selector{
		{Message: &loggregator_v2.Selector_Log{Log: &loggregator_v2.LogSelector{}}},
		{Message: &loggregator_v2.Selector_Counter{Counter: &loggregator_v2.CounterSelector{}}},
		{Message: &loggregator_v2.Selector_Gauge{Gauge: &loggregator_v2.GaugeSelector{}}},
		{Message: &loggregator_v2.Selector_Timer{Timer: &loggregator_v2.TimerSelector{}}},
		{Message: &loggregator_v2.Selector_Event{Event: &loggregator_v2.EventSelector{}}},
	}
	next := client.Stream(context.Background(), &loggregator_v2.EgressBatchRequest{
		ShardId: "interop", Selectors: selectors,
	})
	for got.count < count {
		batch := next()
		late.Reset(patience)
		for _, envelope := range batch {
			n := envelope.GetTimestamp()
			got.add(n, envelope, v2(uint64(n)))
		}
	}
}

func controller(what, url, token string, count uint64, got *seen) {
	client := consumer.New(url, nil, nil)
	var envelopes <-chan *events.Envelope
	var errors <-chan error
	if what == "firehose" {
		envelopes, errors = client.FirehoseWithoutReconnect("interop", token)
	} else {
		envelopes, errors = client.StreamWithoutReconnect(app, token)
	}
	for got.count < count {
		select {
		case envelope, open := <-envelopes:
			if !open {
				log.Fatalf("over after %d", got.count)
			}
			n := envelope.GetTimestamp()
			got.add(n, envelope, dropsonde(uint64(n)))
		case err := <-errors:
			log.Fatalf("after %d: %v", got.count, err)
		case <-time.After(patience):
			log.Fatalf("nothing more after %d", got.count)
		}
	}
}
