/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docs/STAGES.md against the program: every stage has a section with the rows of its tables of options, and an example
 * (three blocks: yaml, lines, entries) that gives what it says; one more where Alloy's dialect has other options. */
#include "tests/unit/pipeline/mmdb_write.h"
#include "tests/unit/pipeline/stage_run.h"

#include "common/conf.h"
#include "common/fs.h"

#include <unistd.h>

#define MANUAL "docs/STAGES.md"

#define DB_IN_MANUAL "/usr/share/GeoIP/GeoLite2-City.mmdb"
static char db[] = "/tmp/larch-geoip-XXXXXX"; /* stands for it */

static struct buf manual;

static int setup(void **state)
{
	struct err e = ERR_INIT;
	(void)state;
	close(mkstemp(db));
	mmdb_save_example(db);
	if (fs_read_file(&fs_real, MANUAL, 1 << 20, &manual, &e)) return 0;
	print_error("%s\n", e.msg);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&manual);
	return unlink(db);
}

/* What stands under "## name". */
static struct str section(const char *name)
{
	char head[64];
	snprintf(head, sizeof head, "\n## %s\n", name);
	ssize_t at = str_find(buf_view(&manual), str_c(head));
	if (at < 0) fail_msg("%s has no section \"%s\"", MANUAL, name);
	struct str s = str_from(buf_view(&manual), (size_t)at + strlen(head));
	ssize_t end = str_find(s, STR("\n## "));
	return end < 0 ? s : str_sub(s, 0, (size_t)end + 1);
}

/* The next block that opens with ```kind; *s goes on behind it. */
static struct str block(struct str *s, const char *kind, const char *name)
{
	char open[32];
	snprintf(open, sizeof open, "```%s\n", kind);
	ssize_t from = str_find(*s, str_c(open));
	if (from < 0) fail_msg("%s: no block %s", name, kind);
	struct str body = str_from(*s, (size_t)from + strlen(open));
	ssize_t end = str_find(body, STR("```"));
	assert_true(end >= 0);
	*s = str_from(body, (size_t)end + 3);
	return str_sub(body, 0, (size_t)end);
}

static void options_are_described(const char *name, const struct conf_table *t, struct str text)
{
	struct buf want = {0};
	conf_manual(t, &want);
	struct str rest = buf_view(&want), line;
	while (rest.n) {
		str_cut(&rest, '\n', &line);
		if (str_starts(line, STR("|")) && str_find(text, line) < 0)
			fail_msg("%s: section %s lacks\n%.*s", MANUAL, name, STR_ARG(line));
	}
	buf_free(&want);
}

static void every_option_is_described(void **state)
{
	size_t n;
	const struct stage_info *v = pipeline_stages(&n);
	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct str text = section(v[i].name);
		if (v[i].conf && !v[i].bare) options_are_described(v[i].name, v[i].conf, text);
		if (v[i].alloy) options_are_described(v[i].name, v[i].alloy, text);
		if (v[i].alloy_name && strcmp(v[i].alloy_name, v[i].name) != 0)
			assert_true(str_find(text, str_c(v[i].alloy_name)) >= 0);
	}
}

/* "\e" in the manual is the escape character. */
static struct str unescape(struct arena *a, struct str line)
{
	char *out = arena_alloc(a, line.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < line.n; i++) {
		bool escape = str_starts(str_from(line, i), STR("\\e"));
		out[n++] = escape ? '\033' : line.p[i];
		i += escape;
	}
	return str_of(out, n);
}

static void print(struct buf *out, const struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->v[i];
		if (e->ts != e->read_ts) {
			units_rfc3339nano_print(out, e->ts);
			buf_ch(out, ' ');
		}
		labels_print(out, &e->labels);
		buf_printf(out, " %.*s", STR_ARG(e->line));
		if (e->meta.n) {
			buf_c(out, "  with ");
			labels_print(out, &e->meta);
		}
		buf_ch(out, '\n');
	}
}

static void example_gives(const char *name, struct str yaml, struct str lines, struct str want)
{
	struct stage_run r;
	struct labels l;
	struct buf out = {0};
	struct buf text = {0};
	ssize_t at = str_find(yaml, STR(DB_IN_MANUAL));
	buf_str(&text, at < 0 ? yaml : str_sub(yaml, 0, (size_t)at));
	if (at >= 0) buf_c(&text, db);
	if (at >= 0) buf_str(&text, str_from(yaml, (size_t)at + strlen(DB_IN_MANUAL)));
	const char *stages = buf_cstr(&text);
	if (!stage_run_open(&r, stages, NULL)) fail_msg("%s: %s", name, r.e.msg);
	check_text(buf_cstr(&r.warned), "");
	assert_true(labels_parse(&r.conf, STR("{job=\"app\"}"), &l, &r.e));
	struct batch in = {.arena = &r.batch}, rest = {.arena = &r.batch};
	for (struct str line; lines.n;) {
		str_cut(&lines, '\n', &line);
		struct entry *e = batch_push(&in);
		e->line = unescape(&r.batch, line);
		e->labels = l;
		e->ts = e->read_ts = r.clock.wall_ns + (int64_t)r.seq++ * UNITS_SEC;
	}
	pipeline_run(r.p, &in);
	pipeline_flush(r.p, &rest);
	print(&out, &in);
	print(&out, &rest);
	if (!str_eq(buf_view(&out), want)) print_error("section %s:\n", name);
	check_str(buf_view(&out), want);
	buf_free(&out);
	buf_free(&text);
	stage_run_close(&r);
}

static void every_example_runs(void **state)
{
	size_t n;
	const struct stage_info *v = pipeline_stages(&n);
	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct str text = section(v[i].name);
		size_t alloy = 0;
#ifndef LARCH_MAXMINDDB
		if (strcmp(v[i].name, "geoip") == 0) continue;
#endif
		do {
			struct str yaml = block(&text, "yaml", v[i].name), lines = block(&text, "text", v[i].name);
			example_gives(v[i].name, yaml, lines, block(&text, "text", v[i].name));
			alloy += str_starts(yaml, STR(ALLOY));
		} while (str_find(text, STR("```yaml\n")) >= 0);
		if (v[i].alloy && !alloy)
			fail_msg("%s: section %s has no example in Alloy's dialect", MANUAL, v[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_is_described),
		cmocka_unit_test(every_example_runs),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
