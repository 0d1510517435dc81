# SPDX-License-Identifier: BSD-2-Clause
"""Random scenarios of locks, conditions, semaphores, futexes and atomics: the laboratory's search with reduction against its search without.

    python3 tests/stress/reduction.py FAIRLEAD-STRESS [SEED [COUNT]]

Each actor folds what its steps returned into a number, and the final state is these numbers and all variables. The search without
bounds (source sets, sleep sets, awaits) must reach the states that the search of all interleavings reaches, and no others.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

HEAD = r"""
#include <fairlead/stress.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { LABELS = 60 };
static const char *const labels[LABELS] = {%s};

struct all {
	pthread_mutex_t m[2];
	pthread_cond_t c;
	pthread_rwlock_t rw;
	sem_t sem;
	atomic_uint x, y, word;
	unsigned guarded[2], shared, ready, log[3];
};

#define RELAXED(call, ...) atomic_##call##_explicit(__VA_ARGS__, memory_order_relaxed)
#define LOG(value) (s->log[self] = s->log[self] * 31 + (value) + 1)
#define GUARD(i) LOG(s->guarded[i] = s->guarded[i] * 5 + self + 1)

static void end(const struct all *s)
{
	const unsigned values[] = {s->guarded[0], s->guarded[1], s->shared, s->ready, s->log[0], s->log[1], s->log[2], s->x, s->y, s->word};
	unsigned hash = 17;
	for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)
		hash = (hash ^ values[i]) * 0x9e3779b1u, hash ^= hash >> 15;
	(void)fl_stress_outcome(FL_STRESS_ACCEPTABLE, true, labels[hash %% LABELS]);
}
""" % ", ".join(f'"{i}"' for i in range(60))

# What an actor can do by itself. Each takes two or three steps.
STEPS = [
    "pthread_mutex_lock(&s->m[0]); GUARD(0); pthread_mutex_unlock(&s->m[0]);",
    "pthread_mutex_lock(&s->m[1]); GUARD(1); pthread_mutex_unlock(&s->m[1]);",
    "if (pthread_mutex_trylock(&s->m[0]) == 0) { GUARD(0); pthread_mutex_unlock(&s->m[0]); } else LOG(7);",
    "if (pthread_mutex_trylock(&s->m[1]) == 0) { GUARD(1); pthread_mutex_unlock(&s->m[1]); } else LOG(7);",
    "pthread_rwlock_rdlock(&s->rw); LOG(s->shared); pthread_rwlock_unlock(&s->rw);",
    "pthread_rwlock_wrlock(&s->rw); LOG(s->shared = s->shared * 5 + self + 1); pthread_rwlock_unlock(&s->rw);",
    "if (pthread_rwlock_tryrdlock(&s->rw) == 0) { LOG(s->shared); pthread_rwlock_unlock(&s->rw); } else LOG(7);",
    "if (pthread_rwlock_trywrlock(&s->rw) == 0) { LOG(s->shared = s->shared * 5 + self + 1); pthread_rwlock_unlock(&s->rw); } else LOG(7);",
    "sem_post(&s->sem);",
    "LOG(sem_trywait(&s->sem) == 0);",
    "LOG(RELAXED(fetch_add, &s->x, 1));",
    "LOG(RELAXED(load, &s->x)); RELAXED(store, &s->y, self + 1);",
    "LOG(RELAXED(load, &s->y)); RELAXED(store, &s->x, self + 5);",
    "{ unsigned one = 1; LOG(atomic_compare_exchange_strong(&s->x, &one, 9)); LOG(one); }",
    "RELAXED(store, &s->y, self + 1); atomic_thread_fence(memory_order_seq_cst); LOG(RELAXED(load, &s->x));",
    "pthread_mutex_lock(&s->m[0]); if (pthread_mutex_trylock(&s->m[1]) == 0) { GUARD(1); pthread_mutex_unlock(&s->m[1]); } GUARD(0); "
    "pthread_mutex_unlock(&s->m[0]);",
]
# A step of one actor that waits for a step of another one.
PAIRS = [
    ("pthread_mutex_lock(&s->m[0]); while (!s->ready) pthread_cond_wait(&s->c, &s->m[0]); GUARD(0); pthread_mutex_unlock(&s->m[0]);",
     "pthread_mutex_lock(&s->m[0]); GUARD(0); s->ready = 1; pthread_cond_signal(&s->c); pthread_mutex_unlock(&s->m[0]);"),
    ("pthread_mutex_lock(&s->m[0]); while (!s->ready) pthread_cond_wait(&s->c, &s->m[0]); LOG(s->ready); pthread_mutex_unlock(&s->m[0]);",
     "pthread_mutex_lock(&s->m[0]); s->ready = self + 3; pthread_mutex_unlock(&s->m[0]); pthread_cond_broadcast(&s->c);"),
    ("pthread_mutex_lock(&s->m[0]); if (!s->ready) pthread_cond_wait(&s->c, &s->m[0]); LOG(s->ready); GUARD(0); pthread_mutex_unlock(&s->m[0]);",
     "pthread_mutex_lock(&s->m[0]); s->ready = 1; pthread_mutex_unlock(&s->m[0]); pthread_cond_signal(&s->c);"),
    ("sem_wait(&s->sem); LOG(RELAXED(load, &s->word));", "RELAXED(store, &s->word, self + 1); sem_post(&s->sem); sem_post(&s->sem);"),
    ("while (RELAXED(load, &s->word) == 0) fl_stress_futex_wait(&s->word, 0, INT64_MAX); LOG(RELAXED(load, &s->x));",
     "RELAXED(fetch_add, &s->x, 1); RELAXED(store, &s->word, 1); LOG((unsigned)fl_stress_futex_wake(&s->word, 1));"),
    ("if (RELAXED(load, &s->word) == 0) LOG((unsigned)fl_stress_futex_wait(&s->word, 0, INT64_MAX)); LOG(RELAXED(load, &s->word));",
     "RELAXED(store, &s->word, 1); LOG((unsigned)fl_stress_futex_wake(&s->word, 1)); RELAXED(store, &s->word, 2); "
     "(void)fl_stress_futex_wake(&s->word, 1);"),
]


def scenario(name, rng):
    """The text of one scenario."""
    n = rng.choice((2, 2, 3))
    steps = [[rng.choice(STEPS) for _ in range(rng.choice((1, 2, 2)) if n == 2 else 1)] for _ in range(n)]
    if rng.random() < 0.6:
        pair = rng.choice(PAIRS)
        for actor, step in zip(rng.sample(range(n), 2), pair):
            steps[actor][rng.randrange(len(steps[actor]))] = step
    text = f"struct {name} {{ struct all all; }};\nFL_STRESS_SETUP({name}) {{ sem_init(&s->all.sem, 0, 0); }}\n"
    for i, own in enumerate(steps):
        body = "\n\t".join(own)
        text += (f"static void {name}_{i}(struct all *s, unsigned self)\n{{\n\t{body}\n}}\n"
                 f"FL_STRESS_ACTOR({name}, a{i}) {{ {name}_{i}(&s->all, {i}); }}\n")
    return text + f"FL_STRESS({name}, {', '.join(f'a{i}' for i in range(n))}) {{ end(&s->all); }}\n\n"


def states(program, path, *arguments):
    """For each scenario of the file: its verdict, whether the search ended, its final states, its executions."""
    done = subprocess.run([program, "--load", path, "--mode", "model", "--json", "--time", "10m", "--jobs", "2", *arguments], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return {test["name"]: (test["verdict"], test["complete"] > 0, sorted(o["state"] for o in test["outcomes"] if o["count"]),
                           f"{test['executions']} + {test['pruned']}") for test in json.loads(done.stdout)["tests"]}


def check(program, seed, count):
    """The differences, in words, and how many executions both searches had."""
    rng = random.Random(seed)
    wrong, runs = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "random.c")
        texts = {f"r{i}": scenario(f"r{i}", rng) for i in range(count)}
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(texts.values()))
        for faults in ("none", "spurious"):
            all_of = states(program, path, "--strategy", "dfs:1000", "--stale", "1000", "--executions", "100000", "--faults", faults)
            reduced = states(program, path, "--strategy", "dfs:all", "--faults", faults)
            for name, text in texts.items():
                if not all_of[name][1] and all_of[name][0] == "passed":
                    continue  # too many
                if all_of[name][:3] != reduced[name][:3]:
                    wrong.append(f"--faults {faults}, all: {all_of[name]}\nreduced: {reduced[name]}\n{text}")
                runs.append((name, faults, all_of[name][3], reduced[name][3]))
    return wrong, runs


def main():
    """Prints the differences; status 1 if there are any."""
    wrong, runs = check(sys.argv[1], *(int(text) for text in (sys.argv[2:] + ["1", "40"][len(sys.argv) - 2:])))
    for run in runs:
        print(*run)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
