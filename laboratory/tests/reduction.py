# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of all that threads share: the laboratory's search with reduction against its
search without.

    python3 laboratory/tests/reduction.py FAIRLEAD-STRESS [SEED [COUNT [NUMBER]]]

Each thread folds what its steps returned into a number. A program that joins its threads ends in a
state: these numbers and all variables. In another program, whose end cuts threads off, each number
of each thread is a state. The search without bounds (source sets, sleep sets, awaits) must reach
the states that the search of all interleavings reaches, and no others. The search by execution
graphs must reach them, too, if it has all steps. A program that fails must fail in each search. No
search may prove one of FAILING. With NUMBER, the command prints that program.
"""
import concurrent.futures
import functools
import json
import os
import random
import subprocess
import sys
import tempfile

EXECUTIONS = "30000"  # so many may be enough for a search of all interleavings
HEAD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LABELS = 60 };
static const char *const labels[LABELS] = {%s};
_Bool fl_stress_outcome(int expect, _Bool holds, const char *label);
void fl_stress_assume(_Bool condition);

/* Two of the variables are in one word of 8 bytes, all others apart. */
#define APART _Alignas(64) static
APART atomic_uint x;
APART atomic_uint y, word;
APART pthread_mutex_t m[2], errors, robust, recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
APART pthread_cond_t c = PTHREAD_COND_INITIALIZER;
APART pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
APART pthread_spinlock_t spin;
APART pthread_once_t once = PTHREAD_ONCE_INIT;
APART pthread_barrier_t barrier;
APART pthread_key_t key;
APART sem_t sem;
APART unsigned guarded[2], shared, ready, values[3];
static struct block { pthread_mutex_t m; pthread_cond_t c; sem_t sem; int ready; } *block;
static _Atomic(pthread_cond_t *) lent;
static unsigned *_Atomic told;
static pthread_t threads[3];
static int ends[2]; /* of a pipe */
static const struct timespec late = {1700002000, 0}; /* the model's time begins before */
static _Bool joins;

static void see(unsigned hash)
{
	hash *= 0x9e3779b1u;
	(void)fl_stress_outcome(0, 1, labels[(hash ^ hash >> 15) %% LABELS]);
}

static unsigned more(unsigned self, unsigned value)
{
	values[self] = values[self] * 31 + value + 1;
	if (!joins)
		see(values[self] * 3 + self);
	return value;
}

static void end(void)
{
	const unsigned all[] = {guarded[0], guarded[1], shared, ready, values[0], values[1], values[2], x, y, word};
	unsigned hash = 17;
	for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
		hash = (hash ^ all[i]) * 0x9e3779b1u, hash ^= hash >> 15;
	see(hash);
}

#define RELAXED(call, ...) atomic_##call##_explicit(__VA_ARGS__, memory_order_relaxed)
#define GET(variable) RELAXED(load, &variable)
#define PUT(variable, value) RELAXED(store, &variable, value)
#define LOG(value) (void)more(self, (unsigned)(value))
#define TRY(lock, then, unlock) do { if (more(self, (unsigned)(lock)) == 0) { then; unlock; } } while (0)
#define GUARD(i) LOG(guarded[i] = guarded[i] * 5 + self + 1)
#define LOCKED(i, then) do { pthread_mutex_lock(&m[i]); then; pthread_mutex_unlock(&m[i]); } while (0)
#define VALUE() LOG((size_t)pthread_getspecific(key))
#define WAIT() syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0)
#define WAKE() syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0)

static void count(void) { pthread_setspecific(key, (char *)pthread_getspecific(key) + 1); }
static void forget(void *value) { RELAXED(fetch_add, &word, (unsigned)(size_t)value); }
static void *nested(void *arg) { return RELAXED(fetch_add, &x, 2), arg; }
static void ran_once(void) { RELAXED(fetch_add, &y, 3); }
static void at_exit(void) { see((unsigned)pthread_self()); PUT(x, 7); see(y = 3 * y + 1); }
static void at_exit_too(void) { see(y = 5 * y + 1); }
static _Bool is_set(void) { return GET(x) != 0; }
static int masked(void)
{
	sigset_t now;
	pthread_sigmask(0, NULL, &now);
	return sigismember(&now, SIGUSR1) + sigismember(&now, SIGUSR2);
}
static void mask(void)
{
	sigset_t more;
	sigemptyset(&more);
	sigaddset(&more, masked() ? SIGUSR2 : SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &more, NULL);
}
static void lend(void) { pthread_cond_t own = PTHREAD_COND_INITIALIZER; lent = &own; (void)GET(x); }
static void use_robust(unsigned self, int error)
{
	LOG(error);
	if (error == EOWNERDEAD)
		pthread_mutex_consistent(&robust);
	if (error == 0 || error == EOWNERDEAD)
		pthread_mutex_unlock(&robust);
}
""" % ", ".join(f'"{i}"' for i in range(60))

