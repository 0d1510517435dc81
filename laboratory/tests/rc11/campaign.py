# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of locks, conditions, semaphores, futexes, loops, allocation and atomics: the
laboratory against the enumerator.

    python3 laboratory/tests/rc11/campaign.py FAIRLEAD-STRESS RC11 [SEED [COUNT [EXECUTIONS]]]

The state of an object is a hidden location. Each step on it is a read-modify-write, or a read where
a try fails. The enumerator lists the executions of each combination of ways through the threads. So
it tells which outcomes the program has, whether a thread can wait for ever, and whether there is a
race. The same programs are compiled as C, and the laboratory runs each of them with at most
EXECUTIONS executions. It must not show another outcome. If it says that a program is proved, it
must have shown all outcomes. It must fail, in the right way, if and only if the program can.
"""
import collections
import concurrent.futures
import functools
import itertools
import os
import random
import re
import string
import subprocess
import sys
import tempfile

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import reduction

LABELS = 60
HEAD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
_Bool fl_stress_outcome(int expect, _Bool holds, const char *label);
static const char *const labels[] = {%s};
static atomic_uint x, y, spin;
static unsigned z, w, v[4], *block;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, n = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static pthread_barrier_t b[4];
static const struct timespec late = {1700002000, 0}, soon = {1, 0}, none; /* the model's time begins before */
#define rlx memory_order_relaxed
#define acq memory_order_acquire
#define rel memory_order_release
#define ar memory_order_acq_rel
#define sc memory_order_seq_cst
#define LOG(value) (v[self] = v[self] * 31 + (unsigned)(value) + 1)
#define GET(a, order) atomic_load_explicit(&a, order)
#define PUT(a, value, order) atomic_store_explicit(&a, value, order)
#define SWAP(a, value, order) atomic_exchange_explicit(&a, value, order)
#define ADD(a, value, order) atomic_fetch_add_explicit(&a, value, order)
#define TRY(lock, then, unlock) do { int e = lock; LOG(e); if (e == 0) { then; unlock; } } while (0)
#define LOCKED(a, then) do { pthread_mutex_lock(&a); then; pthread_mutex_unlock(&a); } while (0)
#define FUTEX(what, n) syscall(SYS_futex, &y, what, n, NULL, NULL, 0)
#define TIMED(what, until) (!syscall(SYS_futex, &y, what, 0, until, NULL, FUTEX_BITSET_MATCH_ANY) ? 0 : errno == ETIMEDOUT ? 2 : 1)
static _Bool ready(void) { return GET(x, acq) != 0; }
""" % ", ".join(f'"{i}"' for i in range(LABELS))
MAIN = r"""
static int number;
static void *run(void *arg)
{
	programs[number][(size_t)arg]((unsigned)(size_t)arg);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	number = atoi(argv[argc - 1]);
	sem_init(&s, 0, 0);
	for (unsigned i = 2; i < 4; i++)
		pthread_barrier_init(&b[i], NULL, i);
	block = calloc(2, sizeof *block);
	for (size_t i = 1; i < 4 && programs[number][i]; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	programs[number][0](0);
	for (size_t i = 1; i < 4 && programs[number][i]; i++)
		pthread_join(threads[i], NULL);
	const unsigned all[] = {v[0], v[1], v[2], v[3], *(unsigned *)&x, *(unsigned *)&y, z, w};
	unsigned hash = 17;
	for (int i = 0; i < 8; i++)
		hash = (hash ^ all[i]) * 0x9e3779b1u, hash ^= hash >> 15;
	(void)fl_stress_outcome(0, 1, labels[hash % (sizeof labels / sizeof *labels)]);
	return 0;
}
"""
# The profiles of a step, its text, and the ways through it. `&` joins parts, `|` separates
# alternatives, and `;` separates operations, in the text of program.h. After `?` is what an
# operation must read, as an expression of v; after `!`, no later value may come, either. `@` logs
# what the operation reads, and `=1` logs a number. "end" leaves the step, and "stop" means that the
# thread waits for ever. A way with "turn" shows nothing that no other way shows. $does and $seen
# are a step on an atomic object.
STEPS = """
atomic cxx20: LOG(GET($P, $get)); => R $P $get@
atomic cxx20: PUT($P, $V, $put); => W $P $V $put
atomic cxx20: LOG(GET($P, $get)); => R $P $get@
atomic cxx20: PUT($P, $V, $put); => W $P $V $put
atomic cxx20: LOG(SWAP($P, $V, $rmw)); => X $P $V $rmw@
atomic cxx20: LOG(ADD($P, $V, $rmw)); => A $P $V $rmw@
atomic cxx20: { unsigned e = $E; LOG(atomic_compare_exchange_strong_explicit(&$P, &e, $V, $rmw, rlx)); LOG(e); } => X $P $V $rmw ?v==$E; =1; =$E | =0; R $P rlx ?v!=$E@
atomic cxx20: atomic_thread_fence($fence); => F $fence
locks spins semaphores rwlocks conditions futexes awaits barriers mixed: $does => $seen
locks mixed: LOCKED(m, LOG(w); w += $G); => $lockm & A w $G rlx p@ & W m 0 rel
locks barriers mixed: LOCKED($L, $does); => $lock & $seen & W $L 0 rel
locks: LOCKED($L, LOCKED($N, LOG(w); w += $G)); => $lock & $other & A w $G rlx p@ & W $N 0 rel; W $L 0 rel
locks: LOCKED($L, TRY(pthread_mutex_trylock(&$N), LOG(w); w += $G, pthread_mutex_unlock(&$N))); => $lock & X $N 1 acq ?v==0; =0; A w $G rlx p@; W $N 0 rel | R $N rlx ?v>0; =16 & W $L 0 rel
locks mixed conditions: TRY(pthread_mutex_trylock(&$L), $does, pthread_mutex_unlock(&$L)); => X $L 1 acq ?v==0; =0 | R $L rlx ?v>0; =16; end & $seen & W $L 0 rel
locks mixed conditions: TRY(pthread_mutex_trylock(&m), LOG(w); w += $G, pthread_mutex_unlock(&m)); => X m 1 acq ?v==0; =0 | R m rlx ?v>0; =16; end & A w $G rlx p@ & W m 0 rel
locks: if (pthread_mutex_trylock(&$L)) { atomic_thread_fence(acq); LOG(GET(x, rlx)); } else { PUT(x, $S, rlx); atomic_thread_fence(rel); pthread_mutex_unlock(&$L); LOCKED($L, ); } => R $L rlx ?v>0; F acq; R x rlx@; end | X $L 1 acq ?v==0; W x $S rlx; F rel; W $L 0 rel & $lock & W $L 0 rel
locks: TRY(pthread_mutex_timedlock(&$L, &late), $does, pthread_mutex_unlock(&$L)); => X $L 1 acq ?v==0; =0 | R $L rlx ?v>0; =110; end & $seen & W $L 0 rel
spins: while (SWAP(spin, 1, acq)); LOG(z); z += 1; PUT(spin, 0, rel); => $spin & A z 1 rlx p@; W b 0 rel
spins: while (SWAP(spin, 1, acq)); $does PUT(spin, 0, rel); => $spin & $seen & W b 0 rel
spins: if (!SWAP(spin, 1, acq)) { LOG(z); z += 1; PUT(spin, 0, rel); } else LOG(7); => X b 1 acq ?v==0; A z 1 rlx p@; W b 0 rel | X b 1 acq ?v>0; =7
semaphores mixed conditions: sem_post(&s); => A s 1 rel
semaphores mixed: sem_post(&s); => A s 1 rel
semaphores mixed: sem_wait(&s); => A s -1 acq ?v>0 | R s rlx !v==0; stop; end
semaphores mixed conditions: LOG(sem_trywait(&s)); => A s -1 acq ?v>0; =0 | R s rlx ?v==0; =-1
semaphores: LOG(sem_timedwait(&s, &late)); => A s -1 acq ?v>0; =0 | R s rlx ?v==0; =-1
semaphores mixed: { int e; sem_getvalue(&s, &e); LOG(e); } => R s rlx@
semaphores: LOG(w = $S); PUT(x, $S, rlx); sem_post(&s); => W w $S rlx p; =$S; W x $S rlx; A s 1 rel
semaphores: { int e; sem_getvalue(&s, &e); LOG(e); atomic_thread_fence(acq); LOG(GET(x, rlx)); } => R s rlx@; F acq; R x rlx@
semaphores: if (sem_trywait(&s)) { atomic_thread_fence($fence); LOG(w); } => A s -1 acq ?v>0 | R s rlx ?v==0; F $fence; R w rlx p@
rwlocks: pthread_rwlock_rdlock(&r); LOG(w); pthread_rwlock_unlock(&r); => $read & R w rlx p@; A r -1 rel ?v>0 r
rwlocks mixed: pthread_rwlock_rdlock(&r); $does pthread_rwlock_unlock(&r); => $read & $seen & A r -1 rel ?v>0 r
rwlocks: pthread_rwlock_wrlock(&r); LOG(w); w += $G; pthread_rwlock_unlock(&r); => $write & A w $G rlx p@; A r -8 rel ?v>7
rwlocks mixed: pthread_rwlock_wrlock(&r); $does pthread_rwlock_unlock(&r); => $write & $seen & A r -8 rel ?v>7
rwlocks mixed: TRY(pthread_rwlock_tryrdlock(&r), $does, pthread_rwlock_unlock(&r)); => A r 1 acq ?v<8 r; =0 | R r rlx ?v>7; =16; end & $seen & A r -1 rel ?v>0 r
rwlocks mixed: TRY(pthread_rwlock_trywrlock(&r), $does, pthread_rwlock_unlock(&r)); => A r 8 acq ?v==0; =0 | R r rlx ?v>0; =16; end & $seen & A r -8 rel ?v>7
lines: TRY(pthread_rwlock_timedrdlock(&r, &late), $does, pthread_rwlock_unlock(&r)); => A r 1 acq ?v<8 r; =0 | R r rlx ?v>7; =110; end | A c 0 rlx ?v>0; =110; end & $seen & A r -1 rel ?v>0 r
lines: TRY(pthread_rwlock_clockrdlock(&r, CLOCK_MONOTONIC, &soon), LOG(w), pthread_rwlock_unlock(&r)); => A r 1 acq ?v<8 r; =0 | R r rlx ?v>7; =110; end | A c 0 rlx ?v>0; =110; end & R w rlx p@; A r -1 rel ?v>0 r
lines: TRY(pthread_rwlock_timedwrlock(&r, &late), w += $G, pthread_rwlock_unlock(&r)); => A c 1 rlx & A r 8 acq ?v==0; A c -1 rlx; =0 | R r rlx ?v>0; A c -1 rlx; =110; end & A w $G rlx p; A r -8 rel ?v>7
lines: pthread_rwlock_wrlock(&r); $does pthread_rwlock_unlock(&r); => $lines & $seen & A r -8 rel ?v>7
lines: pthread_rwlock_rdlock(&r); LOG(sem_trywait(&s)); sem_post(&s); $does pthread_rwlock_unlock(&r); => $behind & A s -1 acq ?v>0; =0 | R s rlx ?v==0; =-1 & A s 1 rel & $seen & A r -1 rel ?v>0 r
lines: pthread_rwlock_rdlock(&r); sem_wait(&s); pthread_rwlock_unlock(&r); => $behind & A s -1 acq ?v>0 | R s rlx !v==0; stop; end & A r -1 rel ?v>0 r
lines: pthread_rwlock_rdlock(&r); sem_post(&s); pthread_rwlock_unlock(&r); => $behind & A s 1 rel; A r -1 rel ?v>0 r
lines: sem_post(&s); => A s 1 rel
barriers: LOG(w); => R w rlx p@
barriers: w = $S; => W w $S rlx p
barriers-meets: LOG(pthread_barrier_wait(&b[$B])); => A c 1 rel ?v==$last; =-1 | A c 1 rel ?v<$last; =0 & $meets
barriers-meets: (void)pthread_barrier_wait(&b[$B]); => A c 1 rel & $meets
conditions-waits: LOCKED(m, while (!z) pthread_cond_wait(&c, &m); LOG(z)); => $lockm & R z rlx ?v>0 p@; W m 0 rel; end | turn; R z rlx ?v==0 p & $wait & R z rlx ?v>0 p@; W m 0 rel; end | R z rlx ?v==0 p & $wait & R z rlx ?v>0 p@; W m 0 rel
conditions-waits: LOCKED(m, if (!z) pthread_cond_wait(&c, &m); LOG(z)); => $lockm & R z rlx ?v>0 p; R z rlx p@; W m 0 rel; end | R z rlx ?v==0 p & W m 0 rel | $wait & R z rlx p@; W m 0 rel
conditions-wakes: LOCKED(m, z = $S; pthread_cond_signal(&c)); => $lockm & W z $S rlx p & $signal & W m 0 rel
conditions-wakes: LOCKED(m, z = $S); pthread_cond_signal(&c); => $lockm & W z $S rlx p; W m 0 rel & $signal
conditions-wakes: LOCKED(m, z = $S; pthread_cond_broadcast(&c)); => $lockm & W z $S rlx p; X c 0 rlx; W m 0 rel
conditions-wakes: LOCKED(m, z = $S); pthread_cond_broadcast(&c); => $lockm & W z $S rlx p; W m 0 rel; X c 0 rlx
conditions-wakes: pthread_cond_signal(&c); => $signal
futexes-waits: if (!GET(y, rlx)) LOG(FUTEX(FUTEX_WAIT, 0)); => R y rlx ?v>0; end | R y rlx ?v==0 & $sleep; =0 | $asleep | R y rlx k; =-1 | R y rlx ?v==0 k; =0
futexes-waits: { unsigned e; while (!(e = GET(y, acq))) FUTEX(FUTEX_WAIT, 0); LOG(e); } => R y acq ?v>0@; end | turn; R y acq ?v==0 & $sleep | $asleep | R y rlx ?v>0 k & R y acq ?v>0@; end | R y acq ?v==0 & $sleep | $asleep | R y rlx ?v>0 k & R y acq ?v>0@
futexes-wakes: PUT(x, $S, rlx); PUT(y, $S, $put); LOG(FUTEX(FUTEX_WAKE, 1)); => W x $S rlx; W y $S $put & $wake
futexes-wakes: PUT(y, $S, $put); LOG(FUTEX(FUTEX_WAKE, 1)); => W y $S $put & $wake
futexes-wakes: PUT(y, $S, $put); LOG(FUTEX(FUTEX_WAKE, 1)); PUT(x, $S, rlx); => W y $S $put & $wake & W x $S rlx
futexes-wakes: LOG(FUTEX(FUTEX_WAKE, 1)); => $wake
futexes-waits wakes-waits: LOG(TIMED(FUTEX_WAIT, &soon)); => $sleep; =0 | $ends
futexes-waits: if (!GET(y, rlx)) LOG(TIMED(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, &late)); => R y rlx ?v>0; end | R y rlx ?v==0 & $sleep; =0 | $ends
futexes-waits: for (int i = 0; i < 2 && !GET(y, acq); i++) LOG(TIMED(FUTEX_WAIT, &soon)); => R y acq ?v>0; end | R y acq ?v==0 & $sleep; =0 | $ends & R y acq ?v>0; end | R y acq ?v==0 & $sleep; =0 | $ends
futexes wakes: LOG(TIMED(FUTEX_WAIT, &none)); => R y rlx ?v>0 k; =1 | R y rlx ?v==0 k; =2
futexes-waits: LOG(FUTEX(FUTEX_WAIT, 0)); => $sleep; =0 | $asleep | R y rlx k; =-1 | R y rlx ?v==0 k; =0
futexes-wakes wakes-wakes: LOG(FUTEX(FUTEX_WAKE, 2)); => $two
futexes-wakes wakes-wakes: PUT(y, $S, $put); LOG(FUTEX(FUTEX_WAKE, 2)); => W y $S $put & $two
wakes-wakes: PUT(x, $S, rlx); LOG(FUTEX(FUTEX_WAKE, 2)); LOG(GET(x, rlx)); => W x $S rlx & $two & R x rlx@
futexes-waits: w = $S; atomic_thread_fence($fence); LOG(FUTEX(FUTEX_WAIT, 0)); => W w $S rlx p; F $fence & $sleep; =0 | $asleep | R y rlx k; =-1 | R y rlx ?v==0 k; =0
futexes-wakes: atomic_thread_fence($fence); if (FUTEX(FUTEX_WAKE, 1)) { atomic_thread_fence($fence); LOG(w); } => F $fence & $woke & F $fence; R w rlx p@
awaits mixed: { register int i = 0; while (!ready() && i < 2) i++; LOG(i); } => R x acq ?v>0; =0 | R x acq ?v==0; R x acq ?v>0; =1 | R x acq ?v==0; R x acq ?v==0; R x acq; =2
awaits: { int i = 0; while (!ready() && i < 2) i++; LOG(i); } => R x acq ?v>0; =0 | R x acq ?v==0; R x acq ?v>0; =1 | R x acq ?v==0; R x acq ?v==0; R x acq; =2
awaits mixed: for (int i = 0; i < 2 && !GET(x, $get); i++) LOG(i); => R x $get ?v>0 | R x $get ?v==0; =0; R x $get ?v>0 | R x $get ?v==0; =0; R x $get ?v==0; =1
awaits: while (!GET(x, $get)) sched_yield(); => R x $get ?v>0 | R x rlx !v==0; stop; end
awaits mixed: while (!GET(x, $get)); => R x $get ?v>0 | R x rlx !v==0; stop; end
awaits mixed: { unsigned e = GET(y, rlx); while (!atomic_compare_exchange_weak_explicit(&y, &e, e + 1, acq, rlx)); LOG(e); } => A y 1 acq@
awaits mixed: PUT(y, $S, rlx); PUT(x, $S, rel); => W y $S rlx; W x $S rel
sections: LOCKED($L, LOG(w)); => $lock & R w rlx p@ & W $L 0 rel
sections: LOCKED($L, LOG(z)); => $lock & R z rlx p@ & W $L 0 rel
sections: LOCKED($L, LOCKED($N, LOG(w))); => $lock & $other & R w rlx p@ & W $N 0 rel; W $L 0 rel
sections: LOCKED($L, sem_wait(&s)); => $lock & A s -1 acq ?v>0 | R s rlx !v==0; stop; end & W $L 0 rel
sections: LOCKED(m, LOG(w); w += $G); => $lockm & A w $G rlx p@ & W m 0 rel
sections: sem_wait(&s); => A s -1 acq ?v>0 | R s rlx !v==0; stop; end
sections: sem_post(&s); => A s 1 rel
allocation: LOG(*block); => R b rlx p@
allocation: *block = $S; PUT(x, 1, rel); => W b $S rlx p; W x 1 rel
allocation: if (GET(x, $get)) LOG(*block); => R x $get ?v==0 | R x $get ?v>0; R b rlx p@
allocation: if (GET(x, $get)) free(block); => R x $get ?v==0 | R x $get ?v>0; W b 0 rlx f
allocation: LOG(*block); if (ADD(y, 1, ar) == 1) free(block); => R b rlx p@; A y 1 ar ?v!=1 | R b rlx p@; A y 1 ar ?v==1; W b 0 rlx f
allocation: LOCKED(m, if (!w) free(block); w++); => $lockm & A w 1 rlx ?v==0 p; W b 0 rlx f | A w 1 rlx ?v>0 p & W m 0 rel
allocation: LOCKED(m, if (!w) LOG(*block)); => $lockm & R w rlx ?v==0 p; R b rlx p@ | R w rlx ?v>0 p & W m 0 rel
"""
PROFILES = ("locks", "spins", "semaphores", "rwlocks", "lines", "conditions", "futexes", "awaits", "barriers", "sections", "allocation", "cxx20", "wakes", "mixed")


