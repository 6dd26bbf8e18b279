"""Sends numbers through a ring of the library, and meets a full one. Exit 0: as it should be.

usage: library.py path/to/libringproof.so
"""
import ctypes
import sys

# The numbers stand in ringproof_lib.h.
OK, FULL, EMPTY, RING, U64 = 0, 1, 2, 1, 4


class Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("offset", ctypes.c_size_t),
                ("size", ctypes.c_size_t), ("kind", ctypes.c_uint32)]


class Payload(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("align", ctypes.c_size_t),
                ("fields", ctypes.POINTER(Field)), ("count", ctypes.c_size_t),
                ("description", ctypes.c_char_p)]


class Options(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("mode", ctypes.c_uint32),
                ("capacity", ctypes.c_uint64), ("slots", ctypes.c_uint64)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("os_error", ctypes.c_int),
                ("message", ctypes.c_char * 2048)]


ringproof = ctypes.CDLL(sys.argv[1])
error = Error()


def call(function, *arguments):
    """What the function of the library returns; its details are in `error`."""
    return ringproof[function](*arguments, ctypes.byref(error))


def need(status):
    if status != OK:
        sys.exit(error.message.decode())


ringproof.ringproof_lib_strerror.restype = ctypes.c_char_p
if ringproof.ringproof_lib_strerror(FULL) != b"the ring is full":
    sys.exit("FULL has another number")

number = Field(b"value", 0, 8, U64)
payload = Payload(8, 8, ctypes.pointer(number), 1, None)
options = Options(kind=RING, capacity=2)
ring, producer, consumer = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
need(call("ringproof_lib_create", None, ctypes.byref(options), ctypes.byref(payload), None,
          ctypes.byref(ring)))
need(call("ringproof_lib_producer_open", ring, ctypes.byref(producer)))
need(call("ringproof_lib_consumer_open", ring, ctypes.byref(consumer)))
statuses = [call("ringproof_lib_push", producer, ctypes.byref(ctypes.c_uint64(item))) for item in (7, 8, 9)]
got = ctypes.c_uint64()
items = []
while call("ringproof_lib_pop", consumer, ctypes.byref(got)) == OK:
    items.append(got.value)
ringproof.ringproof_lib_consumer_drop(consumer)
ringproof.ringproof_lib_producer_drop(producer)
ringproof.ringproof_lib_detach(ring)
if (statuses, items, error.status) != ([OK, OK, FULL], [7, 8], EMPTY):
    sys.exit(f"{statuses}, {items}, {error.status}: {error.message.decode()}")
