// SPDX-License-Identifier: GPL-2.0-or-later
/* What perf(1) is told: the jitdump file and the map, read as perf reads them; and guests' symbols. */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "accel/soft/jit.h"
#include "accel/soft/ksyms.h"
#include "accel/soft/mmu_testing.h"
#include "accel/soft/perf.h"

#define LIN 0xffffffff81001000ull

static char dir[] = "/tmp/lodge-perf-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return rmdir(dir);
}

static char *path_of(const char *name)
{
	char *p = str_printf("%s/%s", dir, name);

	assert_non_null(p);
	return p;
}

static void put_file(const char *name, const void *p, size_t n)
{
	AUTO_FREE char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void drop_file(const char *name)
{
	AUTO_FREE char *path = path_of(name);

	assert_int_equal(unlink(path), 0);
}

/* The whole file, with a 0 behind it. */
static uint8_t *get_file(const char *before, const char *after, size_t *n)
{
	AUTO_FREE char *name = str_printf("%s-%d.%s", before, (int)getpid(), after);
	AUTO_FREE char *path = path_of(name);
	FILE *f = fopen(path, "r");
	uint8_t *p = calloc(1, 1 << 20);
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	*n = fread(p, 1, (1 << 20) - 1, f);
	fclose(f);
	unlink(path);
	return p;
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return x;
}

static uint64_t u64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, 8);
	return x;
}

/* -------- a vCPU that translates -------- */
static struct env *e;

static struct soft_vcpu *new_translator(enum soft_perf_kind kind, const char *symbols)
{
	struct error err = ERROR_INIT;
	struct soft_vcpu *v;

	e->vm->jit = true;
	e->vm->perf = soft_perf_new(kind, symbols, dir, &err);
	assert_non_null(e->vm->perf);
	v = new_vcpu(e, 1);
	atomic_store(&v->poll, 0);
	map(e, LIN, DATA, W);
	map(e, LIN + 0x1000, DATA + 0x1000, W);
	return v;
}

static void run_at(struct soft_vcpu *v, uint64_t lin)
{
	v->rip = lin;
	v->halted = false;
	for (int i = 0; i < 100 && !v->halted; i++)
		soft_vcpu_turns(v, 1000, NULL);
	assert_true(v->halted);
}

static void run_two_blocks(struct soft_vcpu *v)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0xeb, 0x0e }; /* xor eax, eax; jmp +14 */

	memcpy(e->ram->host + DATA + 0x10, code, sizeof(code));
	e->ram->host[DATA + 0x22] = 0xf4;
	run_at(v, LIN + 0x10);
	set_cpl(v, 3);
	*map(e, LIN, DATA, W) |= U;
	soft_tlb_flush(v, true);
	v->rip = LIN + 0x10;
	soft_vcpu_turns(v, 10, NULL);
}

static int setup_perf(void **state)
{
	setup(state);
	e = *state;
	return 0;
}

/* -------- jitdump -------- */
struct load {
	uint64_t time, address, size, index;
	const char *name;
	const uint8_t *code;
};

/* The @nth CODE_LOAD record after the header; false: no more, and then the rest is CODE_CLOSE. */
static bool next_load(const uint8_t **p, const uint8_t *end, struct load *l)
{
	const uint8_t *r = *p;
	size_t size;

	assert_true(end - r >= 16);
	size = u32(r + 4);
	assert_true(size <= (size_t)(end - r));
	*p += size;
	if (u32(r) == 3) {
		assert_int_equal(size, 16);
		assert_ptr_equal(*p, end);
		return false;
	}
	assert_int_equal(u32(r), 0);
	assert_int_equal(u32(r + 16), getpid());
	assert_true(u32(r + 20) != 0);
	assert_true(u64(r + 24) == u64(r + 32));
	l->time = u64(r + 8);
	l->address = u64(r + 32);
	l->size = u64(r + 40);
	l->index = u64(r + 48);
	l->name = (const char *)r + 56;
	l->code = r + 56 + strlen(l->name) + 1;
	assert_int_equal(l->code + l->size - r, size);
	return true;
}

