/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/auth.h"

#include "common/base64.h"
#include "common/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/larch-auth-XXXXXX";

static void put(const char *text)
{
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_digest(struct buf *b, const char *secret)
{
	unsigned char d[DIGEST_SHA256];
	digest_sha256(str_c(secret), d);
	for (size_t i = 0; i < sizeof d; i++) buf_printf(b, "%02X", d[i]);
}

static void add_user(struct buf *b, const char *name, const char *secret, const char *tenants, const char *roles)
{
	buf_printf(b, "- name: %s\n  tenants: %s\n  roles: %s\n  secret_sha256: ", name, tenants, roles);
	put_digest(b, secret);
	buf_ch(b, '\n');
}

static struct auth *usual(void)
{
	struct err e = ERR_INIT;
	struct buf b = {0};
	buf_c(&b, "users:\n");
	add_user(&b, "agents", "pushes", "[a]", "[push]");
	add_user(&b, "grafana", "reads", "[a, b]", "[read]");
	add_user(&b, "root", "rules", "[\"*\"]", "[admin]");
	add_user(&b, "boss", "leads", "[a, b]", "[admin]");
	put(buf_cstr(&b));
	buf_free(&b);
	struct auth *a = auth_new(file, &fs_real, &e);
	if (!a) fail_msg("%s", e.msg);
	return a;
}

static void roles_and_tenants(void **state)
{
	static const struct {
		enum auth_need need;
		const char *authorization, *org;
		enum err_code code;
		const char *want; /* the tenants, or part of the error */
	} rows[] = {
		{AUTH_PUSH, NULL, "a", ERR_UNAUTH, "no credentials"},
		{AUTH_PUSH, "Bearer nobody", "a", ERR_UNAUTH, "unknown credentials"},
		{AUTH_PUSH, "Bearer", "a", ERR_UNAUTH, "unknown"},
		{AUTH_PUSH, "Bearer ", "a", ERR_UNAUTH, "unknown"},
		{AUTH_PUSH, "Digest pushes", "a", ERR_UNAUTH, "unknown"},
		{AUTH_PUBLIC, NULL, NULL, ERR_NONE, ""},
		{AUTH_KNOWN, NULL, NULL, ERR_UNAUTH, "no credentials"},
		{AUTH_KNOWN, "Bearer pushes", NULL, ERR_NONE, "a"},
		{AUTH_PUSH, "Bearer pushes", "a", ERR_NONE, "a"},
		{AUTH_PUSH, "bearer  pushes ", NULL, ERR_NONE, "a"},
		{AUTH_PUSH, "Bearer pushes", "b", ERR_FORBIDDEN, "\"agents\" may not act for tenant \"b\""},
		{AUTH_READ, "Bearer pushes", "a", ERR_FORBIDDEN, "\"agents\" lacks the role read"},
		{AUTH_ADMIN, "Bearer pushes", "a", ERR_FORBIDDEN, "lacks the role admin"},
		{AUTH_READ, "Bearer reads", "a|b", ERR_NONE, "a|b"},
		{AUTH_READ, "Bearer reads", "a|c", ERR_FORBIDDEN, "tenant \"c\""},
		{AUTH_READ, "Bearer reads", "b:x", ERR_NONE, "b:x"},
		{AUTH_READ, "Bearer reads", "c:b", ERR_FORBIDDEN, "tenant \"c\""},
		{AUTH_READ, "Bearer reads", "", ERR_FORBIDDEN, "tenant \"\""},
		{AUTH_READ, "Bearer reads", NULL, ERR_NONE, ""},
		{AUTH_PUSH, "Bearer rules", "z", ERR_NONE, "z"},
		{AUTH_ADMIN, "Bearer rules", NULL, ERR_NONE, ""},
		{AUTH_SERVER, "Bearer rules", NULL, ERR_NONE, ""},
		{AUTH_SERVER, "Bearer pushes", NULL, ERR_FORBIDDEN, "lacks the role admin"},
		{AUTH_ADMIN, "Bearer leads", "a", ERR_NONE, "a"},
		{AUTH_SERVER, "Bearer leads", "a", ERR_FORBIDDEN, "\"boss\" may not act for all tenants"},
	};
	struct auth *a = usual();
	struct buf b = {0};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		buf_clear(&b);
		bool ok = auth_check(a, rows[i].need, str_c(rows[i].authorization), str_c(rows[i].org), &b, &e);
		assert_int_equal(e.code, rows[i].code);
		assert_int_equal(ok, e.code == ERR_NONE);
		if (ok)
			assert_true(str_eqc(buf_view(&b), rows[i].want));
		else if (!strstr(e.msg, rows[i].want))
			fail_msg("row %zu: \"%s\" does not tell of %s", i, e.msg, rows[i].want);
	}
	buf_free(&b);
	auth_free(a);
}

