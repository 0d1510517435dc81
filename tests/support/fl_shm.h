/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_SHM_H
#define FL_TEST_SHM_H

/*
 * For the tests of regions: faults of the system, the open and mapped objects of a process, its
 * log, and other processes.
 */
#include "fl_faults.h"
#include "fl_shm_child.h"

#include "process/shm/shm_region.h"
#include "process/shm/shm_sys.h"

static struct fl__shm_sys fl_test_real_os;
static char fl_test_logged[256];
static unsigned fl_test_logs;

__attribute__((constructor)) static void fl_test_keep_os(void)
{
	fl_test_real_os = fl__shm_sys;
}

FL_TEST_LOG_HANDLER(fl_test_log)
{
	FL_CHECK(level == FL_LOG_ERROR);
	FL_TEXT(fl_test_logged, "%s", message);
	fl_test_logs++;
}

static inline int fl_test_shm_end(void)
{
	fl_test_put_back(&fl__shm_sys, &fl_test_real_os, sizeof fl__shm_sys);
	(void)fl_log_set_handler(NULL);
	return 0;
}

static inline void fl_test_shm_close(const int *unused)
{
	(void)fl_test_shm_end();
}

/* Until the end of the block, the system's table may be changed, and the log is kept. */
static inline int fl_test_shm_begin(void)
{
	(void)fl_test_shm_end();
	(void)fl_log_set_handler(fl_test_log);
	fl_test_logs = 0;
	fl_test_logged[0] = '\0';
	return 0;
}

#define SHM_FAULTS()                                                                                                   \
	FL_FAULTS();                                                                                                   \
	__attribute__((cleanup(fl_test_shm_close), unused)) const int FL__UNIQUE(fl_test_shm_) = fl_test_shm_begin()

/* Writes random bytes over a whole region; one byte of every `sparse` changes. */
static inline void fl_test_scribble(fl_shm *region, unsigned *random, unsigned sparse)
{
	unsigned char *bytes = (unsigned char *)region->head;
	for (uint64_t i = 0; i < region->total; i++)
		if (fl_test_random(random) % sparse == 0)
			bytes[i] = (unsigned char)fl_test_random(random);
}

/* Sends a descriptor over a socket, and receives it as another number for the same file. */
static inline int fl_test_pass(int fd)
{
	int pair[2], got = -1;
	char byte = 0;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	FL_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	FL_CHECK(sendmsg(pair[0], &message, 0) == 1 && recvmsg(pair[1], &message, 0) == 1);
	memcpy(&got, CMSG_DATA(&control.head), sizeof got);
	FL_OK(close(pair[0]));
	FL_OK(close(pair[1]));
	return got;
}

#endif
