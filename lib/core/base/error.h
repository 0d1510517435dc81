/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * As fl_error_text(), for an error of a user's function. For a positive number writes "5: an error
 * is a negative errno (-EIO)" to `text`, and returns that.
 */
const char *fl__error_describe(int error, char text[64]);

/* Calls the error handler (fl_fiber_set_error_handler). */
void fl__fiber_report_error(const char *name, int error);