MAIN = r"""
static void *run(void *arg)
{
	programs[number][(size_t)arg]((unsigned)(size_t)arg);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_mutexattr_t a;
	number = atoi(argv[argc - 1]);
	void (*const *thread)(unsigned) = programs[number];
	joins = ends_by[number] == 'j';
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &a);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&errors, &a);
	pthread_spin_init(&spin, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_key_create(&key, forget);
	if (pipe2(ends, O_NONBLOCK) != 0)
		abort();
	sem_init(&sem, 0, 0);
	block = calloc(1, sizeof *block);
	sem_init(&block->sem, 0, 0);
	if (!joins)
		atexit(at_exit);
	threads[0] = pthread_self();
	for (size_t i = 1; i < 3 && thread[i]; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	thread[0](0);
	if (ends_by[number] == 'l')
		pthread_exit(NULL);
	if (!joins)
		return 0;
	for (size_t i = 1; i < 3 && thread[i]; i++)
		pthread_join(threads[i], NULL);
	end();
	return 0;
}
"""

# What a thread can do by itself, in two or three steps. The search by execution graphs has these
# steps.
OF_GRAPHS = [
    "LOCKED(0, GUARD(0));", "LOCKED(1, GUARD(1));", "LOCKED(0, LOG(GET(x)));", "LOCKED(1, PUT(y, self + 1));",
    "TRY(pthread_mutex_trylock(&m[0]), GUARD(0), pthread_mutex_unlock(&m[0]));",
    "TRY(pthread_mutex_trylock(&m[1]), GUARD(1), pthread_mutex_unlock(&m[1]));",
    "LOCKED(0, TRY(pthread_mutex_trylock(&m[1]), GUARD(1), pthread_mutex_unlock(&m[1])); GUARD(0));",
    "if (GET(x)) TRY(pthread_mutex_timedlock(&m[0], &(struct timespec){0, 0}), GUARD(0), pthread_mutex_unlock(&m[0]));",
    "LOG(pthread_mutex_unlock(&errors));", "PUT(x, self + 1); LOG(pthread_mutex_unlock(&errors));",
    "TRY(pthread_mutex_lock(&errors), LOG(GET(x)); LOG(pthread_mutex_lock(&errors)), pthread_mutex_unlock(&errors));",
    "TRY(pthread_mutex_trylock(&recursive), pthread_mutex_lock(&recursive); LOG(GET(x)); pthread_mutex_unlock(&recursive), "
    "pthread_mutex_unlock(&recursive));",
    "pthread_mutex_lock(&recursive); PUT(x, self + 1); LOG(pthread_mutex_unlock(&recursive)); LOG(pthread_mutex_unlock(&recursive));",
    "use_robust(self, pthread_mutex_lock(&robust));", "use_robust(self, pthread_mutex_trylock(&robust));",
    "pthread_spin_lock(&spin); PUT(x, self + 1); pthread_spin_unlock(&spin);",
    "TRY(pthread_spin_trylock(&spin), LOG(GET(x)), pthread_spin_unlock(&spin));", "LOG(RELAXED(fetch_add, &x, 1));", "LOG(atomic_fetch_add(&y, 1));",
    "LOG(GET(x)); PUT(y, self + 1);", "LOG(GET(y)); PUT(x, self + 5);", "atomic_store(&x, self + 1); LOG(atomic_load(&y));",
    "atomic_store(&y, self + 1); LOG(atomic_load(&x));", "{ unsigned one = 1; LOG(atomic_compare_exchange_strong(&x, &one, 9)); LOG(one); }",
    "{ unsigned one = GET(y); while (!atomic_compare_exchange_weak(&y, &one, one + 1)); LOG(one); }",
    "PUT(y, self + 1); atomic_thread_fence(memory_order_seq_cst); LOG(GET(x));", "for (int i = 0; i < 2 && !GET(x); i++) sched_yield(); LOG(GET(y));",
    "count(); VALUE();", "LOCKED(0, LOG(getenv(\"NEW\") != NULL));", "LOCKED(0, setenv(\"NEW\", \"\", 1));",
    "{ pthread_t own; pthread_create(&own, NULL, nested, NULL); LOG(GET(x)); pthread_join(own, NULL); }",
    "fl_stress_assume(GET(x) == 0); LOG(GET(y));", "if (GET(x)) exit(0);",
    "sem_post(&sem);", "LOG(sem_trywait(&sem));", "PUT(x, self + 1); sem_post(&sem); PUT(x, self + 4);",
    "{ int value; sem_getvalue(&sem, &value); LOG(value); }", "pthread_cond_signal(&c); LOG(GET(x));",
    "pthread_cond_broadcast(&c); PUT(x, self + 1);",
    "TRY(pthread_mutex_timedlock(&m[0], &late), GUARD(0), pthread_mutex_unlock(&m[0]));",
    "LOG(sem_timedwait(&sem, &late));",
    "PUT(y, self + 1); LOG(pthread_barrier_wait(&barrier)); LOG(GET(y));",
    "pthread_rwlock_rdlock(&rw); LOG(shared); pthread_rwlock_unlock(&rw);",
    "pthread_rwlock_rdlock(&rw); PUT(x, self + 1); PUT(y, self + 1); pthread_rwlock_unlock(&rw);",
    "pthread_rwlock_rdlock(&rw); LOG(GET(x)); LOG(GET(y)); pthread_rwlock_unlock(&rw);",
    "pthread_rwlock_wrlock(&rw); LOG(shared = shared * 5 + self + 1); pthread_rwlock_unlock(&rw);",
    "TRY(pthread_rwlock_tryrdlock(&rw), LOG(GET(x)), pthread_rwlock_unlock(&rw));",
    "TRY(pthread_rwlock_trywrlock(&rw), LOG(shared = shared * 5 + self + 1), pthread_rwlock_unlock(&rw));",
    "TRY(pthread_rwlock_timedwrlock(&rw, &late), PUT(x, self + 1), pthread_rwlock_unlock(&rw));",
    "LOG(WAKE());", "LOG(WAIT()); LOG(GET(x));", "usleep(1); LOG(GET(x));", "LOG(syscall(SYS_futex, &word, FUTEX_WAKE, 2, NULL, NULL, 0));",
    "LOG(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){1}, NULL, 0)); LOG(GET(x));",
    "TRY(pthread_rwlock_timedrdlock(&rw, &late), LOG(GET(x)), pthread_rwlock_unlock(&rw));",
]
STEPS = OF_GRAPHS + [
    "use_robust(self, pthread_mutex_timedlock(&robust, &late));", "LOG(pthread_mutex_trylock(&robust));",
    "LOCKED(0, LOG(pthread_cond_timedwait(&c, &m[0], &late)); GUARD(0));",
    "pthread_once(&once, ran_once); LOG(GET(y));",
    "{ char name[16]; pthread_getname_np(threads[0], name, sizeof name); LOG(name[0] == '1'); pthread_setname_np(threads[0], "
    "(char[]){'0' + self, 0}); }", "{ int own[2]; if (pipe(own) == 0) LOG(own[0]); }", "LOG(write(ends[1], \"\", 1)); PUT(x, self + 1);",
    "{ char byte; LOG(read(ends[0], &byte, 1)); }", "signal(SIGUSR1, SIG_IGN); PUT(x, self + 1);",
    "{ struct sigaction old; sigaction(SIGUSR1, NULL, &old); LOG(old.sa_handler == SIG_IGN); }",
    "{ pthread_key_t own; LOG(pthread_key_create(&own, NULL)); LOG(own); }", "atexit(at_exit);", "atexit(at_exit_too);",
    "LOG(pthread_tryjoin_np(threads[1], NULL));",
]
SIGNAL = "LOCKED(0, ready = 1; pthread_cond_signal(&c));"
# A step of one thread that waits for a step of another one, or takes away what the other one uses.
PAIRS = [
    ("LOCKED(0, while (!ready) pthread_cond_wait(&c, &m[0]); GUARD(0));", "LOCKED(0, GUARD(0); ready = 1; pthread_cond_signal(&c));"),
    ("LOCKED(0, while (!ready) pthread_cond_wait(&c, &m[0]); LOG(ready));", "LOCKED(0, ready = self + 3); pthread_cond_broadcast(&c);"),
    ("LOCKED(0, if (!ready) pthread_cond_wait(&c, &m[0]); LOG(ready); GUARD(0));", "LOCKED(0, ready = 1); pthread_cond_signal(&c);"),
    ("LOCKED(0, PUT(x, 1); while (!ready) pthread_cond_wait(&c, &m[0]));", "LOCKED(1, LOG(GET(x))); " + SIGNAL),
    ("LOCKED(0, while (!ready) { count(); pthread_cond_wait(&c, &m[0]); }); VALUE();", SIGNAL),
    ("LOCKED(0, while (!ready && pthread_cond_timedwait(&c, &m[0], &late) == 0); LOG(ready));", SIGNAL),
    ("pthread_mutex_lock(&errors); LOCKED(0, while (!ready) { pthread_cond_wait(&c, &m[0]); if (!ready) pthread_mutex_unlock(&errors); }); "
     "LOG(pthread_mutex_unlock(&errors));", SIGNAL),
    ("pthread_mutex_lock(&recursive); LOCKED(0, while (!ready) { LOG(pthread_mutex_lock(&recursive)); pthread_cond_wait(&c, &m[0]); }); "
     "while (pthread_mutex_unlock(&recursive) == 0);", SIGNAL),
    ("LOCKED(0, while (!ready) { pthread_cond_wait(&c, &m[0]); if (!ready && GET(x)) PUT(x, 1); });", SIGNAL),
    ("pthread_rwlock_rdlock(&rw); sem_wait(&sem); pthread_rwlock_unlock(&rw);",
     "pthread_rwlock_rdlock(&rw); sem_post(&sem); pthread_rwlock_unlock(&rw);"),
    ("sem_wait(&sem); LOG(GET(word));", "PUT(word, self + 1); sem_post(&sem); sem_post(&sem);"),
    ("while (!GET(word)) WAIT(); LOG(GET(x));", "RELAXED(fetch_add, &x, 1); PUT(word, 1); LOG(WAKE());"),
    ("if (!GET(word)) LOG(WAIT()); LOG(GET(word));", "PUT(word, 1); LOG(WAKE()); PUT(word, 2); WAKE();"),
    ("while (!GET(word)) { count(); WAIT(); } VALUE();", "PUT(word, 1); LOG(WAKE());"),
    ("while (!GET(x)) sched_yield(); LOG(GET(y));", "PUT(y, 1); PUT(x, 1);"),
    ("while (pthread_mutex_trylock(&m[0])) sched_yield(); GUARD(0); pthread_mutex_unlock(&m[0]);", "LOCKED(0, GUARD(0); PUT(y, self + 1));"),
    ("PUT(x, self + 1); LOG(pthread_barrier_wait(&barrier)); LOG(GET(y));", "PUT(y, self + 1); LOG(pthread_barrier_wait(&barrier)); LOG(GET(x));"),
    ("if (pthread_barrier_wait(&barrier)) pthread_barrier_destroy(&barrier);",) * 2,
    ("struct block *b = block; pthread_mutex_lock(&b->m); while (!b->ready) pthread_cond_wait(&b->c, &b->m); pthread_mutex_unlock(&b->m); free(b);",
     "struct block *b = block; pthread_mutex_lock(&b->m); b->ready = 1; pthread_mutex_unlock(&b->m); pthread_cond_signal(&b->c);"),
    ("struct block *b = block; pthread_mutex_lock(&b->m); while (!b->ready) pthread_cond_wait(&b->c, &b->m); pthread_mutex_unlock(&b->m); free(b);",
     "struct block *b = block; pthread_mutex_lock(&b->m); b->ready = 1; pthread_cond_signal(&b->c); pthread_mutex_unlock(&b->m);"),
    ("sem_wait(&block->sem); sem_destroy(&block->sem);", "sem_post(&block->sem);"),
    ("sem_wait(&block->sem); free(block);", "sem_post(&block->sem);"),
    ("PUT(x, 1); sem_post(&block->sem); PUT(y, 1);", "if (GET(x) && !GET(y)) free(block);"),
    ("pthread_mutex_lock(&block->m); pthread_mutex_unlock(&block->m); PUT(x, 9);", "if (atomic_load(&x) == 9) pthread_mutex_destroy(&block->m);"),
    ("pthread_cond_signal(&block->c); PUT(x, 9);", "if (GET(x) == 9) { pthread_cond_destroy(&block->c); pthread_cond_init(&block->c, NULL); }"),
    ("LOG(write(ends[1], \"\", 1)); close(ends[1]); PUT(y, 9);", "{ char byte; LOG(read(ends[0], &byte, 1)); LOG(read(ends[0], &byte, 1)); }"),
    ("VALUE(); PUT(y, 9);", "if (GET(y) == 9) pthread_key_delete(key);"),
]

