"""The launcher's part in a home that is a file system of its own. Imports only what starts fast."""

import ctypes
import fcntl
import os
import struct
import sys
from contextlib import suppress

_LOOP_FREE, _LOOP_CONFIGURE, _RESIZE = 0x4C82, 0x4C0A, 0x40086610
"""LOOP_CTL_GET_FREE and LOOP_CONFIGURE of linux/loop.h, EXT4_IOC_RESIZE_FS."""
_AUTOCLEAR = 4
"""LO_FLAGS_AUTOCLEAR: the device lets go of the image with its last mount, whoever dies."""
_CONFIG_BYTES, _FLAGS_AT, _BLOCK_BYTES = 304, 8 + 52, 4096
"""Size of struct loop_config and where lo_flags of its loop_info64 is; ext4's block."""
_BLOCKS_AT = 1024 + 4
"""Where ext4 writes how many blocks it has."""
_NOSUID_NODEV = 0x2 | 0x4
_TRIES = 50
"""Other workspaces take devices in the same moment; each try asks for another free one."""
_EBUSY, _ENXIO = 16, 6


def mount_home(file: int, place: str, uid: int) -> None:
    """Nothing; the file system in the open file is at the place, as large as the file, and belongs to that user."""
    device, number = _attach(file)
    libc = ctypes.CDLL(None, use_errno=True)
    name = b"/dev/loop%d" % number
    if libc.mount(name, os.fsencode(place), b"ext4", _NOSUID_NODEV, b"discard") != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
    top = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    blocks = os.fstat(file).st_size // _BLOCK_BYTES
    if blocks > struct.unpack("<I", os.pread(file, 4, _BLOCKS_AT))[0]:
        _grow(top, blocks)
    os.fchown(top, uid, uid)
    os.fchmod(top, 0o700)
    with suppress(OSError):  # it is gone, or in use
        os.rmdir("lost+found", dir_fd=top)
    for handle in (top, device, file):
        os.close(handle)


def _grow(top: int, blocks: int) -> None:
    """Nothing; the file system has so many blocks, or the machine lets nobody do that and a line says so."""
    try:
        fcntl.ioctl(top, _RESIZE, struct.pack("Q", blocks))
    except OSError as error:
        line = f"launch: the disk keeps its size, as it cannot be made larger: {error}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the workspace's own log


def _attach(file: int) -> tuple[int, int]:
    """A loop device of the image, open, and its number. Raises OSError when none can be had."""
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
            return device, number
    finally:
        os.close(control)
    raise OSError(_EBUSY, "no loop device is free")
