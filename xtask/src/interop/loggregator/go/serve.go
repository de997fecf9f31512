package main

import (
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"code.cloudfoundry.org/go-loggregator/v10/rpc/loggregator_v2"
	"github.com/cloudfoundry/sonde-go/events"
	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Serves every generation. What was sent is printed at the end of the standard input.
func serve(count uint64) {
	sent := map[string]*sum{"tail": {}, "stream": {}, "firehose": {}, "gateway": {}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	mux := http.NewServeMux()
	socket := func(path, name string, message func(uint64) []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "bearer 0" {
				http.Error(w, "You are not authorized. invalid authorization", http.StatusUnauthorized)
				return
			}
			upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
			connection, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				log.Print(err)
				return
			}
			frames(connection, count, message, sent[name])
		})
	}
	socket("/tail/", "tail", legacy)
	socket("/apps/", "stream", dropsonde)
	socket("/firehose/", "firehose", dropsonde)
	mux.HandleFunc("/v2/read", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer 0" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "{\"message\":\"resource not found\",\"error\":\"not_found\"}\n\n")
			return
		}
		batches(w, r, count, sent["gateway"])
	})
	say(map[string]string{"listening": listener.Addr().String(), "token": "bearer 0"})
	go http.Serve(listener, mux)
	io.ReadAll(os.Stdin)
	for _, name := range []string{"tail", "stream", "firehose", "gateway"} {
		sent[name].say(name)
	}
}

// Sends, with pings and fragments in between, and reads what comes until the client closes.
func frames(connection *websocket.Conn, count uint64, message func(uint64) []byte, sent *sum) {
	defer connection.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, _, err := connection.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for n := uint64(1); n <= count; n++ {
		if n%1000 == 0 {
			deadline := time.Now().Add(time.Second)
			check(connection.WriteControl(websocket.PingMessage, []byte("ping"), deadline))
		}
		encoding := message(n)
		if err := connection.WriteMessage(websocket.BinaryMessage, encoding); err != nil {
			log.Print(err)
			return
		}
		sent.add(encoding)
	}
	<-done
}

func batches(w http.ResponseWriter, r *http.Request, count uint64, sent *sum) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	marshaler := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}
	for n := uint64(1); n <= count; {
		batch := &loggregator_v2.EnvelopeBatch{}
		for ; n <= count && len(batch.Batch) < 100; n++ {
			one := v2(n)
			batch.Batch = append(batch.Batch, one)
			sent.message(one)
		}
		text, err := marshaler.Marshal(batch)
		check(err)
		if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
			return
		}
		if n%1000 < 100 {
			fmt.Fprintf(w, "event: heartbeat\ndata: %d\n\n", time.Now().Unix())
		}
		flusher.Flush()
	}
	<-r.Context().Done()
}

func legacy(n uint64) []byte {
	var out []byte
	text := func(field protowire.Number, text string) {
		out = protowire.AppendTag(out, field, protowire.BytesType)
		out = protowire.AppendString(out, text)
	}
	number := func(field protowire.Number, value uint64) {
		out = protowire.AppendTag(out, field, protowire.VarintType)
		out = protowire.AppendVarint(out, value)
	}
	text(1, fmt.Sprintf("line %d é", n))
	number(2, 1+n%2)
	number(3, protowire.EncodeZigZag(int64(n)))
	text(4, app)
	text(6, fmt.Sprint(n%3))
	text(7, "syslog://drain/"+strings.Repeat("x", int(n%50)))
	text(8, "App")
	return out
}