# What the last step of a thread can be.
LAST = ["LOG(pthread_mutex_lock(&robust));", "LOG(pthread_mutex_trylock(&robust)); PUT(x, self + 1);", "exit(0);", "_exit(0);",
        "pthread_detach(threads[1]);"]

AWAIT = "LOCKED(0, PUT(x, 1); while (!ready) pthread_cond_wait(&c, &m[0]));"
SEEN = " if (%s) { while (!GET(x)) sched_yield(); _exit(3); }"
# Wrong programs that a search once proved, by how main ends: what each thread does.
FAILING = {"j": [
    [AWAIT, "pthread_once(&once, ran_once); if (!GET(x)) _exit(3); " + SIGNAL],
    ["sem_post(&sem); " + AWAIT, "LOCKED(1, ); if (sem_trywait(&sem)) _exit(3); " + SIGNAL],
    [AWAIT, "unsigned waits; LOCKED(0, waits = GET(x)); if (waits && pthread_mutex_timedlock(&m[0], &(struct timespec){0, 0}) == 0) "
     "pthread_mutex_unlock(&m[0]); else if (waits) atexit(abort); " + SIGNAL],
    [AWAIT, "pthread_mutex_lock(&errors); LOCKED(1, ); pthread_mutex_unlock(&errors); " + SIGNAL,
     "LOCKED(1, pthread_mutex_lock(&errors); pthread_mutex_unlock(&errors));"],
    ["LOCKED(0, while (!ready) { pthread_cond_wait(&c, &m[0]); if (!ready) atexit(abort); });", SIGNAL],
    ["pthread_mutex_lock(&recursive); while (!atomic_load(&x)) pthread_mutex_lock(&recursive); pthread_mutex_unlock(&recursive); "
     "pthread_mutex_unlock(&recursive);", "atomic_store(&x, 1);"],
    ["while (!atomic_load(&x)) mask(); if (masked()) exit(3);", "atomic_store(&x, 1);"],
    ["LOCKED(0, while (!ready) { mask(); pthread_cond_wait(&c, &m[0]); }); if (masked() > 1) exit(3);", SIGNAL],
    ["while (!atomic_load(&x)) errno = EINTR; if (errno == EINTR) exit(3);", "atomic_store(&x, 1);"],
    ["lend();", "if (lent) pthread_cond_signal(lent);"],
    ["LOCKED(0, while (!ready) pthread_cond_wait(&c, &m[0])); PUT(x, 1);",
     "const int busy = pthread_mutex_trylock(&m[0]); if (!busy) pthread_mutex_unlock(&m[0]); " + SIGNAL + SEEN % "busy"],
    ["unsigned own = 0; told = &own; LOCKED(0, own = 1; while (!ready) pthread_cond_wait(&c, &m[0])); PUT(x, 1);",
     "unsigned own = 0; LOCKED(0, if (told) own = *told; ready = 1; pthread_cond_signal(&c));" + SEEN % "own"],
    ["LOCKED(0, if (!shared) { while (!ready) pthread_cond_wait(&c, &m[0]); if (shared) _exit(3); });",
     "LOCKED(0, shared = ready = 1; pthread_cond_signal(&c));"],
    ["LOCKED(0, if (!RELAXED(fetch_add, &x, 0)) { while (!ready) pthread_cond_wait(&c, &m[0]); if (GET(x)) _exit(3); });",
     "LOCKED(0, PUT(x, 1); ready = 1; pthread_cond_signal(&c));"],
    ["unsigned *own = (unsigned[]){0}; while (!GET(x)) if (++*own > 2) _exit(3);", "PUT(x, 1);"],
    ["unsigned __own = 0; while (!GET(x)) if (++__own > 2) _exit(3);", "PUT(x, 1);"],
    ["register unsigned own = 0; while (!is_set() && own < 2) own++; if (own == 2) _exit(3);", "PUT(x, 1);"],
    ["register unsigned other = 0, own = other; while (!is_set() && own < 2) own += 1 + other; if (own == 2) _exit(3);", "PUT(x, 1);"],
    ["LOCKED(0, );", "PUT(x, 1); LOCKED(0, );", "if (pthread_mutex_timedlock(&m[0], &late) == 0) pthread_mutex_unlock(&m[0]); else if (GET(x)) _exit(3);"],
    ["PUT(x, 1); sem_post(&sem);", "if (sem_timedwait(&sem, &late) && GET(x)) _exit(3);"],
    ["if (pthread_barrier_wait(&barrier)) _exit(3);", "pthread_barrier_wait(&barrier);"],
    ["pthread_barrier_wait(&barrier); pthread_barrier_wait(&barrier);", "PUT(x, 1); pthread_barrier_wait(&barrier);",
     "pthread_barrier_wait(&barrier); if (!GET(x)) _exit(3);"],
], "e": [
    ["pthread_tryjoin_np(threads[1], NULL); PUT(x, 1);", "while (!GET(x)) sched_yield();", "pthread_join(threads[1], NULL);"],
]}


