/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps track of what was loaded and where its code and variables are, and restores the variables
 * after an execution.
 */
#include "interpose.h"
#include "layout.h"
#include "unknown.h"
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

struct lab_module {
	char path[512];
	uintptr_t base;
	uintptr_t begin, end;     /* the whole module */
	uintptr_t code, code_end; /* all its executable segments */
	uintptr_t data, data_end; /* all its writable segments, and the holes between them */
	uintptr_t constant_end;   /* the end of the part that only the loader writes */
	const ElfW(Phdr) * segments;
	unsigned n_segments;
	bool code_on_stacks; /* it calls nested functions by pointers, for which gcc writes code */
	size_t tls_id;
	const void *tls_image;
	size_t tls_image_size, tls_size;
	const struct lab_door *door;
	struct lab_module *next;
};

static struct lab_module *modules;
static const struct lab_module none; /* the module of litmus programs */
static const struct lab_module *running = &none;

enum { PAGE = 4096 };

static void *make(size_t size)
{
	return lab_needed(calloc(1, size));
}

/* --- finding the modules --- */

struct search {
	uintptr_t address;
	struct lab_module *found;
};

static uintptr_t page_of(uintptr_t address)
{
	return address & ~(uintptr_t)(PAGE - 1);
}

static void add_segment(struct lab_module *m, const ElfW(Phdr) * segment)
{
	uintptr_t from = m->base + segment->p_vaddr, to = from + segment->p_memsz;
	if (segment->p_type == PT_TLS) {
		m->tls_image = (const void *)from;
		m->tls_image_size = segment->p_filesz;
		m->tls_size = segment->p_memsz;
		return;
	}
	if (segment->p_type == PT_GNU_STACK)
		m->code_on_stacks = segment->p_flags & PF_X;
	if (segment->p_type == PT_GNU_RELRO)
		m->constant_end = page_of(to + PAGE - 1);
	if (segment->p_type != PT_LOAD)
		return;
	if (m->end == 0 || from < m->begin)
		m->begin = from;
	if (to > m->end)
		m->end = to;
	uintptr_t *low = segment->p_flags & PF_W ? &m->data : &m->code;
	uintptr_t *high = segment->p_flags & PF_W ? &m->data_end : &m->code_end;
	if (*high == 0 || from < *low)
		*low = from;
	if (to > *high)
		*high = to;
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	struct search *search = arg;
	bool inside = false;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr;
		inside |= p->p_type == PT_LOAD && search->address >= from && search->address < from + p->p_memsz;
	}
	if (!inside)
		return 0;
	struct lab_module *m = make(sizeof *m);
	snprintf(m->path, sizeof m->path, "%s", info->dlpi_name);
	m->base = info->dlpi_addr;
	m->tls_id = info->dlpi_tls_modid;
	m->segments = info->dlpi_phdr;
	m->n_segments = info->dlpi_phnum;
	for (unsigned i = 0; i < m->n_segments; i++)
		add_segment(m, &m->segments[i]);
	if (m->constant_end > m->data)
		m->data = m->constant_end;
	search->found = m;
	return 1;
}

struct lab_module *lab_module_at(uintptr_t address)
{
	for (struct lab_module *m = modules; m; m = m->next)
		if (address >= m->begin && address < m->end)
			return m;
	struct search search = {address, NULL};
	(void)dl_iterate_phdr(visit_object, &search);
	if (search.found) {
		search.found->next = modules;
		modules = search.found;
	}
	return search.found;
}

const char *lab_module_of(uintptr_t pc, uintptr_t *offset)
{
	const struct lab_module *m = lab_module_at(pc);
	if (!m)
		return NULL;
	*offset = pc - m->base;
	return m->path;
}

EXPORTED void lab_attach(const struct lab_door *door)
{
	struct lab_module *m = lab_module_at((uintptr_t)door);
	if (m && door->size == sizeof *door)
		m->door = door;
}

