"""The text of the ledger: a ConfigMap with one entry for each flow run, and for each pod that Dask objects depend on.

An entry has the format, a checksum, and the fields of `Entry`, with a blank between them. With its key it takes at most 200 bytes, so that
5,000 flow runs fit. An entry with another format or a wrong checksum is not understood. Its flow run is left alone.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Dict, Iterable, List, Tuple
from uuid import UUID
from zlib import crc32

from rules import Entry, Ledger, Wait

FORMAT = "1"
# The longest entry with its key, in bytes. What ended a Job is cut to fit.
ENTRY = 200
# The room in a ConfigMap, in bytes, with a reserve.
LEDGER_ROOM = 1000000

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
DASK = "dask."
# What a ConfigMap takes as a key. One that it refuses would stop all of the namespace.
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}$")
POLICIES = {"": "-", "run-again": "a", "fail": "f", "protect": "p"}
FLAGS = {"gone": "g", "over": "o", "beats": "b", "started": "s", "elsewhere": "e"}
CONDITIONS = {"": "-", "finished": "f", "cancelling": "c", "unstartable": "u", "lost": "l", "cannot-tell": "t", "away": "a"}
RULES = {"": "-", "finished-jobs": "f", "cancelling-runs": "c", "unstartable-jobs": "u", "lost-runs": "l"}


def read(data: Dict[str, str]) -> Tuple[Ledger, Dict[str, str]]:
    """The ledger, and the entries that are not understood."""
    ledger, odd = Ledger({}, {}), {}
    for key, text in data.items():
        try:
            fields = checked(key, text)
            if key.startswith(DASK):
                ledger.dask[key[len(DASK) :]] = wait_of(fields)
            elif not UUID_TEXT.match(key):
                raise ValueError("not the id of a flow run")
            else:
                ledger.runs[key] = entry_of(fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            odd[key] = text
    return ledger, odd


def written(ledger: Ledger, odd: Dict[str, str]) -> Dict[str, str]:
    data = {run_id: sealed(run_id, fields_of(run_id, entry)) for run_id, entry in ledger.runs.items() if run_id not in odd}
    waits = {DASK + pod: wait for pod, wait in ledger.dask.items() if KEY.match(DASK + pod)}
    data.update((key, sealed(key, [long_or_short(wait.uid), str(wait.observed)])) for key, wait in waits.items())
    return dict(data, **odd)


def fitting(data: Dict[str, str], first: Iterable[str]) -> Dict[str, str]:
    """The entries that fit into a ConfigMap. Those in `first` have priority."""
    room, fits = LEDGER_ROOM, {}
    for key in sorted(data, key=lambda key: (key not in first, key)):
        room -= len(key) + len(data[key].encode())
        if room >= 0:
            fits[key] = data[key]
    return fits


def sealed(key: str, fields: List[str]) -> str:
    body = " ".join(fields)
    return f"{FORMAT} {checksum(key, body)} {body}"


def checked(key: str, text: str) -> List[str]:
    form, check, body = text.split(" ", 2)
    if form != FORMAT or check != checksum(key, body):
        raise ValueError("another format, or not as it was written")
    return body.split(" ")


def checksum(key: str, body: str) -> str:
    return f"{crc32((key + ' ' + body).encode()):08x}"


def fields_of(run_id: str, entry: Entry) -> List[str]:
    flags = "".join(letter for flag, letter in FLAGS.items() if getattr(entry, flag))
    process = f"{entry.process.upper()}{entry.moves}" if entry.moves else ""
    numbers = (entry.pulled, entry.again, entry.version, entry.observed, entry.total)
    fields = [
        entry.job,
        long_or_short(entry.uid),
        # The process in capitals, which are no flags.
        POLICIES.get(entry.on_eviction, "-") + CONDITIONS[entry.condition] + RULES[entry.rule] + flags + process,
        *map(str, numbers),
        entry.marker or "-",
        entry.heartbeat or "-",
    ]
    room = ENTRY - len(run_id) - len(sealed(run_id, [*fields, ""]).encode())
    # In ASCII, a letter is a byte.
    end = entry.end.encode("ascii", "replace").decode().replace(" ", "_")
    return [*fields, end[:room] or "-"]


def entry_of(fields: List[str]) -> Entry:
    job, uid, letters, *numbers, marker, heartbeat, end = fields
    process = re.sub("[a-z]", "", letters[3:])
    pulled, again, version, observed, total = map(int, numbers)
    return Entry(
        job,
        unshortened(uid),
        named(POLICIES, letters[0]),
        **{flag: letter in letters[3:] for flag, letter in FLAGS.items()},
        moves=int(process[-1:] or 0),
        process=process[:-1].lower(),
        pulled=pulled,
        again=again,
        version=version,
        condition=named(CONDITIONS, letters[1]),
        observed=observed,
        total=total,
        marker=marker.strip("-"),
        heartbeat=heartbeat.strip("-"),
        rule=named(RULES, letters[2]),
        end="" if end == "-" else end.replace("_", " "),
    )


def wait_of(fields: List[str]) -> Wait:
    uid, observed = fields
    return Wait(unshortened(uid), int(observed))


def named(letters: Dict[str, str], letter: str) -> str:
    return {short: name for name, short in letters.items()}[letter]


def long_or_short(uid: str) -> str:
    """A uid in 22 characters if it is a UUID, else as it is."""
    if UUID_TEXT.match(uid):
        return urlsafe_b64encode(UUID(uid).bytes).decode().rstrip("=")
    return "=" + uid


def unshortened(text: str) -> str:
    return text[1:] if text.startswith("=") else str(UUID(bytes=urlsafe_b64decode(text + "==")))