def function(name, rng):
    """The text of one program, its entry in the table, and how main ends: it joins all threads,
    exits, or leaves the end to the last thread.
    """
    n = rng.choice((2, 2, 3))
    kinds = OF_GRAPHS if rng.random() < 0.3 else STEPS
    steps = [[rng.choice(kinds) for _ in range(rng.choice((1, 2, 2)) if n == 2 else 1)] for _ in range(n)]
    if kinds is STEPS and rng.random() < 0.6:
        pair = rng.choice(PAIRS)
        for own, step in zip(rng.sample(steps, 2), pair):
            own[rng.randrange(len(own))] = step
    ends = rng.choice("jjjel")
    for own in steps:
        if rng.random() < 0.1:
            own.append(rng.choice(LAST))
            ends = "e" if "exit" in own[-1] else ends
    return written(name, ["\n\t".join(own) for own in steps], ends)


def written(name, bodies, ends):
    text = "".join(f"static void {name}_{i}(unsigned self)\n{{\n\t{body}\n}}\n" for i, body in enumerate(bodies))
    return text, f"\t{{{', '.join(f'{name}_{i}' for i in range(len(bodies)))}}},\n", ends


def source(seed, count):
    """The texts of the programs, and of the file with all of them."""
    rng = random.Random(seed)
    functions = [function(f"r{i}", rng) for i in range(count)]
    functions += [written(f"f{i}", bodies[::way], ends) for i, (bodies, ends, way) in enumerate(
        (bodies, ends, way) for ends, programs in FAILING.items() for bodies in programs for way in (1, -1))]
    table = "static int number;\nstatic void (*const programs[][3])(unsigned self) = {\n"
    return [text + entry + ends for text, entry, ends in functions], (
        HEAD + "".join(text for text, _, _ in functions) + table + "".join(entry for _, entry, _ in functions) +
        f"}};\nstatic const char ends_by[] = \"{''.join(ends for _, _, ends in functions)}\";\n" + MAIN)


