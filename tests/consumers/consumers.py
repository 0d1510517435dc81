# SPDX-License-Identifier: BSD-2-Clause
"""Fairlead as users get it: installed, as a subproject, from C++, and the code of the documents.

Every method of Kit that is called consumer_... is one case of `./dev check packaging`. What they build stays in consumers/ of the
build folder, so that a second run only links and runs.
"""
import concurrent.futures
import functools
import glob
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from os.path import abspath, basename, dirname, exists, islink, join, relpath

HERE = dirname(abspath(__file__))
sys.path.insert(0, dirname(HERE))
import check_api  # noqa: E402
import check_opcodes  # noqa: E402

C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
TLS_OF_CORE, TLS_OF_ALL_PARTS = 96, 112  # bytes of static TLS that a copy takes: docs/platforms.md
C99_FLAGS = ["-std=gnu99", "-pedantic", "-Wdeclaration-after-statement", "-Wall", "-Wextra", "-Werror"]
CXX_FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CXX_STRICT = ["-Wold-style-cast", "-Wuseless-cast", "-Wzero-as-null-pointer-constant"]  # clang lacks one of them
GNU89_FLAGS = ["-std=gnu89", "-Wall", "-Wextra", "-Werror"]
# What Debian (dpkg-buildflags) and Ubuntu compile and link packages with; Ubuntu's gcc has _FORTIFY_SOURCE by itself.
HARDENING = """-g -O2 -flto=auto -ffat-lto-objects -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection
-ftrivial-auto-var-init=zero -fno-omit-frame-pointer -Wformat -Werror=format-security -Wdate-time -Werror=implicit-function-declaration""".split()
HARDENED_LINKS = ["-flto=auto", "-Wl,-z,relro", "-Wl,-z,now"]
WINE = shutil.which("wine64", path=os.environ["PATH"] + ":/usr/lib/wine")
LANGUAGES = ("c11", "c23", "gnu99", "cxx17")
IN_LANGUAGES = {"headers_alone": ("gnu89", *LANGUAGES), "common_names": LANGUAGES, "tasks_of_common_names": LANGUAGES, "scopes": LANGUAGES,
                "macros_of_the_program": LANGUAGES, "deadlines_are_times": LANGUAGES, "initializers_take_numbers_in_range": LANGUAGES,
                "scenarios": ("gnu99", "cxx17")}  # methods of Kit: a case each
GUIDE_PRINTS = {  # under which heading the guide has a program, and what that prints; the first 12 also run on Windows
    "Tasks and executors": "1 4 9 16\n",
    "Many arguments, results one by one": "6: 8 steps\n0: 0 never gets to 1\n27: 111 steps\n97: 118 steps\n",
    "Results of any length": "6: 1 2 3 6\n7: 1 7\n8: 1 2 4 8\n",
    "Futures": "server 1 answered after 1 ms\n",
    "Parallel loops": "4999950000\n",
    "Timers": "tick\ntick\ntick\n",
    "Threads": "first: done\nmissing: ENOENT\nslow: ECANCELED\nlast: done\nthe first error: ENOENT\n",
    "Locks": "7\n",
    "Queues": "5050\n",
    "Timeouts and deadlines": "the wait: ETIMEDOUT\nthe task: ETIMEDOUT\n",
    "Cancel a task": "ECANCELED\n",
    "Groups": "member 3: EDOM: part 3 is empty\n",
    "Ctrl-C in a program with only a pool": "interrupted\n",
    "Sharing memory between processes": "0 1 4 9\n",
    "Other programs": "4\n30\n100\nsort ended with 0\n",
    "Data and their lock": "70\n",
    "Results in order, for a reader and a writer": "9\n1\n-1 is negative\n",
    "A pool with an initializer and maxtasksperchild": "7 14 21\n",
    "What a child of fork() may do": "49\n",
    "A call that blocks": "has a size\n",
    "Work every five seconds": "work\n",
    "Tasks that run one at a time": "4980 cents\n",
    "A pool of handles": "connection 1\nconnection 2\nconnection 1\n",
    "When a task fails": "EDOM: 7 is odd\n",
    "A recursion with several branches": "121415\n",
}
EXAMPLES = ("locks", "queues", "one_task")  # in examples/
TYPES_OF = ["FL_QUEUE_OF", "FL_MPMC_OF", "FL_SPSC_OF", "FL_SHM_QUEUE_OF",
            "FL_SHM_VALUE_OF", "FL_SHM_ARRAY_OF", "FL_PROMISE_OF"]  # macros that take a type and a name
# Types that a macro cannot take: what its first error says, and how they are spelled. "none": types
# that it can take.
MISTAKES = {
    "none": ("", "struct pair", "struct pair *", "const struct pair *", "enum colour", "struct ::pair"),
    "nameless": ("define the type before, and write its name here",
                 "struct { int a; }", "const struct { int a; }", "union { int a; }", "enum { A }", "class { int a; }"),
    "commas": ("passed . arguments, but takes just|too many arguments provided to function-like macro", "struct { int a, b; }"),
    "array": ("cannot be passed by value: put the array into a struct", "eight", "int[8]"),
    "missing": ("a type is missing here", ""),
    "incomplete": ("incomplete type '?‘?.*nowhere", "struct nowhere"),
    "undeclared": ("nowhere_t['’]? (undeclared|was not declared)|undeclared identifier 'nowhere_t'", "nowhere_t"),
    "void": ("void", "void"),
}
OF_TASKS = {"commas": MISTAKES["nameless"][0], "void": ""}
IN_PLACE = {"array": "", "void": None}
IN_EXPRESSIONS = {**IN_PLACE, "nameless": None, "missing": "expected (primary-)?expression"}
USES_OF_TYPES = {  # each macro that takes a type, and what it says otherwise than MISTAKES; None: nothing is promised
    **{f"{macro}(it, {types})": OF_TASKS for macro in ("FL_TASK", "FL_TASK_STATIC", "FL_TASK_DECLARE", "FL_TASK_DEFINE")
       for types in ("TYPE, int", "int, TYPE")},
    **{f"{macro}(TYPE, it)": IN_PLACE if macro == "FL_SHM_ARRAY_OF" else {} for macro in TYPES_OF},
    "n += !FL_SHM_AT(r, TYPE, 8)": IN_EXPRESSIONS,
    "FL_BYTES_EACH (TYPE, v, *b) n += !!v": IN_EXPRESSIONS,
    "n += FL_BYTES_COUNT(TYPE, *b) > 2": IN_EXPRESSIONS,
}
# Statements with a deadline AT. They compile with a time, and with no duration or other number.
USES_OF_TIMES = ["FL_IGNORE(fl_sleep_until(AT, NULL))", "FL_IGNORE(fl_event_wait_until(e, AT, NULL))",
                 "FL_IGNORE(FL_WAIT_ANY_UNTIL(AT, NULL, FL_ON_EVENT(e)))", "fl_cancel_token_init(c, NULL, AT)",
                 "config->deadline = AT", "config->backlog_deadline = AT", "fl_group g = FL_GROUP_INIT_UNTIL(NULL, AT); (void)g"]
# The numbers that an initializer takes.
RANGES_OF_NUMBERS = {"FL_SEM_INIT": ("0", "FL_SEM_MAX"), "FL_SEM_BOUNDED_INIT": ("1", "FL_SEM_MAX"),
                     "FL_LATCH_INIT": ("0", "FL_LATCH_MAX"), "FL_BARRIER_INIT": ("1", "INT_MAX")}
# Names of macros that programs have, beside the words of the headers and the names of their
# attributes.
MACROS_OF_PROGRAMS = """ARRAY_SIZE BIT CHECK CONCAT DEBUG ERROR FALSE I INLINE LOCK MAX MIN OK STR TRUE U UNLOCK UNUSED abs access
alias aligned alloc alloc_size artificial assert assume assume_aligned async await bit byte calloc catch check cold container_of
copy counted_by debug deprecated die error expect externally_visible fallthrough flatten for_each foreach force_inline format
format_arg fprintf free gnu_inline gnu_printf hidden hot ifunc leaf likely linux list_entry lock log major makedev malloc
max may_alias memcmp memcpy memmove memset min minmax minor naked no_instrument_function no_sanitize noclone nodiscard noinline
nonnull nonstring noplt noreturn nothrow optimize packed printf pure puts realloc retain returns_nonnull round scanf section
sentinel snprintf spawn strcpy stringify strlen swap target throw trace try unix unlikely unlock unused used vector_size
visibility warning weak weakref xmalloc yield""".split()
KEYWORDS = set("""defined alignas alignof and asm auto bool break case catch char class const const_cast constexpr continue decltype default
delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new
noexcept not nullptr operator or private protected public register reinterpret_cast return short signed sizeof static static_assert
static_cast struct switch template this thread_local throw true try typedef typename typeof union unsigned using virtual void volatile while""".split())
MOVED = {  # what both sides of docs/from-....md print
    "pthreads": "done, cancelled\n7\n",
    "libuv": "tick\ntick\nhello\nresult 42\n",
}
# The most bytes of text and bss of a static program that gcc 12 compiles, as size(1) counts them,
# and its source in weight/. Later gccs inline more: gcc 14 makes 2.5 % more text of pool.c, gcc 16
# makes 4.7 % more.
WEIGHTS = {"mutex.c": (26 * 1024, 72 * 1024), "pool.c": (134 * 1024, 90 * 1024)}
TEXT_OF_LATER_GCCS = 1.06
INSTRUCTIONS = {"x86_64": (5, 6), "aarch64": (10, 11)}  # of a lock, of an unlock
# At most, each: a submit without a future by one thread beside a busy worker; a fork and its join
# that nobody steals; all that a worker executes for an empty task that waits in the injector, from
# the take to the end of the task; the same if the task waits in the local queue of another worker,
# where it is stolen, with the search before it. Under Valgrind a freed block is kept and poisoned,
# which takes 210 of the instructions of a take.
INSTRUCTIONS_OF = {"submit": 180, "fork_join": 62, "take": 720, "steal": 930}


class Failure(Exception):
    """The case failed; the text says what was run and what it said."""


def silent(check, *arguments):
    """Fails with the complaints of the check."""
    complaints = "\n".join(check(*arguments))
    if complaints:
        raise Failure(complaints)


NO_END = 1800  # seconds after which a command hangs; slowed down, the longest takes a fifth of that


class Skip(Exception):
    """The case cannot run here; the text says why."""


def here(*names):
    """A file of this folder."""
    return join(HERE, *names)


read = check_api.read


def write(path, text):
    """Writes a file, and makes its folder. Returns its path."""
    os.makedirs(dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def run(command, status=0, cwd=None, env=()):
    """Runs a command, with `env` beside the variables of this process, and returns its standard output; Failure with all that it said
    when it ends otherwise."""
    try:
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=NO_END, cwd=cwd, env={**os.environ, **dict(env)})
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"$ {shlex.join(command)}\nno end after {error.timeout} s") from error
    if done.returncode != status:
        raise Failure(f"$ {shlex.join(command)}\n{done.stdout}status {done.returncode}")
    return done.stdout


def said_of(unit, language, *command):
    """What a compiler says of a unit of which the text is given."""
    return subprocess.run([*command, "-fsyntax-only", "-x", language, "-"], input=unit, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False).stdout


