# SPDX-License-Identifier: BSD-2-Clause
"""Checks the includes against the tables of lib/README.md, which has the order of parts and layers, and of include/README.md, which
has the layer of each public header. A file includes its own layer, earlier layers of its part, and all layers of the parts that its
part may include. Of all files of mpi, only mpi/internals.h includes headers of lib, and lists what the others use of them. Of the
library, the laboratory includes what laboratory/README.md names. In an archive of the library, the objects of a part need only
those parts. A case of tests/run.
"""
import glob
import os
import re
import subprocess
import sys
from os.path import abspath, basename, dirname, exists, join, normpath, relpath

ROOT = dirname(dirname(abspath(__file__)))
LIB, INCLUDE = join(ROOT, "lib"), join(ROOT, "include/fairlead")
MPI, PARTS_OF_MPI = join(ROOT, "mpi"), {"core", "fd", "process"}
# All that the laboratory includes of the library, as laboratory/README.md says.
LABORATORY = {"core/base/sys.h", "core/sync/local.h", "core/wait/lot.h", "loop/fiber/switch.h"}
OWN_OF_LABORATORY = {"stress.h", "stress_lin.h"}
INCLUDES = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<fairlead/([^>]+)>)', re.M)
GENERATED = {"version.h"}
# The headers that every system has, and that files of the core may include; and the names of
# systems, which they may not test.
EVERYWHERE = re.compile(r"(?:errno|inttypes|limits|pthread|stdalign|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|time|ck_hp)\.h|fairlead/.*")
OF_A_SYSTEM = re.compile(r"^[ \t]*#[ \t]*(?:include[ \t]+<([^>]+)>|(?:el)?if.*?\b(_*(?:linux|APPLE|WIN|unix|\w+BSD|sun)\w*|FL__OS_\w+))", re.M)
HIDDEN = re.compile(r"\b(?:fl|FL)__\w+")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rows(folder):
    """Of each row of a README's tables of layers: the names in its first two cells."""
    for row in re.findall(r"^\| (`.*) \|$", text_of(join(ROOT, folder, "README.md")), re.M):
        yield [re.findall(r"`([^`]+)`", cell) for cell in row.split(" | ")[:2]]


def files_of(folder):
    return sorted(glob.glob(join(folder, "**/*.[ch]"), recursive=True))


class Layers:
    def __init__(self):
        self.parts = {part: re.findall(r"\w+", used) for part, used in
                      re.findall(r"^\| \[(\w+)\].*\|([^|]*)\|$", text_of(join(LIB, "README.md")), re.M)}
        self.order = {name: rank for rank, (names, _) in enumerate(rows("lib")) for name in names}
        self.headers = {header: names[0] for names, headers in rows("include") for header in headers if header.endswith(".h")}

    def of_file(self, path):
        """The layer of a file, a path from lib/."""
        return path if path in self.order else dirname(path)

    def may(self, user, used):
        part, of = user.split("/")[0], used.split("/")[0]
        return of in self.parts[part] or (part == of and self.order[used] <= self.order[user])

    def includes(self, path):
        """What a file includes of the library: a name, and its layer; None if the name stands in no table."""
        for own, public in INCLUDES.findall(text_of(path)):
            if public.startswith("private/"):
                yield from self.includes(join(INCLUDE, public))
            elif public:
                if public not in GENERATED:
                    yield public, self.headers.get(public)
            elif not path.startswith(INCLUDE):
                near = normpath(join(dirname(path), own))
                yield own, self.of_file(relpath(near, LIB) if exists(near) else own)