def built(text, folder, name="random"):
    """A module for --load, from the text of a program."""
    path = os.path.join(folder, name)
    with open(path + ".c", "w", encoding="utf-8") as file:
        file.write(text)
    flags = ["-g", "-O0", "-fPIC", "-pthread", "-fno-builtin", "-w"]  # what is wrong in it, is on purpose
    subprocess.run(["cc", *flags, "-fsanitize=thread", "-c", path + ".c", "-o", path + ".o"], check=True)
    subprocess.run(["cc", *flags, "-shared", "-Wl,-Bsymbolic", "-Wl,-z,norelro", path + ".o", "-o", path + ".so"], check=True)
    return path + ".so"


def search(program, module, number, *options):
    """The result of a search of the program with that number, and the states that it reached."""
    done = subprocess.run([program, "--load", module, "--no-leaks", "--json", "--time", "10m", "--jobs", "1", *options, "--", str(number)],
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    test = json.loads(done.stdout)["tests"][0]
    return test, sorted(o["state"] for o in test["outcomes"])


def compare(program, module, text, faults, number):
    """How many executions the searches of one program had, and the differences in words."""
    run = functools.partial(search, program, module, number, "--faults", faults)
    every, states = run("--strategy", "dfs:1000", "--stale", "1000", "--executions", EXECUTIONS)
    passed = every["verdict"] == "passed"
    if passed and not every["complete"]:
        return [], []  # there are too many
    counts, wrong = [every["executions"]], []
    for strategy in ("dfs:all", "graphs"):
        test, reached = run("--strategy", strategy)
        if test["verdict"] == "skipped":
            continue
        counts.append(test["executions"])
        # The graphs have outcomes that no order of execution has. Which thread ends last is not
        # tried.
        last = any("ended last" in limit for limit in test["limits"])
        same = (last or set(reached) >= set(states)) and (strategy == "graphs" or set(reached) <= set(states))
        if (test["verdict"] == "passed") != passed or (passed and not same):
            wrong.append(f"{number}, --faults {faults}, all: {every['verdict']} {every['message']} {states}\n"
                         f"{strategy}: {test['verdict']} {test['message']} {reached}\n{text}")
    return counts, wrong


def proved(program, module, text, number):
    """What a search that proves a program of FAILING says, in words."""
    tests = [search(program, module, number, "--strategy", strategy)[0] for strategy in ("dfs:all", "graphs")]
    return [f"{number} is proved: {test['strategy']}\n{text}" for test in tests if test["proved"]]


def check(program, seed, count):
    """The differences, in words, and how many executions the searches had."""
    texts, text = source(seed, count)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        module = built(text, folder)
        done = list(pool.map(lambda each: compare(program, module, texts[each[1]], *each),
                             [(faults, i) for faults in ("none", "spurious,weak,timeout") for i in range(count)]))
        failing = list(pool.map(lambda i: proved(program, module, texts[i], i), range(count, len(texts))))
    return sum((wrong for _, wrong in done), sum(failing, [])), [counts for counts, _ in done if counts]


def main():
    """Prints the differences. The status is 1 if there are any."""
    program, (seed, count, *number) = sys.argv[1], [int(text) for text in (sys.argv[2:] + ["1", "40"][len(sys.argv) - 2:])]
    if number:
        print(source(seed, count)[0][number[0]])
        return 0
    wrong, runs = check(program, seed, count)
    for run in runs:
        print(*run)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
