/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/conf.h"

#include "common/labels.h"
#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a sample configuration with every kind ---- */

struct client {
	struct str url, password;
	int64_t batchwait;
	uint64_t batchsize;
	bool url_given;
};

struct sample {
	int64_t before; /* not described by any row */
	bool auth;
	int64_t port;
	double rate;
	int level;
	int64_t age;
	struct conf_strs names, csv;
	struct labels labels;
	struct {
		struct str dir;
		bool given;
	} wal;
	struct conf_list clients;
	struct yaml *stages;
	int checks;
};

static const char *const levels[] = {"debug", "info", "warn", NULL};

static bool check_client(void *obj, const struct yaml *at, struct err *e)
{
	const struct client *c = obj;
	(void)at;
	return c->url_given || err_set(e, ERR_INVALID, "a client needs a url");
}

static const struct conf_field client_fields[] = {
	{.key = "url",
	 .kind = CONF_STR,
	 .off = offsetof(struct client, url),
	 .set_off = offsetof(struct client, url_given),
	 .url = true,
	 .doc = "Where to push."},
	{.key = "password", .kind = CONF_SECRET, .off = offsetof(struct client, password), .doc = "Kept | hidden."},
	{.key = "batchwait",
	 .kind = CONF_DUR_GO,
	 .off = offsetof(struct client, batchwait),
	 .def = "1s",
	 .min = 0,
	 .max = INT64_MAX,
	 .doc = "Longest wait."},
	{.key = "batchsize",
	 .kind = CONF_BYTES,
	 .off = offsetof(struct client, batchsize),
	 .def = "1MB",
	 .min = 1,
	 .max = 1 << 30,
	 .doc = "Largest batch."},
	{0},
};
static const struct conf_table client_table = {"clients entry", sizeof(struct client), client_fields,
					       .check = check_client};

static bool check_wal(void *obj, const struct yaml *at, struct err *e)
{
	struct sample *s = obj;
	(void)e;
	s->checks += at ? 10 : 1;
	return true;
}

static const struct conf_field wal_fields[] = {
	{.key = "dir",
	 .kind = CONF_STR,
	 .off = offsetof(struct sample, wal.dir),
	 .def = "/tmp/wal",
	 .doc = "Directory.",
	 .flag = "wal.dir"},
	{0},
};
static const struct conf_table wal_table = {"wal", sizeof(struct sample), wal_fields, .check = check_wal};

static const struct conf_field limits_fields[] = {
	{.key = "max_entries_limit_per_query",
	 .kind = CONF_FLOAT,
	 .off = offsetof(struct sample, rate),
	 .def = "1.5",
	 .doc = "Rate."},
	{.key = "max_age", .kind = CONF_DUR_PROM, .off = offsetof(struct sample, age), .def = "1w", .doc = "Age."},
	{0},
};
static const struct conf_table limits_table = {"limits", sizeof(struct sample), limits_fields};

static const struct conf_field fields[] = {
	{.key = "auth",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct sample, auth),
	 .def = "true",
	 .doc = "Auth.",
	 .flag = "auth"},
	{.key = "port",
	 .kind = CONF_INT,
	 .off = offsetof(struct sample, port),
	 .def = "3100",
	 .min = 0,
	 .max = 65535,
	 .doc = "Port.",
	 .flag = "server.port"},
	{.key = "level",
	 .kind = CONF_ENUM,
	 .off = offsetof(struct sample, level),
	 .def = "info",
	 .names = levels,
	 .doc = "Level.",
	 .flag = "log.level"},
	{.key = "names",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct sample, names),
	 .def = "[a, \"b c\"]",
	 .doc = "Names.",
	 .flag = "names"},
	{.key = "csv", .kind = CONF_STR_LIST, .off = offsetof(struct sample, csv), .csv = true, .doc = "More names."},
	{.key = "labels",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct sample, labels),
	 .doc = "Labels.",
	 .flag = "labels"},
	{.key = "wal",
	 .kind = CONF_OBJ,
	 .sub = &wal_table,
	 .set_off = offsetof(struct sample, wal.given),
	 .doc = "The log."},
	{.key = "limits_config", .kind = CONF_OBJ, .sub = &limits_table, .doc = ""},
	{.key = "clients",
	 .kind = CONF_LIST,
	 .off = offsetof(struct sample, clients),
	 .sub = &client_table,
	 .doc = "Clients."},
	{.key = "stages", .kind = CONF_NODE, .off = offsetof(struct sample, stages), .doc = "Stages."},
	{.key = "ring", .kind = CONF_IGNORED, .doc = "Means nothing."},
	{.key = "kafka", .kind = CONF_REFUSED, .doc = "There is no Kafka: remove the block."},
	{0},
};
static const struct conf_table table = {"the configuration", sizeof(struct sample), fields};