static void jitdump(void **state)
{
	struct soft_vcpu *v = new_translator(SOFT_PERF_JITDUMP, NULL);
	const uint8_t *rx = v->jit->code.rx;
	uint64_t begin = (uint64_t)rx, time = 0, index = 0;
	unsigned int kernel = 0, user = 0, stubs = 0;
	const uint8_t *p;
	struct load l;
	uint8_t *file;
	size_t n;

	run_two_blocks(v);
	file = calloc(1, JIT_CODE_SIZE);
	memcpy(file, rx, v->jit->code.used);
	soft_perf_free(e->vm->perf);
	e->vm->perf = NULL;
	p = get_file("jit", "dump", &n);
	assert_true(n > 40);
	assert_int_equal(u32(p), 0x4a695444);
	assert_int_equal(u32(p + 4), 1);
	assert_int_equal(u32(p + 8), 40);
	assert_int_equal(u32(p + 12), EM_X86_64);
	assert_int_equal(u32(p + 20), getpid());
	assert_true(u64(p + 32) == 0);
	time = u64(p + 24);
	for (const uint8_t *r = p + 40; next_load(&r, p + n, &l);) {
		assert_true(l.time >= time);
		time = l.time;
		assert_true(l.index == index++);
		assert_in_range(l.address, begin, begin + JIT_CODE_SIZE - 1);
		assert_true(l.size > 0 && l.size < JIT_ROOM);
		kernel += !strcmp(l.name, "guest:k64:ffffffff81001010");
		user += !strcmp(l.name, "guest:u64:ffffffff81001010");
		stubs += !strcmp(l.name, "lodge:stubs");
		/* Links are patched in afterwards, and the first bytes are those that know where they are. */
		assert_memory_equal(l.code, file + (l.address - begin), 8);
	}
	assert_int_equal(stubs, 1);
	assert_int_equal(kernel, 1);
	assert_in_range(kernel + user, 1, 2); /* a block may serve both */
	free(file);
	free((void *)(uintptr_t)p);
}

/* -------- the map -------- */
static const char symbols[] = "0000000000000000 A nothing\n"
			      "ffffffff80000f00 T first\n"
			      "ffffffff80001000 t second\t[module]\n"
			      "ffffffff80001008 D data\n"
			      "ffffffff80002000 T entry_SYSCALL_64\n";

static void perf_map(void **state)
{
	AUTO_FREE char *path = path_of("symbols");
	struct soft_vcpu *v;
	char *text;
	size_t n;

	put_file("symbols", symbols, sizeof(symbols) - 1);
	v = new_translator(SOFT_PERF_MAP, path);
	v->lstar = 0xffffffff81002000; /* 16 MiB above where the file has it */
	run_two_blocks(v);
	text = (char *)get_file("perf", "map", &n);
	assert_non_null(strstr(text, " lodge:stubs\n"));
	assert_non_null(strstr(text, " guest:k64:ffffffff81001010:second+0x10\n"));
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		unsigned long at, size;

		assert_int_equal(sscanf(line, "%lx %lx ", &at, &size), 2);
		assert_true(exec_mem_has(&v->jit->code, at) && size);
	}
	free(text);
	drop_file("symbols");
}

/* -------- symbols -------- */
static struct ksyms *load(const void *p, size_t n, struct error *err)
{
	AUTO_FREE char *path = path_of("symbols");
	struct ksyms *k;

	*err = (struct error)ERROR_INIT;
	put_file("symbols", p, n);
	k = ksyms_load(path, err);
	drop_file("symbols");
	return k;
}

