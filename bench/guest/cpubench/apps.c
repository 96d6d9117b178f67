// SPDX-License-Identifier: GPL-2.0-or-later
/* Debian's own libraries at work: zlib, Lua, SQLite. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cpubench.h"

static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* ---- zlib ---- */

#define TEXT_SIZE 262144u

static uint8_t *text, *packed, *unpacked;

/* Words of an artificial language: it packs to a third, as prose does. */
static void zlib_setup(unsigned long n)
{
	uint64_t seed = 7;
	size_t at = 0;

	(void)n;
	text = get_memory(TEXT_SIZE);
	unpacked = get_memory(TEXT_SIZE);
	packed = get_memory(2 * TEXT_SIZE);
	while (at < TEXT_SIZE) {
		uint64_t word = next_random(&seed) % 3000;

		word = word * word / 3000 + 17;
		for (word *= 0x9e3779b9u; word > 40 && at < TEXT_SIZE; word >>= 6)
			text[at++] = "etaoinsrhldcumfpgwybvkxj"[word % 24];
		if (at < TEXT_SIZE)
			text[at++] = ' ';
	}
}

static uint64_t zlib_run(unsigned long n)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		uLongf size = 2 * TEXT_SIZE, back = TEXT_SIZE;

		text[i * 4099 % TEXT_SIZE] ^= 1;
		if (compress2(packed, &size, text, TEXT_SIZE, 6) != Z_OK ||
			uncompress(unpacked, &back, packed, size) != Z_OK ||
			memcmp(text, unpacked, TEXT_SIZE))
			give_up("zlib", "the text has changed");
		sum = mix(sum, size);
		sum = mix(sum, crc32(0, packed, (uInt)size));
	}
	return sum;
}

/* ---- Lua: tables, strings, closures, integers and doubles ---- */

static const char script[] =
	"local n = ...\n"
	"local sum = 0\n"
	"local function counter(step)\n"
	"  local c = 0\n"
	"  return function() c = c + step; return c end\n"
	"end\n"
	"for round = 1, n do\n"
	"  local sieve, primes = {}, {}\n"
	"  for i = 2, 5000 do\n"
	"    if not sieve[i] then\n"
	"      primes[#primes + 1] = i\n"
	"      for j = i * i, 5000, i do sieve[j] = true end\n"
	"    end\n"
	"  end\n"
	"  local words, next = {}, counter(3)\n"
	"  for _, p in ipairs(primes) do\n"
	"    local key = 'k' .. p % 97\n"
	"    words[key] = (words[key] or 0) + next()\n"
	"  end\n"
	"  local keys = {}\n"
	"  for k in pairs(words) do keys[#keys + 1] = k end\n"
	"  table.sort(keys)\n"
	"  local text = table.concat(keys, ',')\n"
	"  for w in text:gmatch('[^,]+') do sum = sum * 31 + words[w] ~ #w end\n"
	"  local x = 0.5\n"
	"  for i = 1, 5000 do x = 3.75 * x * (1 - x) end\n"
	"  sum = sum ~ math.floor(x * 1e9) + #text:upper():gsub('K1', '<%0>')\n"
	"end\n"
	"return sum\n";

static uint64_t lua_run(unsigned long n)
{
	lua_State *l = luaL_newstate();
	uint64_t sum;

	if (!l)
		give_up("lua", "no memory");
	luaL_openlibs(l);
	if (luaL_loadstring(l, script))
		give_up("lua", lua_tostring(l, -1));
	lua_pushinteger(l, (lua_Integer)n);
	if (lua_pcall(l, 1, 1, 0))
		give_up("lua", lua_tostring(l, -1));
	sum = (uint64_t)lua_tointeger(l, -1);
	lua_close(l);
	return sum;
}

/* ---- SQLite: a database in memory ---- */

static const char *const sqlite_before[] = {
	"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, grp INTEGER, price INTEGER)",
	"CREATE INDEX item_by_name ON item (name)",
};
/* ?1: the number of the round. */
static const char *const sqlite_round[] = {
	"BEGIN",
	"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000)"
	" INSERT INTO item (name, grp, price)"
	" SELECT 'item ' || ((i * 7919 + ?1 * 104729) % 100003), i % 37, i * ?1 % 1009 FROM c",
	"UPDATE item SET price = price + 1 WHERE grp = ?1 % 37",
	"DELETE FROM item WHERE id <= ?1 * 1000 - 4000",
	"COMMIT",
	"SELECT count(*), sum(price), max(name) FROM item WHERE name BETWEEN 'item 2' AND 'item 5'",
	("SELECT a.grp, count(*), sum(a.price * b.price) FROM item a JOIN item b ON a.name = b.name"
	 " GROUP BY a.grp ORDER BY 3 DESC LIMIT 5"),
	"SELECT count(*) FROM item WHERE name LIKE '%99%'",
};

static uint64_t sql(sqlite3 *db, const char *command, unsigned long round)
{
	sqlite3_stmt *s;
	uint64_t sum = 0;
	int rc;

	if (sqlite3_prepare_v2(db, command, -1, &s, NULL))
		give_up("sqlite", sqlite3_errmsg(db));
	if (sqlite3_bind_parameter_count(s))
		sqlite3_bind_int64(s, 1, (sqlite3_int64)round);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(s); i++) {
			const unsigned char *p = sqlite3_column_text(s, i);

			for (; p && *p; p++)
				sum = mix(sum, *p);
		}
	if (rc != SQLITE_DONE)
		give_up("sqlite", sqlite3_errmsg(db));
	sqlite3_finalize(s);
	return sum;
}

static uint64_t sqlite_run(unsigned long n)
{
	uint64_t sum = 0;
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db))
		give_up("sqlite", "cannot open");
	for (size_t i = 0; i < sizeof(sqlite_before) / sizeof(sqlite_before[0]); i++)
		sql(db, sqlite_before[i], 0);
	for (unsigned long round = 1; round <= n; round++)
		for (size_t i = 0; i < sizeof(sqlite_round) / sizeof(sqlite_round[0]); i++)
			sum = mix(sum, sql(db, sqlite_round[i], round));
	sqlite3_close(db);
	return sum;
}

const struct bench app_benches[] = {
	{ "zlib", "integer", 1, 0, 80, zlib_setup, zlib_run },
	{ "lua", "interpreters", 1, 0, 400, NULL, lua_run },
	{ "sqlite", "interpreters", 1, 0, 40, NULL, sqlite_run },
	{ 0 },
};
