/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of other objects that a program calls and the engine does not export. After
 * loading, the relocations of the program for these functions are redirected to this file:
 *
 * - A function that the engine replaces (LAB_CALLS) goes to its replacement.
 * - A function in the list below goes to the C library. Before that, the model learns what the
 *   function touches.
 * - Any other function might block, run beside the model, or leave something behind for the next
 *   execution, and the model would not see that. Therefore calling such a function ends the
 *   execution with the function's name.
 */
#include "unknown.h"
#include "io.h"
#include <elf.h>
#include <getopt.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The list has names of functions, each with what the function touches: an item for each argument
 * that is not a floating-point number:
 *   s        reads a string
 *   nI       reads a string of at most as many bytes as argument I says
 *   rN, wN   reads or writes N bytes
 *   r@I, w@I reads or writes as many bytes as argument I says; with two digits, their product
 *   f        uses a stream
 *   -        nothing
 * Then comes the hidden state that the function reads (?) or writes (!). A function without items
 * touches nothing. A `~` before the items says that the function touches more than they tell; if it
 * is called, the report must not say "proved". A name that ends in `*` stands for all names with
 * that beginning. The first name that fits counts.
 *
 * The functions that the engine exports or replaces tell the model themselves what they touch. The
 * list only adds what they leave out.
 */
