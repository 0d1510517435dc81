/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that a program calls, that the model does not implement, and that are not in the list
 * below. Such a call would block, run beside the model, or leave something behind for the next
 * execution, unseen. So the relocations of a loaded program for these functions are redirected to
 * this file, and the call ends the execution with the function's name.
 *
 * The list has functions that read and write nothing but their arguments and their result. The
 * model does not see these accesses, except for the functions of interpose_strings.c.
 */
#include "unknown.h"
#include "interpose.h"
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const harmless[] = {
    /* strings and characters */
    "bcmp",
    "bcopy",
    "bzero",
    "ffs",
    "index",
    "isalnum",
    "isalpha",
    "isblank",
    "iscntrl",
    "isdigit",
    "isgraph",
    "islower",
    "isprint",
    "ispunct",
    "isspace",
    "isupper",
    "isxdigit",
    "memccpy",
    "memchr",
    "memcmp",
    "memmem",
    "mempcpy",
    "memrchr",
    "rawmemchr",
    "rindex",
    "stpcpy",
    "stpncpy",
    "strcasecmp",
    "strcasestr",
    "strchrnul",
    "strcoll",
    "strcspn",
    "strerror",
    "strerror_r",
    "__xpg_strerror_r",
    "strncasecmp",
    "strncat",
    "strndup",
    "strpbrk",
    "strrchr",
    "strsep",
    "strspn",
    "strstr",
    "strtok_r",
    "__strtok_r",
    "strverscmp",
    "strxfrm",
    "tolower",
    "toupper",
    "toascii",
    "sigabbrev_np",
    "strsignal",
    "__ctype_b_loc",
    "__ctype_tolower_loc",
    "__ctype_toupper_loc",
    /* numbers */
    "abs",
    "atof",
    "atoi",
    "atol",
    "atoll",
    "div",
    "labs",
    "ldiv",
    "llabs",
    "lldiv",
    "strtod",
    "strtof",
    "strtol",
    "strtold",
    "strtoll",
    "strtoul",
    "strtoull",
    "strtoimax",
    "strtoumax",
    "__isoc99_sscanf",
    "__isoc23_strtol",
    "__isoc23_strtoul",
    "__isoc23_sscanf",
    "sscanf",
    "vsscanf",
    "__isoc99_vsscanf",
    "sprintf",
    "vsprintf",
    "bsearch",
    "qsort",
    "qsort_r",
    "htonl",
    "htons",
    "ntohl",
    "ntohs",
    /* constants while a program runs */
    "getenv",
    "secure_getenv",
    "getpagesize",
    "sysconf",
    "get_nprocs",
    "get_nprocs_conf",
    "getauxval",
    "sched_getcpu",
    "__errno_location",
    "__h_errno_location",
    "uname",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "isatty",
    "localeconv",
    "nl_langinfo",
    "gnu_get_libc_version",
    "setlocale",
    "getopt",
    "getopt_long",
    "gethostname",
    "getrlimit",
    /* time as text */
    "asctime_r",
    "ctime_r",
    "difftime",
    "gmtime_r",
    "localtime_r",
    "mktime",
    "timegm",
    "strftime",
    "gmtime",
    "localtime",
    /* attributes */
    "pthread_attr_init",
    "pthread_attr_destroy",
    "pthread_attr_setdetachstate",
    "pthread_attr_getdetachstate",
    "pthread_attr_setstacksize",
    "pthread_attr_getstacksize",
    "pthread_attr_setguardsize",
    "pthread_attr_getguardsize",
    "pthread_attr_setscope",
    "pthread_attr_getscope",
    "pthread_attr_setinheritsched",
    "pthread_attr_setschedpolicy",
    "pthread_attr_setschedparam",
    "pthread_attr_setstack",
    "pthread_mutexattr_init",
    "pthread_mutexattr_destroy",
    "pthread_mutexattr_settype",
    "pthread_mutexattr_gettype",
    "pthread_mutexattr_setpshared",
    "pthread_mutexattr_getpshared",
    "pthread_mutexattr_setrobust",
    "pthread_mutexattr_getrobust",
    "pthread_mutexattr_setprotocol",
    "pthread_mutexattr_getprotocol",
    "pthread_condattr_init",
    "pthread_condattr_destroy",
    "pthread_condattr_setclock",
    "pthread_condattr_getclock",
    "pthread_condattr_setpshared",
    "pthread_condattr_getpshared",
    "pthread_rwlockattr_init",
    "pthread_rwlockattr_destroy",
    "pthread_rwlockattr_setkind_np",
    "pthread_rwlockattr_getkind_np",
    "pthread_rwlockattr_setpshared",
    "pthread_barrierattr_init",
    "pthread_barrierattr_destroy",
    "pthread_barrierattr_setpshared",
    "pthread_setconcurrency",
    "pthread_getconcurrency",
    "pthread_setcancelstate",
    "pthread_setcanceltype",
    "pthread_testcancel",
    "__sched_cpucount",
    "sched_get_priority_max",
    "sched_get_priority_min",
    /* sets of signals; the model sends none */
    "sigemptyset",
    "sigfillset",
    "sigaddset",
    "sigdelset",
    "sigismember",
    /* jumps within a thread */
    "_setjmp",
    "setjmp",
    "__sigsetjmp",
    "longjmp",
    "_longjmp",
    "siglongjmp",
    "__longjmp_chk",
    /* used by the compiler and the startup code */
    "__cxa_finalize",
    "__stack_chk_fail",
    "__gmon_start__",
    "__register_frame_info",
    "__deregister_frame_info",
    "__cxa_guard_abort",
    "alloca",
};