@functools.cache
def of_kind(kind):
    """(text, ways) of the steps."""
    return [line.split(": ", 1)[1].split(" => ") for line in STEPS.strip().splitlines() if kind in line.split(": ", 1)[0].split()]


def joined(parts, last):
    """Each choice of an alternative of each part, up to one with the last operation."""
    ways = [()]
    for part in parts:
        ways = [way if last in way else way + more for way in ways for more in part]
    return list(dict.fromkeys(ways))


def step(rng, kind, t, waiters, full=0, inner=False):
    """The text of a random step, and the ways through it. `full`: how often threads have come to the barrier when it opens."""
    text, ways = rng.choice(of_kind(kind))
    one, other = rng.sample("mn", 2)
    lock = "X {0} 1 acq ?v==0 | R {0} rlx !v>0; stop; end".format
    enqueues, sleeps = f"A c {1 << t} rlx ?~v>>{t}&1; ", f"R y rlx ?v==0 k; R c rlx "
    woken, forgotten = f"?~v>>{t}&1", f"!v>>{t}&1; stop; end"
    wakes = " | ".join([f"A c {-(1 << i)} rlx ?v>>{i}&1; =1" for i in waiters] + ["A c 0 rlx ?v==0; =0"])
    pairs = [f"A c {-(1 << i) - (1 << j)} rlx ?v>>{i}&v>>{j}&1; =2" for i, j in itertools.combinations(waiters, 2)]
    unlocks = enqueues + "W m 0 rel; R c rlx "
    names = {"L": one, "N": other, "lock": lock(one), "other": lock(other), "lockm": lock("m"), "P": rng.choice("xy"), "V": rng.randrange(1, 4),
             "E": rng.randrange(3), "S": t + 1, "G": 1 << 2 * t, "get": rng.choice(("rlx", "acq", "sc")), "put": rng.choice(("rlx", "rel", "sc")),
             "rmw": rng.choice(("rlx", "acq", "rel", "ar", "sc")), "fence": rng.choice(("acq", "rel", "ar", "sc", "sc")),
             "spin": "turn; X b 1 acq ?v>0; X b 1 acq ?v==0 | " + lock("b"), "read": "A r 1 acq ?v<8 r | R r rlx !v>7; stop; end",
             "write": "A r 8 acq ?v==0 | R r rlx !v>0; stop; end", "wait": f"{unlocks}{woken} | {unlocks}{forgotten} & {lock('m')}",
             "signal": re.sub("; =.", "", wakes), "wake": wakes, "woke": wakes.replace("; =1", "").replace("; =0", "; end"), "two": " | ".join(pairs + [f"A c {-(1 << i)} rlx ?v=={1 << i}; =1" for i in waiters] + ["A c 0 rlx ?v==0; =0"]),
             "ends": "R y rlx k; =1 | R y rlx ?v==0 k; =0 | R y rlx ?v==0 k; =2", "sleep": enqueues + sleeps + woken, "asleep": enqueues + sleeps + forgotten,
             "lines": "A c 1 rlx & A r 8 acq ?v==0; A c -1 rlx | R r rlx !v>0; stop; end",
             "behind": "A r 1 acq ?v<8 r | R r rlx !v>7; stop; end | A c 0 rlx ?v>0; R c rlx !v>0; stop; end", "B": len(waiters), "last": full - 1, "meets": f"R c acq ?v=={full} | R c rlx !v<{full}; stop; end"}
    if not inner:
        names["does"], names["seen"] = step(rng, "atomic", t, waiters, inner=True)
    text, ways = [string.Template(part).substitute(names) for part in (text, ways)]
    return (text, ways) if inner else (text, joined([[tuple(way.split("; ")) for way in part.split(" | ")] for part in ways.split(" & ")], "end"))


