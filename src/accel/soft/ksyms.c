// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/soft/ksyms.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "base/types.h"

#define FILE_MAX  (64u << 20) /* bytes of a text, of a table of an ELF file */
#define SYMS_MAX  (1u << 20)
#define NAME_MAX_ 127u
#define FAR	  (1u << 20) /* no function is longer */
#define ENTRY	  "entry_SYSCALL_64"

struct ksym {
	uint64_t addr;
	uint32_t name; /* offset */
};

struct ksyms {
	struct ksym *sym; /* owned: @n, by address */
	uint32_t n, max;
	struct str names;
	uint64_t entry; /* of ENTRY; 0: not there */
};

void ksyms_free(struct ksyms *k)
{
	if (!k)
		return;
	free(k->sym);
	str_fini(&k->names);
	free(k);
}

/* -------- making the table -------- */
static bool add(struct ksyms *k, uint64_t addr, const char *name, size_t len, struct error *err)
{
	size_t at = k->names.len;

	if (!len || len > NAME_MAX_ || !addr)
		return true;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return true;
	if (k->n == SYMS_MAX)
		return error_set(err, "more than %u symbols", SYMS_MAX);
	if (k->n == k->max) {
		uint32_t max = k->max ? 2 * k->max : 4096;
		struct ksym *p = realloc(k->sym, max * sizeof(*p));

		if (!p)
			return error_set(err, "out of memory");
		k->sym = p;
		k->max = max;
	}
	str_append_mem(&k->names, name, len);
	str_append_char(&k->names, '\0');
	if (k->names.failed)
		return error_set(err, "out of memory");
	k->sym[k->n++] = (struct ksym){ addr, (uint32_t)at };
	if (len == strlen(ENTRY) && !memcmp(name, ENTRY, len))
		k->entry = addr;
	return true;
}

/* @n bytes at @off of the file, and a 0 behind them. */
static char *read_part(int fd, uint64_t off, uint64_t n, struct error *err)
{
	char *p = n <= FILE_MAX && off <= INT64_MAX ? malloc(n + 1) : NULL;
	uint64_t have = 0;

	if (!p) {
		error_set(err, "it is too large");
		return NULL;
	}
	while (have < n) {
		ssize_t r = pread(fd, p + have, n - have, (off_t)(off + have));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			free(p);
			error_set(err, "it ends too soon");
			return NULL;
		}
		have += (uint64_t)r;
	}
	p[n] = 0;
	return p;
}

/* -------- System.map, /proc/kallsyms: "ffffffff81000000 T _stext", maybe "\t[module]" behind -------- */
static bool text_line(struct ksyms *k, const char *p, struct error *err)
{
	char *end;
	uint64_t addr = strtoull(p, &end, 16);
	char type;

	if (end == p || end - p > 16 || end[0] != ' ' || !end[1] || end[2] != ' ')
		return error_set(err, "'%.20s...' is no line of System.map", p);
	type = end[1];
	end += 3;
	return !strchr("tTwW", type) || add(k, addr, end, strcspn(end, " \t"), err);
}

static bool load_text(struct ksyms *k, int fd, uint64_t size, struct error *err)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;

	if (!size) { /* a file of /proc has no size */
		error_set(err, "it is empty (of /proc/kallsyms a copy is wanted)");
		return false;
	}
	text = read_part(fd, 0, size, err);
	if (!text)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!text_line(k, line, err))
			return false;
	return true;
}

/* -------- ELF -------- */
struct elf {
	int fd;
	Elf64_Ehdr h;
	Elf64_Shdr *section; /* owned: h.e_shnum */
};

static bool is_function(const struct elf *e, const Elf64_Sym *s)
{
	unsigned int type = ELF64_ST_TYPE(s->st_info);

	return (type == STT_FUNC || type == STT_NOTYPE) && s->st_shndx != SHN_UNDEF &&
	       s->st_shndx < e->h.e_shnum && e->section[s->st_shndx].sh_flags & SHF_EXECINSTR;
}

static bool elf_symbols(
	struct ksyms *k, const struct elf *e, const Elf64_Shdr *table, struct error *err)
{
	const Elf64_Shdr *strings = &e->section[table->sh_link];
	AUTO_FREE char *syms = read_part(e->fd, table->sh_offset, table->sh_size, err);
	AUTO_FREE char *names = syms ? read_part(e->fd, strings->sh_offset, strings->sh_size, err)
				     : NULL;

	if (!names)
		return false;
	for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym s;

		memcpy(&s, syms + i * sizeof(s), sizeof(s));
		if (s.st_name < strings->sh_size && is_function(e, &s) &&
			!add(k, s.st_value, names + s.st_name,
				strnlen(names + s.st_name, NAME_MAX_ + 1), err))
			return false;
	}
	return true;
}

static bool load_elf(struct ksyms *k, int fd, struct error *err)
{
	AUTO_FREE char *head = read_part(fd, 0, sizeof(Elf64_Ehdr), err);
	AUTO_FREE char *sections = NULL;
	struct elf e = { .fd = fd };

	if (!head)
		return false;
	memcpy(&e.h, head, sizeof(e.h));
	if (e.h.e_ident[EI_CLASS] != ELFCLASS64 || e.h.e_ident[EI_DATA] != ELFDATA2LSB ||
		(e.h.e_shnum && e.h.e_shentsize != sizeof(Elf64_Shdr)))
		return error_set(err, "it is no 64-bit ELF file of this machine");
	sections = read_part(fd, e.h.e_shoff, (uint64_t)e.h.e_shnum * sizeof(Elf64_Shdr), err);
	if (!sections)
		return false;
	e.section = (Elf64_Shdr *)(void *)sections;
	for (unsigned int i = 0; i < e.h.e_shnum; i++)
		if (e.section[i].sh_type == SHT_SYMTAB && e.section[i].sh_link < e.h.e_shnum)
			return elf_symbols(k, &e, &e.section[i], err);
	return error_set(err, "it has no table of symbols: the file was stripped");
}

/* -------- all of it -------- */
static int by_address(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool load(struct ksyms *k, int fd, struct error *err)
{
	char magic[SELFMAG] = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, "it is no regular file");
	if (pread(fd, magic, sizeof(magic), 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG)
			? !load_elf(k, fd, err)
			: !load_text(k, fd, (uint64_t)st.st_size, err))
		return false;
	if (!k->n)
		return error_set(
			err, "it names no function (/proc/kallsyms has addresses for root only)");
	qsort(k->sym, k->n, sizeof(*k->sym), by_address);
	return true;
}

struct ksyms *ksyms_load(const char *path, struct error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct ksyms *k;

	if (fd < 0) {
		error_set_errno(err, errno, "symbols '%s'", path);
		return NULL;
	}
	k = calloc(1, sizeof(*k));
	if (!k) {
		error_set(err, "out of memory");
		return NULL;
	}
	str_init(&k->names);
	if (load(k, fd, err))
		return k;
	error_prefix(err, "symbols '%s'", path);
	ksyms_free(k);
	return NULL;
}

const char *ksyms_find(const struct ksyms *k, uint64_t addr, uint64_t lstar, uint32_t *off)
{
	uint32_t lo = 0, hi = k->n;

	if (lstar && k->entry)
		addr -= lstar - k->entry;
	while (lo < hi) { /* the first one beyond */
		uint32_t mid = lo + (hi - lo) / 2;

		if (k->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || addr - k->sym[lo - 1].addr >= FAR)
		return NULL;
	*off = (uint32_t)(addr - k->sym[lo - 1].addr);
	return k->names.s + k->sym[lo - 1].name;
}
