/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * FL__ASAN, FL__TSAN: the sanitizer that instruments this file, as the compiler says. The
 * laboratory compiles with -fsanitize=thread, but has a runtime of its own: it defines
 * FL__LABORATORY.
 */
#if defined(__SANITIZE_ADDRESS__)
#define FL__ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define FL__TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL__ASAN 1
#elif __has_feature(thread_sanitizer)
#define FL__TSAN 1
#endif
#endif
#ifdef FL__LABORATORY
#undef FL__TSAN
#endif

/* For a function that TSan must not instrument. */
#ifdef FL__TSAN
#define FL__NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define FL__NO_TSAN
#endif
