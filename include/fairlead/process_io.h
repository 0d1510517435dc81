/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_IO_H
#define FAIRLEAD_PROCESS_IO_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/process.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Gives a process its input, and collects its outputs.
 *
 *     FL_SCOPED(fl_process_io) io = {.input = text, .input_size = strlen(text)};
 *     fl_process_status status;
 *     const fl_process_config config = {.program = "sort"};
 *     int rc = fl_process_run_until(&config, &io, &status, fl_after(FL_S(10)), NULL);
 *     if (rc == 0 && status.code == 0)
 *             fwrite(io.out, 1, io.out_size, stdout);
 *
 * To read an output while it comes, see "Lines as they come" in docs/guide/other-programs.md.
 *
 * An all-zero fl_process_io means no input, and outputs of at most FL_PROCESS_OUTPUT_MAX bytes
 * each. One context uses the struct at a time. After an error, the next call with the same struct
 * continues where the last one stopped.
 */
typedef struct fl_process_io {
	/* The bytes for the standard input of the process, which is closed after them. */
	const void *input;
	size_t input_size;
	/* The most bytes of each output. 0 means FL_PROCESS_OUTPUT_MAX. */
	size_t out_max, err_max;
	/* How many bytes of the input were written so far. */
	size_t written;
	/* The outputs, each followed by a NUL, or NULL. fl_process_io_free() frees them. */
	char *out, *err;
	size_t out_size, err_size;
	size_t out_room_, err_room_;
} fl_process_io;

#define FL_PROCESS_OUTPUT_MAX ((size_t)64 << 20)

/*
 * Writes the input, reads the outputs until both have ended, and joins the process. Stores how it
 * ended in `*status`, which may be NULL. Blocks the calling context.
 *
 * An output ends when every process that has inherited it has ended or closed it. Input that the
 * process does not read is dropped: see `written`. Streams that are not pipes are left alone.
 * Returns 0, -ENOMEM, or:
 *   -ETIMEDOUT, -ECANCELED  the deadline passed, or the wait was cancelled; the process runs, or an
 *                           output is open
 *   -EMSGSIZE               an output is larger than its limit: its `out_size` or `err_size` is one
 *                           more. A later call with a higher limit goes on
 *   -EINVAL                 `io` is NULL; or `input` is NULL, and `input_size` is not 0
 *   -EOWNERDEAD, -ECHILD    the outputs are complete, but how the process ended is not known
 *                           (fl_process_join())
 *   other                   an error of fl_process_join(), or of the system in read() or write()
 */
FL_API FL_MUST_CHECK int fl_process_communicate_until(fl_process *p, fl_process_io *io, fl_process_status *status,
                                                      fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_communicate(fl_process *_p, fl_process_io *_io, fl_process_status *_status)
{
	return fl_process_communicate_until(_p, _io, _status, FL_FOREVER, NULL);
}

/*
 * Starts a process, communicates with it, and frees its handle.
 *
 * Streams that `config` leaves 0 are pipes, but standard input is /dev/null if `io` has no input.
 * If `io` is NULL, outputs that `config` leaves 0 are the caller's; the output of other pipes is
 * dropped, up to FL_PROCESS_OUTPUT_MAX. `status` may be NULL.
 *
 * Blocks the calling context. If the call fails while the process runs or an output is open, it
 * stops the process, as fl_process_stop() does with a grace of FL_PROCESS_GRACE. Meanwhile it still
 * writes the input and reads the outputs.
 *
 * Processes that a stopped process has started run on, unless you set `group` in `config`. But then
 * Ctrl-C does not reach the process ("The terminal and Ctrl-C" in docs/guide/other-programs.md).
 * Returns 0, -ETIMEDOUT, -ECANCELED, -ENOMEM, or:
 *   -EMSGSIZE  an output is larger than its limit
 *   other      an error of fl_process_start() or fl_process_communicate()
 *
 * After -ETIMEDOUT, -ECANCELED, -EMSGSIZE and -ENOMEM the process was stopped, if it was started,
 * and `*status` says how it ended. However, a process of another user may still run, and then
 * `*status` is unchanged.
 */
FL_API FL_MUST_CHECK int fl_process_run_until(const fl_process_config *config, fl_process_io *io,
                                              fl_process_status *status, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_process_run(const fl_process_config *_config, fl_process_io *_io,
                                           fl_process_status *_status)
{
	return fl_process_run_until(_config, _io, _status, FL_FOREVER, NULL);
}

#define FL_PROCESS_GRACE FL_S(2)

/* Frees the outputs in `io`. To use it for another process, also set `written` to 0. */
FL_API void fl_process_io_free(fl_process_io *io);

static inline void fl__scoped_fl_process_io(fl_process_io *_io)
{
	fl_process_io_free(_io);
}

FL_END_DECLS

#endif