static const char known[] =
    /* strings and characters */
    "bcmp:r@2r@2 bcopy:r@2w@2 bzero:w@1 ffs index:s isalnum isalpha isblank iscntrl isdigit "
    "isgraph islower isprint ispunct isspace isupper isxdigit memccpy:~ memmem:r@1-r@3 "
    "mempcpy:w@2r@2 memrchr:r@2 rawmemchr:~ rindex:s stpcpy:~ stpncpy:w@2n2 strcasecmp:ss strcasestr:ss "
    "strchrnul:s strcoll:ss strcspn:ss strerror strerror_r:~ __xpg_strerror_r:~ strncasecmp:n2n2 strncat:~ "
    "strpbrk:ss strrchr:s strsep:~-s strspn:ss strstr:ss strtok_r:~-s __strtok_r:~-s strverscmp:ss strxfrm:~-s "
    "tolower toupper toascii sigabbrev_np strsignal __ctype_b_loc __ctype_tolower_loc "
    "__ctype_toupper_loc basename:s dirname:~ explicit_bzero:w@1 swab:r@2w@2 __xpg_basename:~ strtok:~-s!t wcscat:~ "
    "wcschr:~ wcscmp:~ wcscpy:~ wcslen:~ wcsncmp:~ wcsncpy:~ wcsnlen:~ wcsrchr:~ wcsstr:~ wmemchr:~ wmemcmp:~ "
    "wmemcpy:~ wmemmove:~ wmemset:~ strdup:s strndup:n1 "
    /* numbers */
    "abs atof:s atoi:s atol:s atoll:s div labs ldiv llabs lldiv strtod:sw8 strtof:sw8 strtol:sw8 "
    "strtold:sw8 strtoll:sw8 strtoul:sw8 strtoull:sw8 strtoimax:sw8 strtoumax:sw8 "
    "__isoc99_sscanf:~ss __isoc23_strtol:sw8 __isoc23_strtoul:sw8 __isoc23_sscanf:~ss sscanf:~ss "
    "vsscanf:~ss __isoc99_vsscanf:~ss htonl htons ntohl ntohs "
    "clock_getres:-w16 inet_ntop:~ inet_pton:~-s inet_addr:s inet_aton:sw4 getaddrinfo:ssr48w8 freeaddrinfo:~ "
    "gai_strerror getnameinfo:~ if_nametoindex:s imaxabs drand48:!d erand48:w6?d jrand48:w6?d lcong48:r14!d lrand48:!d "
    "mrand48:!d nrand48:w6?d seed48:~r6!d srand48:!d frexp*:w4 modf:w8 modff:w4 modfl:w16 remquo*:w4 sincos:w8w8 "
    "sincosf:w4w4 sincosl:w16w16 lgamma_r:w4 lgammaf_r:w4 lgammal_r:w4 lgamma*:~ gamma*:~ nan:s nanf:s nanl:s "
    "nanf*:~ modff*:~ sincosf*:~ canonicalize*:~ getpayload*:~ setpayload*:~ totalorder*:~ "
    /* by a locale; there is only "C" */
    "__strtod_l:sw8 __strtof_l:sw8 strtold_l:sw8 __strtold_l:sw8 strtod_l:sw8 strtof_l:sw8 __strcoll_l:ss "
    "__strxfrm_l:~-s __nl_langinfo_l nl_langinfo_l __wctype_l:s __iswctype_l __towupper_l __towlower_l "
    "wctob btowc mbrtowc:~ wcrtomb:~ mbsrtowcs:~ mbsnrtowcs:~ wcsnrtombs:~ __wcscoll_l:~ __wcsxfrm_l:~ "
    "__wcsftime_l:~ __strftime_l:~--sr56?e gettext:s dgettext:ss bindtextdomain:~ bind_textdomain_codeset:~ "
    /* the environment, and constants while a program runs */
    "getenv:s?e secure_getenv:s?e getpagesize getauxval __errno_location __h_errno_location "
    "uname:w390 getuid geteuid getgid getegid isatty localeconv nl_langinfo gnu_get_libc_version "
    "getopt:~!g getopt_long:~!g gethostname:~ getrlimit:-w16 clearenv:~!e "
    "getopt_long_only:~!g feof:f ferror:f clearerr:f fgetc:f getc:f ungetc:-f fseek:f "
    "ftell:f rewind:f fseeko*:f ftello*:f __isoc99_fscanf:~f fscanf:~f putenv:~!e setenv:~ss!e unsetenv:~s!e "
    "__ctype_get_mb_cur_max "
    /* time as text */
    "asctime_r:r56w26 ctime_r:r8w26 difftime gmtime_r:r8w56 localtime_r:r8w56 mktime:w56?e "
    "timegm:w56 strftime:~--sr56?e gmtime:~r8!b localtime:~r8!b asctime:~r56!b ctime:~r8!b tzset:?e "
    /* attributes, scheduling */
    "pthread_attr_setstack:~w56 pthread_attr_setstackaddr:~w56 "
    "pthread_attr_setaffinity_np:w56-r@1 pthread_attr_setschedparam:w56r4 pthread_attr_setsigmask_np:w56r128 "
    "pthread_attr_set*:w56 pthread_attr_init:w56 pthread_attr_destroy:w56 pthread_attr_getaffinity_np:r56-w@1 "
    "pthread_attr_getsigmask_np:r56w128 pthread_attr_getstack:r56w8w8 pthread_attr_getstack*:r56w8 "
    "pthread_attr_getguardsize:r56w8 pthread_attr_get*:r56w4 pthread_rwlockattr_get*:r8w4 pthread_rwlockattr_*:w8 "
    "pthread_mutexattr_get*:r4w4 pthread_mutexattr_*:w4 pthread_condattr_get*:r4w4 pthread_condattr_*:w4 "
    "pthread_barrierattr_get*:r4w4 pthread_barrierattr_*:w4 "
    "pthread_setconcurrency pthread_testcancel __sched_cpualloc:~ "
    "__sched_cpufree:~ __sched_cpucount:-r@0 sched_get_priority_max sched_get_priority_min "
    "pthread_create:-r56 pthread_mutex_init:-r4 pthread_cond_init:-r4 pthread_rwlock_init:-r8 pthread_barrier_init:-r4 "
    "pthread_getattr_np:-w56 pthread_setschedparam:--r4 sched_setscheduler:--r4 "
    /* deadlines and spans */
    "nanosleep:r16 clock_nanosleep:--r16 thrd_sleep:r16 pthread_mutex_timedlock:-r16 pthread_mutex_clocklock:--r16 "
    "pthread_cond_timedwait:--r16 pthread_cond_clockwait:---r16 pthread_rwlock_timed*:-r16 pthread_rwlock_clock*:--r16 "
    "sem_timedwait:-r16 sem_clockwait:--r16 pthread_timedjoin_np:--r16 mtx_timedlock:-r16 cnd_timedwait:--r16 "
    /* memory, output, descriptors */
    "posix_memalign:w8 puts:s fputs:s perror:s "
    "open:s open64:s fopen:ss fopen64:ss "
    "unlink:s remove:s readv:~ writev:~ sendmsg:~ recvmsg:~ ioctl:~ recvfrom:-----w4 setsockopt:---r@4 "
    "getsockopt:----r4 ppoll:--r16r128 select:----r16 pselect:~----r16 epoll_pwait:----r128 epoll_pwait2:---r16r128 "
    /* sets of signals; the model sends none */
    "sigemptyset:w128 sigfillset:w128 sigaddset:w128 sigdelset:w128 sigismember:r128 sigandset:w128r128r128 "
    "sigisemptyset:r128 sigorset:w128r128r128 sigaltstack:r24w24 "
    /* jumps within a thread */
    "_setjmp:w72 setjmp:w72 __sigsetjmp:w72 longjmp:r72 _longjmp:r72 siglongjmp:r72 __longjmp_chk:r72 "
    /* used by the compiler and the startup code */
    "__cxa_finalize __stack_chk_fail __gmon_start__ __register_frame_info "
    "__deregister_frame_info __cxa_guard_abort alloca ";

