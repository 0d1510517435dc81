/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

FL_ALL_NEED(FL_TEST_EVENTFD) /* the loops do, some in children */

static unsigned devour(unsigned depth);
static unsigned (*volatile devour_again)(unsigned depth) = devour;

static unsigned devour(unsigned depth)
{
	volatile char much[1000];
	much[0] = (char)depth;
	unsigned below = devour_again(depth + 1);
	return below + (unsigned)much[0];
}

static int overflow(void *arg)
{
	fl__fiber_yield();
	return (int)devour(0);
}

static int yield_once(void *arg)
{
	fl__fiber_yield();
	return 0;
}

static void without_core(void)
{
	const struct rlimit none = {0, 0};
	FL_OK(setrlimit(RLIMIT_CORE, &none));
	(void)fl_panic_set_handler(NULL);
}

static int overflow_between_two(void *arg)
{
	fl_fiber *f;
	(void)fl_test_start(yield_once, NULL);
	FL_OK(fl_fiber_start(&f, overflow, arg, &(fl_fiber_config){.name = "glutton"}));
	(void)fl_test_start(yield_once, NULL);
	return fl_test_join(f);
}

static void overflow_in_child(void *arg)
{
	without_core();
	fl_test_in_loop(overflow_between_two, arg);
}

FL_TEST(fiber_overflow_panics_with_its_name)
{
	char expected[96];
	struct fl__stack_pool pool;
	fl__stack_pool_init(&pool, 0, FL_TEST_BLOCK);
	FL_TEXT(expected, "): fiber glutton needs more stack than its %zu bytes", pool.slot - pool.guard);
	fl_test_child_dies(overflow_in_child, NULL, SIGABRT, expected);
	fl_test_child_dies(overflow_in_child, NULL, SIGABRT, "fairlead: fl__fiber_run(0x");
}

static int on_other_thread(void *arg)
{
	overflow_in_child(arg);
	return 0;
}

static void overflow_on_thread(void *arg)
{
	fl_test_on_thread(on_other_thread, arg);
}

FL_TEST(fiber_overflow_panics_on_any_thread)
{
	fl_test_child_dies(overflow_on_thread, NULL, SIGABRT, "fiber glutton");
}

/* Other faults go where they went before. */
static int touch_nothing(void *arg)
{
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(page != MAP_FAILED);
	*(volatile char *)page = 1;
	return 0;
}

static void fault_without_handler(void *ignored)
{
	/*
	 * The default: a sanitizer's handler would exit. Ignored: the kernel does not mean it for
	 * faults.
	 */
	(void)signal(SIGSEGV, ignored ? SIG_IGN : SIG_DFL);
	without_core();
	FL_IGNORE(fl_loop_run(touch_nothing, NULL));
}

FL_TEST(fiber_other_faults_kill_as_before)
{
	fl_test_child_dies(fault_without_handler, NULL, SIGSEGV, NULL);
	fl_test_child_dies(fault_without_handler, &(char){0}, SIGSEGV, NULL);
}

static void exit_23(int signal)
{
	_exit(23);
}

static void exit_24(int signal, siginfo_t *info, void *context)
{
	sigset_t blocked;
	FL_CHECK(context != NULL && info->si_signo == signal);
	FL_OK(pthread_sigmask(SIG_BLOCK, NULL, &blocked));
	FL_CHECK(sigismember(&blocked, SIGUSR1) == 1 && sigismember(&blocked, SIGSEGV) == 0);
	_exit(24);
}

static void fault_handled(void *arg)
{
	struct sigaction action = {.sa_flags = 0};
	if (arg) {
		action.sa_sigaction = exit_24;
		action.sa_flags = SA_SIGINFO | SA_NODEFER;
	} else {
		action.sa_handler = exit_23;
	}
	FL_OK(sigemptyset(&action.sa_mask));
	FL_OK(sigaddset(&action.sa_mask, SIGUSR1));
	FL_OK(sigaction(SIGSEGV, &action, NULL));
	FL_IGNORE(fl_loop_run(touch_nothing, NULL));
}

FL_TEST(fiber_other_faults_reach_the_handler_before_ours)
{
	int status = fl_test_child(fault_handled, NULL, NULL, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 23);
	status = fl_test_child(fault_handled, &(char){0}, NULL, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 24);
}

static volatile sig_atomic_t handled;

static void count_handled(int signal)
{
	handled = handled + 1;
}

static int send_fault(void *arg)
{
	return raise(SIGSEGV);
}

