"""Python's websocket-client against a gateway: prints one JSON object with what was seen."""

import json
import socket
import struct
import sys

import websocket
from websocket import ABNF

address, tag = sys.argv[1], sys.argv[2]
seen = {}


def connect(path="/ws-ingest", **options):
    return websocket.create_connection(f"ws://{address}{path}", timeout=20, **options)


def code_of(text):
    reply = json.loads(text)
    status = reply["status"]
    return status if isinstance(status, int) else status["code"]


def say(ws, text):
    ws.send(text)
    return ws.recv()


def close_code(ws):
    """The code with which the server closes; whatever comes before it is skipped."""
    while True:
        frame = ws.recv_frame()
        if frame.opcode == ABNF.OPCODE_CLOSE:
            return struct.unpack("!H", frame.data[:2])[0]


# The sample of the document.
ws = connect("/ws-ingest/kafka_ingestor")
seen["set"] = say(ws, "-c set hydra-kafka-topic = test-topic")
seen["ack"] = say(ws, "-c set hydra-ack = explicit")
seen["no-broker"] = code_of(say(ws, '{"name":"test","value":"test"}'))
ws.close()

# Metadata in the header; payloads with ids, all sent before the first report is read.
ws = connect(header={"hydra-tag": tag, "hydra-ack": "persisted"})
seen["listing"] = json.loads(say(ws, "-c SET"))["message"]
for number in range(1000):
    ws.send(f"-i {number} python {number}")
reports = [json.loads(ws.recv()) for _ in range(1000)]
ids = {int(one["requestId"]) for one in reports if one["status"]["code"] == 200}
seen["many"] = len(ids & set(range(1000)))

seen["large"] = code_of(say(ws, "large " + "x" * 1_000_000))
frames = ["in ", "", "three pieces"]
for at, text in enumerate(frames):
    last = at == len(frames) - 1
    opcode = ABNF.OPCODE_TEXT if at == 0 else ABNF.OPCODE_CONT
    ws.send_frame(ABNF.create_frame(text, opcode, 1 if last else 0))
seen["fragments"] = code_of(ws.recv())
for at in range(51):
    opcode = ABNF.OPCODE_TEXT if at == 0 else ABNF.OPCODE_CONT
    ws.send_frame(ABNF.create_frame("x", opcode, 1 if at == 50 else 0))
seen["too many fragments"] = code_of(ws.recv())
ws.send_binary(b"\x00\x01")
seen["binary"] = code_of(ws.recv())
ws.ping("are you there")
frame = ws.recv_frame()
seen["pong"] = [frame.opcode == ABNF.OPCODE_PONG, frame.data.decode()]
ws.send_close(1000)
seen["close"] = close_code(ws)
ws.shutdown()

for name, frame in {
    "bad utf-8": ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, b"\xc3\x28"),
    "unmasked": ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 0, b"no mask"),
    "reserved bit": ABNF(1, 1, 0, 0, ABNF.OPCODE_TEXT, 1, b"rsv"),
    "stray continuation": ABNF(1, 0, 0, 0, ABNF.OPCODE_CONT, 1, b"stray"),
    "too large": ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, b"x" * (1024 * 1024 + 1)),
}.items():
    ws = connect()
    ws.sock.sendall(frame.format())
    seen[name] = close_code(ws)
    ws.shutdown()

# An end in the middle of a frame, without a word; others are not concerned.
ws = connect()
ws.sock.sendall(ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 1, b"x" * 1000).format()[:500])
ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
ws.sock.close()
ws = connect()
seen["after an abrupt end"] = code_of(say(ws, "still there"))
ws.close()

try:
    connect(origin="http://elsewhere.example")
    seen["foreign origin"] = 101
except websocket.WebSocketBadStatusException as error:
    seen["foreign origin"] = error.status_code

print(json.dumps(seen))