/* State of the C library that all threads share without a lock, so that its uses may race. */
enum hidden { ENVIRONMENT, GETOPT, STRTOK, TIME, DRAND48, HIDDEN };
static uint64_t hidden_state[HIDDEN];
static const char hidden_letters[] = "egtbd";
/* at first all of it, because the tool itself uses some */
static bool hidden_is_used[HIDDEN] = {true, true, true, true, true};

bool lab_unknown_name(uintptr_t address, char *text, size_t size)
{
	static const char *const names[HIDDEN] = {"the environment", "the state of getopt()", "the state of strtok()",
	                                          "the buffer of gmtime()", "the state of drand48()"};
	const uintptr_t i = (address - (uintptr_t)hidden_state) / sizeof hidden_state[0];
	if (i >= HIDDEN)
		return false;
	snprintf(text, size, "%s", names[i]);
	return true;
}

/* Returns what the function `name` touches, or NULL if it is not in the list. */
static const char *unknown_known(const char *name)
{
	const size_t length = strlen(name);
	if (strncmp(name, "_ITM_", 5) == 0)
		return "";
	for (const char *word = known; *word; word += strcspn(word, " ") + 1) {
		const size_t n = strcspn(word, "*: ");
		const bool all = word[n] == '*';
		if (strncmp(word, name, n) == 0 && (all || n == length))
			return word[n + all] == ':' ? word + n + all + 1 : "";
	}
	return NULL;
}

/* Libraries all of whose functions are harmless, except those of the floating-point environment. */
static const char *const harmless_libraries[] = {"libm.so", "libgcc_s.so", "libmvec.so"};

static bool unknown_is_harmless_library(const char *library, const char *name)
{
	if (strncmp(name, "fe", 2) == 0)
		return false;
	LAB_EACH (i, harmless_libraries)
		if (strncmp(library, harmless_libraries[i], strlen(harmless_libraries[i])) == 0)
			return true;
	return false;
}

/* --- a stub for each function, so that a call knows its name --- */

#define STUBS 512
#define TEXT(n) TEXT_OF(n)
#define TEXT_OF(n) #n
static struct stub {
	const char *name, *library;
	const char *touches; /* NULL if a call ends the execution */
	void *real;
} stubs[STUBS];
static unsigned n_stubs;
const char *lab_unknown_partial;

void lab_unknown_is_partial(const char *name)
{
	lab_met(LAB_MET_CALL);
	lab_unknown_partial = lab_unknown_partial ?: name;
}

/*
 * The code of a stub calls lab_stub() with the arguments of the call, and then jumps to the address
 * that lab_stub() returns.
 */
extern const char lab_stubs[] __attribute__((visibility("hidden")));
enum { STUB_SIZE = 16 };

