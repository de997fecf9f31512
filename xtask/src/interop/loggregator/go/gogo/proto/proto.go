// Package proto is what noaa 2.1 uses of gogo's, over Google's: gogo's panics on the messages that
// today's sonde-go generates. Later versions of noaa made the same change; the registry has none.
package proto

import "google.golang.org/protobuf/proto"

// Message is any message.
type Message = proto.Message

// Unmarshal decodes a message.
func Unmarshal(bytes []byte, message Message) error { return proto.Unmarshal(bytes, message) }
