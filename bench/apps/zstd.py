#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""zstd as it is, with Fairlead's locks and threads, and with its pool on an executor: what `./dev bench apps/` calls.

    bench/apps/zstd.py BUILD FOLDER [--rounds N] [--quick] [--busy[=N]]

BUILD is the build folder with libfairlead.a; FOLDER keeps the source, the programs and the data. The source is that of the
distribution's package, unchanged; zstd_threading.h and zstd_pool.c say what stands in. Each round compresses 300 MB with
-T2 -3 by each program, in random order, and all outputs must be equal. Exit status: 0; 1 when an output differs or zstd's
own test of its pool fails; 2 for bad usage.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import machine  # noqa: E402

MEGABYTES, QUICK_MEGABYTES = 300, 30
POOL_TESTS = 20
PARTS = ("lib/common", "lib/compress", "lib/decompress", "lib/dictBuilder", "programs")
FLAGS = ("-O3", "-w", "-DZSTD_MULTITHREAD", "-DXXH_NAMESPACE=ZSTD_", "-DZSTD_LEGACY_SUPPORT=0")


class Failed(Exception):
    """Something did not go as it must."""


def run(*command, **more):
    done = subprocess.run(command, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with status {done.returncode}")
    return done


def fetch(folder):
    """The source of the distribution's package, from where its binary packages come from; apt checks the signatures."""
    source = os.path.join(folder, "source")
    if os.path.isdir(source):
        return source
    apt = os.path.join(folder, "apt")
    shutil.rmtree(apt, ignore_errors=True)
    os.makedirs(os.path.join(apt, "lists", "partial"))
    os.makedirs(os.path.join(apt, "sources"))
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]:
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            name = os.path.basename(path)
            text = (text.replace("Types: deb\n", "Types: deb-src\n") if name.endswith(".sources")
                    else "".join(line.replace("deb ", "deb-src ", 1) for line in text.splitlines(True)
                                 if line.startswith("deb ")))
            with open(os.path.join(apt, "sources", name if "." in name else f"{name}.list"), "w", encoding="utf-8") as file:
                file.write(text)
    options = ["-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={apt}/sources",
               "-o", f"Dir::State::lists={apt}/lists", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
               "-o", "APT::Sandbox::User=root"]
    run("apt-get", *options, "update")
    run("apt-get", *options, "--download-only", "source", "libzstd", cwd=apt)
    archive, = glob.glob(os.path.join(apt, "*.orig.tar.*z"))
    os.makedirs(source + ".new")
    run("tar", "-C", source + ".new", "--strip-components=1", "-xf", archive)
    os.rename(source + ".new", source)
    return source


def compile_all(source, objects, files, flags):
    """Objects of the files, which lie in `source`, or anywhere."""
    os.makedirs(objects, exist_ok=True)
    includes = [f"-I{os.path.join(source, part)}" for part in ("lib", "lib/common", "programs")]

    def compile_one(path):
        out = os.path.join(objects, os.path.relpath(path, source).replace("/", "_") + ".o")
        run("cc", *FLAGS, *includes, *(flags if path.endswith(".c") else []), "-c", path, "-o", out)
        return out

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, files))


def build(source, folder, fairlead, name):
    """The program `zstd` of one kind, and the test of its pool."""
    flags = {"pthreads": [], "locks": ["-include", os.path.join(HERE, "zstd_threading.h")]}
    flags["pool"] = flags["locks"]
    more = [] if name == "pthreads" else [f"-I{os.path.join(ROOT, 'include')}", f"-I{os.path.join(fairlead, 'include')}"]
    libraries = [] if name == "pthreads" else [os.path.join(fairlead, "lib", "libfairlead.a"), "-lck"]
    files = [path for part in PARTS for path in sorted(glob.glob(os.path.join(source, part, "*.[cS]")))]
    if name == "pool":
        files = [path for path in files if not path.endswith("/common/pool.c")] + [os.path.join(HERE, "zstd_pool.c")]
    objects = compile_all(source, os.path.join(folder, name), files, flags[name] + more)
    program = os.path.join(folder, f"zstd-{name}")
    run("cc", "-o", program, *objects, *libraries, "-pthread")
    test = compile_all(source, os.path.join(folder, f"{name}-test"), [os.path.join(source, "tests", "poolTests.c")],
                       flags[name] + more)
    library = [path for path in objects if not os.path.basename(path).startswith("programs_zstdcli")]
    run("cc", "-o", f"{program}-pool-test", *test, *library, *libraries, "-pthread")
    return program


