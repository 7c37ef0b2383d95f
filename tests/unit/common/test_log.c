/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/log.h"

#include "common/units.h"
#include "tests/unit/check.h"

#include <stdlib.h>
#include <syslog.h> /* as sd-journal.h brings it: must not change our levels */
#include <unistd.h>

static struct clock_fake fake;
static int fd;

static int setup(void **state)
{
	(void)state;
	char path[] = "/tmp/larch-log-XXXXXX";
	clock_fake_init(&fake, INT64_C(1793491200123000000), 1);
	fd = mkstemp(path);
	unlink(path);
	log_set_fd(fd);
	log_set_clock(&fake.base);
	log_set_level(LOG_LEVEL_INFO);
	log_set_json(false);
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	return 0;
}

/* What was logged since the last call. */
static void check_log(const char *want)
{
	static char got[8192];
	ssize_t n = pread(fd, got, sizeof got, 0);
	check_str(str_of(got, n < 0 ? 0 : (size_t)n), str_c(want));
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
}

#define HEAD "ts=2026-11-01T00:00:00.123Z level=info caller=test_log.c:7 "

static void say(struct log_site *site, const char *msg)
{
	log_at(site, LOG_LEVEL_INFO, "a/test_log.c", 7, msg, (struct log_kv){0});
}

static void lines_as_logfmt(void **state)
{
	(void)state;
	struct log_site site = {0};
	struct err e = ERR_INIT;
	err_set(&e, ERR_IO, "read: no");
	log_at(&site, LOG_LEVEL_INFO, "a/test_log.c", 7, "two words", kv_c("plain", "a-b/c.d:é"), kv_c("blank", "a b"),
	       kv_c("empty", ""), kv_str("none", STR_NULL), kv_c("eq", "a=b"), kv_c("quote", "a\"b"),
	       kv_c("line", "a\nb"), kv_str("bad", STR("a\xff")), kv_i("n", -5), kv_dur("took", 63500 * UNITS_MS),
	       kv_err(&e), (struct log_kv){0});
	check_log(HEAD
		  "msg=\"two words\" plain=a-b/c.d:é blank=\"a b\" empty=\"\" none=\"\" eq=\"a=b\" quote=\"a\\\"b\" "
		  "line=\"a\\nb\" bad=\"a\\ufffd\" n=-5 took=1m3.5s err=\"read: no\"\n");
}

static void lines_as_json(void **state)
{
	(void)state;
	struct log_site site = {0};
	log_set_json(true);
	log_at(&site, LOG_LEVEL_ERROR, "test_log.c", 7, "hi", kv_c("a", "x\n"), kv_i("n", 5), kv_dur("d", UNITS_SEC),
	       (struct log_kv){0});
	check_log("{\"ts\":\"2026-11-01T00:00:00.123Z\",\"level\":\"error\",\"caller\":\"test_log.c:7\",\"msg\":\"hi\","
		  "\"a\":\"x\\n\",\"n\":5,\"d\":\"1s\"}\n");
}

static void a_site_is_limited(void **state)
{
	(void)state;
	struct log_site noisy = {0}, other = {0};
	for (int i = 0; i < 25; i++) say(&noisy, "x");
	struct buf want = {0};
	for (int i = 0; i < 10; i++) buf_c(&want, HEAD "msg=x\n");
	check_log(buf_cstr(&want));
	say(&other, "y"); /* sites do not share */
	check_log(HEAD "msg=y\n");
	clock_fake_step(&fake, UNITS_SEC - 1);
	say(&noisy, "x");
	check_log("");
	clock_fake_step(&fake, 1);
	say(&noisy, "x");
	say(&noisy, "x");
	check_log("ts=2026-11-01T00:00:01.123Z level=info caller=test_log.c:7 msg=x suppressed=16\n");
	clock_fake_step(&fake, UNITS_HOUR); /* after a pause all ten again, no more */
	for (int i = 0; i < 12; i++) say(&noisy, "x");
	buf_clear(&want);
	buf_c(&want, "ts=2026-11-01T01:00:01.123Z level=info caller=test_log.c:7 msg=x suppressed=1\n");
	for (int i = 0; i < 9; i++) buf_c(&want, "ts=2026-11-01T01:00:01.123Z level=info caller=test_log.c:7 msg=x\n");
	check_log(buf_cstr(&want));
	buf_free(&want);
}

static void levels(void **state)
{
	(void)state;
	static const char *const names[] = {"debug", "info", "warn", "error"};
	uint64_t before[4];
	for (int l = LOG_LEVEL_DEBUG; l <= LOG_LEVEL_ERROR; l++) {
		enum log_level parsed;
		before[l] = log_count((enum log_level)l);
		check_text(log_level_name((enum log_level)l), names[l]);
		assert_true(log_level_parse(str_c(names[l]), &parsed));
		assert_int_equal(parsed, l);
		assert_false(log_level_parse(STR("fatal"), &parsed));
	}
	log_set_level(LOG_LEVEL_WARN);
	assert_int_equal(log_get_level(), LOG_LEVEL_WARN);
	log_debug("no");
	log_info("no");
	check_log("");
	assert_int_equal(log_count(LOG_LEVEL_INFO), before[LOG_LEVEL_INFO]);
	log_set_level(LOG_LEVEL_DEBUG);
	for (int i = 0; i < 15; i++) log_debug("d"); /* not limited */
	for (int i = 0; i < 15; i++) log_warn("w", kv_i("i", i));
	assert_int_equal(log_count(LOG_LEVEL_DEBUG), before[LOG_LEVEL_DEBUG] + 15);
	assert_int_equal(log_count(LOG_LEVEL_WARN), before[LOG_LEVEL_WARN] + 15); /* suppressed ones, too */
	char got[8192];
	ssize_t n = pread(fd, got, sizeof got, 0);
	int lines = 0;
	for (ssize_t i = 0; i < n; i++) lines += got[i] == '\n';
	assert_int_equal(lines, 25);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(lines_as_logfmt), T(lines_as_json), T(a_site_is_limited), T(levels)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