def program(rng):
    """(profile, the text of each thread, the ways through each thread)"""
    while True:
        profile = rng.choice(PROFILES)
        n = 4 if profile == "wakes" else rng.choice((2, 2, 3))
        waiters = rng.sample(range(n), rng.randrange(2, n + 1) if profile == "barriers" else 3 if profile == "wakes" else rng.choice((1, 1, n - 1)))
        rounds = rng.choice((1, 1, 2))
        threads = []
        for t in range(n):
            kinds = [profile] * (profile == "wakes" or rng.choice((1, 2, 2)) + (n == 2 and profile in ("cxx20", "semaphores", "allocation")))
            if of_kind(profile + "-waits"):
                kinds[rng.randrange(len(kinds))] += "-waits" if t in waiters else "-wakes"
            for _ in range(rounds - (rng.random() < 0.05) if profile == "barriers" and t in waiters else 0):
                kinds.insert(rng.randrange(len(kinds) + 1), "barriers-meets")
            steps = [step(rng, kind, t, waiters, len(waiters) * (1 + kinds[:i].count(kind))) for i, kind in enumerate(kinds)]
            threads.append((" ".join(text for text, _ in steps), joined([[tuple(op for op in way if op != "end") for way in ways] for _, ways in steps], "stop")))
        every = list(itertools.product(*(ways for _, ways in threads)))
        if len(every) <= 500 and all(map(fits, every)):
            return profile, threads, every


