/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_PROGRAM_H
#define STRESS_PROGRAM_H

#include "model.h"

/*
 * A program with main() as a test. main() runs in the first thread, and each execution begins as
 * the first one did.
 */

/* The body of the first thread. */
_Noreturn void lab_program_main(void);
/* exit(): runs the functions of atexit(), and then ends the process with all its threads. */
_Noreturn void lab_program_exit(int status, uintptr_t pc);
/* The running thread is the last one to end, which has the effect of exit(0). */
_Noreturn void lab_program_last(uintptr_t pc);
/* The program prints this text. It is shown for the execution that is reported. */
void lab_print(const char *text, size_t size);
/* Prints the output of the execution that is reported. */
void lab_program_show(void);
/* Returns how many bytes the arguments and the environment take in the state. */
size_t lab_program_size(void);
/* --- libc.c --- */
extern bool lab_drawn_early; /* a constructor has drawn a random number */
uint64_t lab_random(void);   /* a random number of the running thread */
_Noreturn void lab_no_file(const char *name, uintptr_t pc);
void lab_io_reset(void);
/* --- process.c --- */
void lab_process_reset(void);
/* Returns whether the program goes on after that signal: it ignores, blocks or handles it. */
bool lab_process_survives(int number, uintptr_t pc);
void lab_process_keep(void); /* what mapped memory points to is no leak */
/* Called before each execution. */
void lab_program_reset(void);
/* Marks the blocks that a thread still reaches, or that mapped memory points to, as no leaks. */
void lab_program_keep(void);

#endif
