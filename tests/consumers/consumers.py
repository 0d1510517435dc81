# SPDX-License-Identifier: BSD-2-Clause
"""Fairlead as its users meet it: installed, as a subproject, from C++, and by the code that its documents show.

Every method of Kit that is called consumer_... is one case of `./dev test`. What they build stays in build/consumers,
so that a second run only links and runs.
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import check_api  # noqa: E402
import check_opcodes  # noqa: E402

C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CXX_FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
INSTRUCTIONS = {"x86_64": 5, "aarch64": 9}


class Failure(Exception):
    """The case failed; the text says what was run and what it said."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


def run(command, **options):
    """Runs a command and returns its standard output; Failure with all that it said when it fails."""
    try:
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, **options)
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"$ {shlex.join(command)}\nno end after {error.timeout} s") from error
    if done.returncode != 0:
        raise Failure(f"$ {shlex.join(command)}\n{done.stdout}status {done.returncode}")
    return done.stdout


def expect(text, wanted):
    if wanted not in text:
        raise Failure(f"expected {wanted!r} in:\n{text}")


def runs_of_threads(pid):
    """How often each thread of a process has been given a CPU, or taken off one: the same later means it never ran."""
    runs = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as file:
            runs[task] = re.findall(r"ctxt_switches:\s+(\d+)", file.read())
    return runs