static bool basic(struct auth *a, const char *pair)
{
	struct err e = ERR_INIT;
	struct buf b = {0}, tenants = {0};
	buf_c(&b, "Basic ");
	base64_encode(&b, str_c(pair));
	bool ok = auth_check(a, AUTH_KNOWN, buf_view(&b), STR_NULL, &tenants, &e);
	buf_free(&b);
	buf_free(&tenants);
	return ok;
}

static void basic_authorization(void **state)
{
	struct auth *a = usual();
	struct buf none = {0};
	struct err e = ERR_INIT;
	(void)state;
	assert_true(basic(a, "agents:pushes"));
	assert_false(basic(a, "agents:reads"));
	assert_false(basic(a, "grafana:pushes"));
	assert_false(basic(a, "agents"));
	assert_false(basic(a, ":pushes"));
	assert_false(basic(a, ""));
	assert_false(auth_check(a, AUTH_KNOWN, STR("Basic ???"), STR_NULL, &none, &e));
	auth_free(a);
}

static void a_new_file_counts(void **state)
{
	struct auth *a = usual();
	struct buf b = {0};
	struct err e = ERR_INIT;
	bool changed;
	(void)state;
	assert_true(auth_reload(a, &changed, &e) && !changed);
	buf_c(&b, "users:\n");
	add_user(&b, "agents", "new", "[a]", "[push]");
	put(buf_cstr(&b));
	assert_true(auth_reload(a, &changed, &e) && changed);
	assert_true(basic(a, "agents:new"));
	assert_false(basic(a, "agents:pushes"));
	put("users: nobody\n");
	assert_false(auth_reload(a, &changed, &e));
	assert_true(basic(a, "agents:new"));
	buf_free(&b);
	auth_free(a);
}

static void mistakes_are_named(void **state)
{
#define DIGEST "0123456789012345678901234567890123456789012345678901234567890123"
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"users:\n- tenants: [a]\n", ":2:"},
		{"users:\n- {name: x, secret_sha256: abc, tenants: [a], roles: [push]}\n", "64 hex digits"},
		{"users:\n- {name: x, secret_sha256: " DIGEST ", roles: [push]}\n", "needs tenants"},
		{"users:\n- {name: x, secret_sha256: " DIGEST ", tenants: [a]}\n", "needs roles"},
		{"users:\n- {name: x, secret_sha256: " DIGEST ", tenants: [a], roles: [write]}\n",
		 "none of push, read, admin"},
		{"users:\n- {name: x, secret: y}\n", "secret_sha256"},
		{"users:\n- &u {name: x, secret_sha256: " DIGEST ", tenants: [a], roles: [push]}\n- *u\n",
		 "two users are called \"x\""},
		{"user: []\n", "users"},
		{"[", "larch.auth_file"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = ERR_INIT;
		put(rows[i].text);
		assert_null(auth_new(file, &fs_real, &e));
		if (!strstr(e.msg, rows[i].want))
			fail_msg("row %zu: \"%s\" does not tell of %s", i, e.msg, rows[i].want);
	}
}

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(file);
	return fd < 0 || close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_and_tenants),
		cmocka_unit_test(basic_authorization),
		cmocka_unit_test(a_new_file_counts),
		cmocka_unit_test(mistakes_are_named),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