def generate(source, folder, megabytes):
    """Compressible data, always the same: by zstd's own generator."""
    data = os.path.join(folder, f"data-{megabytes}")
    if not os.path.exists(data):
        generator = os.path.join(folder, "datagen")
        objects = compile_all(source, os.path.join(folder, "datagen-objects"),
                              [os.path.join(source, path) for path in ("programs/datagen.c", "programs/lorem.c", "tests/datagencli.c",
                                                                       "programs/util.c", "programs/timefn.c")
                               if os.path.exists(os.path.join(source, path))], [])
        run("cc", "-o", generator, *objects)
        with open(data + ".new", "wb") as file:
            run(generator, f"-g{megabytes}MB", "-s1", stdout=file, stderr=subprocess.DEVNULL)
        os.rename(data + ".new", data)
    return data


def compressed(program, data):
    """The hash of the output."""
    with subprocess.Popen([program, "-T2", "-3", "-q", "-c", data], stdout=subprocess.PIPE) as process:
        digest = hashlib.file_digest(process.stdout, "sha256").hexdigest()
    if process.returncode != 0:
        raise Failed(f"{program} ended with status {process.returncode}")
    return digest


def measure(program, data):
    """Seconds, and CPU seconds."""
    began = time.monotonic()
    pid = os.posix_spawn(program, [program, "-T2", "-3", "-q", "-f", "-o", "/dev/null", data], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise Failed(f"{program}: wait status {status}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime


def test_pool(program):
    for number in range(POOL_TESTS):
        done = subprocess.run([f"{program}-pool-test"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=120)
        if done.returncode != 0:
            raise Failed(f"zstd's test of its pool failed in run {number + 1} of {POOL_TESTS}: {done.stderr}")
    print(f"zstd's test of its pool, over the executor: {POOL_TESTS} of {POOL_TESTS}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--quick", action="store_true", help="30 MB, three rounds")
    parser.add_argument("--busy", type=int, nargs="?", const=1, default=0, metavar="N",
                        help="beside N processes a CPU that compute")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    source = fetch(options.folder)
    programs = {name: build(source, options.folder, options.build, name) for name in ("pthreads", "locks", "pool")}
    data = generate(source, options.folder, QUICK_MEGABYTES if options.quick else MEGABYTES)
    hashes = {compressed(program, data) for program in programs.values()}
    if len(hashes) != 1:
        raise Failed("the programs' outputs differ")
    print("the outputs are equal")
    test_pool(programs["pool"])
    figures = {name: [] for name in programs}
    rounds = 3 if options.quick else options.rounds
    with machine.Load() as load, machine.Compute(options.busy):
        for _ in range(rounds):
            for name in random.sample(list(programs), len(programs)):
                figures[name].append(measure(programs[name], data))
    base = statistics.median(seconds for seconds, _ in figures["pthreads"])
    print(load.line())
    if options.busy:
        print(f"Beside {options.busy} processes a CPU that compute.")
    print(f"Median of {rounds} rounds (least-most); ratio above 1: faster than with pthreads.")
    for name, runs in figures.items():
        seconds, cpu = zip(*runs)
        middle = statistics.median(seconds)
        print(f"apps/zstd/{name:10}{middle:7.3f} s ({min(seconds):.3f}-{max(seconds):.3f})  "
              f"{statistics.median(c / s for s, c in runs):.2f} CPUs  ratio {base / middle:.3f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
