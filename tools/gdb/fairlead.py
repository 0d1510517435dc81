# SPDX-License-Identifier: BSD-2-Clause
"""Commands for gdb that say what a program with Fairlead waits for, in a live process or a core file.

    gdb -x fairlead.py -p PID           gdb -x fairlead.py PROGRAM CORE

`help fl` lists the commands. They read memory and run nothing in the program. They need the program's symbols, but neither its
debug information nor FL_DEBUG. x86-64 and aarch64.

Which data answer which question:
    who waits for what   the wait queues of the parking lot (lot_buckets); of a fiber fl__fiber.parked; of a thread fl__ctx.awaits,
                         or the word of its futex call, if it sleeps on shared memory
    threads              fl__ctx_current of each thread; where gdb cannot read it, the stack on which a queued wait lies
    fibers               fl__sched_current of each thread, and fibers that wait, lead to the loops; fl_loop.all lists fibers
    executors            executors_first; without it, the waits of idle workers, and fl__ctx.worker of busy ones
    holders              the owner in recursive and shared mutexes; table_holders, which FL_DEBUG fills; else addresses on stacks
"""
import functools
import os
import re
import struct
import time
from types import SimpleNamespace

import gdb
import gdb.unwinder

# The members that are read, each with its format (of Python's struct) and its offset; constants;
# and the words for each enum fl__debug_kind. tests/gdb/gdb_cases.py compares them with the sources.
# Where the program has debug information, that counts for offsets: sanitizers add members.
LAYOUT = """
fl__bucket queues:Q@8
fl__node next:Q@0 below:2Q@16 key:Q@40 wait:Q@48 observer:B@71
fl__wait ctx:Q@0 object:Q@16 park_word:I@32 kind:B@42
fl__ctx ops:Q@32 id:Q@40 awaits.object:Q@72 awaits.kind:B@80 name:Q@88 worker:Q@112
fl_fiber in.flow.at.sp:Q@0 in.flow.at.fp:Q@8 in.flow.at.pc:Q@16 in.flow.at.base:Q@24 in.sched:Q@40 in.parked:Q@64 in.ctx:x@72
    in.ended:I@280 in.begun:B@285 in.name:32s@336 next:Q@472 parent:Q@488
fl__sched host.thread:Q@8 running:Q@144 main.at.sp:Q@160 main.at.fp:Q@168 main.at.pc:Q@176 main.at.base:Q@184 config.user:Q@320
fl_loop all:Q@176
fl__run executor:Q@0 future:Q@8
fl_executor ops:Q@0 workers:I@16 closed:B@40 broken:I@44 queue.length:Q@96 name:24s@261 next_listed:Q@288
fl__executor_ops kind:Q@8
fl__thread_pool backlog.mask:I@704 backlog.injectors:Q@712 active:I@852 blocked:I@856 alive:I@860 guests:I@868 workers:Q@1016
fl__thread_worker thread:Q@72 doing:Q@80 local.word:Q@88 number:I@8392 next:Q@8424
fl__injector length:I@4 apart:64x@48
fl__process_pool workers:Q@8224
fl__process_pool_worker next:Q@0 blocks:16Q@200 process:Q@872
fl_process child.pid:i@40 name:32s@216
fl_future state:I@0 error:i@8 type:Q@16
fl_task_type name:Q@8
fl_queue backend:Q@32 item_size:Q@40 capacity:Q@48 state:x@176
fl_mpmc mask:Q@8 capacity:Q@48 tail:Q@192 head:Q@320
fl__queue_spsc flags:I@64 put.count:Q@208 get.count:Q@336
locked closed:B@4 length:Q@8
fl__unbounded tail:Q@0 head:Q@8 slots:Q@16
fl__segment tail:Q@0 head:Q@64 first:Q@136
fl__timer back:Q@32
fl_timer heap_:q@0 function_:Q@56 arg_:Q@64
fl__holder next:Q@0 id:Q@16 name:32s@24 held:Q@56 since:q@136
fl__held next_of_mine:Q@16 lock:Q@48 kind:B@68 how:B@69 stack.at:16Q@88
fl_rmutex owner_:Q@0 mutex_.word_:I@8
fl_barrier parties_:I@0 arrived_:I@4 state_:Q@8
fl_group members_:Q@80
fl_bytes data:Q@0 size:Q@8 owner_:Q@16
fl_shm_sem word_:I@88
fl_shm_event word_:I@88
fl_shm_barrier word_:Q@88 parties_:I@96
"""
CONSTANTS = """
BUCKET=64 MUTEX_LOCKED=1 MUTEX_WATCHED=8 RWLOCK_COUNT=134217727 RWLOCK_WRITER=2147483648 FL__BIAS=134217728 FL__BIAS_UNITS=128 FL__BIAS_SLOTS=64 ONCE_DONE=1
ONCE_RUNNING=2 EVENT_SET=1 EVENT_ONE_SET=8 FL_SEM_MAX=2147483647 FL_LATCH_MAX=2147483647 LOT_BUCKETS=1024 BARRIER_ONE=1125899906842624 BARRIER_GATED=4
FL__DEBUG_BUCKETS=4096 FL__DEBUG_READ=1 SCHED_PARKED=4 FL__MPMC_CLOSED=2 FL__MPMC_FLAGS=3 FL__MPMC_STEP=4
FL__QUEUE_SPSC_CLOSED=4 FL__UNBOUNDED_CLOSED=2 FL__UNBOUNDED_TICKET=4 FL__FUTURE_CLAIMED=1 FL__FUTURE_CANCELLED=2 FL__FUTURE_ENDED=4
FL__SHM_TID=1073741823 FL__GROUP_MEMBER=2 FL__LINE=64 FL_SHM_BARRIER_MAX=1048575
"""
KINDS = """
NOTHING: something; MUTEX: mutex @; RWLOCK: reader-writer lock @; JOIN: the end of thread or fiber #; COND: condition @; SEM: semaphore @;
GET: queue @ (to get); PUT: queue @ (to put); SELECT: queue @ or another (to select); QUEUE_JOIN: queue @ (to join); EVENT:
event @; BARRIER: barrier @; LATCH: latch @; ONCE: once @; FUTURE: future @; FUTURES: some of # futures;
FORK: forked call @; GROUP: group @; CANCEL_CALLBACK: the return of cancel
callback @; ANY: one of several objects; SLEEP: the end of a sleep; TASK: a task of executor @; EXECUTOR: the end of executor
@; BACKLOG: the full backlog of executor @; IMAP: a result of lazy map @; TIMER: the end of timer @; DUE: the next timer @;
DESCRIPTOR: descriptor #; CONNECTION: a connection; PROCESS: the end of process #; START: the start of a process; PIPE: pipe @;
ENDPOINT: endpoint @; SHM: object @ in shared memory; SHM_LOCK: lock @ in shared memory
"""
K = SimpleNamespace(**{name: int(value) for name, value in (pair.split("=") for pair in CONSTANTS.split())})
WORDS = [kind.split(": ") for kind in KINDS.replace("\n", " ").strip().split("; ")]
KIND = {name: number for number, (name, _) in enumerate(WORDS)}
LOCKS, ENDS = ("MUTEX", "RWLOCK", "ONCE", "SHM", "SHM_LOCK"), ("JOIN", "FUTURE", "GROUP")  # printed first, and last
SHOWN, FRAMES = 8, 24  # the most waiters that are named for one stack; frames
OUTER = re.compile("fl__switch_entry|fiber_begin|loop_fiber_body|thread_run|start_thread|_*clone3?|_*libc_start_.*|_start")
WAITS = re.compile("fl__(wait_sleep|word_wait)")
SHM_LOCK = re.compile("fl_shm_mutex|fl__shm_(context_)?acquire|fl__shm_enter")
PAGES, PAGE = {}, 4096  # what the command has read of stacks
PAGED = ("fl__node", "fl__wait", "fl__ctx", "fl_fiber")