func dropsonde(n uint64) []byte {
	text := proto.String(fmt.Sprintf("text %d", n))
	envelope := &events.Envelope{
		Origin: proto.String("go"), Timestamp: proto.Int64(int64(n)), Job: proto.String("cell"),
		Tags: map[string]string{"app_name": "dora", "n": fmt.Sprint(n)},
	}
	kind := func(kind events.Envelope_EventType) { envelope.EventType = kind.Enum() }
	switch n % 6 {
	case 0:
		kind(events.Envelope_HttpStartStop)
		envelope.HttpStartStop = &events.HttpStartStop{
			StartTimestamp: proto.Int64(int64(n)), StopTimestamp: proto.Int64(int64(n) + 5),
			RequestId: &events.UUID{Low: proto.Uint64(n), High: proto.Uint64(^n)},
			PeerType:  events.PeerType_Client.Enum(), Method: events.Method_PATCH.Enum(), Uri: text,
			RemoteAddress: text, UserAgent: text, StatusCode: proto.Int32(int32(200 + n%300)),
			ContentLength: proto.Int64(-1), Forwarded: []string{"10.0.0.1", "10.0.0.2"},
		}
	case 1:
		kind(events.Envelope_LogMessage)
		envelope.LogMessage = &events.LogMessage{
			Message: []byte(*text), MessageType: events.LogMessage_ERR.Enum(),
			Timestamp: proto.Int64(-int64(n)), AppId: proto.String(app), SourceType: text,
		}
	case 2:
		kind(events.Envelope_ValueMetric)
		envelope.ValueMetric = &events.ValueMetric{
			Name: text, Value: proto.Float64(float64(n) / 3), Unit: proto.String("ms"),
		}
	case 3:
		kind(events.Envelope_CounterEvent)
		envelope.CounterEvent = &events.CounterEvent{
			Name: text, Delta: proto.Uint64(n), Total: proto.Uint64(math.MaxUint64 - n),
		}
	case 4:
		kind(events.Envelope_Error)
		envelope.Error = &events.Error{
			Source: text, Code: proto.Int32(-int32(n)), Message: text,
		}
	default:
		kind(events.Envelope_ContainerMetric)
		envelope.ContainerMetric = &events.ContainerMetric{
			ApplicationId: proto.String(app), InstanceIndex: proto.Int32(int32(n % 9)),
			CpuPercentage: proto.Float64(float64(n) * 0.1), MemoryBytes: proto.Uint64(n << 20),
			DiskBytes: proto.Uint64(n << 30), DiskBytesQuota: proto.Uint64(1),
		}
	}
	encoding, err := proto.MarshalOptions{Deterministic: true}.Marshal(envelope)
	check(err)
	return encoding
}

func v2(n uint64) *loggregator_v2.Envelope {
	text := fmt.Sprintf("text %d é<&>\u2028", n)
	envelope := &loggregator_v2.Envelope{
		Timestamp: int64(n), SourceId: app, InstanceId: fmt.Sprint(n % 4),
		Tags: map[string]string{"app_name": "dora", "n": fmt.Sprint(n)},
		DeprecatedTags: map[string]*loggregator_v2.Value{
			"i": {Data: &loggregator_v2.Value_Integer{Integer: -int64(n)}},
			"d": {Data: &loggregator_v2.Value_Decimal{Decimal: float64(n) / 7}},
		},
	}
	switch n % 5 {
	case 0:
		envelope.Message = &loggregator_v2.Envelope_Log{Log: &loggregator_v2.Log{
			Payload: []byte(text), Type: loggregator_v2.Log_Type(n % 2)}}
	case 1:
		envelope.Message = &loggregator_v2.Envelope_Counter{Counter: &loggregator_v2.Counter{
			Name: text, Delta: n, Total: math.MaxUint64 - n}}
	case 2:
		envelope.Message = &loggregator_v2.Envelope_Gauge{Gauge: &loggregator_v2.Gauge{
			Metrics: map[string]*loggregator_v2.GaugeValue{
				"cpu": {Unit: "percentage", Value: float64(n) / 3}, "inf": {Value: math.Inf(-1)}}}}
	case 3:
		envelope.Message = &loggregator_v2.Envelope_Timer{Timer: &loggregator_v2.Timer{
			Name: text, Start: int64(n), Stop: math.MaxInt64}}
	default:
		envelope.Message = &loggregator_v2.Envelope_Event{Event: &loggregator_v2.Event{
			Title: text, Body: text}}
	}
	return envelope
}