static void refused(const void *p, size_t n, const char *why)
{
	struct error err;

	assert_null(load(p, n, &err));
	if (!strstr(err.msg, why))
		fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void text_symbols(void **state)
{
	struct error err;
	struct ksyms *k = load(symbols, sizeof(symbols) - 1, &err);
	uint32_t off = 0;

	assert_non_null(k);
	assert_string_equal(ksyms_find(k, 0xffffffff80001010, 0, &off), "second");
	assert_int_equal(off, 0x10);
	assert_string_equal(ksyms_find(k, 0xffffffff80000fff, 0, &off), "first");
	assert_string_equal(ksyms_find(k, 0xffffffff90000fff, 0xffffffff90002000, &off), "first");
	assert_null(ksyms_find(k, 0xffffffff80000eff, 0, &off));
	assert_null(ksyms_find(k, 0xffffffff80102000, 0, &off)); /* too far */
	assert_null(ksyms_find(k, 0x1000, 0, &off));
	ksyms_free(k);
	refused("", 0, "empty");
	refused("hello\n", 6, "no line of System.map");
	refused("ffffffff80000f00 T", 18, "no line of System.map");
	refused("fffffffff80000f000 T x\n", 23, "no line of System.map");
	refused("0000000000000000 T zero\n", 24, "root");
	refused("ffffffff80000f00 T \x1b[2J\n", 24, "names no function");
}

struct image {
	Elf64_Ehdr h;
	Elf64_Shdr s[4];
	Elf64_Sym sym[3];
	char names[32];
};

static struct image image(void)
{
	return (struct image){
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			.e_shoff = offsetof(struct image, s),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 4 },
		.s = { { 0 }, { .sh_type = SHT_PROGBITS, .sh_flags = SHF_EXECINSTR },
			{ .sh_type = SHT_SYMTAB,
				.sh_link = 3,
				.sh_offset = offsetof(struct image, sym),
				.sh_size = 3 * sizeof(Elf64_Sym) },
			{ .sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct image, names),
				.sh_size = sizeof(((struct image *)0)->names) } },
		.sym = { { 0 },
			{ .st_name = 1, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x5000 },
			{ .st_name = 7,
				.st_info = STT_OBJECT,
				.st_shndx = 1,
				.st_value = 0x6000 } },
		.names = "\0start\0thing",
	};
}

static void elf_symbols(void **state)
{
	struct image i = image();
	struct error err;
	struct ksyms *k = load(&i, sizeof(i), &err);
	uint32_t off = 0;

	assert_non_null(k);
	assert_string_equal(ksyms_find(k, 0x6001, 0, &off), "start");
	assert_int_equal(off, 0x1001);
	ksyms_free(k);
	/* A name that nothing ends, and one that is not there. */
	i.sym[2] = i.sym[1];
	i.sym[2].st_name = 31;
	i.names[31] = 'x';
	k = load(&i, sizeof(i), &err);
	assert_non_null(k);
	ksyms_free(k);
	i.sym[1].st_name = i.sym[2].st_name = 32;
	refused(&i, sizeof(i), "names no function");
	i = image();
	i.s[2].sh_size = UINT64_MAX;
	refused(&i, sizeof(i), "too large");
	i = image();
	i.s[3].sh_offset = INT64_MAX;
	refused(&i, sizeof(i), "ends too soon");
	i = image();
	i.s[2].sh_link = 4;
	refused(&i, sizeof(i), "stripped");
	i = image();
	i.h.e_shentsize = 1;
	refused(&i, sizeof(i), "ELF");
	i = image();
	i.h.e_shnum = 0xffff;
	refused(&i, sizeof(i), "ends too soon");
	refused(&i, 20, "ends too soon");
}

/* Each byte of a good file changed: whatever comes of it, nothing breaks. */
static void damaged_elf(void **state)
{
	for (size_t at = 0; at < sizeof(struct image); at++)
		for (unsigned int x = 0; x < 3; x++) {
			struct image i = image();
			struct error err;
			uint32_t off;
			struct ksyms *k;

			((uint8_t *)&i)[at] ^= (uint8_t[]){ 0xff, 0x80, 0x01 }[x];
			k = load(&i, sizeof(i), &err);
			if (k)
				(void)ksyms_find(k, 0x5001, 0x1234, &off);
			ksyms_free(k);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jitdump, setup_perf, teardown),
		cmocka_unit_test_setup_teardown(perf_map, setup_perf, teardown),
		cmocka_unit_test(text_symbols),
		cmocka_unit_test(elf_symbols),
		cmocka_unit_test(damaged_elf),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
