/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/push.h"

#include "proto/push.pb-c.h"
#include "tests/unit/proto/push_util.h"

static bool decode(const char *bytes, size_t n, struct push *p)
{
	e = ERR_INIT;
	arena_reset(&a);
	return push_decode(&a, str_of(bytes, n), p, &e);
}

/* What the generated decoder says about the same bytes. */
static bool reference_accepts(const char *bytes, size_t n)
{
	Logproto__PushRequest *m = logproto__push_request__unpack(NULL, n, (const uint8_t *)bytes);
	if (m) logproto__push_request__free_unpacked(m, NULL);
	return m != NULL;
}

static void round_trips(void **state)
{
	(void)state;
	struct label meta[] = {
		{STR("trace_id"), STR("1")}, {STR(""), STR("v")}, {STR("n"), STR("")}, {STR(""), STR("")}};
	struct push_entry first[] = {
		{.ts = INT64_C(1795164924000000001), .line = STR("hello"), .meta = {meta, 4}},
		{.ts = 0, .line = STR("")},
		{.ts = -1, .line = STR("a\0b\xff")},
		{.ts = INT64_MAX, .line = STR("max")},
		{.ts = INT64_MIN, .line = STR("min")},
	};
	struct push_entry second[] = {{.ts = 5, .line = STR("x")}};
	struct push_stream streams[] = {
		{STR("{app=\"a\"}"), first, 5},
		{STR(""), second, 1},
		{STR("{app=\"c\"}"), NULL, 0},
	};
	struct push in = {streams, 3, 6, 0};
	struct buf b = {0};
	buf_c(&b, "head");
	push_encode(&in, &b);
	struct push out;
	if (!decode(b.p + 4, b.n - 4, &out)) fail_msg("%s", e.msg);
	assert_int_equal(out.n, 3);
	assert_int_equal(out.entries, 6);
	assert_int_equal(out.bytes, 5 + 4 + 3 + 3 + 1 + 8 + 1 + 1 + 1);
	for (size_t i = 0; i < 3; i++) {
		assert_true(str_eq(out.v[i].labels, streams[i].labels));
		assert_int_equal(out.v[i].n, streams[i].n);
		for (size_t k = 0; k < out.v[i].n; k++) {
			assert_int_equal(out.v[i].v[k].ts, streams[i].v[k].ts);
			assert_true(str_eq(out.v[i].v[k].line, streams[i].v[k].line));
			assert_int_equal(out.v[i].v[k].meta.n, streams[i].v[k].meta.n);
		}
	}
	for (size_t k = 0; k < 4; k++) {
		assert_true(str_eq(out.v[0].v[0].meta.v[k].name, meta[k].name));
		assert_true(str_eq(out.v[0].v[0].meta.v[k].value, meta[k].value));
	}
	/* Lines are slices of the body. */
	assert_true(out.v[0].v[0].line.p > b.p && out.v[0].v[0].line.p < b.p + b.n);
	buf_free(&b);
}

/* The generated code reads what we write. */
static void encodes_for_others(void **state)
{
	(void)state;
	struct label meta[] = {{STR("k"), STR("v")}};
	struct push_entry entries[] = {{.ts = INT64_C(-1), .line = STR("hello"), .meta = {meta, 1}}};
	struct push_stream streams[] = {{STR("{app=\"a\"}"), entries, 1}};
	struct push in = {streams, 1, 1, 7};
	struct buf b = {0};
	push_encode(&in, &b);
	Logproto__PushRequest *m = logproto__push_request__unpack(NULL, b.n, (const uint8_t *)b.p);
	assert_non_null(m);
	assert_string_equal(m->streams[0]->labels, "{app=\"a\"}");
	const Logproto__Entry *entry = m->streams[0]->entries[0];
	assert_int_equal(entry->timestamp->seconds, -1);
	assert_int_equal(entry->timestamp->nanos, 999999999);
	assert_memory_equal(entry->line.data, "hello", 5);
	assert_string_equal(entry->structured_metadata[0]->name, "k");
	assert_string_equal(entry->structured_metadata[0]->value, "v");
	/* …and writes the same bytes. */
	assert_int_equal(logproto__push_request__get_packed_size(m), b.n);
	uint8_t packed[256];
	logproto__push_request__pack(m, packed);
	assert_memory_equal(packed, b.p, b.n);
	logproto__push_request__free_unpacked(m, NULL);
	buf_free(&b);
}

static void follows_the_rules_of_repetition(void **state)
{
	(void)state;
	struct push p;
	/* labels twice: the last; unknown fields of every kind between; entries apart from each other */
	static const char body[] = "\x0a\x2a"
				   "\x0a\x01x" /* labels "x" */
				   "\x12\x03\x12\x01"
				   "a"            /* entry "a" */
				   "\x18\x07"     /* hash 7 */
				   "\x20\x96\x01" /* unknown varint */
				   "\x29"
				   "12345678" /* unknown 64 bit */
				   "\x35"
				   "1234"       /* unknown 32 bit */
				   "\x3a\x02zz" /* unknown bytes */
				   "\x0a\x01y"  /* labels "y" */
				   "\x12\x06\x12\x01"
				   "b\x12\x01"
				   "c"; /* entry, line "b" then "c" */
	assert_int_equal(body[1], (int)sizeof body - 1 - 2);
	if (!decode(body, sizeof body - 1, &p)) fail_msg("%s", e.msg);
	assert_true(str_eqc(p.v[0].labels, "y"));
	assert_int_equal(p.v[0].n, 2);
	assert_true(str_eqc(p.v[0].v[0].line, "a"));
	assert_true(str_eqc(p.v[0].v[1].line, "c"));
	assert_int_equal(p.bytes, 2);

	/* a timestamp twice: the last as a whole */
	static const char twice[] = "\x0a\x0c\x12\x0a\x0a\x04\x08\x05\x10\x07\x0a\x02\x10\x01";
	assert_true(decode(twice, sizeof twice - 1, &p));
	assert_int_equal(p.v[0].v[0].ts, 1);
}

