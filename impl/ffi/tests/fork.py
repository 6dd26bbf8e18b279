"""What a forked worker of multiprocessing has of its parent's ring, with the library: every call is
refused, and nothing of the worker's is overwritten. Exit 0: as it should be.

usage: fork.py path/to/libringproof.so
"""
import ctypes
import multiprocessing
import sys

# The numbers stand in ringproof_lib.h.
OK, EMPTY, FORKED, RING, U64 = 0, 2, 25, 1, 4


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


number = Field(b"value", 0, 8, U64)
payload = Payload(8, 8, ctypes.pointer(number), 1, None)
options = Options(kind=RING, capacity=8)
ring, producer, consumer = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
need(call("ringproof_lib_create", None, ctypes.byref(options), ctypes.byref(payload), None,
          ctypes.byref(ring)))
need(call("ringproof_lib_producer_open", ring, ctypes.byref(producer)))
need(call("ringproof_lib_consumer_open", ring, ctypes.byref(consumer)))


def push(item):
    return call("ringproof_lib_push", producer, ctypes.byref(ctypes.c_uint64(item)))


def pop():
    got = ctypes.c_uint64()
    return call("ringproof_lib_pop", consumer, ctypes.byref(got)), got.value


def worker():
    """What it has of its own would fill the place of a mapping that is not inherited."""
    fill = b"\xa5" * (264 * 1024 - 4096)
    own = [bytearray(fill) for _ in range(48)]
    statuses = [push(7), pop()[0], push(8), pop()[0]]
    if statuses != [FORKED] * 4:
        sys.exit(f"the worker's calls are {statuses}")
    if any(block != fill for block in own):
        sys.exit("the worker's own memory was overwritten")


need(push(1))
process = multiprocessing.get_context("fork").Process(target=worker)
process.start()
process.join()
if process.exitcode != 0:
    sys.exit(f"the worker ended with {process.exitcode}")
need(push(2))
items = [pop(), pop(), pop()[0]]
if items != [(OK, 1), (OK, 2), EMPTY]:
    sys.exit(f"the stream is {items}")