static void sent_and_handled(void *arg)
{
	struct sigaction once = {.sa_handler = count_handled, .sa_flags = arg ? (int)SA_RESETHAND : 0};
	FL_OK(sigaction(SIGSEGV, &once, NULL));
	without_core();
	fl_test_in_loop(send_fault, NULL);
	FL_CHECK(handled == 1);
	/* Is fatal if the handler was for one fault. */
	fl_test_in_loop(send_fault, NULL);
	FL_CHECK(handled == 2);
}

static void sent_and_ignored(void *arg)
{
	(void)signal(SIGSEGV, SIG_IGN);
	FL_IGNORE(fl_loop_run(send_fault, arg));
}

FL_TEST(fiber_faults_that_are_sent)
{
	FL_IN_CHILD(sent_and_handled, NULL);
	fl_test_child_dies(sent_and_handled, &(char){0}, SIGSEGV, NULL);
	FL_IN_CHILD(sent_and_ignored, NULL);
}

/*
 * A thread with a signal stack keeps it; another one gets the library's, until the thread ends. A
 * host changes it between two runs.
 */
static void *signal_stack(void)
{
	stack_t now;
	FL_OK(sigaltstack(NULL, &now));
	return now.ss_flags & SS_DISABLE ? NULL : now.ss_sp;
}

static int look_at_signal_stack(void *stack)
{
	FL_CHECK(stack ? signal_stack() == stack : signal_stack() != NULL);
	return 0;
}

static char *volatile handled_at;

static void note_place(int signal)
{
	handled_at = __builtin_frame_address(0); /* a local variable may lie elsewhere under ASan */
}

static void change_signal_stack(void)
{
	static char memory[65536];
	const stack_t none = {.ss_flags = SS_DISABLE}, own = {.ss_sp = memory, .ss_size = sizeof memory};
	const struct sigaction note = {.sa_handler = note_place, .sa_flags = SA_ONSTACK};
	stack_t ours;
	FL_OK(sigaction(SIGUSR1, &note, NULL));
	FL_OK(sigaltstack(&none, NULL));
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, look_at_signal_stack, NULL));
	FL_OK(sigaltstack(&own, &ours));
	FL_OK(fl_loop_run_on(l, look_at_signal_stack, memory));
	FL_OK(sigaltstack(&none, NULL));
	FL_OK(fl_loop_run_on(l, look_at_signal_stack, ours.ss_sp));
	FL_OK(sigaltstack(&own, NULL));
	fl_loop_free(l);
	FL_CHECK(signal_stack() == memory);
	FL_OK(sigaltstack(&ours, NULL));
	FL_OK(raise(SIGUSR1));
	FL_CHECK(handled_at >= (char *)ours.ss_sp && handled_at < (char *)ours.ss_sp + ours.ss_size);
}

static void overflow_after_changes(void *removed)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	change_signal_stack();
	if (removed)
		FL_OK(sigaltstack(&none, NULL));
	overflow_in_child(NULL);
}

FL_TEST(fiber_overflow_after_the_host_has_changed_the_signal_stack)
{
	fl_test_child_dies(overflow_after_changes, NULL, SIGABRT, "fiber glutton");
	fl_test_child_dies(overflow_after_changes, &(char){0}, SIGABRT, "fiber glutton");
}

static uint32_t mapped;

static void *count_map(size_t size)
{
	(void)fl__add_relaxed(&mapped, 1);
	return fl_test_real_sys.map(size);
}

static void count_unmap(void *memory, size_t size)
{
	(void)fl__sub_relaxed(&mapped, 1);
	fl_test_real_sys.unmap(memory, size);
}

static pthread_key_t late_key;

/* Of a key behind the library's: the host restores the signal stack that it saved. */
static void restore_late(void *ours)
{
	stack_t of_sanitizer;
	FL_OK(sigaltstack(ours, &of_sanitizer));
	FL_OK(raise(SIGUSR1));
	if (!(of_sanitizer.ss_flags & SS_DISABLE))
		FL_OK(sigaltstack(&of_sanitizer, NULL));
}

static int change_on_thread(void *unused)
{
	static stack_t ours;
	stack_t of_sanitizer;
	FL_OK(sigaltstack(NULL, &of_sanitizer));
	change_signal_stack();
	FL_CHECK(fl__load_relaxed(&mapped) == 1);
	FL_OK(sigaltstack(of_sanitizer.ss_flags & SS_DISABLE ? NULL : &of_sanitizer, &ours));
	FL_OK(pthread_key_create(&late_key, restore_late));
	FL_OK(pthread_setspecific(late_key, &ours));
	return 0;
}

FL_TEST(fiber_signal_stack_ends_with_its_thread)
{
	FL_FAULTS();
	fl__sys.map = count_map;
	fl__sys.unmap = count_unmap;
	fl_test_on_thread(change_on_thread, NULL);
	assert_int_equal(mapped, 0);
	FL_OK(pthread_key_delete(late_key));
}