static void clamps_times(void **state)
{
	(void)state;
	static const struct {
		const char *timestamp;
		size_t n;
		int64_t want;
	} cases[] = {
		{"", 0, 0},
		{"\x08\x01", 2, INT64_C(1000000000)},
		{"\x10\x01", 2, 1},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, INT64_MAX},
		{"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, INT64_MIN},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, INT64_C(-1000000000)},
		{"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, -1},
		{"\x10\xff\xff\xff\xff\x0f", 6, -1},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11,
		 INT64_C(-1000000000)}, /* bits beyond 64 are lost */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = {0};
		size_t n = cases[i].n;
		char head[] = {0x0a, (char)(n + 4), 0x12, (char)(n + 2), 0x0a, (char)n};
		buf_add(&b, head, sizeof head);
		buf_add(&b, cases[i].timestamp, n);
		struct push p;
		assert_true(reference_accepts(b.p, b.n));
		if (!decode(b.p, b.n, &p)) fail_msg("case %zu: %s", i, e.msg);
		assert_int_equal(p.v[0].v[0].ts, cases[i].want);
		buf_free(&b);
	}
}

static void refuses(void **state)
{
	(void)state;
#define B(s)                                                                                                           \
	{                                                                                                              \
		s, sizeof s - 1                                                                                        \
	}
	static const struct str cases[] = {
		B("\x0a"), /* a tag and nothing */
		B("\x0a\x05"
		  "ab"),                           /* a length beyond the end */
		B("\x0a\xff\xff\xff\xff\xff\x01"), /* a length of more than 5 bytes */
		B("\x0a\xff\xff\xff\xff\x0f"),     /* 4 GiB */
		B("\x08\x01"),                     /* streams as a varint */
		B("\x0d"
		  "1234"),                                             /* streams as 32 bits */
		B("\x10\x01"),                                         /* format as a varint */
		B("\x0b\x0c"),                                         /* groups */
		B("\x3b\x3c"),                                         /* an unknown group */
		B("\x06"),                                             /* wire type 6 */
		B("\x00"),                                             /* field 0 */
		B("\x80\x80\x80\x80\x80\x01"),                         /* a tag of 6 bytes */
		B("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* a varint of 11 bytes */
		B("\x18\x80"),                                         /* an open varint */
		B("\x19"
		  "1234567"), /* 7 of 8 bytes */
		B("\x1d"
		  "123"),                              /* 3 of 4 bytes */
		B("\x0a\x02\x08\x01"),                 /* labels as a varint */
		B("\x0a\x02\x10\x01"),                 /* entries as a varint */
		B("\x0a\x02\x1a\x00"),                 /* hash as bytes */
		B("\x0a\x04\x12\x02\x08\x01"),         /* timestamp as a varint */
		B("\x0a\x06\x12\x04\x0a\x02\x0a\x00"), /* seconds as bytes */
		B("\x0a\x06\x12\x04\x1a\x02\x08\x01"), /* name of a pair as a varint */
		B("\x0a\x06\x12\x04\x22\x02\x08\x01"), /* the same in parsed, which is ignored */
		B("\x0a\x04\x12\x03\x12\x01"),         /* an entry longer than its stream */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		if (reference_accepts(cases[i].p, cases[i].n)) fail_msg("case %zu: the reference takes it", i);
		if (decode(cases[i].p, cases[i].n, &p)) fail_msg("case %zu: taken", i);
		assert_int_equal(e.code, ERR_INVALID);
		assert_in_range(e.off, 0, (long)cases[i].n);
	}
}

static void takes_odd_forms(void **state)
{
	(void)state;
	static const struct str cases[] = {
		B(""),
		B("\x0a\x00"),                                     /* a stream with nothing */
		B("\x8a\x00\x00"),                                 /* a tag longer than needed */
		B("\x0a\x80\x80\x80\x80\x00"),                     /* a length longer than needed */
		B("\x80\x80\x80\x80\x00\x01"),                     /* field 0 in more than one byte is unknown */
		B("\xf8\xff\xff\xff\x7f\x01"),                     /* the highest number */
		B("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), /* 10 bytes */
		B("\x12\x02\xff\xfe"),                             /* format that is not UTF-8 */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		if (!reference_accepts(cases[i].p, cases[i].n)) fail_msg("case %zu: the reference refuses it", i);
		if (!decode(cases[i].p, cases[i].n, &p)) fail_msg("case %zu: %s", i, e.msg);
	}
}

static void stays_in_the_arena(void **state)
{
	(void)state;
	struct buf stream = {0}, b = {0};
	for (int i = 0; i < 100000; i++) buf_add(&stream, "\x12\x00", 2);
	buf_ch(&b, 0x0a);
	buf_lpstr(&b, buf_view(&stream));
	struct arena small;
	arena_init(&small, 1 << 20);
	struct push p;
	e = ERR_INIT;
	assert_false(push_decode(&small, buf_view(&b), &p, &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_true(small.used < 1 << 20);
	arena_free(&small);
	assert_true(decode(b.p, b.n, &p));
	assert_int_equal(p.entries, 100000);
	buf_free(&stream);
	buf_free(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(round_trips),
		TEST(encodes_for_others),
		TEST(follows_the_rules_of_repetition),
		TEST(clamps_times),
		TEST(refuses),
		TEST(takes_odd_forms),
		TEST(stays_in_the_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