def read(at, size):
    return bytes(gdb.selected_inferior().read_memory(at, size))


def read_paged(at, size):
    """For fibers and stacks: in a core file that has a guard page for each fiber, each read takes long."""
    data, begin = b"", at - at % PAGE
    for page in range(begin, at + size, PAGE):
        if page not in PAGES:
            PAGES[page] = read(page, PAGE)
        data += PAGES[page]
    return data[at - begin:at - begin + size]


def number(at, form="I"):
    return struct.unpack("<" + form, read(at, struct.calcsize("<" + form)))[0]


def text(at):
    return gdb.Value(at).cast(gdb.lookup_type("char").pointer()).string("utf-8", "replace") if at else "?"


@functools.lru_cache(maxsize=None)
def address_of_renamed(symbol):
    """Link-time optimization appends to the name of a static variable, and its debug information has no place of the variable.
    None: the program lacks the symbol."""
    found = re.search(rf"(?m)^(0x\w+) +{symbol}(\.|$)", gdb.execute(f"info variables ^{symbol}", to_string=True))
    return int(found[1], 16) if found else None


def address(symbol):
    """None: the program lacks the symbol, or gdb cannot find this thread's variable."""
    try:
        return int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))
    except gdb.error as error:
        return address_of_renamed(symbol) if re.search("No symbol|Can't take address", str(error)) else None


def variable(symbol):
    at = address(symbol)
    return number(at, "Q") if at else 0


def is_live():
    """A process of this machine."""
    return getattr(getattr(gdb.selected_inferior(), "connection", None), "type", "") == "native"


def as_in_c(name):
    """Without what optimizations append. gdb takes fl__name for a name of Ada."""
    name = re.sub(r"\.(lto_priv|llvm|part|constprop|isra|cold)\b.*|\[cold\]$", "", name)
    return "fl__" + name[3:].replace(".", "__") if name.startswith("fl.") else name


