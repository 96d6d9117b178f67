// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "control/hostfwd.h"

static void test_good(void **state)
{
	static const struct {
		const char *text, *spec;
		bool guest;
	} t[] = {
		{ "tcp::2222-:22", "tcp:0.0.0.0:2222:22", true },
		{ "::2222-:22", "tcp:0.0.0.0:2222:22", true },
		{ "udp:127.0.0.1:53-10.0.2.15:5353", "udp:127.0.0.1:53:10.0.2.15:5353", true },
		{ "tcp:[::1]:80-[fec0::15]:8080", "tcp:[::1]:80:[fec0::15]:8080", true },
		{ "tcp::2222", "tcp:0.0.0.0:2222", false },
		{ "udp:127.0.0.1:53", "udp:127.0.0.1:53", false },
		{ ":[::1]:53", "tcp:[::1]:53", false },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct error err = ERROR_INIT;
		char *spec = hostfwd_spec(t[i].text, t[i].guest, &err);

		if (!spec)
			fail_msg("%s", err.msg);
		assert_string_equal(spec, t[i].spec);
		free(spec);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
		bool guest;
	} t[] = {
		{ "", "Bad protocol name", true },
		{ "tcp", "Bad protocol name", true },
		{ "sctp::1-:1", "Bad protocol name", true },
		{ "tcp:", "Bad host address", true },
		{ "tcp:1-:1", "Bad host port", true },
		{ "tcp:[::1:1-:1", "Bad host address", true },
		{ "tcp::-:1", "Bad host port", true },
		{ "tcp::1", "Bad host port separator", true },
		{ "tcp::1-", "Bad guest", true },
		{ "tcp::1-22", "Bad guest", true },
		{ "tcp::1-:", "Bad guest", true },
		{ "tcp::1-[::1", "Bad guest", true },
		{ "tcp:1", "Bad host address", false },
		{ "tcp::", "Bad host port", false },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct error err = ERROR_INIT;

		assert_null(hostfwd_spec(t[i].text, t[i].guest, &err));
		if (!strstr(err.msg, t[i].says))
			fail_msg("'%s': %s", t[i].text, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