struct fixture {
	struct arena a;
	struct sample s;
	struct err e;
	char ignored[256], warned[256];
};

static void note_ignored(void *ud, const char *path, int line)
{
	struct fixture *f = ud;
	snprintf(f->ignored, sizeof f->ignored, "%s:%d", path, line);
}

static void note_warning(void *ud, const char *text)
{
	struct fixture *f = ud;
	snprintf(f->warned, sizeof f->warned, "%s", text);
}

static bool decode(struct fixture *f, const struct conf_table *t, const char *text)
{
	struct conf_ctx c = {
		.arena = &f->a, .file = "larch.yaml", .ignored = note_ignored, .warn = note_warning, .ud = f};
	f->e = ERR_INIT;
	struct yaml *n = yaml_parse(&f->a, str_c(text), &f->e);
	if (!n) fail_msg("%s", f->e.msg);
	conf_defaults(t, &f->s, &f->a);
	return conf_decode(t, n, &f->s, &c, &f->e);
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof *f);
	arena_init(&f->a, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_free(&f->a);
	free(f);
	return 0;
}

static void fills_defaults(void **state)
{
	struct fixture *f = *state;
	f->s.before = 7;
	f->s.clients.n = 3;
	assert_true(decode(f, &table, ""));
	assert_int_equal(f->s.before, 7);
	assert_true(f->s.auth);
	assert_int_equal(f->s.port, 3100);
	assert_true(f->s.rate == 1.5);
	assert_int_equal(f->s.level, 1);
	assert_int_equal(f->s.age, 7 * UNITS_DAY);
	assert_int_equal(f->s.names.n, 2);
	assert_true(str_eqc(f->s.names.v[1], "b c"));
	assert_int_equal(f->s.csv.n, 0);
	assert_int_equal(f->s.clients.n, 0);
	assert_null(f->s.stages);
	assert_false(f->s.wal.given);
	assert_true(str_eqc(f->s.wal.dir, "/tmp/wal"));
	assert_int_equal(f->s.checks, 1);
}

static void decodes(void **state)
{
	struct fixture *f = *state;
	assert_true(decode(f, &table,
			   "auth: no\n"
			   "port: 0x1F\n"
			   "level: WARN\n"
			   "names: single\n"
			   "csv: a, b,,c\n"
			   "labels: {z: 0080, a: yes, m: ~}\n"
			   "wal:\n  dir: ''\n"
			   "limits_config:\n  max_entries_limit_per_query: 3\n  max_age: 1d12h\n"
			   "clients:\n"
			   "  - url: http://x\n    batchwait: 5\n    batchsize: 1536KB\n"
			   "  - {url: y, password: p, batchwait: 1h30m, batchsize: 100}\n"
			   "stages: [{cri: {}}]\n"
			   "ring: {a: b}\n"
			   "kafka: {}\n"));
	assert_false(f->s.auth);
	assert_int_equal(f->s.port, 31);
	assert_int_equal(f->s.level, 2);
	assert_true(f->s.names.n == 1 && str_eqc(f->s.names.v[0], "single"));
	assert_int_equal(f->s.csv.n, 3);
	assert_true(str_eqc(f->s.csv.v[1], "b"));
	assert_int_equal(f->s.labels.n, 3);
	assert_true(str_eqc(f->s.labels.v[0].value, "yes"));
	assert_true(str_eqc(labels_get(&f->s.labels, STR("z")), "0080"));
	assert_int_equal(labels_get(&f->s.labels, STR("m")).n, 0);
	assert_true(f->s.wal.given);
	assert_int_equal(f->s.wal.dir.n, 0);
	assert_true(f->s.rate == 3.0);
	assert_int_equal(f->s.age, 36 * UNITS_HOUR);
	assert_int_equal(f->s.clients.n, 2);
	const struct client *c = f->s.clients.v;
	assert_int_equal(c[0].batchwait, 5);
	assert_int_equal(c[0].batchsize, 1536 << 10);
	assert_int_equal(c[1].batchwait, 90 * UNITS_MIN);
	assert_int_equal(c[1].batchsize, 100);
	assert_int_equal(f->s.stages->kind, YAML_LIST);
	assert_string_equal(f->ignored, "ring:18");
	assert_int_equal(f->s.checks, 10);
}