class Kit:
    def __init__(self, source, build, cc, cxx):
        self.source, self.build, self.cc, self.cxx = source, build, cc, cxx
        self.work = os.path.join(os.path.dirname(build), "consumers")
        self.flags_of_prefix = None

    def cases(self):
        """(name, function) of each case, in the order of this file."""
        return [(n, getattr(self, n)) for n in vars(Kit) if n.startswith("consumer_")]

    # What the cases build.

    def meson(self, name, source, *options):
        """Configures and builds a meson project, or brings it up to date. Returns its build directory."""
        build = os.path.join(self.work, name)
        if not os.path.exists(os.path.join(build, "build.ninja")):
            shutil.rmtree(build, ignore_errors=True)
            os.makedirs(self.work, exist_ok=True)
            run(["meson", "setup", build, source, *options])
        run(["meson", "compile", "-C", build])
        return build

    def prefix_flags(self):
        """Installs the library as its README says; what pkg-config then tells a static program, as two lists."""
        if self.flags_of_prefix is None:
            prefix = os.path.join(self.work, "prefix")
            build = self.meson("installed", self.source, "--prefix", prefix, "--libdir", "lib")
            shutil.rmtree(prefix, ignore_errors=True)
            run(["meson", "install", "--no-rebuild", "--quiet", "-C", build])
            env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(prefix, "lib", "pkgconfig")}
            self.flags_of_prefix = tuple(shlex.split(run(["pkg-config", "--static", what, "fairlead"], env=env))
                                         for what in ("--cflags", "--libs"))
        return self.flags_of_prefix

    def compiled(self, source, compiler, flags):
        """One program against the installed library. Returns its path."""
        cflags, libs = self.prefix_flags()
        program = os.path.join(self.work, os.path.basename(source).replace(".", "_"))
        run([compiler, *flags, "-O1", "-g", *cflags, source, "-o", program, *libs])
        return program

    def c(self, source):
        """Compiles a C program against the installed library and runs it. Returns what it printed."""
        return run([self.compiled(source, self.cc, C_FLAGS)])

    def headers_alone(self, compiler, language, flags):
        """Each installed header, as the first and only one of a unit."""
        self.prefix_flags()
        include = os.path.join(self.work, "prefix", "include")
        headers = [os.path.join(include, "fairlead.h"), *sorted(glob.glob(os.path.join(include, "fairlead", "*.h")))]
        complaints = []
        for header in headers:
            unit = f"#include <{os.path.relpath(header, include)}>\nextern int a_unit_is_not_empty;\n"
            done = subprocess.run([compiler, *flags, "-I", include, "-fsyntax-only", "-x", language, "-"], input=unit,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                complaints.append(done.stdout)
        if complaints or len(headers) < 2:
            raise Failure("\n".join(complaints) or "no header was installed")

    def example_of(self, document, heading):
        """The first C block after a heading, saved as a file."""
        with open(os.path.join(self.source, document), encoding="utf-8") as file:
            found = re.search(rf"^#+ {re.escape(heading)}\n.*?^```c\n(.*?)^```$", file.read(), re.M | re.S)
        if not found:
            raise Failure(f"{document} has no C example under `{heading}`")
        self.prefix_flags()
        path = os.path.join(self.work, os.path.basename(document).replace(".md", ".c"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(found[1])
        return path

    def opcodes(self, objdump, archive, cpu):
        complaints = check_opcodes.check(objdump, archive, INSTRUCTIONS[cpu])
        if complaints:
            raise Failure("\n".join(complaints))

    # The cases.

    def consumer_installed_through_pkg_config(self):
        expect(self.c(os.path.join(HERE, "installed", "main.c")), "40 items\n")

    def consumer_pkg_config_leaks_no_macro(self):
        self.prefix_flags()
        with open(os.path.join(self.work, "prefix", "lib", "pkgconfig", "fairlead.pc"), encoding="utf-8") as file:
            description = file.read()
        needs_ck = re.search(r"^Requires(\.private)?: ck$", description, re.M)
        if not needs_ck or re.search(r"^Cflags:.*-D", description, re.M):
            raise Failure(description)

    def consumer_shared_library_exports_its_interface(self):
        """All that the headers promise, and nothing that does not begin with fl_."""
        build = self.meson("shared", self.source, "-Ddefault_library=shared")
        listing = run(["nm", "-D", "--defined-only", "--format=posix", os.path.join(build, "lib", "libfairlead.so")])
        exported = {line.split()[0] for line in listing.splitlines()}
        promised = {f.name for f in check_api.public_functions()}
        if promised - exported or any(not name.startswith("fl_") for name in exported):
            raise Failure(f"missing: {sorted(promised - exported)}\n"
                          f"foreign: {sorted(n for n in exported if not n.startswith('fl_'))}")

    def consumer_meson_subproject(self):
        """A fresh project that has this checkout in its subprojects/, through the dependency's name alone."""
        project = os.path.join(self.work, "project")
        os.makedirs(os.path.join(project, "subprojects"), exist_ok=True)
        for name in ("meson.build", "main.c"):
            shutil.copy2(os.path.join(HERE, "subproject", name), os.path.join(project, name))
        link = os.path.join(project, "subprojects", "fairlead")
        if not os.path.islink(link):
            os.symlink(self.source, link)
        build = self.meson("subproject", project)
        expect(run([os.path.join(build, "main")]), "5050\n")

    def consumer_cxx17(self):
        expect(run([self.compiled(os.path.join(HERE, "cxx17.cc"), self.cxx, CXX_FLAGS)]), "ok\n")

    def consumer_headers_alone_c11(self):
        self.headers_alone(self.cc, "c", C_FLAGS)

    def consumer_headers_alone_cxx17(self):
        self.headers_alone(self.cxx, "c++", CXX_FLAGS)

    def consumer_readme_example(self):
        expect(self.c(self.example_of("README.md", "Example")), "1 4 9 16\n")

    def consumer_example_one_task(self):
        expect(self.c(os.path.join(HERE, "examples", "one_task.c")), "ok\n")

    def consumer_example_locks(self):
        expect(self.c(os.path.join(HERE, "examples", "locks.c")), "ok\n")

    def consumer_example_queues(self):
        expect(self.c(os.path.join(HERE, "examples", "queues.c")), "ok\n")

    def consumer_example_threads(self):
        expect(self.c(os.path.join(HERE, "examples", "threads.c")), "ok\n")

    def consumer_idle_process_does_nothing(self):
        """A pool after its tasks and a thread in a long wait: for two seconds none runs, so none calls the system."""
        program = self.compiled(os.path.join(HERE, "idle.c"), self.cc, C_FLAGS)
        process = subprocess.Popen([program], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            expect(process.stdout.readline(), "idle\n")
            end = time.monotonic() + 60
            runs = None
            while runs != (runs := runs_of_threads(process.pid)):  # until what spins for a moment has gone to sleep
                if time.monotonic() > end:
                    raise Failure(f"still running after a minute: {runs}")
                time.sleep(0.1)
            time.sleep(2)
            if (later := runs_of_threads(process.pid)) != runs:
                raise Failure(f"how often each thread has run, before and after:\n{runs}\n{later}")
            process.communicate("\n", timeout=60)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0 or len(runs) < 3:
            raise Failure(f"status {process.returncode}, {len(runs)} threads")

    def consumer_opcodes_x86_64(self):
        if os.uname().machine != "x86_64":
            raise Skip("another machine")
        self.opcodes("objdump", os.path.join(self.build, "lib", "libfairlead.a"), "x86_64")

    def consumer_opcodes_aarch64(self):
        if os.uname().machine == "aarch64":
            self.opcodes("objdump", os.path.join(self.build, "lib", "libfairlead.a"), "aarch64")
            return
        build = self.meson("aarch64", self.source, "--cross-file",
                           os.path.join(os.path.dirname(HERE), "cross", "aarch64.ini"))
        self.opcodes("aarch64-linux-gnu-objdump", os.path.join(build, "lib", "libfairlead.a"), "aarch64")
