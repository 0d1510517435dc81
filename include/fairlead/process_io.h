/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_IO_H
#define FAIRLEAD_PROCESS_IO_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/process.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * The input and the outputs of a process.
 *
 *     FL_SCOPED(fl_process_io) io = {.input = text, .input_size = strlen(text)};
 *     fl_process_status status;
 *     const fl_process_config config = {.program = "sort"};
 *     rc = fl_process_run_until(&config, &io, &status, fl_after(FL_S(10)), NULL);
 *     if (rc == 0 && status.code == 0)
 *             fwrite(io.out, 1, io.out_size, stdout);
 *
 * Output as it comes is read from the pipes (fairlead/process.h), with fl_fd_read_some() or as
 * streams:
 *
 *     rc = fl_stream_from_fd(&s, fl_process_pipe(p, 1));      // after an error `p` still owns it
 *     if (rc == 0)
 *             (void)fl_process_take_pipe(p, 1);               // now the stream owns it
 *
 * All-zero is no input, and outputs of at most FL_PROCESS_OUTPUT_MAX bytes. A call that fails keeps
 * what it has read: the next call with the same struct goes on. One thread or fiber uses a struct
 * at a time.
 */
typedef struct fl_process_io {
	const void *input; /* the bytes for its standard input, which is closed after them */
	size_t input_size;
	size_t out_max, err_max; /* most bytes of each output; 0: FL_PROCESS_OUTPUT_MAX */
	size_t written;          /* bytes of the input that its pipe has taken */
	char *out, *err;         /* its output, and a NUL; or NULL. Freed by fl_process_io_free() */
	size_t out_size, err_size;
	size_t out_room_, err_room_;
} fl_process_io;

#define FL_PROCESS_OUTPUT_MAX ((size_t)64 << 20)

/*
 * Writes the input, reads the outputs until both have ended, and joins the process. Streams that
 * are not pipes are left alone. If the process does not read its input to the end, the rest is
 * dropped: see `written`. An output ends when the last process that has inherited it ends or closes
 * it.
 *
 * Blocks the calling context. `status` may be NULL. Returns -ENOMEM, or:
 *   0            and how the process ended in `*status`
 *   -ECANCELED   the process runs, or an output is still open
 *   -EMSGSIZE    an output is larger than its limit: `out_size` or `err_size` is one more. A later
 *                call with a higher limit goes on
 *   -EINVAL      no `io`; or `input` is NULL, and `input_size` is not 0
 *   -EOWNERDEAD, -ECHILD   as fl_process_join(); the outputs are complete
 *   any other error of read() or write()
 */
FL_API FL_MUST_CHECK int fl_process_communicate_until(fl_process *p, fl_process_io *io, fl_process_status *status,
                                                      fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_communicate(fl_process *_p, fl_process_io *_io, fl_process_status *_status)
{
	return fl_process_communicate_until(_p, _io, _status, FL_FOREVER, NULL);
}

/*
 * Starts a process, communicates with it, and frees its handle. Outputs that `config` leaves 0 are
 * pipes, and so is the input, without which standard input is /dev/null. `io` NULL: no input;
 * outputs that `config` leaves 0 are the caller's; pipes are dropped. The process leads a process
 * group: Ctrl-C does not reach it (fairlead/process.h); take SIGINT by fairlead/signals.h, and
 * request `cancel`. If the call fails before the process and its outputs have ended, it stops the
 * process and its group, as fl_process_stop() with FL_PROCESS_GRACE; where a sandbox forbids
 * pidfd_send_signal() it cannot stop them, and leaves `*status` alone. It writes the input and reads
 * the outputs until the process has ended, and discards what is above a limit.
 *
 * Blocks the calling context. Stopping takes up to FL_PROCESS_GRACE longer. Returns 0, the errors
 * of fl_process_start(), those of fl_process_communicate(); after -ETIMEDOUT, -ECANCELED,
 * -EMSGSIZE, -ENOMEM `*status` says how the process was ended.
 */
FL_API FL_MUST_CHECK int fl_process_run_until(const fl_process_config *config, fl_process_io *io,
                                              fl_process_status *status, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_run(const fl_process_config *_config, fl_process_io *_io,
                                           fl_process_status *_status)
{
	return fl_process_run_until(_config, _io, _status, FL_FOREVER, NULL);
}

#define FL_PROCESS_GRACE FL_S(2)

/* Frees the outputs, and makes them empty. */
FL_API void fl_process_io_free(fl_process_io *io);

static inline void fl__scoped_fl_process_io(fl_process_io *_io)
{
	fl_process_io_free(_io);
}

FL_END_DECLS

#endif