@functools.cache
def operation(op):
    """An operation in the text of program.h, where a set of values is a set of bits, and a step on an
    object has a mark. Returns no text for what the enumerator does not need.
    """
    text = re.sub(r"([?!])(~?v\S*)", lambda f: f"{f[1]}{sum(1 << v for v in range(64) if eval(f[2], {'v': v})):x}", op.strip("@"))
    return [re.sub("^([RWXA] [mnscr] .*[^r])$", r"\1 o", text)] * (op[0] in "RWXAF")


def fits(way):
    """Whether the enumerator takes the program."""
    ops = [op for ops in way for op in ops if op[0] in "RWXAF"]
    return max(map(len, way)) <= 16 and sum(1 + (op[0] in "XA") for op in ops) + len({op[2] for op in ops if op[0] != "F"}) <= 32


def label_of(way, line):
    """The outcome that the program shows where the enumerator has this line."""
    reads, finals = [iter([int(word) for word in part.split()]) for part in line.partition("|")[::2]]
    named = {op.split()[1] for ops in way for op in ops if op[0] in "RWXA"}
    values = [0, 0, 0, 0]
    for t, ops in enumerate(way):
        for op in ops:
            read = next(reads) if op[0] in "RXA" else op[1:]
            if op[0] == "=" or op[-1] == "@":
                values[t] = (values[t] * 31 + int(read) + 1) & 0xffffffff
    ends = {place: next(finals) for place in "xyzwbmnscr" if place in named}
    word = 17
    for value in values + [ends.get(place, 0) for place in "xyzw"]:
        word = (word ^ value) * 0x9e3779b1 & 0xffffffff
        word ^= word >> 15
    return str(word % LABELS)


