package main

import (
	"fmt"
	"math"

	"code.cloudfoundry.org/go-loggregator/v10/rpc/loggregator_v2"
	"github.com/cloudfoundry/sonde-go/events"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The messages of their numbers, as the other side makes them too.

// The first generation's, whose module is not served any more: field by field.
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
	text(1, fmt.Sprintf("line %d \u00e9\n", n))
	number(2, 1+n%2)
	number(3, protowire.EncodeZigZag(int64(n)))
	text(4, app)
	if n%3 > 0 {
		text(6, fmt.Sprint(n%3))
	}
	for url := range n % 3 {
		text(7, fmt.Sprintf("syslog://drain/%d", url))
	}
	text(8, "App")
	return out
}

func dropsonde(n uint64) *events.Envelope {
	text := proto.String(fmt.Sprintf("text %d", n))
	envelope := &events.Envelope{
		Origin: proto.String("fake"), Timestamp: proto.Int64(int64(n)),
		Ip:   proto.String("10.0.16.12"),
		Tags: map[string]string{"app_name": "dora", "n": fmt.Sprint(n)},
	}
	if n%7 > 0 {
		envelope.Deployment = proto.String("cf")
	}
	if n%5 > 0 {
		envelope.Index = proto.String("090c92f0-aa2d-fb37-1e6b-53525deef8fc")
	}
	kind := func(kind events.Envelope_EventType) { envelope.EventType = kind.Enum() }
	switch n % 6 {
	case 0:
		kind(events.Envelope_HttpStartStop)
		envelope.HttpStartStop = &events.HttpStartStop{
			StartTimestamp: proto.Int64(int64(n)), StopTimestamp: proto.Int64(int64(n) + 5),
			RequestId: &events.UUID{Low: proto.Uint64(n), High: proto.Uint64(^n)},
			PeerType:  events.PeerType_Server.Enum(), Method: events.Method_PUT.Enum(), Uri: text,
			RemoteAddress: proto.String("192.0.2.7:4711"), UserAgent: proto.String("fake/1"),
			StatusCode:    proto.Int32(int32(200 + n%300)),
			ContentLength: proto.Int64(int64(n) * 3), Forwarded: []string{"10.1.1.1", "10.1.1.2"},
		}
	case 1:
		kind(events.Envelope_LogMessage)
		envelope.LogMessage = &events.LogMessage{
			Message: []byte(fmt.Sprintf("line %d", n)), MessageType: events.LogMessage_ERR.Enum(),
			Timestamp: proto.Int64(int64(n) + 1), AppId: proto.String(app),
			SourceType: proto.String("APP/PROC/WEB"), SourceInstance: proto.String("0"),
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
			Source: proto.String("rep"), Code: proto.Int32(-int32(n)), Message: text,
		}
	default:
		kind(events.Envelope_ContainerMetric)
		envelope.ContainerMetric = &events.ContainerMetric{
			ApplicationId: proto.String(app), InstanceIndex: proto.Int32(int32(n % 9)),
			CpuPercentage: proto.Float64(float64(n) * 0.1), MemoryBytes: proto.Uint64(n << 20),
			DiskBytes: proto.Uint64(n << 30),
		}
		if n%4 > 0 {
			envelope.ContainerMetric.MemoryBytesQuota = proto.Uint64(1 << 30)
		}
	}
	return envelope
}

func v2(n uint64) *loggregator_v2.Envelope {
	name := fmt.Sprintf("name %d", n)
	envelope := &loggregator_v2.Envelope{
		Timestamp: int64(n), SourceId: app, InstanceId: fmt.Sprint(n % 4),
		Tags: map[string]string{"app_name": "dora", "n": fmt.Sprint(n)},
	}
	if n%11 == 0 {
		envelope.DeprecatedTags = map[string]*loggregator_v2.Value{
			"d": {Data: &loggregator_v2.Value_Decimal{Decimal: float64(n) / 3}},
			"i": {Data: &loggregator_v2.Value_Integer{Integer: -int64(n)}},
			"t": {Data: &loggregator_v2.Value_Text{Text: fmt.Sprintf("text %d", n)}},
		}
	}
	switch n % 5 {
	case 0:
		envelope.Message = &loggregator_v2.Envelope_Log{Log: &loggregator_v2.Log{
			Payload: []byte(fmt.Sprintf("line %d \u00e9\"\\\n", n)),
			Type:    loggregator_v2.Log_Type(n % 2)}}
	case 1:
		envelope.Message = &loggregator_v2.Envelope_Counter{Counter: &loggregator_v2.Counter{
			Name: name, Delta: n, Total: math.MaxUint64 - n}}
	case 2:
		envelope.Message = &loggregator_v2.Envelope_Gauge{Gauge: &loggregator_v2.Gauge{
			Metrics: map[string]*loggregator_v2.GaugeValue{
				"cpu":    {Unit: "percentage", Value: float64(n) / 7},
				"memory": {Unit: "bytes", Value: float64(n)},
				"none":   {Value: math.Inf(-1)}}}}
	case 3:
		envelope.Message = &loggregator_v2.Envelope_Timer{Timer: &loggregator_v2.Timer{
			Name: name, Start: int64(n), Stop: int64(n) + 9}}
	default:
		envelope.Message = &loggregator_v2.Envelope_Event{Event: &loggregator_v2.Event{
			Title: name, Body: "<a> & 'b' \u2028"}}
	}
	return envelope
}