def symbol(at):
    """"variable+8"; "": no symbol."""
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", gdb.execute(f"info symbol {at:#x}", to_string=True))
    return as_in_c(found[1]) + (f"+{found[2]}" if found[2] else "") if found else ""


class Struct(dict):
    """The members of a struct: format and offset. A call reads one at an address, as a View."""

    def __init__(self, name):
        super().__init__()
        for member, form, at in re.findall(r"(\S+):(\w+)@(\d+)", re.search(rf"^{name} (.*(?:\n .*)*)", LAYOUT, re.M)[1]):
            self[member] = ("<" + form, int(at))
        try:
            of = gdb.lookup_type("struct " + name)
            for member, (form, at) in self.items():
                at, inner = 0, of
                for part in member.split("."):
                    field = inner.strip_typedefs()[part]
                    at, inner = at + field.bitpos // 8, field.type
                self[member] = (form, at)
        except (gdb.error, KeyError, TypeError):
            pass  # no debug information
        self.size = max(at + struct.calcsize(form) for form, at in self.values())
        self.read = read_paged if name in PAGED else read

    def __call__(self, at):
        return View(self, at)


class View:
    """A struct as it was when it was read."""
    __slots__ = ("of", "at", "data")

    def __init__(self, of, at):
        self.of, self.at, self.data = of, at, of.read(at, of.size)

    def __getitem__(self, member):
        form, at = self.of[member]
        found = struct.unpack_from(form, self.data, at)
        if form[-1] == "s":
            return found[0].split(b"\0")[0].decode("utf-8", "replace")
        return found[0] if len(found) == 1 else found


S = functools.lru_cache(None)(Struct)  # by name; forgotten when the program's files change


def each(first, name, link="next"):
    """The structs of a list, which may be changing."""
    seen = set()
    while first and first not in seen:
        seen.add(first)
        try:
            view = S(name)(first)
        except gdb.MemoryError:
            return
        yield view
        first = view[link]


def each_queue(first):
    """The first nodes of the wait queues of a bucket: a tree, which may be changing."""
    seen, left = {0}, [first]
    while left:
        at = left.pop()
        if at not in seen:
            seen.add(at)
            try:
                view = S("fl__node")(at)
            except gdb.MemoryError:
                continue
            yield view
            left += view["below"]


# ---- Stacks ----


class FiberUnwinder(gdb.unwinder.Unwinder):
    """Makes a suspended fiber the caller of the selected thread's innermost function."""

    def __init__(self):
        super().__init__("fairlead fibers")
        self.enabled = False

    def __call__(self, pending):
        top = pending.read_register(self.names[0])
        if int(top) != self.top:
            return None
        here = SimpleNamespace(sp=gdb.Value(self.values[0] - 64).cast(top.type), pc=gdb.Value(self.values[2]).cast(top.type))
        info = pending.create_unwind_info(here)  # below the fiber's frames: gdb stops where a stack turns back
        for name, value in zip(self.names, self.values):
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info

    def switch(self, names, values):
        """The registers of struct fl__switch, and the fiber's; None: back to the thread."""
        self.enabled = False
        gdb.invalidate_cached_frames()
        if values:
            self.names, self.values, self.top = names, values, int(gdb.newest_frame().read_register("sp"))
            self.enabled = True
            gdb.invalidate_cached_frames()


UNWINDER = FiberUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def unwind(frame):
    """Names with places, innermost first; and (distance from the innermost stack pointer, value) of each return address."""
    names, returns, first, last = [], [], None, None
    while frame is not None and len(names) < FRAMES:
        sp, pc, sal = int(frame.read_register("sp")), frame.pc(), frame.find_sal()
        first = sp if first is None else first
        if last is not None and sp > last:
            at = read(last, sp - last).find(struct.pack("<Q", pc))
            returns.append((last - first + at, pc) if at >= 0 else None)
        last = sp
        names.append((as_in_c(frame.name() or hex(pc)),
                      f" at {os.path.basename(sal.symtab.filename)}:{sal.line}" if sal.symtab and sal.line else ""))
        frame = frame.older()
    return names, returns


def readable(names):
    """Without what a wait calls: from the public function on, or, if the compiler has left none, from the first one outside of the wait."""
    inner = next((i for i, (name, _) in enumerate(names) if WAITS.match(name)), -1) + 1
    while 0 < inner < len(names) and names[inner][0].startswith("fl__") and not OUTER.fullmatch(names[inner][0]):
        inner += 1
    for i in range(inner, len(names) if inner else 0):
        public = re.match("fl_([a-z]+)", names[i][0])
        if public and all(re.match(public[1], name) for name, _ in names[inner:i]):
            inner = i
            break
    return tuple(name + place for name, place in names[inner:] if not OUTER.fullmatch(name))


# ---- What there is ----


class Thread:
    def __init__(self, thread, arm):
        self.gdb, self.tid, self.context = thread, thread.ptid[1] or thread.ptid[2], None
        thread.switch()
        frame = gdb.newest_frame()
        self.sp = int(frame.read_register("sp"))
        self.context_at, self.sched_at = variable("fl__ctx_current"), variable("fl__sched_current")
        names = ["x8", "x1", "x0", *(f"x{i}" for i in range(19, 30))] if arm else ["orig_rax", "rsi", "rdi", "rbx", "rbp", "r12", "r13", "r14", "r15"]
        try:
            call, op, at, *saved = (int(frame.read_register(name)) & (1 << 64) - 1 for name in names)
        except (gdb.error, ValueError):
            call, op, at, saved = 0, 0, 0, ()  # no such register in this file
        self.futex = at if call == (98 if arm else 202) and not op & 128 else 0  # on which it sleeps, if in shared memory
        self.saved = set(saved)

    def stack(self):
        self.gdb.switch()
        return readable(unwind(gdb.newest_frame())[0])

    def __str__(self):
        return f"thread {self.gdb.num}"


class Context:
    """A thread, or a fiber."""

    def __init__(self, at, ident, name):
        self.at, self.id, self.name, self.thread, self.fiber, self.worker = at, ident, name, None, None, 0
        self.wait = None  # (kind, object)
        self.key = 0  # of its wait queue

    def __str__(self):
        return f"{self.name} ({self.id})" + (f", {self.thread}" if self.thread else "")


def wait_for(kind, of):
    return (kind if kind < len(WORDS) else KIND["NOTHING"], of)


class World:
    """Everything, at the moment of a command."""

    def __init__(self):
        address_of_renamed.cache_clear()
        if address("lot_buckets") is None:
            raise gdb.GdbError("no symbols of Fairlead here: gdb needs the program as it was before `strip`")
        self.live = is_live()
        self.contexts, self.scheds, self.executors, self.names, self.stacks, self.known, self.on_stacks = {}, {}, {}, {}, {}, {}, None
        self.fiber_ops, arm = address("fl__fiber_parker"), "aarch64" in gdb.selected_inferior().architecture().name()
        self.registers = ("sp", "x29", "pc", "x19") if arm else ("rsp", "rbp", "rip", "rbx")
        self.threads = [Thread(t, arm) for t in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num)]
        for thread in self.threads:
            if thread.context_at:
                self.add_context(thread.context_at, thread)
            if thread.sched_at:
                self.add_sched(thread.sched_at, thread)
        self.read_queues()
        for sched in list(self.scheds.values()):
            self.read_fibers(sched)
        for thread in self.threads:
            if thread.futex and not (thread.context and thread.context.wait):
                thread.context = thread.context or self.contexts.setdefault(-thread.tid, Context(0, 0, "a thread"))
                thread.context.thread, thread.context.wait = thread, (KIND["SHM"], thread.futex)
        self.by_id = {c.id: c for c in self.contexts.values()}
        self.read_executors()
        self.held, self.since = {}, {}  # with FL_DEBUG: lock -> [(holder, record)]; the begins of waits, by context
        table, self.now = address("table_holders"), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        for first in struct.unpack(f"<{K.FL__DEBUG_BUCKETS}Q", read(table, 8 * K.FL__DEBUG_BUCKETS)) if table else ():
            for holder in each(first, "fl__holder"):
                self.since[holder["id"]] = holder["since"]
                for held in each(holder["held"], "fl__held", "next_of_mine"):
                    self.held.setdefault(held["lock"], []).append((self.by_id.get(holder["id"], holder["name"]), held))

    def add_context(self, at, thread=None):
        found = self.contexts.get(at)
        if not found:
            view = S("fl__ctx")(at)
            fiber = S("fl_fiber")(at - S("fl_fiber")["in.ctx"][1]) if view["ops"] == self.fiber_ops else None
            found = self.contexts[at] = Context(at, view["id"], fiber["in.name"] if fiber else text(view["name"]))
            found.fiber, found.worker = fiber, view["worker"]
            if view["awaits.kind"]:
                found.wait = wait_for(view["awaits.kind"], view["awaits.object"])
            if fiber:
                self.add_sched(fiber["in.sched"])
        if thread and not found.fiber:
            found.thread, thread.context = thread, found
        return found

    def add_sched(self, at, thread=None):
        if at not in self.scheds:
            self.scheds[at] = S("fl__sched")(at)
        if self.scheds[at]["host.thread"]:
            self.add_context(self.scheds[at]["host.thread"], thread)

    def read_queues(self):
        data = read(address("lot_buckets"), K.LOT_BUCKETS * K.BUCKET)
        for at in range(S("fl__bucket")["queues"][1], len(data), K.BUCKET):
            try:
                for queue in each_queue(struct.unpack_from("<Q", data, at)[0]):
                    for node in each(queue.at, "fl__node"):
                        self.read_wait(node)
            except gdb.MemoryError:
                gdb.write("(a wait queue cannot be read)\n")

    def read_wait(self, node):
        wait = S("fl__wait")(node["wait"])
        context = self.add_context(wait["ctx"])
        if node["observer"] and context.key:
            return  # of a cancel token, or of another object of the same wait
        if not context.fiber and not context.thread:
            below = [t for t in self.threads if t.sp <= wait.at]
            if below:
                self.add_context(context.at, max(below, key=lambda t: t.sp))
        signalled = wait["kind"] == KIND["COND"] and node["key"] != wait["object"] and not node["observer"]
        context.key = node["key"]
        context.wait = (KIND["MUTEX"], context.key) if signalled else wait_for(wait["kind"], wait["object"])

    def read_fibers(self, sched):
        for fiber in each(S("fl_loop")(sched["config.user"])["all"], "fl_fiber"):
            at = fiber.at + fiber.of["in.ctx"][1]
            ident = struct.unpack_from("<Q", fiber.data, at - fiber.at + S("fl__ctx")["id"][1])[0]
            context = self.contexts.setdefault(at, Context(at, ident, fiber["in.name"]))
            context.fiber = fiber
            if fiber["in.parked"] and not self.runs(context) and not context.key:
                wait = S("fl__wait")(fiber["in.parked"])
                context.wait = wait_for(wait["kind"], wait["object"]) if wait["park_word"] == K.SCHED_PARKED else None

    def read_executors(self):
        found = [c.wait[1] for c in self.contexts.values() if c.wait and WORDS[c.wait[0]][0] in ("TASK", "EXECUTOR", "BACKLOG")]
        found += [S("fl__run")(c.worker)["executor"] for c in self.contexts.values() if c.worker]
        found += [e.at for e in each(variable("executors_first"), "fl_executor", "next_listed")]
        self.executors = {at: Executor(self, at) for at in found if at}

    def stack_of_flow(self, view, member):
        """Of a suspended fiber, or of a thread while a fiber runs on it. With the return addresses of an earlier one it is the same."""
        values = [view[f"{member}.at.{name}"] for name in ("sp", "fp", "pc", "base")]
        for size, returns, names in self.known.get(values[2], ()):
            try:
                data = read_paged(values[0], size)
            except gdb.MemoryError:
                continue
            if all(struct.unpack_from("<Q", data, at)[0] == value for at, value in returns):
                return names
        try:
            UNWINDER.switch(self.registers, values)
            names, returns = unwind(gdb.newest_frame().older())
        except gdb.error as error:
            names, returns = [(f"(gdb: {error})", "")], [None]
        finally:
            UNWINDER.switch(None, None)
        names = readable(names)
        if None not in returns:
            self.known.setdefault(values[2], []).append((max((at for at, _ in returns), default=0) + 8, returns, names))
        return names

    def runs(self, context):
        return self.scheds[context.fiber["in.sched"]]["running"] == context.fiber.at

    def stack(self, context):
        if context not in self.stacks:
            self.stacks[context] = self.find_stack(context)
        return self.stacks[context]

    def find_stack(self, context):
        thread, fiber = context.thread, context.fiber
        if fiber and not fiber["in.begun"]:
            return ("(has not begun)",)
        if fiber and not self.runs(context):
            return self.stack_of_flow(fiber, "in.flow")
        if fiber:
            thread = self.contexts[self.scheds[fiber["in.sched"]]["host.thread"]].thread
        elif thread and thread.sched_at and self.scheds[thread.sched_at]["running"]:
            return self.stack_of_flow(self.scheds[thread.sched_at], "main")
        return thread.stack() if thread else ()

    def name(self, at):
        if at not in self.names:
            found = symbol(at)
            self.names[at] = f"{found} at {at:#x}" if found else f"{at:#x}"
        return self.names[at]

    def time(self, context):
        return f" ({(self.now - self.since[context.id]) / 1e9:.3f} s)" if self.live and self.since.get(context.id) else ""

    def rmutex(self, context):
        """The recursive mutex for which the context waits; 0: it waits for another object."""
        is_one = context.wait[0] == KIND["MUTEX"] and any(frame.startswith("fl_rmutex") for frame in self.stack(context))
        return context.wait[1] - S("fl_rmutex")["mutex_.word_"][1] if is_one else 0

    def awaited(self, context):
        (kind, of), base = context.wait, self.rmutex(context)
        name, words = WORDS[kind]
        if name == "JOIN" and of in self.by_id:
            words = f"the end of {self.by_id[of]}"
        if name == "PROCESS":
            words += self.system_says(of)
        what = "fl_" + {"GET": "queue", "PUT": "queue", "SELECT": "queue", "QUEUE_JOIN": "queue"}.get(name, name.lower())
        try:
            state = f" ({DESCRIBE[what](of)})" if what in DESCRIBE and not base else ""
        except gdb.MemoryError:
            state = ""
        return ("recursive " if base else "") + words.replace("@", self.name(base or of)).replace("#", str(of)) + state

    def holders(self, context):
        """On whom the context waits: contexts, or texts for what is not in this process."""
        kind, of = context.wait
        name = WORDS[kind][0]
        if name == "JOIN":
            return [self.by_id[of]] if of in self.by_id else []
        if name == "FUTURE":
            return [w.context for e in self.executors.values() for w in e.workers if w.future == of and w.context]
        if self.rmutex(context):
            owner = S("fl_rmutex")(self.rmutex(context))["owner_"]
            return [self.by_id.get(owner, f"context {owner}")] if owner else []
        if name == "SHM_LOCK" or name == "SHM" and any(SHM_LOCK.match(frame) for frame in self.stack(context)):
            tid = number(of) & K.FL__SHM_TID
            mine = [t.context or t for t in self.threads if t.tid == tid]
            return mine or [f"thread {tid}{self.system_says(tid, thread=True)}"] if tid else []
        return [holder for holder, _ in self.held.get(of, ())]

    def suspects(self, context):
        """Contexts that may hold the lock: they do not wait for it, and have its address in a register or on their stacks."""
        if WORDS[context.wait[0]][0] not in LOCKS or self.holders(context):
            return []
        if self.on_stacks is None:
            self.on_stacks, locks = {}, {c.wait[1] for c in self.contexts.values() if c.wait and WORDS[c.wait[0]][0] in LOCKS}
            for each_context in self.contexts.values():
                for lock in locks & self.words_of(each_context):
                    if not each_context.wait or each_context.wait[1] != lock:
                        self.on_stacks.setdefault(lock, []).append(each_context)
        return self.on_stacks.get(context.wait[1], [])

    @staticmethod
    def words_of(context):
        """What it has in registers and on the inner end of its stack."""
        flow, thread = context.fiber, context.thread
        sp, found = (flow["in.flow.at.sp"], {flow["in.flow.at.base"], flow["in.flow.at.fp"]}) if flow else \
            (thread.sp, thread.saved) if thread else (0, set())
        for size in (16384, 4096, 1024) if sp else ():
            try:
                return found | set(struct.unpack(f"<{size // 8}Q", read_paged(sp & ~7, size)))
            except gdb.MemoryError:
                pass
        return found

    def system_says(self, tid, thread=False):
        if not self.live:
            return ""
        try:
            with open(f"/proc/{tid}/status", encoding="utf-8") as status:
                said = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
            of = f" of process {said['Tgid']}" if thread else ""
            return f"{of} ({said['Name']}, {said['State'].split('(')[1].strip(')')}; look there: gdb -p {said['Tgid']})"
        except OSError:
            return ", which has ended"


