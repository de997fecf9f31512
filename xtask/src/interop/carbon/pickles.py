"""What Graphite's documentation has for the pickle protocol, with a list and a socket around it."""

import pickle
import socket
import struct
import sys
import time

listOfMetricTuples = [
    ("documented.n%d" % number, (int(time.time()), number / 4)) for number in range(1000)
]
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))

payload = pickle.dumps(listOfMetricTuples, protocol=2)
header = struct.pack("!L", len(payload))
message = header + payload

sock.sendall(message)
sock.shutdown(socket.SHUT_WR)
assert sock.recv(1) == b"", "no end"