def truths(rc11, programs):
    """Of each program: its outcomes, whether it gets stuck, whether it races, and how many
    executions it has.
    """
    found = [[set(), False, False, 0] for _ in programs]
    for options in ([], ["--cxx20"]):
        ways = [(truth, way) for truth, (profile, _, every) in zip(found, programs) if (profile == "cxx20") == bool(options) for way in every]
        text = "".join(f"P {i}\n" + "".join(f"T {'; '.join(itertools.chain(*map(operation, ops)))}\n" for ops in way) + "E\n" for i, (_, way) in enumerate(ways))
        for line in subprocess.run([rc11, *options, "enumerate"], input=text, text=True, stdout=subprocess.PIPE, check=True).stdout.splitlines():
            if line[0] == "P":
                i, executions, races = [int(number) for number in re.findall(r"\d+", line)]
                truth, way = ways[i]
                said = set(itertools.chain(*way))
                truth[1] |= "stop" in said and executions > 0
                truth[2] |= races > 0
                truth[3] += executions * ("turn" not in said)
            elif line[0] in "+-" and "stop" not in said:
                truth[0].add(label_of(way, line[2:]))
    return found


def judge(tool, module, executions, number, profile, truth):
    """The result of the laboratory, and what is wrong with it."""
    outcomes, stuck, races, _ = truth
    test, states = reduction.search(tool, module, number, "--executions", str(executions), *["--std", "c++20"] * (profile == "cxx20"))
    shown, verdict = set(states), test["verdict"]
    right = ["deadlock", "lost_wakeup", "livelock"] * stuck + ["data_race", "use_after_free"] * races or ["passed"]
    wrong = []
    if verdict not in right:
        wrong.append(f"{verdict} {test['message']}, not {right[0]}")
    if shown - outcomes and not races:
        wrong.append(f"shows {shown - outcomes}")
    if test["proved"] and outcomes - shown:
        wrong.append(f"does not show {outcomes - shown}")
    return test, wrong