class Executor:
    def __init__(self, world, at):
        self.view, self.at, self.workers = S("fl_executor")(at), at, []
        self.kind = text(S("fl__executor_ops")(self.view["ops"])["kind"])
        self.pending, self.counts = self.view["queue.length"], f"at most {self.view['workers']}"
        if self.kind == "threads":
            pool = S("fl__thread_pool")(at)
            injector = S("fl__injector")  # `apart` is its last member
            self.pending = sum(injector(pool["backlog.injectors"] + i * injector.size)["length"] for i in range(pool["backlog.mask"] + 1))
            self.counts = f"{pool['alive']}, {pool['alive'] + pool['guests'] - pool['active'] - pool['blocked']} idle, {self.counts}"
            for w in each(pool["workers"], "fl__thread_worker"):
                self.pending += w["local.word"] & 0xffff  # FL__LOCAL_FIRST
                if w["thread"]:
                    self.add(world.contexts.get(w["thread"]), w["doing"], f"worker {w['number']}")
        elif self.kind == "processes":
            for w in each(S("fl__process_pool")(at)["workers"], "fl__process_pool_worker"):
                process, blocks = S("fl_process")(w["process"]), [b for b in w["blocks"] if b]
                self.add(None, blocks[0] if blocks else 0, f"{process['name']}, process {process['child.pid']}")
                self.pending += max(0, len(blocks) - 1)

    def add(self, context, future, name):
        self.workers.append(SimpleNamespace(context=context, future=future, name=name))

    def is_starved(self):
        return self.pending > 0 and bool(self.workers) and all(w.context and w.context.wait for w in self.workers)