def succeeds(command):
    """Whether a command ends with 0, whatever it says."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def install(build, *options):
    """Builds what a meson project installs, and nothing else; then installs it."""
    run(["ninja", "-C", build, "build.ninja"])
    targets = json.loads(run(["meson", "introspect", "--targets", build]))
    run(["ninja", "-C", build, *(relpath(name, build) for t in targets if t["installed"] for name in t["filename"])])
    run(["meson", "install", "--no-rebuild", "--quiet", "-C", build, *options])


def expect(text, *wanted):
    for piece in wanted:
        if piece not in text:
            raise Failure(f"expected {piece!r} in:\n{text}")


def expect_all(text, wanted):
    if text != wanted:
        raise Failure(f"expected {wanted!r}, got:\n{text}")


def runs_of_threads(pid):
    """The state and context switches of each thread of a process: the same S and numbers later mean that it never ran."""
    runs = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        runs[task] = re.findall(r"(?:State|ctxt_switches):\s+(\w+)", read(f"/proc/{pid}/task/{task}/status"))
    return runs


# The address space of gcc 12's TSan does not fit a kernel that randomises more than 28 bits.
FIXED_ADDRESSES = ["setarch", "-R"] if succeeds(["setarch", "-R", "true"]) else []

# Runs a command that cannot raise its limits again, also for root: without CAP_SYS_RESOURCE.
WITHOUT_RAISING_LIMITS = [sys.executable, "-c", "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 24, 0, 0, 0); "
                          "os.execvp(sys.argv[1], sys.argv[1:])"]  # PR_CAPBSET_DROP


# In a namespace: /usr/local without a Fairlead that someone installed; whatever changes there ends
# with the namespace.
OVER_USR_LOCAL = """mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/usr/local,upperdir=/mnt/upper,workdir=/mnt/work,userxattr overlay /usr/local
find /usr/local -depth -name '*fairlead*' -exec rm -r {} +
"""


class Server:
    """A program that listens on 127.0.0.1, and what it prints; killed when the scope ends."""

    def __init__(self, command, port=None):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.port = port or int(self.line().rpartition(":")[2])

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise Failure(f"$ {shlex.join(self.process.args)}\nended, status {self.process.wait()}")
        return text

    def says(self):
        """A line, without what stands in front of its first colon."""
        return self.line().partition(": ")[2]

    def terminated(self):
        """Ends it by SIGTERM; returns its status."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def client(self):
        s = self.socket()
        return s, s.makefile(newline="\n")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Kit:
    def __init__(self, source, build, cc, cxx):
        self.source, self.build, self.cc, self.cxx = source, build, cc, cxx
        self.work = join(build, "consumers")  # two builds may be tested at once
        self.flags_of_prefix = None

    def at(self, *names):
        """A file or folder of what is built."""
        return join(self.work, *names)

    def emptied(self, name):
        """A folder of what is built, without what a run before left there."""
        folder = self.at(name)
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def cases(self):
        """(name, function) of each case: the methods in the order of this file, then the tables."""
        return [*((n, getattr(self, n)) for n in vars(Kit) if n.startswith("consumer_")),
                *((f"consumer_{what}_{language}", functools.partial(self.in_language, what, language))
                  for what, languages in IN_LANGUAGES.items() for language in languages),
                *((f"consumer_moved_from_{kind}_to_here", functools.partial(self.moved, kind)) for kind in MOVED),
                *((f"consumer_example_{name}", functools.partial(self.prints, here("examples", f"{name}.c"), "ok\n")) for name in EXAMPLES),
                *((f"consumer_guide_{re.sub(r'[^a-z]+', '_', heading.lower())}", functools.partial(self.guide, heading)) for heading in GUIDE_PRINTS)]

    # What the cases build.

    def configured(self, name, source, *options):
        """Configures a meson project, unless that was done before with the same options. Returns its build directory."""
        build = self.at(name)
        asked, wanted = join(build, "asked"), "\n".join([source, *options])
        if not exists(asked) or read(asked) != wanted:
            run(["meson", "setup", "--libdir=lib", self.emptied(name), source, *options])
            write(asked, wanted)
        return build

    def meson(self, name, source, *options):
        """Configures and builds a meson project, or brings it up to date. Returns its build directory."""
        build = self.configured(name, source, *options)
        run(["meson", "compile", "-C", build])
        return build

    def prefix_flags(self):
        """Installs the library as in its README; returns pkg-config's flags for a static program, as two lists."""
        if self.flags_of_prefix is None:
            prefix = self.at("prefix")
            build = self.configured("installed", self.source, "--prefix", prefix)
            self.emptied("prefix")
            install(build)
            env = {"PKG_CONFIG_PATH": join(prefix, "lib/pkgconfig")}
            self.flags_of_prefix = tuple(shlex.split(run(["pkg-config", "--static", what, "fairlead"], env=env))
                                         for what in ("--cflags", "--libs"))
        return self.flags_of_prefix

    def compiled(self, source, *more, by=None):
        """One program against the installed library, with further sources, options or libraries. `by`: a compiler and its flags, in
        place of those for the source's language. Returns the program's path."""
        compiler, flags = by or ((self.cxx, CXX_FLAGS) if source.endswith(".cc") else (self.cc, C_FLAGS))
        cflags, libs = self.prefix_flags()
        program = self.at(basename(source).replace(".", "_"))
        run([compiler, *flags, "-O1", "-g", *cflags, source, *more, "-o", program, *libs])
        return program

    def c(self, *source, by=None):
        """Compiles a program, as compiled() does, and runs it. Returns what it printed."""
        return run([self.compiled(*source, by=by)])

    def c23_flags(self):
        """C_FLAGS for C23, under the name that the compiler has for it."""
        for standard in ("c23", "c2x"):
            if succeeds([self.cc, f"-std={standard}", "-x", "c", "-E", os.devnull]):
                return [f"-std={standard}", *C_FLAGS[1:]]
        raise Skip("the compiler has no C23")

    def installed_headers(self):
        """The folder of the installed headers, and their names as a program writes them."""
        self.prefix_flags()
        include = self.at("prefix/include")
        return include, ["fairlead.h", *(relpath(header, include) for header in
                                         sorted(glob.glob(join(include, "fairlead/**/*.h"), recursive=True)))]

    def in_language(self, what, language):
        """Calls a method with the compiler, the name for its -x, and flags."""
        if language == "cxx17":
            getattr(self, what)(self.cxx, "c++", CXX_FLAGS)
        else:
            getattr(self, what)(self.cc, "c", {"c11": C_FLAGS, "gnu99": C99_FLAGS, "gnu89": GNU89_FLAGS}.get(language) or self.c23_flags())

    def prints(self, source, wanted):
        expect(self.c(source), wanted)

    def guide(self, heading):
        self.prints(self.example_of("docs/guide", heading), GUIDE_PRINTS[heading])

    def headers_alone(self, compiler, language, flags):
        """Each installed header, as the first and only one of a unit."""
        include, names = self.installed_headers()
        complaints = []
        if language == "c++" and not re.search("unknown|unrecognized", said_of("", language, compiler, *flags, *CXX_STRICT)):
            flags = [*flags, *CXX_STRICT]
        for name in names:
            unit = f"#include <{name}>\nextern int a_unit_is_not_empty;\n"
            complaints.append(said_of(unit, language, compiler, *flags, "-I", include))
        if any(complaints) or len(names) < 2:
            raise Failure("".join(complaints) or "no header was installed")
        without = ["-I", include, "-DFL__HAS_PROCESS=0", "-DFL__HAS_LOOP=0"]
        expect(said_of("#include <fairlead/shm_value.h>\n#include <fairlead/net.h>", language, compiler, *flags, *without), "lacks the part process",
               "lacks the part loop")

    def all_headers(self):
        """The flags with which a unit finds all_headers.h, which includes each installed header."""
        include, names = self.installed_headers()
        write(self.at("include/all_headers.h"), "".join(f"#include <{name}>\n" for name in names))
        return ["-I", include, "-I", self.at("include")]

    def common_names(self, compiler, language, flags):
        """Units of names/ under -Wshadow: globals, then types and items with each macro for typed functions."""
        flags = [compiler, *flags, "-Wshadow", *self.all_headers(), "-fsyntax-only", "-x", language]
        run([*flags, here("names/globals.c")])
        for macro in TYPES_OF:
            for unit in ("types.c", "items.c"):
                run([*flags, f"-DTYPES={macro}", here("names", unit)])

    def macros_of_the_program(self, compiler, language, flags):
        """A program's macros, before the headers and behind them: each word of a macro of the headers and each name of their
        attributes, without underscores, and MACROS_OF_PROGRAMS. By defs.h, "Macros", a word that the headers declare is a macro with
        parameters. Nothing compiles that one of the macros gets into."""
        flags = [compiler, *flags, *self.all_headers(), "-x", language]
        include, names = self.installed_headers()
        text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', "", "\n".join(read(join(include, name)) for name in names), flags=re.S)
        attributes = {word.strip("_") for attribute in re.findall(r"(?:__attribute__\(|FL__THREAD_SAFETY)\((.*?)\)\)", text)
                      for word in re.findall(r"\b__[a-z]\w*__", attribute)}
        unit = write(self.at("include/all_headers.c"), '#include "all_headers.h"\n')
        macros = set(re.findall(r"^#define (\w+)", run([*flags, "-dM", "-E", unit]), re.M))
        declared, ours = set(), False
        for line in run([*flags, "-E", unit]).splitlines():
            marker = re.match(r'# \d+ "(.*?)"', line)
            ours = marker[1].startswith(include) if marker else ours
            if ours and not marker:
                declared |= set(re.findall(r"\b[A-Za-z]\w*", re.sub(r"__attribute__\(\(.*?\)\)", "", line)))
        words = set(re.findall(r"\b(?!fl_|FL_|FAIRLEAD_)[A-Za-z]\w*\b(?<!_)", text)) | attributes | set(MACROS_OF_PROGRAMS)
        tried = words - macros - declared - KEYWORDS
        if attributes - tried or len(tried) < len(MACROS_OF_PROGRAMS):
            raise Failure(f"the headers declare {sorted(attributes & declared)}, so {sorted(attributes - tried)} of {len(tried)} are not tried")
        system = set(re.findall(r"^#include <(?!fairlead).*", text, re.M))  # whose names are no program's
        write(self.at("include/macros_of_the_program.h"),
              "\n".join([*sorted(system), *(f"#define {name} ] a macro of the program" for name in sorted(tried)),
                         *(f"#define {name}(...) ] a macro of the program" for name in sorted((words & declared) - macros - KEYWORDS)
                           if name != "bool" and not name.endswith("_t")), ""]))  # the C library's types
        for when in ([], ["-DMACROS_FIRST"]):
            run([*flags, *when, "-fsyntax-only", here("names/macros.c")])

    def deadlines_are_times(self, compiler, language, flags):
        """A time in place of a deadline compiles. A duration or a number does not, nor a time in place of a duration."""
        include, _ = self.installed_headers()

        def compiles(*statements):
            unit = ("#include <fairlead.h>\nvoid f(fl_event *e, fl_cancel_token *c, fl_submit_config *config);\n"
                    "void f(fl_event *e, fl_cancel_token *c, fl_submit_config *config)\n{\n" +
                    "".join(f"\t{{ {statement}; }}\n" for statement in statements) + "\t(void)e, (void)c, (void)config;\n}\n")
            return not said_of(unit, language, compiler, *flags, "-I", include)

        times = ("FL_FOREVER", "FL_NO_WAIT", "fl_after(FL_MS(1))", "fl_time_add(fl_now(), FL_S(1))")
        mistakes = [use.replace("AT", number) for use in USES_OF_TIMES for number in ("FL_S(1)", "0")]
        mistakes += ["FL_IGNORE(fl_sleep(FL_FOREVER))", "fl_submit_config mine = {.deadline = FL_S(1)}; *config = mine"]
        if not compiles("FL_IGNORE(fl_sleep(FL_S(1)))", *(use.replace("AT", time) for use in USES_OF_TIMES for time in times)):
            raise Failure("a time in place of a deadline does not compile")
        if accepted := [mistake for mistake in mistakes if compiles(mistake)]:
            raise Failure("\n".join(["these compile:", *accepted]))

    def initializers_take_numbers_in_range(self, compiler, language, flags):
        """A constant that FL_SEM_INIT and the like cannot take does not compile. One that it can take does, also in a static object."""
        include, _ = self.installed_headers()

        def said(statement):
            unit = f"#include <fairlead.h>\nint f(int n, const void **at);\nint f(int n, const void **at)\n{{\n\t{statement};\n\t*at = &it;\n\treturn n;\n}}\n"
            return said_of(unit, language, compiler, *flags, "-I", include)

        for macro, (least, most) in RANGES_OF_NUMBERS.items():
            kind = "fl_" + macro.split("_")[1].lower()
            for number in (least, f"{least} + 1", most):
                if complaint := said(f"static {kind} it = {macro}({number})"):
                    raise Failure(complaint)
            if complaint := said(f"{kind} it = {macro}(n)"):
                raise Failure(complaint)
            for number in (f"{least} - 1", "-1", f"{most} + INT64_C(1)", "UINT64_MAX"):
                expect(said(f"{kind} it = {macro}({number})"), "" if language == "c++" else f"the number must be from {least} to {most}", "error")

    def clang_that_checks_locks(self):
        """The newest clang in the PATH, and its version."""
        found = []
        for path in {path for folder in os.get_exec_path() for path in glob.glob(join(folder, "clang*")) if re.fullmatch(r"clang(-\d+)?", basename(path))}:
            found.append((int(re.search(r"__clang_major__ (\d+)", run([path, "-dM", "-E", "-x", "c", os.devnull]))[1]), path))
        version, clang = max(found, default=(0, "none"))
        if version < 19:
            raise Skip(f"the check of locks needs clang 19, and the newest here is {version or 'none'}")
        return clang, version

    def thread_safety(self, clang, language, source, *flags):
        """What clang's analysis reports of a unit: (file, line) of each warning. None if a header of another library is not installed."""
        said = said_of(f'#include "{source}"\n', language, clang, "-Wno-everything", "-Wthread-safety", "-D_GNU_SOURCE", *flags, "-I", dirname(source),
                       *self.all_headers())
        if errors := re.findall(r".* error: .*", said):
            if all(re.search(r"'(?!fairlead)\S+' file not found", error) for error in errors):
                return None
            raise Failure("\n".join(errors))
        return {(name, int(line)) for name, line in re.findall(r"^(.*?):(\d+):\d+: warning: .*\[-Wthread-safety", said, re.M)}

    def example_of(self, document, heading, fence="c"):
        """The first block after a heading of a document, or of a folder of documents, saved as a file."""
        path = join(self.source, document)
        text = "\n".join(map(read, sorted(glob.glob(join(path, "*.md"))) or [path]))
        found = re.search(rf"^#+ {re.escape(heading)}\n.*?^```{fence}\n(.*?)^```$", text, re.M | re.S)
        if not found:
            raise Failure(f"{document} has no {fence} example under `{heading}`")
        return write(self.at(re.sub(r"\W+", "_", f"{document} {heading}") + "." + fence), found[1])

    def blocks_of(self, document, fence, name):
        """All blocks of a document with that fence, such as `c after`, saved as one file. Returns its path."""
        blocks = re.findall(rf"^```{fence}\n(.*?)^```$", read(join(self.source, document)), re.M | re.S)
        if len(blocks) < 2:
            raise Failure(f"{document} has {len(blocks)} blocks `{fence}`")
        return write(self.at(name), "\n".join(blocks))

    def moved(self, kind):
        """A page about moving, from-KIND.md: what its blocks do, with what moving/KIND_after.c puts around them."""
        self.blocks_of(f"docs/from-{kind}.md", "c after", f"from_{kind}_after.h")
        source = here("moving", f"{kind}_after.c")
        expect_all(self.c(source, "-I", self.work), MOVED[kind])

    def moved_from(self, kind, *libraries):
        """The same of its blocks `c before`, which know nothing of Fairlead."""
        self.blocks_of(f"docs/from-{kind}.md", "c before", f"from_{kind}_before.h")
        program = self.at(f"{kind}_before")
        run([self.cc, *C_FLAGS, "-I", self.work, here("moving", f"{kind}_before.c"), "-o", program, *libraries])
        expect_all(run([program]), MOVED[kind])

    def need_gcc_on_x86_64(self):
        if os.uname().machine != "x86_64" or not re.search(r"\bg?cc", basename(self.cc)):
            raise Skip("the case is about gcc on x86-64")

    def opcodes(self, objdump, archive, cpu):
        silent(check_opcodes.check, objdump, archive, INSTRUCTIONS[cpu])

    # The cases.

    def consumer_installed_through_pkg_config(self):
        expect(self.c(here("installed/main.c")), "40 items\n")

    def consumer_installed_c23(self):
        expect(self.c(here("installed/main.c"), by=(self.cc, self.c23_flags())), "40 items\n")

    def consumer_manual_pages(self):
        """A page for each public function and header, which man can show, and which mandoc finds in order."""
        self.prefix_flags()
        folder = self.at("prefix/share/man/man3")
        names = {f.name for f in check_api.public_functions() if f.header.startswith("include" + os.sep) and not f.name.startswith("fl__")}
        names |= {"fairlead.h", *("fairlead_" + basename(path) for path in glob.glob(self.at("prefix/include/fairlead/*.h")))}
        pages = {name[:-len(".3")] for name in os.listdir(folder)}
        if names - pages:
            raise Failure(f"no page: {sorted(names - pages)}")
        real = {}
        for page in pages:
            text = read(join(folder, page + ".3"))
            if text.startswith(".so "):
                expect(" ".join(pages), basename(text.split()[1])[:-len(".3")])
            else:
                real[page] = text
                said = re.search(r"^\.Nd *(.*)", text, re.M)[1]
                if re.match(r"$|\W*(As|If|In|The first|The same|When|While|With|Without)\b", said):
                    raise Failure(f"{page}(3): its line does not say what it does: {said}")
                for other in re.findall(r"^\.Xr (\S+) 3", text, re.M):
                    if other not in pages:
                        raise Failure(f"{page}(3) refers to {other}(3), which does not exist")
        if not shutil.which("mandoc"):
            raise Skip("mandoc is not installed")
        shown = re.sub(".\x08", "", run(["mandoc", "-T", "ascii", join(folder, "fl_queue_put.3")]))
        for text in ("#include <fairlead/queue.h>", "fl_queue_put_until(fl_queue *q,", "-ENOMEM   out of memory", "fairlead_queue.h(3)"):
            expect(shown, text)
        said = run(["mandoc", "-T", "lint", "-W", "warning", *(join(folder, page + ".3") for page in sorted(real))])
        if said:
            raise Failure(said)

    def consumer_readme_install(self):
        """The install lines but for that of packages, in a copy of this tree, where /usr/local is a copy, too."""
        tree, lines = self.emptied("readme"), read(self.example_of("README.md", "Install", "sh"))
        shutil.copytree(self.source, tree, symlinks=True, ignore=shutil.ignore_patterns("build*", ".git"))
        shutil.copy2(self.example_of("README.md", "Fairlead"), join(tree, "app.c"))
        apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-e", "-c", OVER_USR_LOCAL + '"$@"', "sh"]
        if not succeeds([*apart, "true"]):
            raise Skip("no namespace in which /usr/local can be changed")
        said = run(["env", "-u", "PKG_CONFIG_PATH", *apart, "sh", "-e", "-c", re.sub(r"^apt .*\n", "", lines, flags=re.M)], cwd=tree)
        expect(said, self.lines())
        if "warning:" in said:
            raise Failure(said)

    def consumer_pkg_config_leaks_nothing(self):
        """The description asks for no other package and no macro, and a program needs only what its compiler brings along."""
        program = self.compiled(here("installed/main.c"))
        description = read(self.at("prefix/lib/pkgconfig/fairlead.pc"))
        if re.search(r"^Requires|^Cflags:.*-D", description, re.M):
            raise Failure(description)
        needed = set(re.findall(r"NEEDED +(\S+)", run(["objdump", "-p", program])))
        if not needed or not all(re.match(r"libc\.|ld-linux|libgcc_s\.", name) for name in needed):
            raise Failure(f"the program needs {sorted(needed)}")

    def hardened(self):
        """The options for meson by which a distribution's flags reach a build, as far as the compiler knows the flags."""
        def known(flags):
            return " ".join(flag for flag in flags if succeeds([self.cc, "-Werror", "-O2", flag, "-x", "c", "-fsyntax-only", os.devnull]))
        return "--buildtype=plain", "-Dwerror=true", f"-Dc_args={known(HARDENING)}", f"-Dc_link_args={known(HARDENED_LINKS)}"

    def shared(self):
        """Builds the library as Debian's package has it: shared, and an archive, hardened. Returns its build directory."""
        return self.meson("both", self.source, "-Ddefault_library=both", "--prefix", self.at("prefix-shared"), "-Dmpi=disabled", *self.hardened())

    def consumer_installed_shared(self):
        """Beside a shared library, only `pkg-config --static` names libck; each program runs, and needs no libck. No flag is a macro."""
        lib, program = join(self.emptied("prefix-shared"), "lib"), self.at("installed_shared")
        install(self.shared())
        env = {"PKG_CONFIG_PATH": join(lib, "pkgconfig")}
        for kind, linked, wanted in (((), [f"-Wl,-rpath,{lib}"], {"libfairlead.so.0", "libc.so.6"}), (("--static",), ["-static"], set())):
            flags = run(["pkg-config", *kind, "--cflags", "--libs", "fairlead"], env=env).split()
            if ("-l:libck.a" in flags) != bool(kind) or any(flag.startswith("-D") for flag in flags):
                raise Failure(f"flags {kind}: {flags}")
            run([self.cc, *C_FLAGS, here("installed/main.c"), "-o", program, *linked, *flags])
            self.same(set(re.findall(r"NEEDED +(\S+)", run(["objdump", "-p", program]))), wanted)
            expect(run([program]), "40 items\n")

    def consumer_shared_library_exports_its_interface(self):
        """All that the headers promise, and nothing that does not begin with fl_."""
        build = self.shared()
        listing = run(["nm", "-D", "--defined-only", "--format=posix", join(build, "lib/libfairlead.so")])
        exported = {line.split()[0].partition("@")[0] for line in listing.splitlines() if not line.startswith("FAIRLEAD_")}
        promised = {f.name for f in check_api.public_functions() if f.exported and f.header.startswith("include" + os.sep)}
        if promised - exported or any(not name.startswith("fl_") for name in exported):
            raise Failure(f"missing: {sorted(promised - exported)}\n"
                          f"foreign: {sorted(n for n in exported if not n.startswith('fl_'))}")

    def consumer_older_inline_functions(self):
        """With the shared library a program does not start that has inline functions of another version of an algorithm."""
        lib, folder = join(self.shared(), "lib"), self.at("inline")
        os.makedirs(folder, exist_ok=True)
        exports = join(folder, "exports.map")
        program, older, stand_in = (join(folder, name) for name in ("program.o", "older", "libfairlead.so"))
        run([self.cc, *C_FLAGS, *self.prefix_flags()[0], "-c", here("inline.c"), "-o", program])
        called = re.findall(r"\b(fl_\w+)", run(["nm", "--undefined-only", program]))
        text = read(join(self.source, "lib/fairlead.map"))
        run([self.cc, program, "-o", self.at("inline_now"), "-L", lib, f"-Wl,-rpath,{lib}", "-lfairlead"])
        expect_all(run([self.at("inline_now")]), "7\n")
        for algorithm in ("FORK", "RING"):  # linked with a library that had version 0 of it
            write(exports, text.replace(f"FAIRLEAD_{algorithm}_1", f"FAIRLEAD_{algorithm}_0"))
            write(join(folder, "older.c"), "".join(f"__thread void *{name};\n" if name == "fl__ctx_current" else
                                                   f"void {name}(void) {{}}\n" for name in called))
            run([self.cc, "-shared", "-fPIC", join(folder, "older.c"), "-o", stand_in, "-Wl,-soname,libfairlead.so.0",
                 f"-Wl,--version-script={exports}", "-Wl,--undefined-version"])
            run([self.cc, program, "-o", older, "-L", folder, f"-Wl,-rpath,{lib}", "-lfairlead"])
            expect(run([older], status=1), f"version `FAIRLEAD_{algorithm}_0' not found")

    def project(self, name="project"):
        """A fresh project that has this checkout in its subprojects/. Returns its folder."""
        project = self.at(name)
        os.makedirs(join(project, "subprojects"), exist_ok=True)
        for name in ("meson.build", "main.c"):
            shutil.copy2(here("subproject", name), join(project, name))
        link = join(project, "subprojects/fairlead")
        if not islink(link):
            os.symlink(self.source, link)
        return project

    def consumer_meson_subproject(self):
        """It finds the library through the dependency's name alone."""
        build = self.meson("subproject", self.project(), "--force-fallback-for=fairlead")  # whatever is installed
        expect(run([join(build, "main")]), "5050\n")
        commands = [c["command"] for c in json.loads(read(join(build, "compile_commands.json")))
                    if "/lib/" in c["file"] and "subprojects" in c["file"]]
        wrong = [c for c in commands if "-Werror" in c or "-O2" not in c]
        if not commands or wrong:  # the project is a debug build with warnings as errors
            raise Failure("\n".join(wrong) or "no command compiles the library")
        self.installs_nothing_but({"main"}, lambda folder: install(build, "--destdir", folder))

    def consumer_meson_subproject_asks_for_mpi(self):
        """An MPI of the machine adds nothing to another project's build, unless the project asks for it."""
        project, there = self.project(), self.at("mpi-of-the-machine")
        os.makedirs(there, exist_ok=True)
        with open(join(there, "ompi-c.pc"), "w", encoding="utf-8") as file:
            file.write("Name: ompi-c\nDescription: a stand-in\nVersion: 5\nLibs:\nCflags:\n")
        for name, asks in (("subproject-plain", ()), ("subproject-mpi", ("-Dfairlead:mpi=enabled",))):
            build = self.configured(name, project, "--force-fallback-for=fairlead", f"--pkg-config-path={there}", *asks)
            run(["ninja", "-C", build, "build.ninja"])
            targets = {target["name"] for target in json.loads(run(["meson", "introspect", "--targets", build]))}
            if "fairlead" not in targets or ("fairlead-mpi" in targets) != bool(asks):
                raise Failure(f"{name}: {sorted(targets)}")

    def consumer_packages_stay_without_namespaces(self):
        """packaging/build, with stand-ins for Debian's tools: where nothing can be mounted, it keeps the packages and says what it skipped."""
        folder = self.emptied("packages")
        tools, tree = join(folder, "bin"), join(folder, "tree")
        shutil.copytree(join(self.source, "packaging"), join(tree, "packaging"))
        shutil.copy2(join(self.source, "meson.build"), tree)
        os.makedirs(tools)
        made = {f"fairlead{end}" for end in ("_1_all.deb", "_1.changes", "_1.buildinfo", "_1.dsc", "_1.debian.tar.xz")}
        for name, does in {"dpkg-buildpackage": "cd .. && touch " + " ".join(made), "unshare": "echo no namespaces here >&2; exit 1",
                           **dict.fromkeys(("apt-get", "mk-build-deps", "lintian", "debootstrap"), ":")}.items():
            write(join(tools, name), f"#!/bin/sh\n{does}\n")
            os.chmod(join(tools, name), 0o755)
        said = run([join(tree, "packaging/build")], env={"PATH": tools + ":" + os.environ["PATH"], "TMPDIR": folder})
        expect(said, "packaging/build: works in " + folder, f"packaging/build: the packages are in {tree}/build/dist\n",
               "packaging/build: skipped: the packages' tests on a minimal system: no namespaces here\n")
        self.same({name for name in os.listdir(join(tree, "build/dist")) if ".orig." not in name}, made)

    def installs_nothing_but(self, wanted, install_to):
        """After an installation to an empty folder only the wanted files lie there."""
        folder = self.emptied("only")
        install_to(folder)
        files = {name for _, _, names in os.walk(folder) for name in names}
        self.same(files, wanted)

    def cmake(self, name, source, *options):
        """Configures and builds a CMake project, or brings it up to date. Returns its build directory."""
        build = self.at(name)
        cached = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX") if shutil.which("ccache")]
        run(["cmake", "-S", source, "-B", build, f"-DCMAKE_C_COMPILER={self.cc}", f"-DCMAKE_CXX_COMPILER={self.cxx}", *cached,
             *options])
        run(["cmake", "--build", build, "--parallel", "2"])
        return build

    def cxx17(self):
        """Writes cxx17.cc with the names of all functions above it. Returns its path."""
        functions = [f.name for f in check_api.public_functions() if "mpi_executor" not in f.header]
        return write(self.at("cxx17.cc"), f"#define EACH_FUNCTION(X) {' '.join(f'X({name})' for name in functions)}\n{read(here('cxx17.cc'))}")

    def cmake_consumer(self, name, way, *options):
        """Programs in C11, gnu99 and C++17 that get the library in one of CMake's ways."""
        programs = [here("installed/main.c"), self.cxx17()]
        build = self.cmake(name, here("cmake"), f"-DWAY={way}", f"-DPROGRAM={programs[0]}",
                           f"-DPROGRAM_CXX={programs[1]}", *options)
        expect(run([join(build, "main11")]), "40 items\n")
        expect(run([join(build, "main99")]), "40 items\n")
        expect(run([join(build, "cxx17")]), "ok\n")
        return build

    def consumer_cmake_package_that_meson_installed(self):
        self.prefix_flags()
        self.cmake_consumer("cmake-package", "find_package", f"-DCMAKE_PREFIX_PATH={self.at('prefix')}")

    def consumer_cmake_package_that_cmake_installed(self):
        """The installation is moved once more before it is used."""
        build = self.cmake("cmake-library", self.source)
        first, second = self.emptied("cmake-prefix"), self.emptied("cmake-prefix-moved")
        run(["cmake", "--install", build, "--prefix", first])
        os.rename(first, second)
        self.cmake_consumer("cmake-package-of-cmake", "find_package", f"-DCMAKE_PREFIX_PATH={second}")

    def consumer_cmake_package_of_another_version(self):
        self.prefix_flags()
        project = self.at("cmake-version")
        write(join(project, "CMakeLists.txt"),
              "cmake_minimum_required(VERSION 3.16)\nproject(p LANGUAGES C)\nforeach(wanted 0.1 0.1.0 0.0 0.2 1.0 9)\n"
              "find_package(fairlead ${wanted} QUIET)\nmessage(\"${wanted}=${fairlead_FOUND}\")\nendforeach()\n")
        text = run(["cmake", "-S", project, "-B", join(project, "build"),
                    f"-DCMAKE_PREFIX_PATH={self.at('prefix')}"])
        expect(text, "0.1=1\n0.1.0=1\n0.0=0\n0.2=0\n1.0=0\n9=0\n")

    def consumer_cmake_package_in_projects_of_old_policies(self):
        """The package has policies of its own, so that a project which asks for an old CMake links, too; and it leaves the project's."""
        self.prefix_flags()
        project = self.at("cmake-old")
        for version in ("2.6", "2.8.12", "3.0", "3.5", "3.12"):
            write(join(project, "CMakeLists.txt"), f"cmake_minimum_required(VERSION {version})\nproject(app C)\n"
                  "cmake_policy(GET CMP0012 before)\nfind_package(fairlead 0.1 REQUIRED)\ncmake_policy(GET CMP0012 after)\n"
                  'if(NOT "x${before}" STREQUAL "x${after}")\nmessage(FATAL_ERROR "${before} ${after}")\nendif()\n'
                  f"add_executable(app {here('installed/main.c')})\ntarget_link_libraries(app PRIVATE fairlead::fairlead)\n")
            build = self.emptied("cmake-old/build")
            command = ["cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={self.at('prefix')}", f"-DCMAKE_C_COMPILER={self.cc}",
                       "-Wno-deprecated"]
            if not succeeds(command) and "has been removed" in run(command, 1):
                continue  # a new CMake knows no project so old
            said = run(command)
            if "Warning" in said:
                raise Failure(said)
            run(["cmake", "--build", build])
            expect(run([join(build, "app")]), "40 items\n")

    def consumer_cmake_add_subdirectory(self):
        build = self.cmake_consumer("cmake-subdirectory", "add_subdirectory", f"-DFAIRLEAD_SOURCE={self.source}")
        self.installs_nothing_but({"main11"}, lambda folder: run(["cmake", "--install", build, "--prefix", folder]))

    def consumer_part_that_does_not_exist(self):
        """Each way to choose parts refuses it, and names the parts."""
        folder, amalgamate = self.at("wrong-part"), join(self.source, "lib/amalgamate.py")
        expect(run([sys.executable, amalgamate, "--parts", "core,proces", folder], 2), "no part 'proces'; the parts are core, process")
        expect(run(["cmake", "-S", self.source, "-B", folder, "-DFAIRLEAD_PARTS=core;proces"], 1), 'no part "proces"')
        expect(run(["meson", "setup", folder, self.source, "-Dparts=core,proces"], 1), "proces")

    def consumer_cmake_fetch_content(self):
        """As where Concurrency Kit is not installed."""
        build = self.cmake_consumer("cmake-fetch", "FetchContent", f"-DFETCHCONTENT_SOURCE_DIR_FAIRLEAD={self.source}",
                                    "-DFAIRLEAD_CK=OFF")
        self.installs_nothing_but({"main11"}, lambda folder: run(["cmake", "--install", build, "--prefix", folder]))

    def consumer_lines_to_paste(self):
        """The build files of docs/install.md build a program as they stand."""
        def lines(heading, fence="cmake"):
            return read(self.example_of("docs/install.md", heading, fence))

        self.prefix_flags()
        project, source = self.project("pasted"), lines("CMake, from its source")
        ways = {"source": (source, f"-DFETCHCONTENT_SOURCE_DIR_FAIRLEAD={self.source}"),
                "core": (source.replace("include(FetchContent)", lines("CMake, for macOS and Windows") + "include(FetchContent)"),
                         f"-DFETCHCONTENT_SOURCE_DIR_FAIRLEAD={self.source}"),
                "installed": (lines("CMake, installed"), f"-DCMAKE_PREFIX_PATH={self.at('prefix')}"),
                "files": (lines("Two files"), "-DCMAKE_BUILD_TYPE=Debug")}
        run([sys.executable, join(self.source, "lib/amalgamate.py"), join(project, "fairlead")])
        write(join(project, "app.c"), read(here("installed/main.c")))
        for way, (text, option) in ways.items():
            write(join(project, "CMakeLists.txt"), text)
            expect(run([join(self.cmake(f"pasted-{way}", project, option), "app")]), "40 items\n")
        write(join(project, "meson.build"), lines("Meson", "meson"))
        expect(run([join(self.meson("pasted-meson", project, "--force-fallback-for=fairlead"), "app")]), "40 items\n")
        write(join(project, "Makefile"), lines("Two files", "make"))
        run(["make", "-C", project, f"CC={self.cc} -Wall -Werror"])
        expect(run([join(project, "app")]), "40 items\n")

    def consumer_lines_of_the_shell(self):
        """The lines for a shell in these documents, in a copy of this tree with an app.c, as they stand and one after the other."""
        tree = self.emptied("shell")
        shutil.copytree(self.source, tree, symlinks=True, ignore=shutil.ignore_patterns("build*", ".git"))
        shutil.copy2(here("installed/main.c"), join(tree, "app.c"))
        elsewhere = ("cmake -B build -DCMAKE_SYSTEM_NAME=", "FL_DEBUG=")  # not for a clone of Fairlead
        path = "/usr/lib/ccache:" + os.environ["PATH"]
        ran = 0
        for document in ("docs/install.md", "docs/platforms.md", "docs/guide/laboratory.md"):
            for lines in re.findall(r"^```sh\n(.*?)^```$", read(join(self.source, document)), re.M | re.S):
                if lines.startswith(elsewhere) or ("mingw32" in lines and not shutil.which("x86_64-w64-mingw32-gcc-posix")):
                    continue
                said = run([*FIXED_ADDRESSES, "sh", "-e", "-c", lines], cwd=tree, env={"PATH": path, "FL_NO_INSTALL": "1"})
                if "warning:" in said:
                    raise Failure(said)
                ran += 1
        if ran < 4:
            raise Failure(f"{ran} blocks")

    def two_files(self, name, *options):
        """Writes fairlead.c and fairlead.h. Returns their folder, and the path for an object of fairlead.c."""
        folder = self.at(name)
        run([sys.executable, join(self.source, "lib/amalgamate.py"), *options, folder])
        self.same(sorted(name for name in os.listdir(folder) if not name.endswith(".o")), ["fairlead.c", "fairlead.h"])
        return folder, join(folder, "fairlead.o")

    def one_file(self, compiler, standard, cxx="c++17", more=()):
        """fairlead.c and fairlead.h alone: no warning, and programs in C and C++ run with them."""
        folder, library = self.two_files(f"one-file-{compiler}-{standard}-{cxx}")
        run([compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-O2", *more, "-c",
             join(folder, "fairlead.c"), "-o", library])
        with tempfile.TemporaryDirectory() as work:
            for name, flags, wanted in ((here("installed/main.c"), [compiler, f"-std={standard}"], "40 items\n"),
                                        (here("subproject/main.c"), [compiler, f"-std={standard}"], "5050\n"),
                                        (self.cxx17(), [self.cxx, f"-std={cxx}"], "ok\n")):
                program = join(work, "program")
                run([*flags, *more, "-I", folder, name, library, "-o", program, "-pthread"])
                expect(run([program]), wanted)

    def consumer_one_file_c11(self):
        self.one_file(self.cc, "c11")
        folder, _ = self.two_files("one-file-levels")
        for level in ("-O0", "-O3", "-Os"):  # each level has warnings of its own
            run([self.cc, "-std=c11", "-Wall", "-Wextra", "-Werror", level, "-c", join(folder, "fairlead.c"), "-o", os.devnull])

    def consumer_one_file_gnu99(self):
        self.one_file(self.cc, "gnu99")

    def consumer_one_file_as_distributions_build(self):
        """Hardened, with link-time optimization, and C++20, where exceptions pass through."""
        self.one_file(self.cc, "c11", "c++20", ["-O2", "-flto", "-g", "-fPIE", "-pie", "-fno-plt", "-fstack-protector-strong",
                                                "-fstack-clash-protection", "-D_FORTIFY_SOURCE=3", "-Wl,-z,now"] +
                      (["-fcf-protection"] if platform.machine() == "x86_64" else []))

    def consumer_one_file_clang(self):
        if not shutil.which("clang"):
            raise Skip("no clang")
        self.one_file("clang", "c11")

    def consumer_one_file_core(self):
        """The core alone runs the README's example on threads, and examples of the guide."""
        folder, library = self.two_files("one-file-core", "--parts", "core")
        compiler = [self.cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", folder]
        run([*compiler, "-c", join(folder, "fairlead.c"), "-o", library])
        readme = self.readme_fails()
        write(readme, re.sub(r"fl_process_main.*", "(void)argc, (void)argv;", read(readme)).replace("fl_process_executor", "fl_thread_executor"))
        program = join(folder, "program.o")
        for source, status, wanted in ((readme, 1, "the task of argument 2 failed: ENOENT: cannot open /no/such/file\n"),
                                       (self.example_of("docs/guide", "Tasks and executors"), 0, "1 4 9 16\n"),
                                       (self.example_of("docs/guide", "Parallel loops"), 0, "4999950000\n")):
            run([*compiler, source, library, "-o", program, "-pthread"])
            expect(run([program], status), wanted)
        expect(said_of("#include <fairlead.h>\nvoid f(void) { fl_process_main(0, 0); (void)fl_group_start(0, 0, 0); }", "c", *compiler),
               "lacks the part process", "lacks the part loop")

    def consumer_one_file_windows(self):
        """The core for Windows, under wine: the programs that need only threads."""
        compiler = shutil.which("x86_64-w64-mingw32-gcc-posix")
        if not compiler or not WINE:
            raise Skip("no gcc-mingw-w64-x86-64-posix, or no wine")
        folder, library = self.two_files("one-file-windows", "--parts", "core")
        flags = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", folder]
        run([*flags, "-c", join(folder, "fairlead.c"), "-o", library])
        program = self.at("one_file_windows.exe")
        for source, wanted in [(self.example_of("docs/guide", heading), GUIDE_PRINTS[heading]) for heading in [*GUIDE_PRINTS][:12]] + [
                (here("examples", f"{name}.c"), "ok\n") for name in EXAMPLES] + [
                (self.example_of("docs/guide", "Several queues at once"), "put 7\ngot hello\n"), (self.stress(), "ok\n"),
                (here("installed/main.c"), "40 items\n"), (here("subproject/main.c"), "5050\n")]:
            run([*flags, source, library, "-o", program, "-static", "-pthread", "-lsynchronization"])
            expect(run([WINE, program], env={"WINEDEBUG": "-all"}).replace("\r", ""), wanted)
        # A build without optimization links, too.
        run([compiler, "-I", folder, source, join(folder, "fairlead.c"), "-o", program, "-static", "-pthread", "-lsynchronization"])

    def stress(self):
        return join(self.source, "docs/examples/stress.c")

    def consumer_one_file_posix(self):
        """The core for a system without a public futex, under TSan: nothing that threads race for is lost."""
        folder, _ = self.two_files("one-file-posix", "--parts", "core")
        program = join(folder, "program.o")
        run([self.cc, "-std=c11", "-O1", "-g", "-fsanitize=thread", "-DFL__OS_POSIX", "-I", folder, self.stress(),
             join(folder, "fairlead.c"), "-o", program, "-pthread"])
        expect(run([*FIXED_ADDRESSES, program]), "ok\n")

    def one_file_sanitized(self, sanitizer):
        """The two files under a sanitizer, in a program that starts programs, and one that starts worker processes."""
        folder, library = self.two_files(f"one-file-{sanitizer}")
        compiler = [self.cc, "-std=c11", "-O1", "-g", f"-fsanitize={sanitizer}", "-I", folder]
        run([*compiler, "-c", join(folder, "fairlead.c"), "-o", library])
        program = join(folder, "program.o")
        for heading, wanted in (("Other programs", "sort ended with 0\n"),
                                ("Processes that run tasks", "EDOM: -1 is negative\n")):
            run([*compiler, self.example_of("docs/guide", heading), library, "-o", program, "-pthread"])
            expect(run([*FIXED_ADDRESSES, program]), wanted)

    def consumer_one_file_asan(self):
        self.one_file_sanitized("address")

    def consumer_one_file_tsan(self):
        self.one_file_sanitized("thread")

    def consumer_cxx17(self):
        expect(self.c(self.cxx17()), "ok\n")

    def consumer_cxx_casts(self):
        """No macro gives a warning in a file that has no C-style cast, no needless cast and no 0 for a pointer: in C++17, in C++20, and
        in the programs of the guide, from C++11 on, where they do what the page says."""
        if "clang" in self.cxx:
            raise Skip("clang warns in the headers, unless they are the system's")
        strict = ["-Wold-style-cast", "-Wuseless-cast", "-Wzero-as-null-pointer-constant"]
        flags, _ = self.prefix_flags()
        for source in (self.cxx17(), here("exceptions.cc")):
            for standard in ("c++17", "c++20"):
                run([self.cxx, *CXX_FLAGS, f"-std={standard}", *strict, *flags, "-fsyntax-only", source])
        programs = [code for code in re.findall(r"^```cpp\n(.*?)^```$", read(join(self.source, "docs/guide/cpp.md")), re.M | re.S) if "int main()" in code]
        wanted = ("42\n", "2 4 6\n")
        self.same(len(programs), len(wanted))
        for program, says in zip(programs, wanted):
            path = write(self.at("guide_cpp.cc"), program)
            for standard in ("c++11", "c++20"):
                expect(self.c(path, f"-std={standard}", *strict), says)

    def consumer_locks_planted_faults(self):
        """Clang finds each fault that is planted in locks/faults.c, but for those that it cannot know, and none in locks/right.c."""
        clang, version = self.clang_that_checks_locks()
        source, planted, function = here("locks/faults.c"), {}, None
        for number, line in enumerate(read(source).partition("/* FAULTS */")[2].splitlines(), read(source).count("\n", 0, read(source).index("/* FAULTS */")) + 1):
            function = (re.match(r"\w.*?(\w+)\(", line) or [None, function])[1]
            if line.endswith("/* FAULT */"):
                planted[function] = number
        self.same(len(planted), 20)
        for language in ("c", "c++"):
            missed = {"callback_through_a_pointer"} | ({"lock_of_another_object"} if language == "c" and version < 23 else set())
            reported = {line for _, line in self.thread_safety(clang, language, source)}
            self.same({name for name, line in planted.items() if line not in reported}, missed)
            self.same(reported - set(planted.values()), set())
            self.same(self.thread_safety(clang, language, here("locks/right.c")), set())
            self.same(self.thread_safety(clang, language, source, "-DFL_THREAD_SAFETY=0"), set())

    def consumer_locks_without_a_false_alarm(self):
        """Clang reports nothing in the core, in the examples, in the programs of the guide, and in C++."""
        clang, _ = self.clang_that_checks_locks()
        core = [path for path in glob.glob(join(self.source, "lib/core/**/*.c"), recursive=True) if basename(path) != "windows.c"]
        examples = glob.glob(join(self.source, "docs/examples/**/*.c"), recursive=True) + glob.glob(here("examples/*.c"))
        for path in glob.glob(join(self.source, "docs/guide/*.md")):
            for i, block in enumerate(re.findall(r"^```c\n(.*?)^```$", read(path), re.M | re.S)):
                if "int main(" in block:
                    examples.append(write(self.at("locks", f"{basename(path)}_{i}.c"), block))
        units = [*(("c", path) for path in core + examples), ("c++", self.cxx17()), ("c++", here("exceptions.cc")), ("c++", here("names/tasks.cc"))]
        reports = [self.thread_safety(clang, language, path, "-I", join(self.source, "lib")) for language, path in units]
        self.same(set().union(*(report for report in reports if report)), set())
        if reports.count(None) > 12 or len(core) < 60 or len(examples) < 50:
            raise Failure(f"{reports.count(None)} of {len(core)} and {len(examples)} files were not compiled")

    def consumer_exceptions_in_fibers(self):
        """Linked with the archive, as a static program, in a shared object that a program in C loads, and with the shared library."""
        source = here("exceptions.cc")
        expect(self.c(source), "ok\n")
        expect(self.c(source, "-static"), "ok\n")
        plugin = self.compiled(source, "-fPIC", "-shared", "-DSHARED_OBJECT")
        expect(run([self.compiled(here("loads.c")), plugin]), "ok\n")
        lib, program = join(self.shared(), "lib"), self.at("exceptions_shared")
        run([self.cxx, *CXX_FLAGS, *self.prefix_flags()[0], source, "-o", program, "-L", lib, f"-Wl,-rpath,{lib}", "-lfairlead"])
        expect(run([program]), "ok\n")

    def consumer_exceptions_in_fibers_under_asan(self):
        """A program under AddressSanitizer, also with its search for uses after return, and the ordinary library."""
        program = self.compiled(here("exceptions.cc"), "-fsanitize=address")
        for use_after_return in (0, 1):
            expect_all(run([program], env={"ASAN_OPTIONS": f"detect_stack_use_after_return={use_after_return}"}), "ok\n")

    def consumer_leaks_of_fibers_under_asan(self):
        """LeakSanitizer, in such a program, finds the memory to which only fibers have a pointer."""
        self.c(here("leaks.c"), "-fsanitize=address")

    def consumer_plugins_with_a_copy_each(self):
        """One program loads copies of the core, another copies of all parts: as many fit, and a copy takes no more bytes, as
        docs/platforms.md says."""
        host = self.compiled(here("loads.c"))
        for most, more in ((TLS_OF_CORE, []), (TLS_OF_ALL_PARTS, ["-DALL_PARTS"])):
            plugin = self.compiled(here("plugin.c"), "-fPIC", "-shared", *more)
            segments = run(["readelf", "--segments", "--wide", plugin])
            size = int(re.search(r"^ +TLS +\S+ \S+ \S+ \S+ (0x[0-9a-f]+)", segments, re.M).group(1), 16)
            if size > most:
                raise Failure(f"a copy takes {size} bytes of static TLS, more than {most}")
            plugins = [shutil.copy2(plugin, self.at(f"plugin_{i}.so")) for i in range(1664 // most)]
            expect_all(run([host, *plugins]), "")

    def tasks_of_common_names(self, compiler, language, flags):
        source = here("names", "tasks.cc" if language == "c++" else "tasks.c")
        expect(self.c(source, "-Wshadow", *self.all_headers(), by=(compiler, flags)), "ok\n")

    def consumer_tasks_with_names_of_functions(self):
        """Tasks named as functions of the C library replace no function that the library calls."""
        expect_all(self.c(here("names/functions.c")), "ok\n")

    def scopes(self, compiler, language, flags):
        expect(self.c(here("scopes.c"), "-Wshadow", by=(compiler, [*flags, "-x", language])), "ok\n")

    def scenarios(self, compiler, language, flags):
        """The laboratory's two headers come with its program, so they are taken from the source."""
        run([compiler, *flags, "-Wshadow", "-I", join(self.source, "laboratory/include"), "-fsyntax-only", "-x", language,
             here("scenarios.c")])

    def lines(self):
        """What the README's example prints."""
        return " ".join(str(read(path).count("\n")) for path in ("/etc/passwd", "/etc/group", "/etc/profile")) + "\n"

    def readme_fails(self):
        """The README's example with a file that does not exist."""
        source = self.example_of("README.md", "Fairlead")
        return write(source, read(source).replace("/etc/profile", "/no/such/file"))

    def consumer_readme_example(self):
        """The example of the first page counts lines, or says which element failed."""
        expect_all(self.c(self.example_of("README.md", "Fairlead")), self.lines())
        expect_all(run([self.compiled(self.readme_fails())], 1),
                   "lines: FL_ETASK: the task of argument 2 failed: ENOENT: cannot open /no/such/file\n")

    def consumer_guide_processes(self):
        expect(re.sub(r"worker \d+", "worker N", self.c(self.example_of("docs/guide", "Processes that run tasks"))),
               "100\nEOWNERDEAD: worker N (worker-0) killed by SIGABRT\nEDOM: -1 is negative\n")

    def consumer_guide_several_queues(self):
        self.same(sorted(self.c(self.example_of("docs/guide", "Several queues at once")).splitlines()), ["got hello", "put 7"])  # in either order

    def consumer_guide_shared_mutex(self):
        expect(re.sub(r"worker \d+ \(worker-\d+\)", "worker N", self.c(self.example_of("docs/guide", "A process that dies with a lock"))),
               "deposit 2: worker N killed by SIGABRT\n3 deposits, balance 30\n")

    def consumer_guide_signals(self):
        """SIGTERM ends the server, although a client stays."""
        with Server([self.compiled(self.example_of("docs/guide", "A server that ends in good order"))]) as server:
            s, lines = server.client()
            s.sendall(b"hello\n")
            expect(lines.readline(), "hello\n")
            self.same(server.terminated(), 0)
            expect_all(server.process.stdout.read(), "connections are cut off\n")

    def consumer_moved_from_pthreads(self):
        self.moved_from("pthreads", "-pthread")

    def programs_of(self, document):
        """The complete programs of a document, which are the blocks with the word `run`."""
        text = read(join(self.source, "docs", document))
        for n, (language, code) in enumerate(re.findall(r"^```(\w+) run\n(.*?)^```$", text, re.M | re.S)):
            yield write(self.at(f"{document}_{n}.{language}"), code)

    def consumer_laboratory_of_a_package(self):
        """The laboratory, built as in its package, finds the deadlock of its guide's first program."""
        laboratory = self.configured("laboratory", self.source, "-Dstress=true", "-Dmpi=disabled", *self.hardened())
        run(["ninja", "-C", laboratory, "laboratory/fairlead-stress"])
        expect(run([join(laboratory, "laboratory/fairlead-stress"), self.example_of("laboratory/guide.md", "A first run")], 3), "DEADLOCK")

    def consumer_guide_mistakes(self):
        """The laboratory, built as in its package, finds the mistake of each program of docs/guide/mistakes.md."""
        laboratory = self.configured("laboratory", self.source, "-Dstress=true", "-Dmpi=disabled", *self.hardened())
        run(["ninja", "-C", laboratory, "laboratory/fairlead-stress", "laboratory/libfairlead-model.a"])
        programs = re.findall(r"^```c run\n(.*?)^```$", read(join(self.source, "docs/guide/mistakes.md")), re.M | re.S)
        found = (("DEADLOCK", 3), ("DATA RACE", 1), (" (model): ", 3))
        self.same(len(programs), len(found))
        for n, (code, (verdict, status)) in enumerate(zip(programs, found)):
            headers = ["-I" + join(folder, "include") for folder in (self.source, laboratory)]
            source = write(self.at(f"mistake_{n}.c"), code)
            expect(run([join(laboratory, "laboratory/fairlead-stress"), *headers, source], status), verdict)

    def consumer_pairs_from_python(self):
        """Each program in Python of docs/from-python.md prints the same as the one in C behind it."""
        said = [self.c(source) if source.endswith(".c") else run([sys.executable, source]) for source in self.programs_of("from-python.md")]
        self.same((said[1::2], len(said)), (said[::2], 16))

    def consumer_moved_from_libuv(self):
        self.moved_from("libuv", *self.flags_of("libuv", "libuv"))

    def consumer_guide_event_loop(self):
        """The guide's echo server: unchanged, but for the port."""
        source = self.example_of("docs/guide", "Event loop")
        source = write(source.replace(".c", "_async.c"), read(source).replace("7000", "0"))
        with Server([self.compiled(source)]) as server:
            self.echoes([server.client() for _ in range(3)])

    def echoes(self, clients):
        """Each client gets its own lines back, in any order; a client that leaves affects no other."""
        for i, (s, _) in enumerate(clients):
            s.sendall(f"I am {i}\nand still ".encode())
        for i, (s, lines) in reversed(list(enumerate(clients))):
            expect(lines.readline(), f"I am {i}\n")
            s.sendall(b"here\n")
            expect(lines.readline(), "and still here\n")
            s.close()
            lines.close()

    def example(self, name, *more):
        """A program of docs/examples, with further sources or options."""
        return self.compiled(join(self.source, "docs/examples", name), *more)

    def consumer_example_echo(self):
        with Server([self.example("async/echo.c"), "0"]) as server:
            self.echoes([server.client() for _ in range(20)])
            s, lines = server.client()
            s.sendall(b"x" * 5000)  # no line: the server closes
            self.same(lines.readline(), "")  # a line that is too long does not come back
            self.echoes([server.client()])

    def same(self, value, wanted):
        if value != wanted:
            raise Failure(f"expected {wanted!r}, not {value!r}")

    def udp_echoes(self, family, address, own):
        """Each client gets its own datagrams back, whole; what is too long, or from nowhere, disturbs nobody."""
        clients = []
        for i in range(20):
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.bind(own(i))
            s.settimeout(60)
            s.connect(address)
            clients.append(s)
        gone = socket.socket(family, socket.SOCK_DGRAM)
        gone.bind(own("gone"))
        gone.sendto(b"answer me", address)
        gone.close()
        clients[0].send(b"x" * 5000)
        for round in range(3):
            for i, s in enumerate(clients):
                s.send(f"{i} in round {round}".encode())
            for i, s in enumerate(clients):
                self.same(s.recv(100).decode(), f"{i} in round {round}")
        clients[0].send(b"")
        self.same(clients[0].recv(100), b"")
        for s in clients:
            s.close()

    def consumer_example_udp_echo(self):
        program = self.example("async/udp_echo.c")
        with Server([program, "0"]) as server:
            self.udp_echoes(socket.AF_INET, ("127.0.0.1", server.port), lambda _: ("127.0.0.1", 0))
            self.same(server.terminated(), 0)
        with tempfile.TemporaryDirectory() as folder:
            path = join(folder, "server")
            with Server([program, path], 1) as server:
                expect(server.line(), f"receives at {path}\n")
                self.udp_echoes(socket.AF_UNIX, path, lambda i: join(folder, f"client-{i}"))
                self.same(server.terminated(), 0)
            if exists(path):
                raise Failure(f"{path} is still there")

    def consumer_bytes_by_another_name(self):
        """A type that is fl_bytes, but not its word, would be taken for plain memory."""
        self.prefix_flags()
        for compiler, language in ((self.cc, "c"), (self.cxx, "c++")):
            expect(said_of("#include <fairlead.h>\ntypedef fl_bytes page;\nFL_TASK(t, int, page) { return 0; }\n", language, compiler,
                           "-I", self.at("prefix/include")), "page is fl_bytes: spell it so")

    def consumer_example_words(self):
        write(self.at("tree/a/b"), "one two\ntwo " + 70 * "x")
        write(self.at("tree/c"), "two one three" + " one" * 20)
        program = self.example("words.c", "-D_GNU_SOURCE")
        for kind in ("threads", "processes"):
            expect_all(re.sub(r"^1 .*", "1", run([program, kind, self.at("tree")]), flags=re.M), "22 one\n3 two\n1\n1\n1\n")
        run([program, "processes", self.at("tree/c")], 2)

    def consumer_example_stencil(self):
        """The same heat, to the last bit, on any number of threads and in processes."""
        program = self.example("stencil.c")
        said = {run([program, *arguments.split(), "60", "9"]).rpartition("a step\n")[2] for arguments in ("threads 1", "threads 3", "processes 2")}
        self.same(said, {"60 x 60, 9 steps: heat 13167.815399\n"})

    def consumer_example_pages(self):
        """What is not there ends no other fetch."""
        page = write(self.at("page"), 100000 * "x")
        program = self.example("pages.c", *self.flags_of("libcurl", "libcurl"))
        lines = run([program, f"file://{page}", "file:///not/there", f"file://{page}"]).splitlines()
        self.same([line.split(" ", 1)[1] for line in lines[:3:2]], 2 * ["100000 bytes"])
        self.same(lines[:3], lines[3:])

    def consumer_example_chat_of_many_lines_at_once(self):
        """Lines that come at once fill a listener's queue before its writer runs: not even a server without patience disconnects it."""
        with Server([self.example("async/chat.c"), "0", "0"]) as server:
            anna, to_anna = server.client()
            expect(to_anna.readline(), "Your name?\n")
            anna.sendall(b"anna\n")
            bert, to_bert = server.client()  # after anna's line, so that anna comes first
            expect(to_bert.readline(), "Your name?\n")
            bert.sendall(b"bert\n")
            expect(to_anna.readline(), "* bert has come\n")
            anna.sendall(b"".join(b"%d\n" % line for line in range(200)))
            for line in range(200):
                self.same(to_bert.readline(), f"anna: {line}\n")

    def consumer_example_chat(self):
        with Server([self.example("async/chat.c"), "0", "500"]) as server:
            members = {}
            for name in ("anna", "bert", "carl"):
                s, lines = members[name] = server.client()
                expect(lines.readline(), "Your name?\n")
                s.sendall(f"{name}\n".encode())
                for other in list(members)[:-1]:
                    expect(members[other][1].readline(), f"* {name} has come\n")
            members["anna"][0].sendall(b"hello\n")
            for name in ("bert", "carl"):
                expect(members[name][1].readline(), "anna: hello\n")
            self.chat_with_one_who_does_not_read(server, members)
            members["bert"][0].shutdown(socket.SHUT_WR)
            expect(members["anna"][1].readline(), "* bert has gone\n")

    def chat_with_one_who_does_not_read(self, server, members):
        """Anna writes until carl, which does not read, is disconnected; bert gets every line, in order."""
        sent = gone = 0
        said = []
        (anna, to_anna), (_, to_bert) = members["anna"], members["bert"]
        watcher = threading.Thread(target=lambda: said.append(server.line()))
        watcher.start()
        while not said:
            if sent == 1_000_000:
                raise Failure("a million lines, and nobody was thrown out")
            for _ in range(100):
                anna.sendall(b"%d %s\n" % (sent, b"x" * 900))
                sent += 1
            for line in range(sent - 100, sent):
                while (heard := to_bert.readline()) == "* carl has gone\n":
                    gone += 1
                expect(heard, f"anna: {line} x")
        watcher.join()
        expect(said[0], "carl does not read, and is thrown out\n")
        expect(to_anna.readline(), "* carl has gone\n")
        if gone == 0:
            expect(to_bert.readline(), "* carl has gone\n")
        if gone > 1:
            raise Failure("carl has gone more than once")

    def consumer_example_load(self):
        load = self.example("async/load.c")
        text = run([load, "--connections", "200", "--seconds", "1"])
        if not re.search(r"^200 connections.*\nresident memory a task: \d+ bytes in the server, \d+ bytes here\n"
                         r"[1-9]\d* requests of 64 bytes in ", text):
            raise Failure(text)
        with Server([self.example("async/echo.c"), "0"]) as server:
            expect(run([load, "--connections", "10", "--idle", "--port", str(server.port)]), "10 connections")

    def consumer_example_load_says_what_it_cannot(self):
        expect(run([*WITHOUT_RAISING_LIMITS, "sh", "-c", 'ulimit -n 100 && exec "$0" "$@"', self.example("async/load.c"),
                    "--connections", "900"], 1), "need 964 descriptors, and no more than 100 are allowed")

    def consumer_example_fetch_many(self):
        text = run([self.example("async/fetch_many.c"), "--timeout", "5000"])
        expect(text, "16 pages came, 4 timed out, 0 failed")
        if len(re.findall(r"/(4|9|14|19) +timed out", text)) != 4:
            raise Failure(text)

    def consumer_example_subprocesses(self):
        self.in_time([["line 1", "line 2", "line 3", "ended with 0"]] * 7 + [["line 1", "too slow: ended by signal 15"]] * 3)

    def in_time(self, wanted, *script):
        """Each program's lines; again with more time if this machine was too slow for one of them."""
        for timeout in ("500", "5000", "50000"):
            text = run([self.example("async/subprocesses.c"), timeout, *script])
            lines = [re.findall(rf"^{number}: (.*)$", text, re.M) for number in range(10)]
            if not any(said != want and "too slow" in str(said) for said, want in zip(lines, wanted)):
                break
        self.same(lines, wanted)

    def consumer_example_subprocesses_ends(self):
        """However a program ends, all that it has written is printed, and how it has ended; a normal end is no stop."""
        script = """
            case $1 in
            0) trap 'exit 9' TERM; exec >&-; i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done; exit 5;;
            1) echo dies; kill -9 $$;;
            2) printf '%0600d\n' 0; echo last;;
            3) printf unfinished;;
            4) trap 'printf "is told\n"; exit 3' TERM; printf 'waits and '; while :; do sleep 1000 & wait; done;;
            5) trap 'exit 4' TERM; exec >/dev/null; while :; do sleep 1000 & wait; done;;
            6) trap 'while [ $i -lt 9000 ]; do echo "bye $i"; i=$((i + 1)); done; exit 3' TERM; i=0; while :; do sleep 1000 & wait; done;;
            esac"""
        wanted = [["ended with 5"], ["dies", "ended by signal 9"], ["0" * 255 + " ...", "0" * 255 + " ...", "0" * 90, "last", "ended with 0"],
                  ["unfinished ...", "ended with 0"], ["waits and is told", "too slow: ended with 3"], ["too slow: ended with 4"],
                  [*(f"bye {i}" for i in range(9000)), "too slow: ended with 3"]]
        self.in_time(wanted + [["ended with 0"]] * 3, script)

    def consumer_example_subprocesses_interrupted(self):
        """Ctrl-C stops the programs, which lead groups of their own; a second one disturbs nothing."""
        with tempfile.TemporaryDirectory() as folder:
            go_on = join(folder, "go-on")
            os.mkfifo(go_on)
            script = f"""
                [ $1 -gt 0 ] || trap 'echo asked; read x <{shlex.quote(go_on)}; exit 7' TERM
                echo runs; while :; do sleep 1000 & wait; done"""
            with subprocess.Popen([self.example("async/subprocesses.c"), "1000000", script], text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
                self.same(sorted(program.stdout.readline() for _ in range(10)), [f"{i}: runs\n" for i in range(10)])
                program.send_signal(signal.SIGINT)
                lines = [program.stdout.readline()]
                while lines[-1] != "0: asked\n":
                    lines.append(program.stdout.readline())
                program.send_signal(signal.SIGINT)
                with open(go_on, "w", encoding="utf-8"):
                    pass
                lines += program.stdout.readlines()  # to the end: all who hold the pipe have ended
                self.same(sorted(lines), ["0: asked\n", "0: interrupted: ended with 7\n",
                                          *(f"{i}: interrupted: ended by signal 15\n" for i in range(1, 10))])
                self.same(program.stderr.read(), "subprocesses: ECANCELED: Operation canceled\n")
                self.same(program.wait(timeout=60), 1)

    def flags_of(self, package, name):
        """pkg-config's flags of a package that an example needs."""
        try:
            done = subprocess.run(["pkg-config", "--cflags", "--libs", package], text=True, check=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return done.stdout.split()
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise Skip(f"{name} is not installed for development") from error

    def consumer_example_glib(self):
        """The results arrive in the main loop, whose timer fires while no task can end; Ctrl-C cancels."""
        program = self.example("glib/glib_loop.c", *self.flags_of("glib-2.0", "GLib"))
        said = run([program, "100000"]).replace(".", "").split("\n")
        self.same(len([line for line in said if line.startswith("Success: ")]), 8)
        self.same(said[-2], "Success: 9592 primes")
        with subprocess.Popen([program, str(2**63)], text=True, stdout=subprocess.PIPE) as endless:
            self.same(endless.stdout.read(5), ".....")
            endless.send_signal(signal.SIGINT)
            self.same(re.findall(r"^(\w+).*: 0 primes$", endless.stdout.read(), re.M), ["Operation"] * 8)  # canceled
            self.same(endless.wait(timeout=60), 1)

    def consumer_example_service(self):
        """The service's own tests."""
        folder = join(self.source, "docs/examples/service")
        if not shutil.which("curl"):
            raise Skip("curl is not installed")
        program = self.compiled(join(folder, "service.c"), "-D_GNU_SOURCE",
                                *self.flags_of("libmicrohttpd >= 0.9.74", "libmicrohttpd"), *self.flags_of("sqlite3 >= 3.38", "SQLite"))
        expect(run([sys.executable, join(folder, "test_service.py"), program]), "8 passed\n")

    def tls_example(self, name):
        """One of docs/examples/tls."""
        return self.example(f"tls/{name}.c", join(self.source, "docs/examples/tls/tls.c"), *self.flags_of("openssl >= 3.0", "OpenSSL 3"))

    def consumer_example_tls(self):
        """Each of the two against itself and Python's TLS; bad certificates; peers that end, or do not."""
        echo, client = self.tls_example("tls_echo"), self.tls_example("tls_client")
        with tempfile.TemporaryDirectory() as folder:
            good, other = join(folder, "good.pem"), join(folder, "other.pem")
            with Server([echo, "0", other, "60000"]), Server([echo, "0", good, "60000"]) as server:
                port = str(server.port)
                expect(run([client, port, good, "localhost", "hello", "world"]), "hello\nworld\n")
                expect(server.says(), "closed\n")
                expect(run([client, port, good, "other.example", "hello"], 1), "hostname mismatch")
                expect(server.says(), "alert bad certificate\n")
                expect(run([client, port, other, "localhost", "hello"], 1), "self-signed certificate")
                expect(server.says(), "alert unknown ca\n")
                self.tls_with_python(server, good)
            with Server([echo, "0", good, "200"]) as server:
                self.tls_silent(server, good)
            with socket.create_server(("127.0.0.1", 0)) as silent:
                port = str(silent.getsockname()[1])
                expect(run([client, port, good, "localhost", "--timeout", "100", "hello"], 1), "Timed out")
            expect(run([client, port, good, "localhost", "hello"], 1), "Connection refused")
            expect(run([client, port, join(folder, "missing"), "localhost"], 1), "no certificates in")

    def tls_python(self, good, s):
        context = ssl.create_default_context(cafile=good)
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # a certificate signed by itself
        return context.wrap_socket(s, server_hostname="localhost", suppress_ragged_eofs=False)

    def tls_with_python(self, server, good):
        clients = []
        for i in range(10):
            s = self.tls_python(good, server.socket())
            clients.append((s, s.makefile(newline="\n")))
        self.echoes(clients[1:])  # these leave without a close of TLS
        for _ in clients[1:]:
            expect(server.says(), "the peer ended the connection without a close of TLS\n")
        s, lines = clients[0]
        s.sendall(b"x" * 100000 + b"\n")  # many records
        self.same(lines.readline(), "x" * 100000 + "\n")
        s.unwrap().close()
        expect(server.says(), "closed\n")
        for garbage in (b"GET / HTTP/1.0\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + b"x" * 100000):
            s = server.socket()
            try:
                s.sendall(garbage)
                while s.recv(1000):
                    pass
            except ConnectionError:  # what it has not read resets the connection
                pass
            s.close()
            if "closed" in (text := server.line()):
                raise Failure(f"{garbage[:20]} was taken for TLS: {text}")
        self.tls_fails_at_once(server)

    def tls_fails_at_once(self, server):
        """A client that resets the connection, and one that leaves in the handshake."""
        s = server.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        expect(server.says(), "Connection reset by peer\n")
        s = server.socket()
        s.sendall(b"\x16\x03")
        s.close()
        expect(server.says(), "the peer ended the connection without a close of TLS\n")

    def tls_silent(self, server, good):
        """Clients that neither write nor end: before, in and after the handshake."""
        s = server.socket()
        expect(server.says(), "Timed out: a deadline has passed\n")
        half = server.socket()
        half.sendall(b"\x16\x03\x01\x02\x00\x01")  # the head of a hello
        expect(server.says(), "Timed out: a deadline has passed\n")
        try:
            after = self.tls_python(good, server.socket())
        except OSError:  # on a slow machine the handshake takes too long
            after = None
        expect(server.says(), "Timed out: a deadline has passed\n")
        for each in (s, half, after):
            if each:
                each.close()

    def consumer_example_meeting(self):
        """The recorder is killed, which its sensor notices; then a sensor is killed while it writes; nothing is lost."""
        recorder, sensor = self.example("meeting/recorder.c"), self.example("meeting/sensor.c")
        with tempfile.TemporaryDirectory() as folder:
            path = join(folder, "readings")
            with subprocess.Popen([sensor, path], text=True, stderr=subprocess.PIPE) as waits, \
                    Server([recorder, path], 1) as first:
                expect(first.line(), f"serves at {path}\n")
                expect(first.line(), "reading 1\n")
                first.process.kill()
                expect(waits.communicate(timeout=60)[1], "EPIPE")
                self.same(waits.returncode, 1)
            with subprocess.Popen([sensor, path]) as killed, Server([recorder, path], 1) as second:
                expect(second.line(), f"serves at {path}\n")
                expect(second.line(), "reading 1\n")
                killed.kill()
                self.same(subprocess.run([sensor, path, "2500"], timeout=60, check=False).returncode, 0)
                said, _ = second.process.communicate(timeout=60)
                ended = re.findall(r"^sensor (\d) has ended; (\d+) readings, none lost$", said, re.M)
                self.same([n for n, _ in ended], ["1", "2"])
                self.same(int(ended[1][1]) - int(ended[0][1]), 2500)
                self.same(second.process.returncode, 0)
            if exists(path):
                raise Failure(f"{path} is still there")

    def consumer_idle_process_does_nothing(self):
        """An idle pool and a thread in a long wait: for two seconds none runs, so none makes a system call."""
        program = self.compiled(here("idle.c"))
        process = subprocess.Popen([program], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            expect(process.stdout.readline(), "idle\n")
            end = time.monotonic() + 60
            runs = None
            while runs != (runs := runs_of_threads(process.pid)) or any(run[0] != "S" for run in runs.values()):
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

    def consumer_weight(self):
        """What a static program of one mutex, and one of a queue and a thread executor, weigh. Neither links an object of inspect."""
        self.need_gcc_on_x86_64()
        cflags, libs = self.prefix_flags()
        later = int(run([self.cc, "-dumpversion"]).partition(".")[0]) > 12
        for name, (text, bss) in WEIGHTS.items():
            program = self.at("weight_" + name[:-2])
            linked = run([self.cc, "-O2", *C_FLAGS, *cflags, here("weight", name), "-o", program, *libs, "-Wl,-M"])
            expect(linked, "(core_hooks.c.o)")
            self.same(re.findall(r"\(inspect_\w+", linked), [])
            expect_all(run([program]), "")
            weight = run(["size", program]).splitlines()[1].split()
            most = int(text * TEXT_OF_LATER_GCCS) if later else text
            if int(weight[0]) > most or int(weight[2]) > bss:
                raise Failure(f"{name}: text {weight[0]}, bss {weight[2]}; the limits are {most} and {bss}")

    def consumer_debugging_is_linked_when_asked_for(self):
        """FL_DEBUG in a static program that does not refer to debugging says how to link it, and works then. So does FL_TRACE."""
        source, env = here("weight/mutex.c"), {"FL_DEBUG": "contention"}
        expect(run([self.compiled(source)], env=env), "FL_DEBUG and FL_TRACE have no effect: link the program with -Wl,-u,fl_debug_enable")
        program = self.compiled(source, "-Wl,-u,fl_debug_enable")
        expect(run([program], env=env), "fairlead: contention, times in ms")
        expect(run([program], env={"FL_TRACE": "ring"}), "events recorded, none written")

    def consumer_debugging_is_refused_once(self):
        """Of a program with worker processes only the first process says what is wrong with FL_DEBUG and FL_TRACE."""
        source = self.example_of("README.md", "Fairlead")
        for linked, env, wanted in (((), {"FL_DEBUG": "waits"}, "FL_DEBUG and FL_TRACE have no effect"),
                                    (("-Wl,-u,fl_debug_enable",), {"FL_DEBUG": "wait"}, 'FL_DEBUG: "wait" is none of'),
                                    (("-Wl,-u,fl_debug_enable",), {"FL_DEBUG": "waits,signal=9"}, "FL_DEBUG: signal 9 cannot be caught"),
                                    (("-Wl,-u,fl_trace_enable",), {"FL_TRACE": "rings"}, 'FL_TRACE: "rings" is not ring'),
                                    (("-Wl,-u,fl_trace_enable",), {"FL_TRACE": "ring,exit,signal=9"}, "FL_TRACE: signal 9 cannot be caught")):
            with tempfile.TemporaryDirectory() as folder:
                said = run([self.compiled(source, *linked)], cwd=folder, env=env)
            if said.count(wanted) != 1:
                raise Failure(f"{env}: {said}")

    def consumer_trace_at_exit(self):
        """A traced program that simply ends writes a file where asked to, and else says once what is lost."""
        program = self.compiled(self.example_of("README.md", "Fairlead"), "-Wl,-u,fl_trace_enable")
        with tempfile.TemporaryDirectory() as folder:
            said = run([program], cwd=folder, env={"FL_TRACE": "ring"})
            if len(re.findall(r"fairlead: trace: \d+ events recorded, none written: FL_TRACE=ring,exit writes them", said)) != 1:
                raise Failure(said)
            self.same(os.listdir(folder), [])
            said = run([program], cwd=folder, env={"FL_TRACE": "ring,exit"})
            file, = os.listdir(folder)
            expect(said, f"fairlead: trace: {file}, ")
            said = run([join(self.source, "tools/fairlead-trace"), "--check", join(folder, file)])
            expect(said, "3 tasks: each with submit, start and get\n")
        started = write(self.at("traced_process.c"), """#include <fairlead.h>
FL_TASK(naps, int, void)
{
	return fl_sleep_until(fl_after(*arg), NULL);
}
int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	FL_SCOPED(fl_process) *p = NULL;
	int rc = fl_process_start(&p, &(fl_process_config){.task = &naps, .arg = &(int){1}});
	return rc == 0 ? fl_process_join(p, NULL) : rc;
}
""")
        program = self.compiled(started, "-Wl,-u,fl_trace_enable")
        with tempfile.TemporaryDirectory() as folder:
            said = run([program], cwd=folder, env={"FL_TRACE": "ring"})
            self.same((said.count(" events recorded, none written: "), os.listdir(folder)), (1, []))
            run([program], cwd=folder, env={"FL_TRACE": "ring,exit"})
            self.same(len(os.listdir(folder)), 2)  # a process that runs a task by itself writes a file of its own

    def consumer_typed_forms(self):
        """A typed queue has a form of each public function of the untyped one: the headers say so. FL_TASK defines what its comment lists."""
        def made_by(macro, *arguments):
            unit = write(self.at("typed_forms.c"), f"#include <fairlead.h>\n{macro}({', '.join(arguments)})\n")
            return set(re.findall(r"\bit_(\w+) ?\(", run([self.cc, "-E", "-P", *cflags, unit])))
        cflags, _ = self.prefix_flags()
        functions = {}
        for f in check_api.public_functions():
            functions.setdefault(f.header, []).append(f.name)
        for macro, header, base, without in (
                ("FL_QUEUE_OF", "queue.h", "fl_queue", ""), ("FL_SPSC_OF", "spsc.h", "fl_spsc", ""), ("FL_MPMC_OF", "mpmc.h", "fl_mpmc", ""),
                ("FL_SHM_QUEUE_OF", "shm_queue.h", "fl_shm_queue", ".*_frame.*|item_size"),
                ("FL_SHM_ARRAY_OF", "shm_value.h", "fl_shm_array", "")):
            wanted = {name[len(base) + 1:] for name in functions[join("include/fairlead", header)] if name.startswith(base + "_")}
            wanted = {name for name in wanted if not re.fullmatch(without, name)}
            missing = wanted - made_by(macro, "int", "it")
            if missing or len(wanted) < 6:
                raise Failure(f"{macro} lacks {sorted(missing)} of {sorted(wanted)}")
        text = read(join(self.source, "include/fairlead/task.h"))
        comment = re.search(r"defines\W+typed\W+calls, which(.*?)\n#define", text, re.S)[1]
        listed = {name.removeprefix("count_primes_") for name in re.findall(r"\b(count_primes_\w+)\(", comment)}
        for line in comment.splitlines():  # "count_primes_get(...);  // and _try_get, _get_until"
            listed |= {name[1:] for name in re.findall(r"(?<!\w)_\w+", line.partition("// and ")[2])}
        made = made_by("FL_TASK", "it", "int", "int") - {"body", "run", "register", "unregister"}
        self.same(made, listed)

    def consumer_misuse_of_macros(self):
        """Each macro that takes a type, with each type that it cannot take: the first error is a sentence, in gcc and clang, C and C++.
        A type that it can take gives no warning."""
        include, names = self.installed_headers()
        cflags, _ = self.prefix_flags()
        listed = {name for header in names for name, parameters in
                  re.findall(r"^#define (FL_(?!_)\w+)\(([^)]*)\)", read(join(include, header)), re.M)
                  if {"type", "T"} & set(parameters.split(", ")) or name.startswith("FL_TASK")}
        self.same({re.search(r"FL_\w+", use)[0] for use in USES_OF_TYPES} | {"FL_SCOPED"}, listed)  # FL_SCOPED takes the name of a handle
        compilers = [("c", self.cc, "-std=c11"), ("c++", self.cxx, "-std=c++17")]
        if shutil.which("clang++"):
            compilers += [("c", "clang", "-std=c11"), ("c++", "clang++", "-std=c++17")]

        def complaint(compiler, use, mistake, spelled):
            language, *command = compiler
            wanted = USES_OF_TYPES[use].get(mistake, MISTAKES[mistake][0])
            code = use.replace("TYPE", spelled)
            if "_TASK" not in use:
                code = code if "_OF(" in use else f"void f(fl_shm *r, fl_bytes *b)\n{{\n\tint n = 0;\n\t{code};\n\t(void)n, (void)r, (void)b;\n}}"
            elif "DECLARE" not in use:
                code += "\n{\n\treturn 0;\n}"
            unit = f"#include <fairlead.h>\nstruct pair {{ int a, b; }};\nenum colour {{ RED }};\ntypedef int eight[8];\n{code}\n"
            said = said_of(unit, language, *command, "-Wall", "-Wextra", *cflags)
            first = (re.findall(r"error: .*", said) or [said])[0]
            return None if (re.search(wanted, first) if wanted else not said) else f"{' '.join(command)}:\n{unit}{first}"

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as several:
            complaints = [said for said in several.map(lambda case: complaint(*case), (
                (compiler, use, mistake, spelled) for compiler in compilers for use in USES_OF_TYPES for mistake in MISTAKES
                for spelled in MISTAKES[mistake][1:] if USES_OF_TYPES[use].get(mistake, True) is not None
                and not (compiler[0] == "c" and ("::" in spelled or "class" in spelled)))) if said]
        if complaints:
            raise Failure("\n".join([*complaints[:9], f"{len(complaints)} in all"]))

    def consumer_stats_text(self):
        """The text for Prometheus: a type before its samples, all of a name together, no series twice, labels as given."""
        kinds, series = {}, {}
        for line in self.c(here("stats_text.c")).splitlines():
            if kind := re.fullmatch(r"# TYPE (fairlead_[a-z_]+) (gauge|counter|summary)", line):
                name = kind[1]
                if name in kinds or (kind[2] == "counter") != name.endswith("_total"):
                    raise Failure(line)
                kinds[name] = kind[2]
            elif not line.startswith("# HELP "):
                sample = re.fullmatch(name + r'(_sum|_count)?\{((?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+)\} (\d+(?:\.\d{9})?)', line)
                if not sample or (sample[1] and kinds[name] != "summary") or (sample[1], name, sample[2]) in series:
                    raise Failure(line)
                series[sample[1], name, sample[2]] = float(sample[3])
        ended = [value for (_, name, _), value in series.items() if name == "fairlead_tasks_ended_total"]
        counts = [value for (part, _, _), value in series.items() if part == "_count"]
        if ended != [1, 1, 2] or counts != [1, 1, 2] * 2 or len(kinds) < 16:
            raise Failure(f"{ended}, {counts}, {kinds}")

    def consumer_opcodes_x86_64(self):
        if os.uname().machine != "x86_64":
            raise Skip("another machine")
        self.opcodes("objdump", join(self.build, "lib/libfairlead.a"), "x86_64")

    def consumer_opcodes_of_the_first_x86_64(self):
        """The assembler takes no instruction that came later but endbr64 and prefetchw, which old CPUs skip; it refuses AVX2."""
        self.need_gcc_on_x86_64()  # which calls the assembler
        for name, more, status in (("baseline", "", 0), ("avx2", " -mavx2", 1)):
            build = self.configured(name, self.source, "-Dmpi=disabled", "-Dc_args=-Wa,-march=generic64+ibt+prfchw" + more)
            expect(run(["ninja", "-C", build, "lib/libfairlead.a"], status), "is not supported on" if status else "")

    def consumer_opcodes_of_tasks(self):
        self.need_gcc_on_x86_64()
        if int(run([self.cc, "-dumpversion"]).partition(".")[0]) > 12:
            raise Skip("the limit is that of gcc 12")
        for name, most in INSTRUCTIONS_OF.items():
            program = self.compiled(here(f"weight/{name}.c"))
            said = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=measured", program])
            collected = re.search(r"Collected : (\d+)", said)
            if not collected:
                raise Failure("callgrind has counted nothing: " + said)
            counted = int(collected[1]) / 1000
            if not most / 2 < counted <= most:
                raise Failure(f"{name}: {counted} instructions each, at most {most} wanted")

    def consumer_opcodes_aarch64(self):
        if os.uname().machine == "aarch64":
            self.opcodes("objdump", join(self.build, "lib/libfairlead.a"), "aarch64")
            return
        build = self.configured("aarch64", self.source, "--cross-file",
                                join(dirname(HERE), "cross/aarch64.ini"))
        mutex = join("lib/libfairlead.a.p/core_sync_mutex.c.o")  # the one file that is looked at
        run(["ninja", "-C", build, mutex])
        self.opcodes("aarch64-linux-gnu-objdump", join(build, mutex), "aarch64")