def check(tool, rc11, seed, count, executions=20000):
    """The programs that are wrong, those that are not proved, and for each profile a line of
    counts.
    """
    rng, counts = random.Random(seed), {profile: collections.Counter() for profile in PROFILES}
    programs, wrong, unproved = [program(rng) for _ in range(count)], [], []
    text, table = HEAD, ""
    for i, (_, threads, _) in enumerate(programs):
        text += "".join(f"static void p{i}_{t}(unsigned self)\n{{\n\t(void)self;\n\t{body}\n}}\n" for t, (body, _) in enumerate(threads))
        table += f"\t{{{', '.join(f'p{i}_{t}' for t in range(len(threads)))}}},\n"
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        module = reduction.built(f"{text}static void (*const programs[][4])(unsigned self) = {{\n{table}}};\n{MAIN}", folder)
        known = truths(rc11, programs)
        results = pool.map(lambda i: judge(tool, module, executions, i, programs[i][0], known[i]), range(count))
        for i, (test, bad) in enumerate(results):
            profile, threads, _ = programs[i]
            state = "proved" if test["proved"] else "open" if test["verdict"] == "passed" else "failed"
            counts[profile].update([state])
            if state == "proved":
                counts[profile].update(executions=test["complete"], blocked=test["blocked"], classes=known[i][3])
            if bad or state == "open":
                (wrong if bad else unproved).append("\n  ".join([f"seed {seed}, program {i}, {profile}, {state}: {'; '.join(bad + test['limits'])}"] +
                                                                [body for body, _ in threads]))
    return wrong, unproved, [" ".join([profile] + [f"{name} {n}" for name, n in sorted(counted.items())]) for profile, counted in counts.items()]


def main():
    """Prints the programs that are wrong or not proved, and the counts. The status is 1 if any is
    wrong.
    """
    seed, count, executions = [int(text) for text in (sys.argv[3:] + ["1", "500", "20000"][len(sys.argv) - 3:])]
    wrong, unproved, counts = check(sys.argv[1], sys.argv[2], seed, count, executions)
    print(*unproved, *wrong, *counts, f"seed {seed}, {count} programs, {len(wrong)} wrong", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
