/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PIPES_H
#define FL_PIPES_H

/* Both ends of a pipe, for tests of pipes. */
#include "fl_fds.h"
#include "fl_queued.h"

#include "process/pipe/pipe.h"

typedef struct fl_test_pipe_ends {
	fl_pipe *a, *b;
} fl_test_pipe_ends;

static inline fl_test_pipe_ends fl_test_pipe(void)
{
	fl_test_pipe_ends e = {NULL, NULL};
	FL_OK(fl_pipe_create(&e.a, &e.b, NULL));
	return e;
}

static inline void fl_test_pipe_end(fl_test_pipe_ends e)
{
	fl_pipe_free(e.a);
	fl_pipe_free(e.b);
}

static inline void fl_test_pipe_close(const fl_test_pipe_ends *e)
{
	fl_test_pipe_end(*e);
}

/* A pipe, until the end of the block; a case that frees an end sets it to NULL. */
#define FL_TEST_PIPE(e) __attribute__((cleanup(fl_test_pipe_close))) fl_test_pipe_ends e = fl_test_pipe()

/* Checks that the next message of `p` has come and is that text. */
static inline void fl_test_gets(fl_pipe *p, const char *text)
{
	char got[256];
	size_t size = sizeof got + 1;
	FL_OK(fl_pipe_receive_until(p, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED));
	FL_CHECK(size == strlen(text) && memcmp(got, text, size) == 0);
}

static inline void fl_test_says(fl_pipe *p, const char *text)
{
	FL_OK(fl_pipe_send_until(p, text, strlen(text), FL_NO_WAIT, FL_SHIELDED));
}

/* Sends messages of 1 KiB until the pipe is full, and returns how many. */
static inline unsigned fl_test_fill(fl_pipe *p)
{
	static const char block[1024];
	unsigned n = 0;
	while (fl_pipe_send_until(p, block, sizeof block, FL_NO_WAIT, FL_SHIELDED) == 0)
		n++;
	return n;
}

static inline void fl_test_drain(fl_pipe *p, unsigned n)
{
	char block[1024];
	size_t size;
	for (unsigned i = 0; i < n; i++)
		FL_CHECK(fl_pipe_receive(p, block, sizeof block, &size) == 0 && size == sizeof block);
}

/* Bytes in which a wrong order or number would be noticed. */
static inline char *fl_test_bytes(size_t size)
{
	char *bytes = malloc(size);
	FL_CHECK(bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + (i >> 12));
	return bytes;
}

static inline void fl_test_bytes_end(char *const *bytes)
{
	free(*bytes);
}

/* Such bytes to send, and room to receive the same number, until the end of the block. */
#define FL_TEST_BYTES(sent, got, size)                                                                                 \
	__attribute__((cleanup(fl_test_bytes_end))) char *const sent = fl_test_bytes(size), *const got = malloc(size)

#endif
