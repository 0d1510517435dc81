# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the demo share."""
import glob
import os
import struct
import subprocess
import zlib

LIMIT = 120  # seconds, for what hangs


def run(demo, *arguments, status=0, **options):
    done = subprocess.run([demo, *arguments], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=LIMIT, **options)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def stopped(demo, *arguments, signal, begun, **options):
    """Sends the signal when begun() is true. The program must end with status 1 and one line; returns its output."""
    child = subprocess.Popen([demo, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    while child.poll() is None and not begun(child):
        os.sched_yield()
    child.send_signal(signal)
    try:
        out, err = child.communicate(timeout=LIMIT)
    finally:
        child.kill()
    assert child.returncode == 1, (child.returncode, out, err)
    return out, err


def has_thread(child, name):
    """Whether a thread of that name runs; under /proc one may go while we look."""
    for path in glob.glob(f"/proc/{child.pid}/task/*/comm"):
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == name:
                    return True
        except OSError:
            pass
    return False


def sizes_and_pixels(path):
    """Of a PNG file, after a look at its checksums: width, height, bytes of the picture."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body), path
        chunks.append((kind, body))
        at += 12 + length
    assert chunks[0][0] == b"IHDR" and chunks[-1][0] == b"IEND", path
    width, height, depth, colors = struct.unpack(">IIBB", chunks[0][1][:10])
    pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    assert depth == 8 and len(pixels) == height * (1 + width * {2: 3, 6: 4}[colors]), path
    return width, height, pixels
