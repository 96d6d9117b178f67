// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The integer mix as a 32-bit program without a library: writes its checksum, 8 bytes, to fd 1.
 * Its argument is n in decimal.
 */
#include "coremix.c"

static int system_call(int number, int a, const void *b, unsigned int c)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

__attribute__((used)) static void start(const char *const *stack) /* argc, argv[0], argv[1] ... */
{
	unsigned long n = 0;
	uint64_t sum;

	for (const char *p = stack[2]; p && *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	sum = coremix_run(n);
	system_call(4, 1, &sum, sizeof(sum));
	system_call(1, 0, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %esp, %eax\n"
	"	and $-16, %esp\n"
	"	sub $12, %esp\n"
	"	push %eax\n"
	"	call start\n");
