/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbols.h"
#include "core/base/sys.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool symbols_is_within(const struct fl__symbol_file *f, size_t at, size_t size)
{
	return at <= f->size && size <= f->size - at;
}

/* Finds the symbol table and its names, if both lie in the file. */
static void symbols_find_tables(struct fl__symbol_file *f)
{
	const ElfW(Ehdr) *head = (const void *)f->bytes;
	if (f->size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_shentsize != sizeof(ElfW(Shdr)) || head->e_shoff % _Alignof(ElfW(Shdr)) != 0 ||
	    !symbols_is_within(f, head->e_shoff, (size_t)head->e_shnum * sizeof(ElfW(Shdr))))
		return;
	const ElfW(Shdr) *sections = (const void *)(f->bytes + head->e_shoff);
	f->fixed = head->e_type == ET_EXEC;
	for (size_t i = 0; i < head->e_shnum; i++) {
		const ElfW(Shdr) *s = &sections[i];
		if (s->sh_type != SHT_SYMTAB || s->sh_link >= head->e_shnum || s->sh_offset % _Alignof(ElfW(Sym)) != 0)
			continue;
		const ElfW(Shdr) *names = &sections[s->sh_link];
		if (!symbols_is_within(f, s->sh_offset, s->sh_size) ||
		    !symbols_is_within(f, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
		    f->bytes[names->sh_offset + names->sh_size - 1] != '\0')
			continue;
		f->symbols = (const void *)(f->bytes + s->sh_offset);
		f->n = s->sh_size / sizeof(ElfW(Sym));
		f->names = f->bytes + names->sh_offset;
		f->names_size = names->sh_size;
	}
}

static void symbols_map_file(struct fl__symbol_file *f)
{
	struct stat info;
	FL__UNCANCELLED();
	/* The program's path is right in any working directory, and after the file was replaced. */
	const char *path = strchr(f->path, '/')          ? f->path
	                   : fl__main_thread_has_ended() ? "/proc/thread-self/exe"
	                                                 : "/proc/self/exe"; /* an emulator knows this name alone */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
		void *bytes;
		if (fl__map_file(fd, 0, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, &bytes) == 0) {
			f->bytes = bytes;
			f->size = (size_t)info.st_size;
			symbols_find_tables(f);
		}
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

const char *fl__symbol_of(struct fl__symbols *symbols, const char *file, uintptr_t base, uintptr_t address,
                          uintptr_t *into)
{
	const struct fl__symbol_file *f = symbols_file_of(symbols, file);
	if (!f)
		return NULL;
	const uintptr_t at = f->fixed ? address : address - base;
	const ElfW(Sym) *const all = f->symbols;
	for (size_t i = 0; i < f->n; i++) {
		const ElfW(Sym) *s = &all[i];
		const unsigned type = s->st_info & 15;
		if ((type != STT_FUNC && type != STT_OBJECT) || at < s->st_value || at - s->st_value >= s->st_size ||
		    s->st_name >= f->names_size)
			continue;
		*into = at - s->st_value;
		return f->names + s->st_name;
	}
	return NULL;
}

void fl__symbols_end(struct fl__symbols *symbols)
{
	for (size_t i = 0; i < symbols->n; i++)
		if (symbols->files[i].bytes)
			(void)munmap((void *)(uintptr_t)symbols->files[i].bytes, symbols->files[i].size);
	symbols->n = 0;
}