static void null_leaves_default(void **state)
{
	struct fixture *f = *state;
	assert_true(decode(f, &table, "port:\nnames: ~\nwal:\nring:\nkafka:\nlevel: null\n"));
	assert_int_equal(f->s.port, 3100);
	assert_int_equal(f->s.names.n, 2);
	assert_false(f->s.wal.given);
	assert_int_equal(f->s.checks, 1);
	assert_string_equal(f->ignored, "");
}

static void reads_integers(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} cases[] = {
		{"0", 0},     {"65535", 65535}, {"1_000", 1000}, {"0o17", 15},
		{"017", 15},  {"0b11", 3},      {"+5", 5},       {"1e3", 1000},
		{"08", 8},    {"0xff", 255},    {"65536", -1},   {"1.5", -1},
		{"'80'", -1}, {"0x", -1},       {"_", -1},       {"99999999999999999999", -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[64];
		snprintf(text, sizeof text, "port: %s\n", cases[i].text);
		bool ok = decode(f, &table, text);
		if (ok != (cases[i].want >= 0) || (ok && f->s.port != cases[i].want))
			fail_msg("%s: %d %lld %s", cases[i].text, ok, (long long)f->s.port, f->e.msg);
	}
}

static void names_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"limits_config:\n  max_entries_limit: 5\n",
		 "larch.yaml:2:3: unknown key \"max_entries_limit\" in limits_config; did you mean "
		 "\"max_entries_limit_per_query\"?"},
		{"prot: 5\n", "larch.yaml:1:1: unknown key \"prot\" in the configuration; did you mean \"port\"?"},
		{"zzzzzz: 5\n", "larch.yaml:1:1: unknown key \"zzzzzz\" in the configuration"},
		{"clients:\n- url: x\n- url: y\n  batch_size: 5\n",
		 "larch.yaml:4:3: unknown key \"batch_size\" in clients[1]; did you mean \"batchsize\"?"},
		{"port: abc\n", "larch.yaml:1:7: port: expected an integer such as 3100, found \"abc\""},
		{"port: '80'\n",
		 "larch.yaml:1:7: port: expected an integer such as 3100, found \"80\"; write it without quotes"},
		{"port: 70000\n", "larch.yaml:1:7: port: \"70000\" is out of range; it must be between 0 and 65535"},
		{"port: [1]\n", "larch.yaml:1:7: port: expected an integer such as 3100, found a list"},
		{"auth: maybe\n", "larch.yaml:1:7: auth: expected true or false, found \"maybe\""},
		{"level: loud\n", "larch.yaml:1:8: level: expected debug, info or warn, found \"loud\""},
		{"names: {a: b}\n",
		 "larch.yaml:1:8: names: expected a list of strings such as [a, b], found a mapping"},
		{"names: [[a]]\n", "larch.yaml:1:8: names: expected a list of strings such as [a, b], found a list"},
		{"labels: [a]\n", "larch.yaml:1:9: labels: expected a mapping of strings such as {a: b}, found a list"},
		{"wal: [a]\n", "larch.yaml:1:6: wal: expected a mapping, found a list"},
		{"wal: {dir: [a]}\n", "larch.yaml:1:12: wal.dir: expected a string, found a list"},
		{"clients: {url: x}\n", "larch.yaml:1:10: clients: expected a list, found a mapping"},
		{"clients: [5]\n", "larch.yaml:1:11: clients[0]: expected a mapping, found \"5\""},
		{"clients: [{url: x, batchwait: 1d}]\n",
		 "larch.yaml:1:31: clients[0].batchwait: expected a duration such as 1s, found \"1d\""},
		{"clients: [{url: x, batchwait: -1s}]\n",
		 "larch.yaml:1:31: clients[0].batchwait: \"-1s\" is out of range; it must be at least 0s"},
		{"clients: [{url: x, batchsize: 1XB}]\n",
		 "larch.yaml:1:31: clients[0].batchsize: expected a size such as 1MB, found \"1XB\""},
		{"clients:\n- password: x\n", "larch.yaml:2:3: a client needs a url"},
		{"kafka: {brokers: [a]}\n",
		 "larch.yaml:1:1: kafka: not available here. There is no Kafka: remove the block."},
		{"- a\n", "larch.yaml:1:1: the configuration: expected a mapping, found a list"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_false(decode(f, &table, cases[i].text));
		assert_int_equal(f->e.code, ERR_INVALID);
		assert_string_equal(f->e.msg, cases[i].want);
	}
}

