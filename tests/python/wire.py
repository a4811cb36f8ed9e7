"""The messages of the service, encoded and decoded by hand.

The field numbers are typed here once more, on purpose: nothing is taken from the .proto file that our
own programs are built from, so that a wrong number there shows in these tests.
"""

# Method: field name: (number, type). A repeated field is written [type]; a nested message stays bytes.
REQUESTS = {
    "authenticate": {"passphrase": (1, str), "verbosity_level": (2, int)},
    "daemon_info": {"verbosity_level": (1, int)},
    "get": {"key": (1, str), "verbosity_level": (2, int)},
    "info": {"instance_snapshot_pairs": (1, [bytes]), "verbosity_level": (3, int), "snapshots": (5, bool)},
    "keys": {"verbosity_level": (1, int)},
    "launch": {"instance_name": (1, str), "image": (2, str), "num_cores": (4, int), "mem_size": (5, str)},
    "list": {"verbosity_level": (1, int), "snapshots": (2, bool), "request_ipv4": (3, bool)},
    "ping": {},
    "set": {"key": (1, str), "val": (2, str), "verbosity_level": (3, int), "authorized": (4, bool)},
    "version": {"verbosity_level": (1, int)},
    "wait_ready": {"verbosity_level": (1, int)},
}
REPLIES = {
    "authenticate": {"log_line": (1, str)},
    "daemon_info": {"log_line": (1, str), "available_space": (2, int), "cpus": (3, int), "memory": (4, int)},
    "get": {"value": (1, str), "log_line": (2, str)},
    "info": {"details": (1, [bytes]), "snapshots": (2, bool), "log_line": (3, str)},
    "keys": {"log_line": (1, str), "settings_keys": (2, [str])},
    "list": {"instance_list": (1, bytes), "snapshot_list": (2, bytes), "log_line": (3, str)},
    "ping": {},
    "set": {"log_line": (1, str), "reply_message": (2, str), "needs_authorization": (3, bool)},
    "version": {"version": (1, str), "log_line": (2, str), "update_info": (3, bytes)},
    "wait_ready": {"log_line": (1, str)},
}

# Wire types.
VARINT, LENGTH_DELIMITED = 0, 2


def encode(method, **values):
    """A request. A method that this page does not know has an empty one."""
    fields = REQUESTS.get(method, {})
    message = b""
    for name, value in values.items():
        number, kind = fields[name]
        for item in value if isinstance(kind, list) else [value]:
            message += field(number, item)
    return message


def decode(method, message):
    """The fields that a reply carries, by name; those at their defaults are left out, as on the wire.

    A field that the reply of this method does not have is an error.
    """
    by_number = {number: (name, kind) for name, (number, kind) in REPLIES[method].items()}
    values = {}
    while message:
        key, message = take_varint(message)
        name, kind = by_number[key >> 3]
        item_kind = kind[0] if isinstance(kind, list) else kind
        if item_kind in (int, bool):
            assert key & 7 == VARINT, f"{method}.{name} has wire type {key & 7}"
            item, message = take_varint(message)
            item = item_kind(item)
        else:
            assert key & 7 == LENGTH_DELIMITED, f"{method}.{name} has wire type {key & 7}"
            length, message = take_varint(message)
            assert length <= len(message), f"{method}.{name} is cut off"
            item, message = message[:length], message[length:]
            item = item.decode() if item_kind is str else item
        if isinstance(kind, list):
            values.setdefault(name, []).append(item)
        else:
            values[name] = item
    return values


def field(number, value):
    """One field: its key, and its value."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(value)) + value


def varint(value):
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def take_varint(message):
    """The varint at the start of a message, and what follows it."""
    value = 0
    for index, byte in enumerate(message):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, message[index + 1 :]
    raise AssertionError(f"a varint is cut off: {message!r}")
