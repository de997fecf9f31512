package main

import (
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"time"

	"code.cloudfoundry.org/go-loggregator/v10/rpc/loggregator_v2"
	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Serves every generation, until the end of the standard input.
func serve(count uint64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	mux := http.NewServeMux()
	socket := func(path string, message func(uint64) []byte) {
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
			frames(connection, count, message)
		})
	}
	encoded := func(n uint64) []byte {
		encoding, err := proto.MarshalOptions{Deterministic: true}.Marshal(dropsonde(n))
		check(err)
		return encoding
	}
	socket("/tail/", legacy)
	socket("/apps/", encoded)
	socket("/firehose/", encoded)
	kept := min(count, 100)
	mux.HandleFunc("/recent", func(w http.ResponseWriter, r *http.Request) {
		recent(w, r, count-kept+1, count)
	})
	mux.HandleFunc("/api/v1/info", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"version":"3.0.8","vm_uptime":"1"}`)
	})
	mux.HandleFunc("/api/v1/read/"+app, func(w http.ResponseWriter, r *http.Request) {
		cache(w, r, count-kept+1, count)
	})
	mux.HandleFunc("/v2/read", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer 0" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "{\"message\":\"resource not found\",\"error\":\"not_found\"}\n\n")
			return
		}
		batches(w, r, count)
	})
	say(map[string]string{"listening": listener.Addr().String(), "token": "bearer 0"})
	go http.Serve(listener, mux)
	io.ReadAll(os.Stdin)
}

// Sends, with pings and fragments in between, and reads what comes until the client closes.
func frames(connection *websocket.Conn, count uint64, message func(uint64) []byte) {
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
		if err := connection.WriteMessage(websocket.BinaryMessage, message(n)); err != nil {
			log.Print(err)
			return
		}
	}
	<-done
}

func batches(w http.ResponseWriter, r *http.Request, count uint64) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	marshaler := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}
	for n := uint64(1); n <= count; {
		batch := &loggregator_v2.EnvelopeBatch{}
		for ; n <= count && len(batch.Batch) < 100; n++ {
			batch.Batch = append(batch.Batch, v2(n))
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

// What the first generation's server kept, in parts without headers.
func recent(w http.ResponseWriter, r *http.Request, first, last uint64) {
	if r.Header.Get("Authorization") != "bearer 0" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	parts := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/x-protobuf; boundary="+parts.Boundary())
	for n := first; n <= last; n++ {
		part, err := parts.CreatePart(nil)
		check(err)
		part.Write(legacy(n))
	}
	parts.Close()
}

// What Log Cache has.
func cache(w http.ResponseWriter, r *http.Request, first, last uint64) {
	if r.Header.Get("Authorization") != "bearer 0" {
		http.NotFound(w, r)
		return
	}
	batch := &loggregator_v2.EnvelopeBatch{}
	for n := first; n <= last; n++ {
		batch.Batch = append(batch.Batch, v2(n))
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(batch)
	check(err)
	fmt.Fprintf(w, "{\"envelopes\":%s}\n", text)
}