const struct lab_door *lab_door_of(const struct lab_module *module)
{
	return module ? module->door : NULL;
}

static struct lab_test *tests;

static bool comes_before(const struct fl_stress_test *a, const struct fl_stress_test *b)
{
	int order = strcmp(a->name, b->name);
	return order < 0 || (order == 0 && !a->instrumented && b->instrumented);
}

static struct lab_test *add_test(const struct fl_stress_test *test, const struct lab_module *module)
{
	struct lab_test *t = make(sizeof *t);
	t->test = test;
	t->module = module;
	struct lab_test **place = &tests;
	while (*place && !comes_before(test, (*place)->test))
		place = &(*place)->next;
	t->next = *place;
	*place = t;
	return t;
}

/*
 * Whether the module has this path. It may have a different path, because dlsym() also searches the
 * dependencies of an object.
 */
static bool is_of(const struct lab_module *module, const char *path)
{
	char *loaded = realpath(module->path, NULL), *wanted = realpath(path, NULL);
	const bool same = loaded && wanted && strcmp(loaded, wanted) == 0;
	free(loaded);
	free(wanted);
	return same;
}

/*
 * Ends the process. Destructors of a program do not run here, because each execution runs them at
 * its end.
 */
static void leave(int status, void *arg)
{
	(void)arg;
	(void)fflush(NULL);
	_exit(status);
}

/* Adds a program as a test that is named after the file. */
static void add_program(const char *path, void *handle, const struct lab_module *module, void *start)
{
	struct fl_stress_test *test = make(sizeof *test);
	char *name = lab_needed(strdup(basename(path)));
	if (strrchr(name, '.'))
		*strrchr(name, '.') = '\0';
	*test = (struct fl_stress_test){.size = sizeof *test, .name = name, .file = path};
	test->instrumented = lab_unknown_redirect(handle);
	test->outcome.name = "main";
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the list of tests keeps it */
	struct lab_test *t = add_test(test, module);
	t->main = (int (*)(int, char **, char **))start;
	t->n_destructors = lab_destructors_of(handle, &t->destructors);
	(void)on_exit(leave, NULL);
}

static const char *loading; /* the path of the module that is being loaded */

bool lab_is_constructor(uintptr_t pc)
{
	Dl_info info;
	return loading && dladdr((void *)pc, &info) != 0 && strcmp(info.dli_fname, loading) == 0;
}

char *lab_load(const char *path)
{
	/* RTLD_LOCAL, because each of two modules may have a copy of the library. */
	loading = path;
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	loading = NULL;
	if (!handle) {
		const char *why = dlerror();
		return strdup(strstr(why, "libtsan")
		                  ? "it was linked with -fsanitize=thread, which brings the compiler's own "
		                    "runtime in: compile with that flag, and link without it"
		                  : why);
	}
	void *start = dlsym(handle, "main");
	struct lab_module *module = start ? lab_module_at((uintptr_t)start) : NULL;
	if (!module || !is_of(module, path))
		return NULL;
	if (lab_has_static_tls(handle))
		return strdup("it has thread-local variables of the TLS model initial-exec or local-exec, which all "
		              "threads of the model would share: compile it with -ftls-model=global-dynamic, and "
		              "without the attribute tls_model");
	add_program(path, handle, module, start);
	return NULL;
}

/* --- tests --- */

struct setup {
	const char *test;
	void (*call)(void *state);
	const struct lab_module *module;
	struct setup *next;
};

static struct setup *setups;

/* If an actor runs in several threads, names the second one actor-2, and so on. */
static void number_actors(struct fl_stress_function *actors)
{
	for (unsigned i = 0; actors[i].call; i++) {
		unsigned number = 1;
		for (unsigned k = 0; k < i; k++)
			number += actors[k].call == actors[i].call;
		char *name;
		if (number > 1 && asprintf(&name, "%s-%u", actors[i].name, number) > 0)
			actors[i].name = name;
	}
}