/* Libraries of which all functions are harmless. */
static const char *const harmless_libraries[] = {"libm.so", "libgcc_s.so", "libmvec.so"};

static bool unknown_is_harmless(const char *name)
{
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
		if (strcmp(harmless[i], name) == 0)
			return true;
	return strncmp(name, "_ITM_", 5) == 0;
}

static const char *unknown_base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path ? path : "";
}

static bool unknown_is_harmless_library(const char *library)
{
	for (size_t i = 0; i < sizeof harmless_libraries / sizeof harmless_libraries[0]; i++)
		if (strncmp(library, harmless_libraries[i], strlen(harmless_libraries[i])) == 0)
			return true;
	return false;
}

/* --- one stub for each function, so that a call knows its name --- */

enum { STUBS = 256 };
static struct {
	char name[64], library[48];
} unknown[STUBS];
static unsigned n_unknown;

static _Noreturn void unknown_called(unsigned index, uintptr_t pc)
{
	char site[256];
	const bool libc = strncmp(unknown[index].library, "libc.so", 7) == 0;
	(void)lab_describe_site(pc, site, sizeof site);
	lab.signature = pc;
	lab_fail(LAB_UNMODELLED, "%s calls %s()%s%s (%s), which the model does not have", lab.self->name,
	         unknown[index].name, libc ? "" : " of ", libc ? "" : unknown[index].library, site);
}