static void lenient_tables_warn(void **state)
{
	struct fixture *f = *state;
	static const struct conf_table lenient = {"stage", sizeof(struct sample), fields, .lenient = true,
						  .any_case = true};
	assert_true(decode(f, &lenient, "PoRt: 5\nprot: 7\nWAL: {dir: x}\n"));
	assert_int_equal(f->s.port, 5);
	assert_string_equal(f->warned, "larch.yaml:2:1: unknown key \"prot\" in stage; did you mean \"port\"?");
	assert_int_equal(f->s.checks, 10);
}

/* What a decoder into typed structs leaves open, stages decide either way. */
static void types_exactly_or_weakly(void **state)
{
	struct fixture *f = *state;
	static const struct conf_field rows[] = {
		{.key = "dir", .kind = CONF_STR, .off = offsetof(struct sample, wal.dir)},
		{.key = "auth", .kind = CONF_BOOL, .off = offsetof(struct sample, auth)},
		{.key = "port", .kind = CONF_INT, .off = offsetof(struct sample, port)},
		{.key = "rate", .kind = CONF_FLOAT, .off = offsetof(struct sample, rate)},
		{.key = "names", .kind = CONF_STR_LIST, .off = offsetof(struct sample, names)},
		{.key = "labels", .kind = CONF_STR_MAP, .off = offsetof(struct sample, labels)},
		{0},
	};
	static const struct conf_table exact = {"stage", sizeof(struct sample), rows, .typing = CONF_EXACT};
	static const struct conf_table weak = {"stage", sizeof(struct sample), rows, .typing = CONF_WEAK};
	static const char *const refused[] = {
		"dir: 5",         "dir: yes",      "dir: 1.5",       "dir: -0x1F",
		"names: a",       "names: [a, 7]", "labels: {a: 5}", "labels: {y: x}",
		"labels: {5: x}", "port: \"5\"",   "auth: \"true\"", "labels: {a: on}",
	};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (decode(f, &exact, refused[i])) fail_msg("accepted: %s", refused[i]);
	assert_true(decode(f, &exact, "{dir: 5kb, names: [\"7\", 2026-01-01, p1.5], labels: {a: , b: x, c: \"\"}}"));
	assert_int_equal(f->s.names.n, 3);
	assert_int_equal(f->s.labels.n, 3);
	assert_false(decode(f, &exact, "dir: 5"));
	assert_string_equal(f->e.msg, "larch.yaml:1:6: dir: expected a string, found \"5\"; write it in quotes");

	assert_true(decode(f, &weak, "{dir: yes, auth: \"1\", port: \"5\", rate: \"0.5\", names: 7}"));
	assert_true(str_eqc(f->s.wal.dir, "1"));
	assert_true(f->s.auth);
	assert_int_equal(f->s.port, 5);
	assert_true(f->s.rate == 0.5);
	assert_true(f->s.names.n == 1 && str_eqc(f->s.names.v[0], "7"));
	assert_true(decode(f, &weak, "{dir: 0x10, auth: 0, port: true, rate: \"\"}"));
	assert_true(str_eqc(f->s.wal.dir, "16"));
	assert_false(f->s.auth);
	assert_int_equal(f->s.port, 1);
	assert_false(decode(f, &weak, "port: five"));

	static const struct conf_table convertible = {"stage", sizeof(struct sample), rows, .typing = CONF_CONVERTIBLE};
	assert_true(
		decode(f, &convertible, "{dir: 5, port: \"7\", rate: \"0.5\", names: [1, a], labels: {a: 5, b: }}"));
	assert_true(str_eqc(f->s.wal.dir, "5"));
	assert_int_equal(f->s.port, 7);
	assert_true(f->s.rate == 0.5);
	static const char *const not_converted[] = {"dir: true",      "names: [true]", "labels: {a: false}",
						    "auth: \"true\"", "auth: 1",       "port: true",
						    "port: \"five\""};
	for (size_t i = 0; i < sizeof not_converted / sizeof *not_converted; i++)
		if (decode(f, &convertible, not_converted[i])) fail_msg("accepted: %s", not_converted[i]);
	assert_true(decode(f, &convertible, "dir: \"true\""));
}