def complaints():
    layers = Layers()
    files = [(path, layers.of_file(relpath(path, LIB))) for path in files_of(LIB)]
    files += [(join(INCLUDE, name), layer) for name, layer in layers.headers.items()]
    for path, layer in sorted(files):
        name = relpath(path, ROOT)
        if layer not in layers.order:
            yield f"{name}: lib/README.md has no layer {layer}"
        elif not exists(path):
            yield f"include/README.md: there is no {name}"
        else:
            yield from (f"{name}, of {layer}, includes {used}, of {of}" for used, of in layers.includes(path)
                        if of is None or of not in layers.order or not layers.may(layer, of))
    listed = {*layers.headers, "core.h"}
    yield from (f"include/README.md: {name} is in no row" for name in sorted(os.listdir(INCLUDE)) if name.endswith(".h") and name not in listed)


def system_complaints():
    """What only some systems have stands in core/os: its headers, and #ifs of a system's name."""
    for path in files_of(join(LIB, "core")):
        if dirname(path) != join(LIB, "core/os"):
            for header, system in OF_A_SYSTEM.findall(text_of(path)):
                if system or not EVERYWHERE.fullmatch(header):
                    yield f"{relpath(path, ROOT)} has {system or header}, which only some systems have: it belongs into core/os"


def hidden_names(files):
    return {name for path in files for name in HIDDEN.findall(COMMENT.sub("", text_of(path)))}


def mpi_complaints():
    """What mpi includes of the library beside mpi/internals.h, and where the lists in that header differ from what mpi uses."""
    door, headers = join(MPI, "internals.h"), Layers().headers
    for own, _ in INCLUDES.findall(text_of(door)):
        if own.split("/")[0] not in PARTS_OF_MPI or not exists(join(LIB, own)):
            yield f"mpi/internals.h includes {own}, which is no header of {' or '.join(sorted(PARTS_OF_MPI))}"
    files = [path for path in files_of(MPI) if path != door]
    for path in files:
        name = relpath(path, ROOT)
        for own, public in INCLUDES.findall(text_of(path)):
            near = normpath(join(dirname(path), own))
            if own and (near.startswith(LIB + os.sep) or not exists(near) and exists(join(LIB, own))):
                yield f"{name} includes {own}: only mpi/internals.h includes headers of lib"
            elif dirname(path) == MPI and public in headers and headers[public].split("/")[0] not in PARTS_OF_MPI:
                yield f"{name} includes {public}, of {headers[public]}"
    used = hidden_names(files) & hidden_names(files_of(LIB) + files_of(INCLUDE))
    listed = set(HIDDEN.findall(text_of(door)))
    yield from (f"mpi/internals.h does not list {name}, which mpi uses" for name in sorted(used - listed))
    yield from (f"mpi/internals.h lists {name}, which mpi does not use" for name in sorted(listed - used))


def laboratory_complaints():
    """What the laboratory's program and its planted bugs include of the library beyond LABORATORY."""
    for folder in ("engine", "native", "tool", "planted", "programs"):
        for path in sorted(glob.glob(join(ROOT, "laboratory", folder, "*.[ch]*"))):
            for own, public in INCLUDES.findall(text_of(path)):
                if public in OWN_OF_LABORATORY:
                    continue
                used = public or relpath(normpath(join(dirname(path), own)), LIB)
                if used not in LABORATORY and (public or not used.startswith("../")):
                    yield f"{os.path.relpath(path, ROOT)} includes {used}, which laboratory/README.md does not name"


def archive_complaints(archive):
    """The names by which an object of a part needs an object of a part that it may not include."""
    parts, objects, defined = Layers().parts, {}, {}
    listing = subprocess.run(["nm", "--extern-only", archive], text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in listing.stdout.splitlines():
        words = line.split()
        if line.endswith(".o:"):
            needed = objects.setdefault(basename(line[:-1]), set())
        elif len(words) == 2 and words[0] == "U":  # a weak name needs nothing
            needed.add(words[1])
        elif len(words) == 3:
            defined[words[2]] = list(objects)[-1]
    for name, needed in objects.items():
        part = name.split("_")[0]
        for symbol in sorted(needed & defined.keys()):
            of = defined[symbol].split("_")[0]
            if of != part and of not in parts[part]:
                yield f"{name} needs {symbol}, of {defined[symbol]}"
