"""Reads the pickles of a file of frames over and over, and says what that took."""

import json
import pickle
import resource
import sys
import time

stream, seconds = open(sys.argv[1], "rb").read(), float(sys.argv[2])
frames, at = [], 0
while at < len(stream):
    length = int.from_bytes(stream[at : at + 4], "big")
    frames.append(stream[at + 4 : at + 4 + length])
    at += 4 + length
count, cpu, begun = 0, time.process_time(), time.monotonic()
while time.monotonic() - begun < seconds:
    for frame in frames:
        count += len(pickle.loads(frame))
spent = {
    "count": count,
    "seconds": time.monotonic() - begun,
    "cpu": time.process_time() - cpu,
    "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}
print(json.dumps(spent))
