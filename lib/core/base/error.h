/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors that functions of the user return. */
#pragma once

/*
 * Returns a text for an error that a function of the user has returned. For a positive number, such
 * as 5, writes "5: an error is a negative errno (-EIO)" to `text`, and returns `text`. Otherwise
 * returns fl_error_text().
 */
const char *fl__error_describe(int error, char text[64]);

/*
 * Calls the handler that fl_fiber_set_error_handler() has set, or logs the error if there is none.
 */
void fl__fiber_report_error(const char *name, int error);
