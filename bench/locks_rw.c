/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures the readers-writer locks of C (rwlocks.h). */
#include "rwlocks.h"

#include <ck_rwlock.h>
#include <fairlead/rwlock.h>
#include <nsync.h>
#include <pthread.h>

RW_BENCH(fairlead, fl_rwlock, fl_rwlock_init(m), fl_rwlock_read_lock(m), fl_rwlock_read_unlock(m),
         fl_rwlock_write_lock(m), fl_rwlock_write_unlock(m))
RW_BENCH(pthread, pthread_rwlock_t, pthread_rwlock_init(m, NULL), pthread_rwlock_rdlock(m), pthread_rwlock_unlock(m),
         pthread_rwlock_wrlock(m), pthread_rwlock_unlock(m))
RW_BENCH(nsync, nsync_mu, nsync_mu_init(m), nsync_mu_rlock(m), nsync_mu_runlock(m), nsync_mu_lock(m),
         nsync_mu_unlock(m))
RW_BENCH(ck_rwlock, ck_rwlock_t, ck_rwlock_init(m), ck_rwlock_read_lock(m), ck_rwlock_read_unlock(m),
         ck_rwlock_write_lock(m), ck_rwlock_write_unlock(m))

static const bench_row rows[] = {
    RW_ALL(fairlead, BENCH_PEER),
    RW_ALL(pthread, BENCH_PEER),
    RW_ALL(nsync, BENCH_PEER),
    RW_ALL(ck_rwlock, BENCH_SPINNING),
};
BENCH_ROWS(rows)
