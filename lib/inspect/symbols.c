/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names from ELF files. The loaded files are recorded outside signal handlers, because recording
 * calls the loader. `symbols_modules` only grows, so the functions of an unloaded file keep their
 * names until another file is recorded at its addresses. When a file is unloaded, the loader frees
 * the file's name, so the entries point to copies in `symbols_names`, which also only grows.
 */
#include "backtrace.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#ifdef __ELF__
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool symbols_is_within(const struct fl__symbol_file *f, size_t at, size_t size)
{
	return at <= f->size && size <= f->size - at;
}

/* Finds the symbol table and its names, if both are within the file. */
static void symbols_find_tables(struct fl__symbol_file *f)
{
	const ElfW(Ehdr) *head = (const void *)f->bytes;
	if (f->size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_shentsize != sizeof(ElfW(Shdr)) || head->e_shoff % _Alignof(ElfW(Shdr)) != 0 ||
	    !symbols_is_within(f, head->e_shoff, (size_t)head->e_shnum * sizeof(ElfW(Shdr))))
		return;
	const ElfW(Shdr) *sections = (const void *)(f->bytes + head->e_shoff);
	f->fixed = head->e_type == ET_EXEC;
	for (const ElfW(Shdr) *s = sections; s < sections + head->e_shnum; s++) {
		if (s->sh_type != SHT_SYMTAB || s->sh_link >= head->e_shnum || s->sh_offset % _Alignof(ElfW(Sym)) != 0)
			continue;
		const ElfW(Shdr) *names = &sections[s->sh_link];
		if (!symbols_is_within(f, s->sh_offset, s->sh_size) ||
		    !symbols_is_within(f, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
		    f->bytes[names->sh_offset + names->sh_size - 1] != '\0')
			continue;
		f->symbols = f->bytes + s->sh_offset;
		f->n = s->sh_size / sizeof(ElfW(Sym));
		f->names = f->bytes + names->sh_offset;
		f->names_size = names->sh_size;
	}
}

static void symbols_map_file(struct fl__symbol_file *f)
{
	struct stat info;
	void *bytes;
	FL__UNCANCELLED();
	/*
	 * The program's path in /proc is right in any working directory, and even if the file was
	 * replaced.
	 */
	const char *path = strchr(f->path, '/')          ? f->path
	                   : fl__main_thread_has_ended() ? "/proc/thread-self/exe"
	                                                 : "/proc/self/exe"; /* the only name that an emulator knows */
	int fd = FL__RETRY(FL__SYS_RESULT(open(path, O_RDONLY | O_CLOEXEC)));
	if (fd < 0)
		return;
	/* an empty file, or one that is not regular, cannot be mapped */
	if (fstat(fd, &info) == 0 && fl__map_file(fd, 0, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, &bytes) == 0) {
		f->bytes = bytes;
		f->size = (size_t)info.st_size;
		symbols_find_tables(f);
	}
	(void)close(fd);
}

static struct fl__symbol_file *symbols_file_of(struct fl__symbols *symbols, const char *path)
{
	for (size_t i = 0; i < symbols->n; i++)
		if (strcmp(symbols->files[i].path, path) == 0)
			return &symbols->files[i];
	if (symbols->n == FL__SYMBOL_FILES)
		return NULL;
	struct fl__symbol_file *f = &symbols->files[symbols->n++];
	*f = (struct fl__symbol_file){.path = path};
	symbols_map_file(f);
	return f;
}

/*
 * Returns the name of the symbol at `address`, and stores the offset in `*into`. Returns NULL if it
 * is unknown. `file` is loaded at `base`.
 */
static const char *symbols_name_of(struct fl__symbols *symbols, const char *file, uintptr_t base, uintptr_t address,
                                   uintptr_t *into)
{
	const struct fl__symbol_file *f = symbols_file_of(symbols, file);
	if (!f)
		return NULL;
	const uintptr_t at = f->fixed ? address : address - base;
	const ElfW(Sym) *s = f->symbols;
	for (size_t i = 0; i < f->n; i++, s++) {
		const unsigned type = s->st_info & 15;
		if ((type != STT_FUNC && type != STT_OBJECT) || at < s->st_value || at - s->st_value >= s->st_size ||
		    s->st_name >= f->names_size)
			continue;
		*into = at - s->st_value;
		return f->names + s->st_name;
	}
	return NULL;
}

/* The addresses from `low` to `high` contain all segments of the file, and nothing else. */
struct symbols_module {
	uintptr_t base, low;
	uintptr_t high;   /* stored last; 0 while the entry is not complete */
	const char *path; /* a copy of the loader's name of the file; "" for the program */
};

/*
 * A thread that adds an entry first takes its index from symbols_n_modules, and the place of its
 * name from symbols_names_used. Because musl calls dl_iterate_phdr()'s function concurrently, both
 * may count beyond the end, and a module may get two entries, which does no harm. A module is not
 * recorded if there is no room for its entry or its name.
 */
enum { SYMBOLS_MODULES = 128 };
static struct symbols_module symbols_modules[SYMBOLS_MODULES];
static char symbols_names[128 * SYMBOLS_MODULES];
static uint32_t symbols_n_modules, symbols_names_used;

/* Returns the newest entry with an address from `low` up to, but not including, `high`. */
static const struct symbols_module *symbols_module_of(uintptr_t low, uintptr_t high)
{
	/* relaxed: `high`, not the count, publishes an entry */
	uint32_t i = fl__load_relaxed(&symbols_n_modules);
	for (i = FL__MIN(i, SYMBOLS_MODULES); i-- > 0;) {
		const struct symbols_module *m = &symbols_modules[i];
		/* acquire: pairs with the release in symbols_learn_module() */
		if (low < fl__load_acquire(&m->high) && high > m->low)
			return m;
	}
	return NULL;
}

static int symbols_learn_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	uintptr_t low = UINTPTR_MAX, high = 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const uintptr_t begin = (uintptr_t)(info->dlpi_addr + p->p_vaddr);
		if (p->p_type != PT_LOAD)
			continue;
		low = FL__MIN(begin, low);
		high = FL__MAX(begin + p->p_memsz, high);
	}
	const struct symbols_module *known = symbols_module_of(low, high);
	if (high == 0 ||
	    (known && known->base == info->dlpi_addr && known->high == high && !strcmp(known->path, info->dlpi_name)))
		return 0;
	/* relaxed, also the adds: `high`, not the counts, publishes an entry */
	if (fl__load_relaxed(&symbols_n_modules) >= SYMBOLS_MODULES)
		return 0;
	const size_t length = strlen(info->dlpi_name) + 1;
	const uint32_t at = fl__add_relaxed(&symbols_n_modules, 1);
	const size_t name = fl__add_relaxed(&symbols_names_used, (uint32_t)length);
	if (at >= SYMBOLS_MODULES || name + length > sizeof symbols_names)
		return 0;
	struct symbols_module *m = &symbols_modules[at];
	m->base = info->dlpi_addr;
	m->low = low;
	m->path = memcpy(&symbols_names[name], info->dlpi_name, length);
	/* release: pairs with the acquire in symbols_module_of() */
	fl__store_release(&m->high, high);
	return 0;
}

void fl__backtrace_learn_modules(void)
{
	(void)dl_iterate_phdr(symbols_learn_module, NULL);
}

const char *fl__symbols_describe(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size)
{
	const struct symbols_module *m = symbols_module_of(address, address + 1);
	uintptr_t into = 0;
	const char *name = m ? symbols_name_of(symbols, m->path, m->base, address, &into) : NULL;
	*text = '\0';
	if (name && into == 0)
		(void)snprintf(text, size, "%s", name);
	else if (name)
		(void)snprintf(text, size, "%s+%#lx", name, (unsigned long)into);
	else if (m)
		(void)snprintf(text, size, "%s(+%#lx)", *m->path ? m->path : "the program",
		               (unsigned long)(address - m->base));
	return name;
}

void fl__symbols_end(struct fl__symbols *symbols)
{
	while (symbols->n > 0) {
		const struct fl__symbol_file *f = &symbols->files[--symbols->n];
		if (f->bytes)
			(void)munmap(f->bytes, f->size);
	}
}
#endif
