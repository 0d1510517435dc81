// SPDX-License-Identifier: BSD-2-Clause
#ifndef BENCH_MOODYCAMEL_H
#define BENCH_MOODYCAMEL_H

// moodycamel's queues, whose newer packages have the headers in one more folder.
#if __has_include(<concurrentqueue/moodycamel/blockingconcurrentqueue.h>)
#include <concurrentqueue/moodycamel/blockingconcurrentqueue.h>
#else
#include <concurrentqueue/blockingconcurrentqueue.h>
#endif

#endif