/* clang-format off */
#if defined(__x86_64__)
__asm__(".pushsection .text\n.balign 16\n.globl lab_stubs\n.hidden lab_stubs\n"
        "lab_stubs:\n"
        ".set lab_stub_index, 0\n"
        ".rept " TEXT(STUBS) "\n.balign 16\n"
        "\tpushq $lab_stub_index\n\tjmp lab_stub_common\n"
        ".set lab_stub_index, lab_stub_index + 1\n"
        ".endr\n"
        "lab_stub_common:\n"
        ".cfi_startproc\n.cfi_def_cfa_offset 208\n" /* as it is at the call */
        "\tpushq %r10\n\tpushq %rax\n\tpushq %r9\n\tpushq %r8\n"
        "\tpushq %rcx\n\tpushq %rdx\n\tpushq %rsi\n\tpushq %rdi\n"
        "\tmovq %rsp, %rdi\n\tmovq 64(%rsp), %rsi\n\tmovq 72(%rsp), %rdx\n"
        "\tsubq $128, %rsp\n"
        "\tmovups %xmm0, (%rsp)\n\tmovups %xmm1, 16(%rsp)\n\tmovups %xmm2, 32(%rsp)\n\tmovups %xmm3, 48(%rsp)\n"
        "\tmovups %xmm4, 64(%rsp)\n\tmovups %xmm5, 80(%rsp)\n\tmovups %xmm6, 96(%rsp)\n\tmovups %xmm7, 112(%rsp)\n"
        "\tcall lab_stub\n"
        "\tmovq %rax, %r11\n"
        "\tmovups (%rsp), %xmm0\n\tmovups 16(%rsp), %xmm1\n\tmovups 32(%rsp), %xmm2\n\tmovups 48(%rsp), %xmm3\n"
        "\tmovups 64(%rsp), %xmm4\n\tmovups 80(%rsp), %xmm5\n\tmovups 96(%rsp), %xmm6\n\tmovups 112(%rsp), %xmm7\n"
        "\taddq $128, %rsp\n"
        "\tpopq %rdi\n\tpopq %rsi\n\tpopq %rdx\n\tpopq %rcx\n"
        "\tpopq %r8\n\tpopq %r9\n\tpopq %rax\n\tpopq %r10\n"
        "\taddq $8, %rsp\n\tjmp *%r11\n.cfi_endproc\n.popsection\n");
#else
__asm__(".pushsection .text\n.balign 16\n.globl lab_stubs\n.hidden lab_stubs\n"
        "lab_stubs:\n"
        ".set lab_stub_index, 0\n"
        ".rept " TEXT(STUBS) "\n.balign 16\n"
        "\tmov x16, #lab_stub_index\n\tb lab_stub_common\n"
        ".set lab_stub_index, lab_stub_index + 1\n"
        ".endr\n"
        "lab_stub_common:\n"
        ".cfi_startproc\n.cfi_def_cfa 29, 224\n.cfi_offset 29, -224\n.cfi_offset 30, -216\n"
        "\tstp x29, x30, [sp, #-224]!\n\tmov x29, sp\n"
        "\tstp x0, x1, [sp, #16]\n\tstp x2, x3, [sp, #32]\n\tstp x4, x5, [sp, #48]\n\tstp x6, x7, [sp, #64]\n"
        "\tstr x8, [sp, #80]\n"
        "\tstp q0, q1, [sp, #96]\n\tstp q2, q3, [sp, #128]\n\tstp q4, q5, [sp, #160]\n\tstp q6, q7, [sp, #192]\n"
        "\tadd x0, sp, #16\n\tmov x1, x16\n\tmov x2, x30\n"
        "\tbl lab_stub\n"
        "\tmov x17, x0\n"
        "\tldp x0, x1, [sp, #16]\n\tldp x2, x3, [sp, #32]\n\tldp x4, x5, [sp, #48]\n\tldp x6, x7, [sp, #64]\n"
        "\tldr x8, [sp, #80]\n"
        "\tldp q0, q1, [sp, #96]\n\tldp q2, q3, [sp, #128]\n\tldp q4, q5, [sp, #160]\n\tldp q6, q7, [sp, #192]\n"
        "\tldp x29, x30, [sp], #224\n\tbr x17\n.cfi_endproc\n.popsection\n");
#endif
/* clang-format on */

/*
 * Returns the size of an item: "8" is 8, "@1" is argument 1, and "@12" is argument 1 times argument
 * 2.
 */
static size_t unknown_size(const char **at, const uintptr_t *args)
{
	const bool product = **at == '@';
	size_t size = product;
	for (*at += product; **at >= '0' && **at <= '9'; ++*at)
		size = product ? size * args[**at - '0'] : size * 10 + (size_t)(**at - '0');
	return size;
}

static void unknown_touch(const char *at, const uintptr_t *args, uintptr_t pc)
{
	for (const uintptr_t *arg = args; *at && *at != ' '; arg++) {
		const char what = *at++;
		if (what == '?' || what == '!') {
			const size_t state = (size_t)(strchr(hidden_letters, *at) - hidden_letters);
			hidden_is_used[state] = true;
			lab_plain((uintptr_t)&hidden_state[state], sizeof hidden_state[state], what == '!', pc);
			return;
		}
		if (what == 'f')
			(void)lab_io_use_stream((const FILE *)*arg, pc);
		size_t size = unknown_size(&at, args);
		if (*arg && (what == 's' || what == 'n')) {
			const size_t most = what == 's' ? SIZE_MAX : args[size];
			size = strnlen((const char *)*arg, most);
			size += size < most;
		}
		if (*arg && size > 0)
			lab_plain(*arg, size, what == 'w', pc);
		if (what == 'w') { /* the system may write there, to at most two pages */
			(void)lab_globals_thaw(*arg);
			(void)lab_globals_thaw(*arg + size);
		}
	}
}

