"""The launcher's part in a home that is a file system of its own. Imports only what starts fast."""

import ctypes
import fcntl
import os
import struct
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing's own would cost as much as all other imports
if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOP_FREE, _LOOP_CONFIGURE, _LOOP_STATUS, _LOOP_CAPACITY = 0x4C82, 0x4C0A, 0x4C05, 0x4C07
"""LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_GET_STATUS64 and LOOP_SET_CAPACITY of linux/loop.h."""
_RESIZE = 0x40086610
"""EXT4_IOC_RESIZE_FS."""
_AUTOCLEAR = 4
"""LO_FLAGS_AUTOCLEAR: the device lets go of the image with its last mount, whoever dies."""
_CONFIG_BYTES, _INFO_BYTES, _FLAGS_AT, _BLOCK_BYTES = 304, 232, 8 + 52, 4096
"""Sizes of struct loop_config and of its loop_info64, where lo_flags is in the first; ext4's block."""
_BLOCKS_AT = 1024 + 4
"""Where ext4 writes how many blocks it has."""
_NOSUID_NODEV = 0x2 | 0x4
_TRIES = 50
"""Other workspaces take devices in the same moment; each try asks for another free one."""
_EBUSY, _ENXIO = 16, 6
_LIBC = ctypes.CDLL(None, use_errno=True)
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""The calls' numbers, on every kind of processor. Linux has them since 5.2."""
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
"""What fsconfig is to do."""
_CLOEXEC = 1
_READ_ONLY = 0x1 | 0x2 | 0x4 | 0x8
"""MOUNT_ATTR_RDONLY, _NOSUID, _NODEV and _NOEXEC."""


def mount_home(file: int, place: str, uid: int) -> None:
    """Nothing; the file system in the open file is at the place, as large as the file, and belongs to that user."""
    with attached(file) as device:
        result = _LIBC.mount(device, os.fsencode(place), b"ext4", _NOSUID_NODEV, b"discard")
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
    top = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    blocks = os.fstat(file).st_size // _BLOCK_BYTES
    if blocks > struct.unpack("<I", os.pread(file, 4, _BLOCKS_AT))[0]:
        _grow(top, blocks)
    os.fchown(top, uid, uid)
    os.fchmod(top, 0o700)
    with suppress(OSError):  # it is gone, or in use
        os.rmdir("lost+found", dir_fd=top)
    for handle in (top, file):
        os.close(handle)


def open_home(file: int) -> int:
    """A handle of the top folder of the file system in the open file, to be read. Raises OSError.

    It is mounted nowhere that anybody sees, and gone with the last handle, whoever dies.
    """
    context = _checked(_FSOPEN, b"ext4", _CLOEXEC)
    try:
        with attached(file) as device:
            _checked(_FSCONFIG, context, _SET_STRING, b"source", device, 0)
            _checked(_FSCONFIG, context, _SET_FLAG, b"discard", None, 0)
            _checked(_FSCONFIG, context, _CREATE, None, None, 0)
            return _checked(_FSMOUNT, context, _CLOEXEC, _READ_ONLY)
    finally:
        os.close(context)


def _checked(*call: object) -> int:
    result: int = _LIBC.syscall(*call)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@contextmanager
def attached(file: int) -> "Iterator[bytes]":
    """The path of the image's loop device, to be mounted in the block; nobody else of ours looks for it meanwhile.

    There is one device of an image at any time, so that all who mount it have one file system, not two that write
    over each other. Raises OSError when none can be had.
    """
    # A handle of its own: the device keeps the given one, and would keep its lock.
    lock = os.open(f"/proc/self/fd/{file}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        device, name = _found(file) or _attach(file)
        try:
            yield name
        finally:
            os.close(device)
    finally:
        os.close(lock)


def _found(file: int) -> "tuple[int, bytes] | None":
    """The loop device that the image has already, open and so kept, as large as the image is now; its path."""
    image = os.fstat(file)
    for name in os.listdir("/dev"):  # noqa: PTH208 - pathlib takes longer than all of this
        if name[:4] != "loop" or not name[4:].isdecimal():
            continue
        try:
            device = os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # it has no image, or is just letting go of one
            continue
        if _is_of(device, image):
            fcntl.ioctl(device, _LOOP_CAPACITY)
            return device, b"/dev/" + os.fsencode(name)
        os.close(device)
    return None


def _is_of(device: int, image: os.stat_result) -> bool:
    """Whether the loop device has that image."""
    info = bytearray(_INFO_BYTES)
    try:
        fcntl.ioctl(device, _LOOP_STATUS, info)
    except OSError:
        return False
    return struct.unpack_from("QQ", info) == (image.st_dev, image.st_ino)


def _grow(top: int, blocks: int) -> None:
    """Nothing; the file system has so many blocks, or the machine lets nobody do that and a line says so."""
    try:
        fcntl.ioctl(top, _RESIZE, struct.pack("Q", blocks))
    except OSError as error:
        line = f"launch: the disk keeps its size, as it cannot be made larger: {error}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the workspace's own log


def _attach(file: int) -> tuple[int, bytes]:
    """A new loop device of the image, open, and its path. Raises OSError when none can be had."""
    config = bytearray(_CONFIG_BYTES)
    struct.pack_into("I", config, 0, file)
    struct.pack_into("I", config, _FLAGS_AT, _AUTOCLEAR)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for attempt in range(_TRIES):
            number = fcntl.ioctl(control, _LOOP_FREE)
            try:
                device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != _ENXIO or attempt == _TRIES - 1:
                    raise
                continue
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, bytes(config))
            except OSError as error:
                os.close(device)
                if error.errno != _EBUSY or attempt == _TRIES - 1:
                    raise
                continue
            return device, b"/dev/loop%d" % number
    finally:
        os.close(control)
    raise OSError(_EBUSY, "no loop device is free")