EXPORTED void fl_stress_register(struct fl_stress_test *test)
{
	struct lab_module *module = lab_module_at((uintptr_t)test);
	if (test->size != sizeof *test) {
		fprintf(stderr,
		        "fairlead-stress: %s: test %s was compiled with another version of <fairlead/stress.h>\n",
		        module ? module->path : "?", test->name);
		return;
	}
	number_actors(test->actors);
	(void)add_test(test, module);
}

EXPORTED void fl_stress_register_setup(const char *test, void (*setup)(void *state))
{
	struct setup *s = make(sizeof *s);
	*s = (struct setup){test, setup, lab_module_at((uintptr_t)test), setups};
	setups = s;
}

/*
 * Attaches each setup to its test once both are registered. The constructors of a module may
 * register them in either order.
 */
static void attach_setups(void)
{
	while (setups) {
		struct setup *s = setups;
		for (struct lab_test *t = tests; t; t = t->next)
			if (t->module == s->module && strcmp(t->test->name, s->test) == 0)
				t->setup = s->call;
		setups = s->next;
		free(s);
	}
}

const struct lab_test *lab_tests(void)
{
	attach_setups();
	return tests;
}

const struct lab_test *lab_test_find(const char *name, bool instrumented)
{
	LAB_EACH_TEST (t)
		if (t->test->instrumented == instrumented && strcmp(t->test->name, name) == 0)
			return t;
	return NULL;
}

/* --- the current module: its code and its globals --- */

static bool own_tls;      /* the variables of each thread have an address of their own */
static uint8_t *tls;      /* the thread-locals of the only kernel thread */
static uint8_t *tls_kept; /* those of the model threads, one block for each */

struct tls_index {
	size_t module, offset;
};
void *__tls_get_addr(struct tls_index *index);

bool lab_is_module_code(uintptr_t pc)
{
	return pc >= running->code && pc < running->code_end;
}

__attribute__((section("calls_back"), noinline)) uintptr_t lab_call_back(void (*function)(void), uintptr_t a,
                                                                         uintptr_t b, uintptr_t c)
{
	const uintptr_t result = ((uintptr_t(*)(uintptr_t, uintptr_t, uintptr_t))function)(a, b, c);
	__asm__ volatile(""); /* otherwise the call might become a jump */
	return result;
}

bool lab_calls_back(uintptr_t pc)
{
	/* the linker defines the two for each section whose name is an identifier */
	extern const char __start_calls_back[], __stop_calls_back[];
	return pc > (uintptr_t)__start_calls_back && pc <= (uintptr_t)__stop_calls_back;
}

bool lab_is_global(uintptr_t address)
{
	return (address >= running->data && address < running->data_end) || address - LAB_EARLY < lab_early_used;
}

struct undo {
	uintptr_t address;
	uint64_t before;
};

struct undos {
	struct undo *words;
	size_t n, room;
};

enum { PROCESSES = 1 + FL_STRESS_ACTORS };
static struct undos own[PROCESSES]; /* the changes of each process; `before` has the saved values */
static unsigned process;            /* the process whose globals are in place */

/*
 * The pages of all variables, and of what constructors have allocated, with a copy of each page
 * that was made after the constructors ran. After an execution, the pages are compared with their
 * copies, and those that differ are restored. So it does not matter who has changed them:
 * instrumented code, or the C or C++ library through a pointer.
 *
 * Most pages never change. So after the first executions, the pages that none of them has changed
 * are write-protected, and are no longer compared. The first write to a protected page raises
 * SIGSEGV. Then lab_globals_thaw() makes the page writable, and from then on the page is compared
 * again. A system call that writes to a protected page raises no signal, but fails with EFAULT.
 * Therefore lab_globals_thaw() is also called before a program calls a function of the C library
 * that writes to memory. A scenario may make system calls itself, but a system call that writes to
 * a variable must do so in one of the first executions.
 */