DECLARED(void *, lab_stub, const uintptr_t *args, unsigned index, uintptr_t pc)
{
	const struct stub *s = &stubs[index];
	const bool partial = s->touches && *s->touches == '~';
	if (s->touches && lab.active)
		unknown_touch(s->touches + partial, args, pc);
	if (partial && lab.active)
		lab_unknown_is_partial(s->name);
	if (s->touches)
		return s->real;
	const bool libc = strncmp(s->library, "libc.so", 7) == 0;
	lab_detail("  the model lacks, of what the program refers to:");
	for (const struct stub *lacks = stubs; lacks < stubs + n_stubs; lacks++)
		if (!lacks->touches)
			lab_detail(" %s", lacks->name);
	lab_detail("\n");
	lab_unmodelled(pc, "calls %s()%s%s, which the model does not have", s->name, libc ? "" : " of ",
	               libc ? "" : s->library);
}

/* --- what a call leaves behind in the C library --- */

/*
 * Variables of other objects that programs use, such as `optind`, with their values before an
 * execution.
 */
enum { IMPORTS = 64 };
static struct import {
	void *at;
	size_t size;
	uint64_t value;
} imports[IMPORTS];
static unsigned n_imports;

static void unknown_import(void *at, size_t size)
{
	unsigned i = 0;
	while (i < n_imports && imports[i].at != at)
		i++;
	if (i == IMPORTS || size > sizeof imports[i].value)
		return;
	imports[i] = (struct import){.at = at, .size = size};
	memcpy(&imports[i].value, at, size);
	n_imports += i == n_imports;
}

void lab_unknown_reset(void)
{
	static char none[1]; /* strtok() keeps a pointer to the text */
	for (unsigned i = 0; i < n_imports; i++)
		memcpy(imports[i].at, &imports[i].value, imports[i].size);
	if (hidden_is_used[ENVIRONMENT])
		tzset(); /* for the time zone of the environment */
	if (hidden_is_used[GETOPT]) {
		char *arguments[] = {(char *)"", NULL};
		optind = 0; /* for glibc, 0 means: begin anew, with the hidden state, too */
		(void)getopt(1, arguments, "");
		optarg = NULL;
		opterr = 1;
		optopt = '?';
	}
	if (hidden_is_used[STRTOK])
		(void)strtok(none, " ");
	if (hidden_is_used[DRAND48])
		(void)seed48((unsigned short[3]){0, 0, 0});
	memset(hidden_is_used, false, sizeof hidden_is_used);
}

/* --- the relocations of a module --- */

#if defined(__x86_64__)
enum { SLOT = R_X86_64_JUMP_SLOT, DATA = R_X86_64_GLOB_DAT, POINTER = R_X86_64_64 };
#else
enum { SLOT = R_AARCH64_JUMP_SLOT, DATA = R_AARCH64_GLOB_DAT, POINTER = R_AARCH64_ABS64 };
#endif

struct dynamic {
	uintptr_t base;
	const ElfW(Sym) * symbols;
	const char *strings;
	const ElfW(Rela) * tables[2];
	size_t sizes[2];
	void (*const *destructors)(void);
	size_t n_destructors;
	bool static_tls;
};

/* the addresses of this program, which implements what it exports; the linker defines both */
extern const char __executable_start[], _end[];

static bool unknown_read(void *handle, struct dynamic *d)
{
	struct link_map *map = NULL;
	uintptr_t of[DT_FLAGS + 1] = {0};
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
		return false;
	for (const ElfW(Dyn) *at = map->l_ld; at->d_tag != DT_NULL; at++)
		if (at->d_tag <= DT_FLAGS)
			of[at->d_tag] = at->d_un.d_ptr;
	*d = (struct dynamic){.base = map->l_addr,
	                      .symbols = (const ElfW(Sym) *)of[DT_SYMTAB],
	                      .strings = (const char *)of[DT_STRTAB],
	                      .tables = {(const ElfW(Rela) *)of[DT_JMPREL], (const ElfW(Rela) *)of[DT_RELA]},
	                      .sizes = {of[DT_PLTRELSZ] / sizeof(ElfW(Rela)), of[DT_RELASZ] / sizeof(ElfW(Rela))},
	                      .destructors = (void (*const *)(void))(map->l_addr + of[DT_FINI_ARRAY]),
	                      .n_destructors = of[DT_FINI_ARRAYSZ] / sizeof(void (*)(void)),
	                      .static_tls = (of[DT_FLAGS] & DF_STATIC_TLS) != 0};
	return d->symbols && d->strings;
}

