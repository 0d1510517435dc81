/* SPDX-License-Identifier: BSD-2-Clause */
/* What the blocks of docs/from-libuv.md need around them: the blocks marked "before". */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "from_libuv_before.h"

int main(void)
{
	uv_loop_t *loop = uv_default_loop();
	uv_timer_t timer;
	uv_work_t work;
	uv_pipe_t pipe;
	uv_os_sock_t ends[2];
	uv_buf_t hello = uv_buf_init("hello\n", 6);
	int left = 2, answer = 0, rc = uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE, 0);
	if (rc != 0)
		return 1;
	timer.data = &left;
	work.data = &answer;
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, tick, 10, 10);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_pipe_init(loop, &pipe, 0);
	uv_pipe_open(&pipe, ends[0]);
	uv_read_start((uv_stream_t *)&pipe, room, got);
	if (write(ends[1], hello.base, hello.len) != 6 || close(ends[1]) != 0)
		return 1;
	uv_run(loop, UV_RUN_DEFAULT);
	uv_queue_work(loop, &work, compute, computed);
	uv_run(loop, UV_RUN_DEFAULT);
	return uv_loop_close(loop);
}