struct page {
	uint8_t *memory, *copy;
	bool changed; /* by any execution */
};
enum { FIRST = 16, PROTECTED = 16384 }; /* PROTECTED: the most parts with different protection */
static struct page *pages;              /* first those that are compared, then the protected ones */
static size_t n_pages, n_compared, room_pages;
static uint8_t *copies; /* of all pages, one after another */
static uint64_t resets;

static void add_pages(uintptr_t at, uintptr_t end)
{
	for (; at < end; at += PAGE) {
		pages = lab_grown(pages, n_pages, &room_pages, sizeof *pages);
		pages[n_pages++] = (struct page){.memory = (uint8_t *)at};
	}
}

/*
 * Copies a page if it differs. Zero pages that were never written share one page of the machine, so
 * memory that a program does not use costs little.
 */
static bool copy_page(uint8_t *to, const uint8_t *from)
{
	return memcmp(to, from, PAGE) != 0 && memmove(to, from, PAGE); /* memcpy() of a constant size is slow */
}

/* Puts the page among those that are compared. */
static void compare(struct page *page)
{
	const struct page first = pages[n_compared];
	pages[n_compared++] = *page;
	*page = first;
}

static void protect(void)
{
	if (getpagesize() != PAGE || n_pages > PROTECTED)
		return;
	n_compared = 0;
	for (struct page *p = pages; p < pages + n_pages; p++)
		if (p->changed || mprotect(p->memory, PAGE, PROT_READ) != 0)
			compare(p);
}

bool lab_globals_thaw(uintptr_t address)
{
	for (struct page *p = pages + n_compared; p < pages + n_pages; p++)
		if ((uintptr_t)p->memory == page_of(address)) {
			if (mprotect(p->memory, PAGE, PROT_READ | PROT_WRITE) != 0)
				return false;
			compare(p);
			return true;
		}
	return false;
}

/* Called once, since each process runs tests of one module. */
static void take_snapshot(void)
{
	for (unsigned i = 0; i < running->n_segments; i++) {
		const ElfW(Phdr) *s = &running->segments[i];
		const uintptr_t at = running->base + s->p_vaddr, from = at > running->data ? at : running->data;
		if (s->p_type == PT_LOAD && s->p_flags & PF_W)
			add_pages(page_of(from), at + s->p_memsz);
	}
	add_pages(LAB_EARLY, LAB_EARLY + lab_early_used);
	copies = make((n_pages + 1) * PAGE);
	for (size_t i = 0; i < n_pages; i++) {
		pages[i].copy = copies + i * PAGE;
		(void)copy_page(pages[i].copy, pages[i].memory);
	}
	n_compared = n_pages;
}

/*
 * Whether the list contains the word. A word that changes usually does so often, and one entry for
 * it is enough. Only the first entries are searched.
 */
static bool is_own(uintptr_t address)
{
	enum { MOST = 64 };
	for (size_t i = 0; i < own[process].n && i < MOST; i++)
		if (own[process].words[i].address == address)
			return true;
	return false;
}

/*
 * Exchanges the word's value with the saved value. Values are taken out in reverse order and put in
 * in forward order, because a word may be in the list twice.
 */
static void exchange(struct undo *u)
{
	uint64_t value = *(const uint64_t *)u->address;
	*(uint64_t *)u->address = u->before;
	u->before = value;
}

void lab_globals_enter(unsigned next)
{
	if (next == process)
		return;
	for (size_t i = own[process].n; i-- > 0;)
		exchange(&own[process].words[i]);
	process = next;
	for (size_t i = 0; i < own[process].n; i++)
		exchange(&own[process].words[i]);
}

