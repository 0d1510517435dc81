/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_ERROR_H
#define FL_BASE_ERROR_H

/*
 * Describes an error that a function of the user has returned: fl_error_text(). For a positive
 * number writes "5: an error is a negative errno (-EIO)" to `text`, and returns that.
 */
const char *fl__error_describe(int error, char text[64]);

#endif
