"""Prints what whisper files below a directory hold: `metric timestamp value`, a line a point."""

import os
import sys
import time

import whisper

root, now = sys.argv[1], int(time.time())
for directory, _, files in os.walk(root):
    for name in files:
        if not name.endswith(".wsp"):
            continue
        path = os.path.join(directory, name)
        metric = os.path.relpath(path, root)[:-4].replace(os.sep, ".")
        info, values = whisper.fetch(path, now - 7000, now + 60)
        for stamp, value in zip(range(*info), values):
            if value is not None:
                print(metric, stamp, repr(value))