#define STUB(n)                                                                                                        \
	static void stub_##n(void)                                                                                     \
	{                                                                                                              \
		unknown_called(0x##n, PC);                                                                             \
	}
#define STUB16(n)                                                                                                      \
	STUB(n##0)                                                                                                     \
	STUB(n##1)                                                                                                     \
	STUB(n##2)                                                                                                     \
	STUB(n##3)                                                                                                     \
	STUB(n##4)                                                                                                     \
	STUB(n##5)                                                                                                     \
	STUB(n##6) STUB(n##7) STUB(n##8) STUB(n##9) STUB(n##a) STUB(n##b) STUB(n##c) STUB(n##d) STUB(n##e) STUB(n##f)
#define EACH16(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(a) m(b) m(c) m(d) m(e) m(f)
EACH16(STUB16)

#define NAME16(n)                                                                                                      \
	stub_##n##0, stub_##n##1, stub_##n##2, stub_##n##3, stub_##n##4, stub_##n##5, stub_##n##6, stub_##n##7,        \
	    stub_##n##8, stub_##n##9, stub_##n##a, stub_##n##b, stub_##n##c, stub_##n##d, stub_##n##e, stub_##n##f,
static void (*const stubs[STUBS])(void) = {EACH16(NAME16)};

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
};

static uintptr_t own_begin, own_end; /* of this program, which implements what it exports */

static int unknown_find_self(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD)
			continue;
		own_begin = own_begin ? own_begin : info->dlpi_addr + p->p_vaddr;
		own_end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	return 1; /* the first object is the program */
}

static void unknown_read_dynamic(const struct link_map *map, struct dynamic *d)
{
	*d = (struct dynamic){.base = map->l_addr};
	for (const ElfW(Dyn) *at = map->l_ld; at->d_tag != DT_NULL; at++) {
		const uintptr_t value = at->d_un.d_ptr;
		switch (at->d_tag) {
		case DT_SYMTAB:
			d->symbols = (const ElfW(Sym) *)value;
			break;
		case DT_STRTAB:
			d->strings = (const char *)value;
			break;
		case DT_JMPREL:
			d->tables[0] = (const ElfW(Rela) *)value;
			break;
		case DT_PLTRELSZ:
			d->sizes[0] = value / sizeof(ElfW(Rela));
			break;
		case DT_RELA:
			d->tables[1] = (const ElfW(Rela) *)value;
			break;
		case DT_RELASZ:
			d->sizes[1] = value / sizeof(ElfW(Rela));
			break;
		default:
			break;
		}
	}
}

static void *unknown_stub(const char *name, const char *library)
{
	unsigned at = 0;
	while (at < n_unknown && strcmp(unknown[at].name, name) != 0)
		at++;
	if (at == n_unknown && n_unknown < STUBS - 1)
		n_unknown++;
	snprintf(unknown[at].name, sizeof unknown[at].name, "%s", name);
	snprintf(unknown[at].library, sizeof unknown[at].library, "%s", library);
	return (void *)stubs[at];
}

/*
 * Whether the relocation refers to a function of another object than the program and the engine,
 * and not a harmless one.
 */
static bool unknown_is(const char *name, void *target, const char **library)
{
	Dl_info info;
	const ElfW(Sym) *symbol = NULL;
	if (!target || ((uintptr_t)target >= own_begin && (uintptr_t)target < own_end) || unknown_is_harmless(name))
		return false;
	if (dladdr1(target, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || !symbol)
		return false;
	const unsigned type = ELF64_ST_TYPE(symbol->st_info);
	*library = unknown_base_name(info.dli_fname);
	return (type == STT_FUNC || type == STT_GNU_IFUNC) && !unknown_is_harmless_library(*library);
}

/* The name of relocation `i` of table `t`; "": it has none. */
static const char *unknown_symbol(const struct dynamic *d, unsigned t, size_t i)
{
	if (!d->symbols || !d->strings || !d->tables[t])
		return "";
	return d->strings + d->symbols[ELF64_R_SYM(d->tables[t][i].r_info)].st_name;
}

static void unknown_redirect(uintptr_t place, void *to)
{
	const uintptr_t page = place & ~(uintptr_t)(getpagesize() - 1);
	(void)mprotect((void *)page, (size_t)getpagesize(), PROT_READ | PROT_WRITE);
	*(void **)place = to;
}

void lab_unknown_redirect(void *handle)
{
	struct link_map *map = NULL;
	struct dynamic d;
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
		return;
	if (own_end == 0)
		(void)dl_iterate_phdr(unknown_find_self, NULL);
	unknown_read_dynamic(map, &d);
	for (unsigned t = 0; t < 2; t++) {
		for (size_t i = 0; d.symbols && d.strings && i < d.sizes[t]; i++) {
			const ElfW(Rela) *r = &d.tables[t][i];
			const unsigned type = (unsigned)ELF64_R_TYPE(r->r_info);
			const ElfW(Sym) *symbol = &d.symbols[ELF64_R_SYM(r->r_info)];
			const char *name = d.strings + symbol->st_name, *library = "";
			const uintptr_t place = d.base + r->r_offset;
			if ((type != SLOT && type != DATA && type != POINTER) || symbol->st_shndx != SHN_UNDEF ||
			    ELF64_R_SYM(r->r_info) == 0)
				continue;
			if (unknown_is(name, *(void **)place, &library))
				unknown_redirect(place, unknown_stub(name, library));
		}
	}
}

bool lab_is_instrumented(void *handle)
{
	struct link_map *map = NULL;
	struct dynamic d;
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
		return false;
	unknown_read_dynamic(map, &d);
	for (unsigned t = 0; t < 2; t++)
		for (size_t i = 0; i < d.sizes[t]; i++)
			if (strncmp(unknown_symbol(&d, t, i), "__tsan_", 7) == 0)
				return true;
	return false;
}