# ---- The public structs ----


def ring_length(at):
    ring = S("fl_mpmc")(at)
    head, tail = (ring[end] & ~K.FL__MPMC_FLAGS for end in ("head", "tail"))
    laps = (tail & ~ring["mask"]) - (head & ~ring["mask"])
    return ((tail & ring["mask"]) - (head & ring["mask"])) // K.FL__MPMC_STEP + (ring["capacity"] if laps else 0)


def of_barrier(at):
    barrier = S("fl_barrier")(at)
    arrived, parties = barrier["state_"] // K.BARRIER_ONE, barrier["parties_"]
    gated = barrier["state_"] & K.BARRIER_GATED and arrived < parties
    return f"{arrived if gated else barrier['arrived_']} of {parties} parties"


def of_queue(at):
    q = S("fl_queue")(at)
    state, backend = at + q.of["state"][1], symbol(q["backend"])
    length = closed = 0
    if backend == "fl__backend_mpmc":
        length, closed = ring_length(state), S("fl_mpmc")(state)["tail"] & K.FL__MPMC_CLOSED
    elif backend == "fl__backend_spsc":
        ring = S("fl__queue_spsc")(state)
        length, closed = ring["put.count"] - ring["get.count"], ring["flags"] & K.FL__QUEUE_SPSC_CLOSED
    elif backend in ("fl__backend_priority", "fl__backend_overwrite"):
        length, closed = S("locked")(state)["length"], S("locked")(state)["closed"]
    elif backend == "fl__backend_unbounded":
        u = S("fl__unbounded")(-(-state // K.FL__LINE) * K.FL__LINE)
        first, last = S("fl__segment")(u["head"]), S("fl__segment")(u["tail"])
        put = last["first"] + min(last["tail"] // K.FL__UNBOUNDED_TICKET, u["slots"])
        length, closed = max(0, put - first["first"] - first["head"]), last["tail"] & K.FL__UNBOUNDED_CLOSED
    bound = "a rendezvous" if backend == "fl__backend_rendezvous" else f"{length} items" + \
        (f" of at most {q['capacity']}" if q["capacity"] < 1 << 62 else "")
    return bound + (", closed" if closed else "")


def of_future(at):
    f = S("fl_future")(at)
    how = "pending" if not f["state"] & (K.FL__FUTURE_CLAIMED | K.FL__FUTURE_ENDED) else "running" if not f["state"] & K.FL__FUTURE_ENDED else \
        "cancelled" if f["state"] & K.FL__FUTURE_CANCELLED else f"ended with {f['error']}"
    return f"{text(S('fl_task_type')(f['type'])['name']) if f['type'] else 'promise'}, {how}"


def of_readers(at):
    slots = read(address("fl__bias_slots"), K.FL__BIAS_SLOTS * K.FL__LINE) if number(at) & K.FL__BIAS else b""
    published = sum(struct.unpack_from("<Q", slots, i)[0] == at for i in range(0, len(slots), K.FL__LINE))
    return (number(at) & K.RWLOCK_COUNT) + published - (K.FL__BIAS_UNITS if slots else 0)


def of_bytes(at):
    b = S("fl_bytes")(at)
    return f"{b['size']} bytes{'' if b['owner_'] else ', borrowed'}: {read(b['data'], min(b['size'], 64)) if b['size'] else b''}"


def of_timer(at):
    t = S("fl_timer")(at)
    if not S("fl__timer")(at)["back"]:
        return "not pending"
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) if is_live() else 0
    left = (t["heap_"] - now) / 1e9
    due = f"and was due {-left:.3f} s ago" if left < 0 else f"{'in' if now else 'at'} {left:.3f} s"
    return f"calls {symbol(t['function_'])}({symbol(t['arg_']) or hex(t['arg_'])}) {due}"


DESCRIBE = {
    "fl_queue": of_queue, "fl_future": of_future, "fl_bytes": of_bytes, "fl_timer": of_timer,
    "fl_mutex": lambda at: "held" if number(at) & (K.MUTEX_LOCKED | K.MUTEX_WATCHED) else "free",
    "fl_rmutex": lambda at: f"owner: context {number(at, 'Q')}" if number(at, "Q") else "free",
    "fl_rwlock": lambda at: "a writer holds it" if number(at) & K.RWLOCK_WRITER else f"{of_readers(at)} readers hold it",
    "fl_shm_mutex": lambda at: f"held by thread {number(at) & K.FL__SHM_TID}" if number(at) & K.FL__SHM_TID else "free",
    "fl_cond": lambda at: "waiters" if number(at) & 1 else "no waiters",
    "fl_sem": lambda at: f"{number(at) & K.FL_SEM_MAX} permits",
    "fl_shm_sem": lambda at: f"{S('fl_shm_sem')(at)['word_'] & K.FL_SEM_MAX} permits",
    "fl_event": lambda at: "set" if number(at) & (K.EVENT_SET | K.EVENT_ONE_SET) else "not set",
    "fl_shm_event": lambda at: "set" if S("fl_shm_event")(at)["word_"] & K.EVENT_SET else "not set",
    "fl_latch": lambda at: f"counts left: {number(at) & K.FL_LATCH_MAX}",
    "fl_once": lambda at: "done" if number(at) & K.ONCE_DONE else "running" if number(at) & K.ONCE_RUNNING else "not done",
    "fl_barrier": of_barrier,
    "fl_shm_barrier": lambda at: (lambda b: f"{b['word_'] & K.FL_SHM_BARRIER_MAX} of {b['parties_']} parties")(S("fl_shm_barrier")(at)),
    "fl_group": lambda at: f"members that have not ended: {S('fl_group')(at)['members_'] % 2**32 // K.FL__GROUP_MEMBER}",
    "fl_executor": lambda at: S("fl_executor")(at)["name"],
    "fl_fiber": lambda at: S("fl_fiber")(at)["in.name"],
}
OPAQUE = ("fl_queue", "fl_future", "fl_executor", "fl_fiber")  # users have pointers to them


def printer(value):
    of = value.type.strip_typedefs()
    pointer = of.code == gdb.TYPE_CODE_PTR
    name = (of.target().strip_typedefs() if pointer else of).tag
    if name not in DESCRIBE or pointer != (name in OPAQUE):
        return None
    PAGES.clear()
    try:
        at = int(value) if pointer else int(value.address or 0)
        said = f"{f'{at:#x} ' if pointer else ''}{{{DESCRIBE[name](at)}}}"
        return SimpleNamespace(to_string=lambda: said) if at else None
    except gdb.error:
        return None


# ---- Commands ----


def print_stack(frames):
    return "".join(f"      #{i} {frame}\n" for i, frame in enumerate(frames))


def print_groups(groups, words="{}"):
    """Things with the same stack together: {stack: [thing]}."""
    return "".join("    " + words.format("; ".join(map(str, same[:SHOWN])) + (f"; and {len(same) - SHOWN} more" if len(same) > SHOWN else ""))
                   + "\n" + print_stack(frames) for frames, same in groups.items())


def grouped(things, key):
    groups = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups


def cycles(world):
    """Cycles of contexts that each wait for the next."""
    edges = {c: [h for h in world.holders(c) + world.suspects(c) if isinstance(h, Context)] for c in world.contexts.values() if c.wait}
    done, path, left = set(), {}, [iter(edges)]  # the way here, and what each context on it has still to try
    while left:
        context = next(left[-1], None)
        if context is None:
            left.pop()
            done.add(path.popitem()[0] if path else None)
        elif context in path:
            yield list(path)[list(path).index(context):]
        elif context in edges and context not in done:
            path[context] = None
            left.append(iter(edges[context]))


def print_cycle(world, cycle):
    sure = not any(world.suspects(context) for context in cycle)
    return f"{'deadlock' if sure else 'probably a deadlock'}: each of these waits for the next, and the last for the first\n" + \
        "".join(f"    {context} waits{world.time(context)} for {world.awaited(context)}\n" for context in cycle)


def print_held(world, lock):
    said = ""
    for holder, held in world.held.get(lock, ()):
        stack = held["stack.at"]
        frames = readable([(symbol(at).split("+")[0] or hex(at), "") for at in stack[:(*stack, 0).index(0)]])
        said += f"    held{' to read' if held['how'] & K.FL__DEBUG_READ else ''} by {holder}, taken at\n" + print_stack(frames)
    return said


def print_object(world, waiters):
    (kind, of), holders = waiters[0].wait, world.holders(waiters[0])
    named = {stack: [f"{c}{world.time(c)}" for c in same] for stack, same in grouped(waiters, world.stack).items()}
    said = world.awaited(waiters[0])
    if holders and kind != KIND["JOIN"] and of not in world.held:
        said += f", held by {', '.join(map(str, holders))}"
    said += "\n" + print_held(world, of) + print_groups(named, "waits: {}")
    return said + print_groups(grouped(world.suspects(waiters[0]), world.stack), "has its address, so may hold it: {}")


def print_waits(world, names=KIND):
    waiting = [c for c in world.contexts.values()
               if c.wait and WORDS[c.wait[0]][0] in names and c.wait[0] not in (KIND["TASK"], KIND["DUE"])]
    order = sorted(grouped(waiting, lambda c: c.wait).items(), key=lambda o: (WORDS[o[0][0]][0] in ENDS, WORDS[o[0][0]][0] not in LOCKS))
    said = "".join(print_cycle(world, cycle) for cycle in cycles(world))
    said += "".join(print_object(world, waiters) for _, waiters in order)
    for lock in world.held.keys() - {of for (_, of), _ in order}:
        said += f"{WORDS[world.held[lock][0][1]['kind']][1].replace('@', world.name(lock))}, without waiters\n" + print_held(world, lock)
    return said


def threads(world, _):
    for thread in world.threads:
        context, fibers_of = thread.context, [c for c in world.contexts.values() if c.fiber and c.fiber["in.sched"] == thread.sched_at]
        said = f"{context.name} ({context.id})" if context else thread.gdb.name or "no context"
        if fibers_of:
            said += f", has a loop of {len(fibers_of)} fibers" + "".join(f", runs fiber {c}" for c in fibers_of if world.runs(c))
        elif context and context.wait:
            said += f", waits{world.time(context)} for {world.awaited(context)}"
        yield f"{thread}, LWP {thread.tid}: {said}\n" + print_stack(thread.stack())


def fibers(world, wanted):
    for sched in world.scheds.values():
        mine = [c for c in world.contexts.values() if c.fiber and c.fiber["in.sched"] == sched.at and wanted in ("", c.name, str(c.id))]
        yield f"loop {sched['config.user']:#x} of {world.contexts.get(sched['host.thread'], 'no thread')}: {len(mine)} fibers\n"
        for frames, same in grouped(sorted(mine, key=lambda c: c.id), world.stack).items():
            for c in same:
                does = f"waits{world.time(c)} for {world.awaited(c)}" if c.wait else "runs" if world.runs(c) else "is runnable"
                yield f"  {c} {does}, started by {world.by_id.get(c.fiber['parent'], c.fiber['parent'])}\n"
            yield print_stack(frames)


def waits(world, _):
    yield print_waits(world)
    yield from (print_pool(world, e) for e in world.executors.values() if e.is_starved())
    first = variable("timer_heap")
    if first:
        yield f"the next timer {of_timer(first)}\n"


def locks(world, _):
    yield print_waits(world, LOCKS) or "no context is known to hold a lock, or to wait for one\n"


def print_pool(world, e):
    said = f"executor {e.view['name']} ({e.kind}) at {e.at:#x}: pending tasks: {e.pending}; workers: {e.counts}" + \
        f"{', closed' if e.view['closed'] else ''}{', broken' if e.view['broken'] else ''}{'; STARVED: all wait' if e.is_starved() else ''}\n"

    def key(w):
        idle = not w.future and (not w.context or not w.context.wait or w.context.wait[0] == KIND["TASK"])
        does = "is idle" if idle else f"has the task {of_future(w.future).split(',')[0]}" if w.future else "has no task"
        does += f", waits for {world.awaited(w.context)}" if not idle and w.context and w.context.wait else ""
        return does, world.stack(w.context) if w.context and not idle else ()
    for (does, frames), same in grouped(e.workers, key).items():
        said += print_groups({frames: [w.name for w in same]}, "{}: " + does.replace("{", "{{").replace("}", "}}"))
    return said


def pools(world, _):
    yield from (print_pool(world, e) for e in world.executors.values())
    if not world.executors:
        yield "no executor is known: none has a worker, and no context waits for one\n"


def queue(world, expression):
    at = int(gdb.parse_and_eval(f"(unsigned long)({expression})"))
    yield f"queue {world.name(at)}: {of_queue(at)}\n"
    for side, why in enumerate(("to get", "to put", "to join")):
        key = at + 4 * side + 1  # fl__queue_wait_key()
        yield print_groups(grouped([c for c in world.contexts.values() if c.key == key], world.stack), f"waits {why}: {{}}")


class Fl(gdb.Command):
    """Fairlead: who waits for what.

fl threads         each thread, with its stack
fl fibers [NAME]   the fibers of each loop, with what they wait for and their stacks; NAME: a name or a number
fl waits           each object that is waited for, its holder, the waiters and their stacks; deadlocks; starved executors
fl locks           of that only locks
fl pools           the executors, and what their workers do
fl queue EXPR      a queue, and its waiters

The holder is known of recursive and shared mutexes; of all locks in a program that runs with FL_DEBUG=waits."""
    COMMANDS = {f.__name__: f for f in (threads, fibers, waits, locks, pools, queue)}

    def __init__(self):
        super().__init__("fl", gdb.COMMAND_STATUS)

    def complete(self, line, word):
        return [name for name in self.COMMANDS if name.startswith(word)] if line == word else gdb.COMPLETE_SYMBOL

    def invoke(self, argument, from_tty):
        name, _, rest = argument.strip().partition(" ")
        if name not in self.COMMANDS or (name == "queue" and not rest):
            raise gdb.GdbError("fl threads, fibers, waits, locks, pools, or queue EXPR; `help fl` says more")
        thread = gdb.selected_thread()
        if not thread:
            raise gdb.GdbError("there is no process; attach to one, or load a core file")
        level = gdb.selected_frame().level()
        PAGES.clear()
        try:
            gdb.write("".join(self.COMMANDS[name](World(), rest.strip())))
        finally:
            thread.switch()
            gdb.execute(f"frame {level}", to_string=True)


Fl()
gdb.events.new_objfile.connect(lambda event: S.cache_clear())
gdb.events.clear_objfiles.connect(lambda event: S.cache_clear())
gdb.pretty_printers[:] = [p for p in gdb.pretty_printers if getattr(p, "__module__", "") != "fairlead"]
printer.__module__ = "fairlead"
gdb.pretty_printers.append(printer)