/* A node that is a value itself, and an error that the caller will place. */
static void decodes_bare_values(void **state)
{
	struct fixture *f = *state;
	static const struct conf_field rows[] = {
		{.key = "labels", .kind = CONF_STR_MAP, .off = offsetof(struct sample, labels)}, {0}};
	static const struct conf_table t = {"labels stage", sizeof(struct sample), rows, .typing = CONF_EXACT};
	struct conf_ctx c = {.arena = &f->a, .file = "larch.yaml", .unplaced = true};
	f->e = ERR_INIT;
	assert_true(conf_decode_bare(&t, yaml_parse(&f->a, STR("{b: x, a: }"), &f->e), &f->s, &c, &f->e));
	assert_int_equal(f->s.labels.n, 2);
	assert_true(str_eqc(f->s.labels.v[0].name, "a"));
	assert_false(conf_decode_bare(&t, yaml_parse(&f->a, STR("\n[a]"), &f->e), &f->s, &c, &f->e));
	assert_string_equal(f->e.msg, "labels: expected a mapping of strings such as {a: b}, found a list");
	assert_int_equal(f->e.line, 2);
}

static void aliases_cannot_multiply(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};
	buf_c(&b, "stages:\n- &c {url: x, password: y}\nclients: [");
	for (int i = 0; i < 400000; i++) buf_c(&b, "*c,");
	buf_c(&b, "]\n");
	assert_false(decode(f, &table, buf_cstr(&b)));
	assert_int_equal(f->e.code, ERR_TOO_LARGE);
	buf_free(&b);
}

