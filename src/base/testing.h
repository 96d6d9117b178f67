// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * testing - what unit tests include for cmocka (whose header wants its helpers in a certain order). Tests
 * only.
 */
#ifndef BASE_TESTING_H
#define BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/random.h"

/* Fails and shows both texts when @text does not contain @part. */
#define assert_contains(text, part)                                             \
	do {                                                                    \
		if (!strstr((text), (part)))                                    \
			fail_msg("'%s' does not contain '%s'", (text), (part)); \
	} while (0)

#endif