static void *unknown_stub(const char *name, const char *library, const char *touches, void *real)
{
	unsigned at = 0;
	while (at < n_stubs && strcmp(stubs[at].name, name) != 0)
		at++;
	if (at == STUBS - 1 && touches)
		return real;
	if (at == n_stubs && n_stubs < STUBS - 1)
		n_stubs++;
	stubs[at] = (struct stub){name, library, touches, real};
	return (void *)(lab_stubs + (size_t)at * STUB_SIZE);
}

static void *unknown_replacement(const char *name)
{
	/* the linker defines the two for each section whose name is an identifier */
	extern const struct lab_call __start_replacements[], __stop_replacements[];
	for (const struct lab_call *c = __start_replacements; c < __stop_replacements; c++)
		if (strcmp(c->name, name) == 0)
			return (void *)c->function;
	return NULL;
}

/*
 * Returns where the relocation that refers to `target` leads: to the target itself, or to its
 * replacement, if the list says nothing about what the function touches, and the function is part
 * of the engine or harmless.
 */
static void *unknown_way(const char *name, void *target)
{
	Dl_info info;
	const ElfW(Sym) *symbol = NULL;
	void *replacement = target ? unknown_replacement(name) : NULL, *real = replacement ?: target;
	if (!target || dladdr1(target, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0)
		return real;
	/* A target without a symbol is a function's variant for this processor. */
	const unsigned type = symbol ? ELF64_ST_TYPE(symbol->st_info) : STT_FUNC;
	const char *library = basename(info.dli_fname), *touches = unknown_known(name);
	const bool own = replacement || ((const char *)target >= __executable_start && (const char *)target < _end);
	if (type == STT_OBJECT)
		unknown_import(target, symbol->st_size);
	if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
	    (touches ? !*touches : own || unknown_is_harmless_library(library, name)))
		return real;
	return unknown_stub(name, library, touches, real);
}

static void unknown_redirect(uintptr_t place, void *to)
{
	const uintptr_t page = place & ~(uintptr_t)(getpagesize() - 1);
	(void)mprotect((void *)page, (size_t)getpagesize(), PROT_READ | PROT_WRITE);
	*(void **)place = to;
}

bool lab_unknown_redirect(void *handle)
{
	struct dynamic d;
	bool instrumented = false;
	if (!unknown_read(handle, &d))
		return false;
	lab_unknown_reset(); /* this is how the variables are before an execution */
	for (unsigned t = 0; t < 2; t++) {
		for (size_t i = 0; i < d.sizes[t]; i++) {
			const ElfW(Rela) *r = &d.tables[t][i];
			const unsigned type = (unsigned)ELF64_R_TYPE(r->r_info);
			const ElfW(Sym) *symbol = &d.symbols[ELF64_R_SYM(r->r_info)];
			const char *name = d.strings + symbol->st_name;
			const uintptr_t place = d.base + r->r_offset;
			/* a relocation without a symbol has the first one, which is none */
			if ((type != SLOT && type != DATA && type != POINTER) || symbol->st_shndx != SHN_UNDEF ||
			    symbol == d.symbols)
				continue;
			instrumented |= strncmp(name, "__tsan_", 7) == 0;
			void *const to = unknown_way(name, *(void **)place);
			if (to != *(void **)place)
				unknown_redirect(place, to);
		}
	}
	return instrumented;
}

size_t lab_destructors_of(void *handle, void (*const **functions)(void))
{
	struct dynamic d;
	/* each object has the compiler's own destructor, which does nothing by itself */
	if (!unknown_read(handle, &d) || d.n_destructors <= 1)
		return 0;
	*functions = d.destructors;
	return d.n_destructors;
}

bool lab_has_static_tls(void *handle)
{
	struct dynamic d;
	return unknown_read(handle, &d) && d.static_tls;
}