/* Logs whole words, since a segment begins and ends at a page. */
void lab_globals_written(uintptr_t address, size_t size)
{
	struct undos *to = &own[process];
	if (process == 0 || !lab_is_global(address))
		return;
	for (uintptr_t at = address & ~(uintptr_t)7; at < address + size; at += 8) {
		if (is_own(at))
			continue;
		to->words = lab_grown(to->words, to->n, &to->room, sizeof *to->words);
		to->words[to->n++] = (struct undo){at, *(const uint64_t *)at};
	}
}

void lab_globals_reset(void)
{
	lab_globals_enter(0);
	for (unsigned i = 1; i < PROCESSES; i++)
		own[i].n = 0;
	for (struct page *p = pages; p < pages + n_compared; p++)
		p->changed |= copy_page(p->memory, p->copy);
	if (resets++ == FIRST)
		protect();
}

void lab_globals_visit(void (*visit)(uintptr_t value, void *arg), void *arg)
{
	for (const struct page *p = pages; p < pages + n_compared; p++)
		for (size_t at = 0; at < PAGE; at += 8)
			if (memcmp(p->memory + at, p->copy + at, 8) != 0)
				visit(*(const uintptr_t *)(p->memory + at), arg);
	for (unsigned p = 1; p < PROCESSES; p++)
		for (size_t i = 0; i < own[p].n; i++)
			visit((uintptr_t)own[p].words[i].before, arg);
}

void lab_module_use(const struct lab_module *module, bool program)
{
	if (!module)
		module = &none;
	if (running != module || !tls_kept) {
		running = module;
		take_snapshot();
		tls_kept = make(LAB_THREADS * running->tls_size + 1);
	}
	if (running->code_on_stacks)
		lab_stacks_execute();
	tls = NULL;
	own_tls = program && running->tls_size > 0;
	if (own_tls && running->tls_size > LAB_TLS_SIZE) {
		fprintf(stderr, "fairlead-stress: %zu bytes of thread-local variables are too many\n",
		        running->tls_size);
		exit(2);
	}
	if (running->tls_size == 0 || own_tls)
		return;
	struct tls_index index = {running->tls_id, 0}; /* of the calling thread */
	tls = __tls_get_addr(&index);
}

bool lab_is_tls(uintptr_t address)
{
	return tls && address - (uintptr_t)tls < running->tls_size;
}

void lab_tls_save(unsigned thread)
{
	if (tls)
		memcpy(tls_kept + thread * running->tls_size, tls, running->tls_size);
}

void lab_tls_load(unsigned thread)
{
	if (tls)
		memcpy(tls, tls_kept + thread * running->tls_size, running->tls_size);
}

void lab_tls_visit(unsigned thread, void (*visit)(uintptr_t value, void *arg), void *arg)
{
	const uintptr_t from = LAB_TLS + thread * LAB_TLS_SIZE;
	for (size_t at = 0; own_tls && at + 8 <= running->tls_size; at += 8)
		visit(*(const uintptr_t *)(from + at), arg);
}

/*
 * The compiler's code calls this to get the address of a thread-local of a shared object. Each
 * thread of a program has its own block, so that a thread may pass the address of its variable to
 * another thread.
 */
EXPORTED void *__tls_get_addr(struct tls_index *index)
{
	FORWARD_UNLESS(own_tls && lab.active && index->module == running->tls_id, __tls_get_addr, REAL(__tls_get_addr),
	               (index));
	return (void *)(LAB_TLS + lab.self->id * LAB_TLS_SIZE + index->offset);
}

void lab_tls_end(uintptr_t pc)
{
	if (own_tls)
		lab_race_free(LAB_TLS + lab.self->id * LAB_TLS_SIZE, running->tls_size, pc);
}

void lab_tls_begin(unsigned thread)
{
	if (!own_tls && !tls)
		return;
	uint8_t *block = own_tls ? (uint8_t *)(LAB_TLS + thread * LAB_TLS_SIZE) : tls_kept + thread * running->tls_size;
	memcpy(block, running->tls_image, running->tls_image_size);
	memset(block + running->tls_image_size, 0, running->tls_size - running->tls_image_size);
}
