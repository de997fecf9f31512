"""Compares what became of each pickle here with what CPython and carbon make of it.

Each row has the pickle, the reason why it was refused or null, and the events: `path value seconds`,
or `!reason`. A difference that is not on purpose ends this with 1.
"""

import collections
import io
import json
import math
import pickle
import resource
import sys
import warnings

# Seven bytes can make CPython's memo as large as the machine.
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))

from carbon import util
from carbon.protocols import MetricPickleReceiver

# Escapes in texts that Python does not know.
warnings.simplefilter("ignore", DeprecationWarning)

NOW = 1650000000
LAST = 253402300799

# What is refused here on purpose and CPython takes (graphite.md 4.3, 4.5).
OURS_ALONE = {
    "pickle_opcode",  # dictionaries, sets, bytearrays, buffers
    "pickle_stack",  # more than one object at STOP
    "pickle_protocol",  # PROTO in mid-pickle
    "pickle_framing",  # FRAME is read more strictly
    "pickle_cycle",
    "pickle_number",  # more than 40 digits, or 16 bytes
    "pickle_memo",  # indexes beyond 2^20
    "pickle_string",
    "pickle_depth",
    "pickle_size",
    "pickle_expansion",
    "bad_shape",  # no list or tuple
}
# What CPython refuses and is taken here: Python 2 strings that are not UTF-8 (kept as bytes, refused
# by the point), blanks around a number of text, its limit of digits, frames that end early.
THEIRS_ALONE = {"UnicodeDecodeError", "ValueError", "MemoryError", "UnpicklingError"}


class Plain(pickle.Unpickler):
    """Nothing is looked up, whatever the pickle says."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError("global")

    def persistent_load(self, what):
        raise pickle.UnpicklingError("persistent")


class Slow(pickle._Unpickler):
    """CPython's other unpickler, in Python. It reads a FLOAT beyond a double as infinite, where the
    one in C raises OverflowError; nobody's pickler writes such."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError("global")

    def persistent_load(self, what):
        raise pickle.UnpicklingError("persistent")


def number(value):
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return None


def expected(path, pair):
    """The event of a point whose parts are of plain types; None for what is not judged."""
    stamp, value = pair
    if isinstance(path, bytes):
        try:
            path = path.decode()
        except UnicodeDecodeError:
            return "!"
    if not isinstance(path, str) or not path or any(c < " " or c == "\x7f" for c in path):
        return "!"
    if number(value) is None or number(stamp) is None:
        return None
    stamp, value = number(stamp), number(value)
    if math.isnan(value) or math.isnan(stamp) or math.isinf(stamp):
        return "!"
    if isinstance(pair[1], int) and math.isinf(value):
        return "!"
    seconds = NOW if math.trunc(stamp) == -1 else math.trunc(stamp)
    if stamp < 0 and math.trunc(stamp) != -1 or not 0 <= seconds <= LAST:
        return None if -1 < stamp < 0 else "!"
    return (path.partition(";")[0].partition("{")[0], value, seconds)


def ours(event):
    if event.startswith("!"):
        return "!"
    path, value, seconds = event.rsplit(" ", 2)
    return (path.partition(";")[0].partition("{")[0], float(value), int(seconds))


def same(event, wanted):
    return wanted is None or ours(event) == wanted or (
        wanted != "!" and ours(event) != "!" and len(wanted[0]) > 8192
    ) or (wanted != "!" and event == "!path_too_long")


def points(value):
    for element in value:
        if not isinstance(element, (list, tuple)) or len(element) < 2:
            yield "!"
            continue
        path, *pairs = element
        if all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            for pair in pairs:
                yield expected(path, pair)
        else:
            yield "!"


class Receiver(MetricPickleReceiver):
    """carbon's own, without a connection."""

    def __init__(self):
        self.unpickler = util.get_unpickler(insecure=False)
        self.peerName = "peer"
        self.got = []

    def metricReceived(self, metric, datapoint):
        self.got.append((metric, datapoint))


def main():
    outcomes, wrong, receiver = collections.Counter(), 0, Receiver()
    carbon = collections.Counter()
    for number_of_case, line in enumerate(open(sys.argv[1])):
        row = json.loads(line)
        data = bytes.fromhex(row["pickle"])
        try:
            theirs, error = Plain(io.BytesIO(data), encoding="utf-8").load(), None
        except RecursionError:
            raise
        except Exception as caught:
            theirs, error = None, type(caught).__name__
        refused = row["refused"]
        problem = None
        if error == "OverflowError" and not refused:
            try:
                theirs, error = Slow(io.BytesIO(data), encoding="utf-8").load(), None
            except Exception as caught:
                error = type(caught).__name__
        if refused and error:
            outcome = "refused by both"
        elif refused:
            outcome = "refused here alone: " + refused
            if refused not in OURS_ALONE:
                problem = "not on purpose"
        elif error:
            outcome = "refused by CPython alone: " + error
            if error not in THEIRS_ALONE:
                problem = "not on purpose"
        else:
            outcome = "taken by both"
            wanted = list(points(theirs))
            if len(wanted) != len(row["events"]):
                problem = "%d events, %d wanted" % (len(row["events"]), len(wanted))
            elif not all(map(same, row["events"], wanted)):
                problem = "wanted %r" % wanted
        outcomes[outcome] += 1

        # carbon takes a point or leaves it, and never says why.
        receiver.got.clear()
        try:
            receiver.stringReceived(data)
            fate = "read by carbon"
        except Exception as caught:
            fate = "would have closed carbon's connection: " + type(caught).__name__
        if not refused and not error and fate == "read by carbon":
            plain = [e for e in theirs if isinstance(e, (list, tuple)) and len(e) == 2]
            here = collections.Counter(
                ours(event) for event in row["events"] if not event.startswith("!")
            )
            for metric, (stamp, value) in receiver.got:
                wanted = expected(metric, (stamp, value))
                if isinstance(wanted, tuple) and len(metric) <= 8192 and here[wanted] == 0:
                    if number(value) is not None and math.isfinite(value):
                        problem = problem or "carbon has %r" % (wanted,)
            fate += ", %s" % ("points" if receiver.got else "none") if plain else ", no pair"
        carbon[fate] += 1
        if problem:
            wrong += 1
            if wrong <= 5:
                print("case", number_of_case, problem, row, repr(theirs)[:300], error)
    total = sum(outcomes.values())
    print("cpython: %d pickles, Python %s" % (total, sys.version.split()[0]))
    for counter in (outcomes, carbon):
        for outcome, count in sorted(counter.items()):
            print("  %s: %d" % (outcome, count))
    assert total == 100000 and outcomes["taken by both"] > total / 10
    sys.exit(1 if wrong else 0)


main()