static void passwords_in_addresses_are_not_printed(void **state)
{
	struct fixture *f = *state;
	static const char *const rows[][2] = {
		{"https://u:pa:s@s@h:1/x@y", "https://u:********@h:1/x@y"},
		{"https://u@h:1/x", "https://u@h:1/x"},
		{"https://h:1/x@y", "https://h:1/x@y"},
		{"u:p@h", "u:p@h"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf text = {0}, b = {0};
		buf_printf(&text, "clients: [{url: '%s'}]\n", rows[i][0]);
		assert_true(decode(f, &table, buf_cstr(&text)));
		conf_print(&table, &f->s, &b);
		if (!strstr(buf_cstr(&b), rows[i][1])) fail_msg("%s is not in %s", rows[i][1], buf_cstr(&b));
		buf_free(&text);
		buf_free(&b);
	}
}

static void prints(void **state)
{
	struct fixture *f = *state;
	static const char want[] = "auth: false\n"
				   "port: 31\n"
				   "level: warn\n"
				   "names: [single, \"a: b\"]\n"
				   "csv: []\n"
				   "labels: {a: \"yes\"}\n"
				   "wal:\n"
				   "  dir: /x\n"
				   "limits_config:\n"
				   "  max_entries_limit_per_query: 2.5\n"
				   "  max_age: 1d12h\n"
				   "clients:\n"
				   "  - url: http://x\n"
				   "    password: \"\"\n"
				   "    batchwait: 1h30m0s\n"
				   "    batchsize: 1536KB\n"
				   "  - url: \"y\"\n"
				   "    password: <secret>\n"
				   "    batchwait: 1s\n"
				   "    batchsize: 1MB\n"
				   "stages: [{cri: {}}, {x: \"a: b\", n: null, y: \"p, q]\"}]\n";
	assert_true(
		decode(f, &table,
		       "auth: no\nport: 31\nlevel: WARN\nnames: [single, 'a: b']\nlabels: {a: yes}\nwal: {dir: /x}\n"
		       "limits_config: {max_entries_limit_per_query: 2.5, max_age: 36h}\n"
		       "clients: [{url: http://x, batchwait: 90m, batchsize: 1536KB}, {url: y, password: p}]\n"
		       "stages:\n- cri: {}\n- x: 'a: b'\n  n:\n  y: p, q]\nring: 5\n"));
	struct buf b = {0};
	conf_print(&table, &f->s, &b);
	assert_string_equal(buf_cstr(&b), want);
	/* What is printed reads back as the same. */
	assert_true(decode(f, &table, want));
	buf_clear(&b);
	conf_print(&table, &f->s, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void prints_empty_blocks(void **state)
{
	struct fixture *f = *state;
	static const struct conf_field none[] = {{.key = "ring", .kind = CONF_IGNORED}, {0}};
	static const struct conf_table empty = {"empty", sizeof(struct client), none};
	static const struct conf_field outer_fields[] = {
		{.key = "a", .kind = CONF_OBJ, .sub = &empty},
		{.key = "clients", .kind = CONF_LIST, .off = offsetof(struct sample, clients), .sub = &empty},
		{0},
	};
	static const struct conf_table outer = {"outer", sizeof(struct sample), outer_fields};
	assert_true(decode(f, &outer, "clients: [{}, {}]\n"));
	struct buf b = {0};
	conf_print(&outer, &f->s, &b);
	assert_string_equal(buf_cstr(&b), "a: {}\nclients:\n  - {}\n  - {}\n");
	buf_free(&b);
}

static void writes_manual(void **state)
{
	(void)state;
	struct buf b = {0};
	conf_manual(&table, &b);
	const char *m = buf_cstr(&b);
	assert_non_null(strstr(m, "## the configuration\n"));
	assert_non_null(strstr(m, "| `port` | integer | `3100` | Port. Flag: `-server.port`. |\n"));
	assert_non_null(strstr(m, "| `level` | one of `debug`, `info`, `warn` | `info` | Level."));
	assert_non_null(strstr(m, "\n### `clients[]`\n\nClients.\n\n| Key |"));
	assert_non_null(strstr(m, "| `password` | secret |  | Kept \\| hidden. |\n"));
	assert_non_null(strstr(m, "\nAccepted without effect: `ring`.\n"));
	assert_non_null(strstr(m, "\nRefused:\n\n- `kafka`: There is no Kafka: remove the block.\n"));
	buf_clear(&b);
	conf_flags_help(&table, &b);
	const char *h = buf_cstr(&b);
	assert_non_null(strstr(h, "  -server.port int\n    \tPort. (default 3100)\n"));
	assert_non_null(strstr(h, "  -auth\n    \tAuth. (default true)\n"));
	assert_non_null(strstr(h, "  -wal.dir string\n"));
	assert_non_null(strstr(h, "  -log.level string\n    \tLevel. One of: debug, info, warn. (default info)\n"));
	buf_free(&b);
}

static bool set(struct fixture *f, const char *name, const char *value)
{
	f->e = ERR_INIT;
	return conf_set_flag(&table, &f->s, &f->a, str_c(name), str_c(value), &f->e);
}

static void sets_flags(void **state)
{
	struct fixture *f = *state;
	conf_defaults(&table, &f->s, &f->a);
	assert_true(set(f, "server.port", "0"));
	assert_int_equal(f->s.port, 0);
	assert_true(set(f, "auth", "0"));
	assert_false(f->s.auth);
	assert_true(set(f, "auth", "true"));
	assert_true(f->s.auth);
	assert_true(set(f, "wal.dir", ""));
	assert_int_equal(f->s.wal.dir.n, 0);
	assert_true(set(f, "names", "x, y"));
	assert_true(f->s.names.n == 2 && str_eqc(f->s.names.v[1], "y"));
	assert_true(set(f, "labels", "k=v=w,a=b"));
	assert_true(str_eqc(labels_get(&f->s.labels, STR("k")), "v=w"));
	assert_true(str_eqc(f->s.labels.v[0].name, "a"));

	assert_false(set(f, "labels", "k"));
	assert_int_equal(f->e.code, ERR_INVALID);
	assert_false(set(f, "server.port", "x"));
	assert_string_equal(f->e.msg, "flag -server.port: expected an integer such as 3100, found \"x\"");
	assert_false(set(f, "server.prot", "1"));
	assert_int_equal(f->e.code, ERR_NOT_FOUND);
	assert_string_equal(f->e.msg, "unknown flag -server.prot; did you mean -server.port?");
	assert_false(set(f, "xyzzy", "1"));
	assert_string_equal(f->e.msg, "unknown flag -xyzzy");
}

static void finds_nearest(void **state)
{
	(void)state;
	static const char *const names[] = {"clients", "client", "positions", "max_streams", "max_line_size"};
	static const struct {
		const char *s, *want;
	} cases[] = {
		{"clent", "client"},
		{"clientss", "clients"},
		{"position", "positions"},
		{"max_line", "max_line_size"},
		{"max_lines_size", "max_line_size"},
		{"zebra", NULL},
		{"", NULL},
		{"x", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *got = conf_nearest(str_c(cases[i].s), names, sizeof names / sizeof *names);
		if (!cases[i].want)
			assert_null(got);
		else
			assert_string_equal(got ? got : "", cases[i].want);
	}
}

/* ---- environment ---- */

static const char *env(const char *name)
{
	static const struct {
		const char *name, *value;
	} vars[] = {
		{"V", "value"},  {"EMPTY", ""},         {"PATH", "/usr/local/bin"},
		{"MIX", "aBcD"}, {"HTTP_PORT", "3100"}, {"N", "2"},
	};
	for (size_t i = 0; i < sizeof vars / sizeof *vars; i++)
		if (strcmp(name, vars[i].name) == 0) return vars[i].value;
	return NULL;
}

static void expands(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"plain $V $ {V} $", "plain $V $ {V} $"},
		{"${V}", "value"},
		{"a${V}b${V}c", "avaluebvaluec"},
		{"${UNSET}|${1}|${EMPTY}", "||"},
		{"${V:-d}${V:=d}${V=d}${V:?d}${V:+d}", "valuevaluevaluevaluevalue"},
		{"${U:-d}${U:=d}${U=d}${U:?d}${U:+d}", "ddddd"},
		{"${EMPTY:-d}", "d"},
		{"${U:-}", ""},
		{"${U:-http://${HOST:-localhost}:${HTTP_PORT}/x}", "http://localhost:3100/x"},
		{"${U:-$V \\\\ $$}", "$V \\\\ $$"},
		{"${U:-a\nb}", "a\nb"},
		{"${V:1}|${V:1:2}|${V:0:0}|${V:9}|${V:3:9}", "alue|al||"
							     "|ue"},
		{"${V: -3}|${V: -3:2}|${V: -9}|${V:0:-1}", "lue|lu|value|"},
		{"${V:${N}}", "lue"},
		{"${MIX^}|${MIX^^}|${MIX,}|${MIX,,}|${V^}|${EMPTY^}", "ABcD|ABCD|aBcD|abcd|Value|"},
		{"${#V}|${#U}", "5|0"},
		{"${PATH#*/}|${PATH##*/}|${PATH%/*}|${PATH%%/*}", "usr/local/bin|bin|/usr/local|"},
		{"${V#x}|${V#v?}|${V%[a-f]}|${V%[^e]}|${V#\\v}|${V#[}", "value|lue|valu|value|alue|value"},
		{"${V%*}|${V%%*}|${V##*a*}", "valu||"},
		{"${PATH/l/L}|${PATH//l/L}|${PATH/#\\/usr/X}|${PATH/%bin/sbin}",
		 "/usr/Local/bin|/usr/LocaL/bin|X/local/bin|/usr/local/sbin"},
		{"${V/zzz/x}|${V/#a/x}|${V/%a/x}|${V/a/}|${V//\\\\/x}", "value|value|value|vlue|value"},
		{"${V/a/${N}}", "v2lue"},
		{"$$", "$"},
		{"$${1}", "${1}"},
		{"$$${V}", "$value"},
		{"\\\\d \\d \\/ \\\\\\\\", "\\d \\d / \\\\"},
		{"regex: '^(\\S+)$'", "regex: '^(\\S+)$'"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		buf_clear(&b);
		if (!conf_expand_env(str_c(cases[i].text), env, &b, &e)) fail_msg("%s: %s", cases[i].text, e.msg);
		assert_string_equal(buf_cstr(&b), cases[i].want);
	}
	buf_free(&b);
}

static void refuses_bad_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int line, col;
	} cases[] = {
		{"${", 1, 1},       {"${}", 1, 1},     {"a\n b ${ V}", 2, 4}, {"${V", 1, 4},
		{"${V-d}", 1, 4},   {"${V+d}", 1, 4},  {"${V.x}", 1, 4},      {"${V:-x", 1, 7},
		{"${V:x}", 1, 5},   {"${V:1:}", 1, 7}, {"${V^^^}", 1, 6},     {"${#}", 1, 1},
		{"${#V:-x}", 1, 5}, {"${V/a}", 1, 6},  {"${V#a", 1, 6},       {"${U:-${}}", 1, 6},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		buf_clear(&b);
		if (conf_expand_env(str_c(cases[i].text), env, &b, &e)) fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(e.code, ERR_INVALID);
		if (e.line != cases[i].line || e.col != cases[i].col)
			fail_msg("%s: %d:%d: %s", cases[i].text, e.line, e.col, e.msg);
	}

	buf_clear(&b);
	for (int i = 0; i < 40; i++) buf_c(&b, "${U:-");
	for (int i = 0; i < 40; i++) buf_c(&b, "}");
	struct buf out = {0};
	struct err e = ERR_INIT;
	assert_false(conf_expand_env(buf_view(&b), env, &out, &e));

	/* Each level doubles: 2^30 values if it were let. */
	buf_clear(&b);
	for (int i = 0; i < 30; i++) buf_c(&b, "${PATH//l/");
	for (int i = 0; i < 30; i++) buf_c(&b, "}");
	e = ERR_INIT;
	assert_false(conf_expand_env(buf_view(&b), env, &out, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	buf_free(&b);
	buf_free(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(fills_defaults),
		TEST(decodes),
		TEST(null_leaves_default),
		TEST(reads_integers),
		TEST(names_what_is_wrong),
		TEST(lenient_tables_warn),
		TEST(types_exactly_or_weakly),
		TEST(decodes_bare_values),
		TEST(aliases_cannot_multiply),
		TEST(passwords_in_addresses_are_not_printed),
		TEST(prints),
		TEST(prints_empty_blocks),
		TEST(sets_flags),
		cmocka_unit_test(writes_manual),
		cmocka_unit_test(finds_nearest),
		cmocka_unit_test(expands),
		cmocka_unit_test(refuses_bad_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
