/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both forms are read into the same messages, so most cases are written as JSON; encode() turns what they say into
 * protobuf, which must give the same push. */
#include "proto/otlp.h"

#include "proto/otlp_map.h"
#include "tests/unit/proto/push_util.h"

#define NOW 77

static const struct str index_labels[] = {STR("service.name"), STR("k8s.pod.name")};
static struct otlp_rules rules = {.defaults = {OTLP_INDEX_LABEL, index_labels, 2, NULL}, .now = NOW};

static bool decode_json(const char *text, struct push *p)
{
	e = ERR_INIT;
	arena_reset(&a);
	a.cap = 0;
	return otlp_json_decode(&a, str_c(text), &rules, p, &e);
}

#define RESOURCE(attributes, records)                                                                                  \
	"{\"resource\":{\"attributes\":[" attributes "]},\"scopeLogs\":[{\"logRecords\":[" records "]}]}"
#define LOGS(resources)   "{\"resourceLogs\":[" resources "]}"
#define TEXT(key, value)  "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define BODY(value)       LOGS(RESOURCE("", "{\"timeUnixNano\":\"5\",\"body\":{" value "}}"))
#define ATTRIBUTE(key, v) LOGS(RESOURCE("", "{\"attributes\":[{\"key\":\"" key "\",\"value\":{" v "}}]}"))
#define RECORD(fields)    LOGS(RESOURCE("", "{" fields "}"))

static const struct {
	const char *text, *want;
} good[] = {
	/* nothing */
	{"{}", ""},
	{"null", ""},
	{LOGS(""), ""},
	{LOGS(RESOURCE(TEXT("service.name", "s"), "")), ""},
	{"{\"resourceLogs\":null,\"other\":[{}]}", ""},
	/* labels */
	{LOGS(RESOURCE(TEXT("service.name", "cart") "," TEXT("x.y", "1") "," TEXT("k8s.pod.name", "p\\\"0"), "{}")),
	 "{k8s_pod_name=\"p\\\"0\", service_name=\"cart\"} 77:(x_y=1)"},
	{LOGS(RESOURCE(TEXT("service.name", ""), "{}")), "{} 77:"},
	{LOGS(RESOURCE(TEXT("service.name", "a") "," TEXT("service.name", "b"), "{}")), "{service_name=\"b\"} 77:"},
	{LOGS(RESOURCE("{\"key\":\"service.name\",\"value\":{\"kvlistValue\":{\"values\":[" TEXT("b", "2") "," TEXT(
			       "a", "1") "]}}}",
		       "{}")),
	 "{service_name_a=\"1\", service_name_b=\"2\"} 77:"},
	{LOGS(RESOURCE(TEXT("service.name", "a"), "{},{}") "," RESOURCE(TEXT("service.name", "b"), "{}")),
	 "{service_name=\"a\"} 77: 77: | {service_name=\"b\"} 77:"},
	/* times */
	{RECORD("\"timeUnixNano\":\"5\",\"observedTimeUnixNano\":6"), "{} 5:(observed_timestamp=6)"},
	{RECORD("\"timeUnixNano\":0,\"observedTimeUnixNano\":\"6\""), "{} 6:"},
	{RECORD("\"timeUnixNano\":18446744073709551615"), "{} 9223372036854775807:"},
	/* fields of a record, in either spelling */
	{RECORD("\"severityText\":\"ERROR\",\"severityNumber\":17,\"flags\":1,\"droppedAttributesCount\":2,"
		"\"eventName\":\"ev\""),
	 "{} 77:(severity_number=17)(severity_text=ERROR)(flags=1)(dropped_attributes_count=2)(event_name=ev)"},
	{RECORD("\"severity_text\":\"E\",\"severity_number\":\"SEVERITY_NUMBER_FATAL4\""),
	 "{} 77:(severity_number=24)(severity_text=E)"},
	{RECORD("\"traceId\":\"5B8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\""),
	 "{} 77:(trace_id=5b8efff798038103d269b633813fc60c)(span_id=eee19b7ec3c1b174)"},
	{RECORD("\"traceId\":\"\",\"severityText\":null,\"unknown\":{\"x\":[1]}"), "{} 77:"},
	/* bodies */
	{BODY("\"stringValue\":\"a\\u0000b\\n\""), "{} 5:a"},
	{BODY("\"boolValue\":true"), "{} 5:true"},
	{BODY("\"intValue\":\"-7\""), "{} 5:-7"},
	{BODY("\"intValue\":7"), "{} 5:7"},
	{BODY("\"doubleValue\":1.5"), "{} 5:1.5"},
	{BODY("\"doubleValue\":\"NaN\""), "{} 5:NaN"},
	{BODY("\"bytesValue\":\"AAEC\""), "{} 5:AAEC"},
	{BODY(""), "{} 5:"},
	{BODY("\"arrayValue\":{\"values\":[{\"stringValue\":\"<a>\"},{\"intValue\":1},{},null]}"),
	 "{} 5:[\"\\u003ca\\u003e\",1,null,null]"},
	{BODY("\"kvlistValue\":{\"values\":[" TEXT("z", "1") "," TEXT("a", "2") "," TEXT("z", "3") "]}"),
	 "{} 5:{\"a\":\"2\",\"z\":\"3\"}"},
	{BODY("\"kvlistValue\":{\"values\":[{\"key\":\"b\",\"value\":{\"bytesValue\":\"AAEC\"}},{\"key\":\"c\"}]}"),
	 "{} 5:{\"b\":\"AAEC\",\"c\":null}"},
	{BODY("\"kvlistValue\":{}"), "{} 5:{}"},
	/* attributes */
	{ATTRIBUTE("kv", "\"kvlistValue\":{\"values\":[{\"key\":\"x.y\",\"value\":{\"kvlistValue\":{\"values\":[" TEXT(
				 "1", "z") "]}}}]}"),
	 "{} 77:(kv_x_y_1=z)"},
	{ATTRIBUTE("0.a", "\"arrayValue\":{}"), "{} 77:(key_0_a=[])"},
	{ATTRIBUTE("none", ""), "{} 77:(none=)"},
	/* whose attribute counts is the distributor's doing: the last of a name; so the record's come last */
	{LOGS("{\"resource\":{\"attributes\":[" TEXT(
		 "k", "resource") "]},\"scopeLogs\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1\","
				  "\"droppedAttributesCount\":3,\"attributes\":[" TEXT(
					  "k",
					  "scope") "]},\"logRecords\":[{\"attributes\":[" TEXT("k",
											       "record") "]},{}]},"
													 "{\"logRecords"
													 "\":[{}]}]}"),
	 "{} 77:(k=resource)(k=scope)(scope_name=lib)(scope_version=1)(scope_dropped_attributes_count=3)(k=record)"
	 " 77:(k=resource)(k=scope)(scope_name=lib)(scope_version=1)(scope_dropped_attributes_count=3) "
	 "77:(k=resource)"},
};

static void maps(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct push p;
		if (!decode_json(good[i].text, &p)) fail_msg("%s: %s", good[i].text, e.msg);
		assert_string_equal(dump(&p), good[i].want);
	}
}

static void keeps_a_nul_in_a_line(void **state)
{
	(void)state;
	struct push p;
	assert_true(decode_json(BODY("\"stringValue\":\"a\\u0000b\""), &p));
	assert_true(str_eq(p.v[0].v[0].line, STR("a\0b")));
}

static void counts(void **state)
{
	(void)state;
	struct push p;
	assert_true(decode_json(LOGS(RESOURCE(TEXT("x", "yz"), "{\"body\":{\"stringValue\":\"abc\"}},{}")), &p));
	assert_int_equal(p.n, 1);
	assert_int_equal(p.entries, 2);
	assert_int_equal(p.bytes, 3 + 3 + 3);
}

static void refuses_bad_json(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"nope",
		 "skipThreeBytes: expect ull, error found in #2 byte of ...|nope|..., bigger context ...|nope|..."},
		{"", "EOF"},
		{"[]", "readObjectStart: expect { or n, but found [, error found in #1 byte of ...|[]|..., bigger "
		       "context ...|[]|..."},
		{"{}{}", "invalid JSON at byte 2: expected nothing more, found '{'"},
		{"{\"resourceLogs\":{}}", "OTLP JSON at byte 16: resource_logs must be an array"},
		{"{\"resourceLogs\":[5]}", "OTLP JSON at byte 17: resource_logs must be an object"},
		{RECORD("\"timeUnixNano\":\"-1\""),
		 "OTLP JSON at byte 91: time_unix_nano must be an integer that is not negative"},
		{RECORD("\"flags\":4294967296"), "OTLP JSON at byte 84: flags must be an integer of 32 bits"},
		{RECORD("\"severityText\":5"), "OTLP JSON at byte 91: severity_text must be a string"},
		{RECORD("\"severityNumber\":\"INFO\""),
		 "OTLP JSON at byte 93: severity_number must be a number or its name such as SEVERITY_NUMBER_INFO"},
		{RECORD("\"traceId\":\"xy\""), "OTLP JSON at byte 86: trace_id must be hex digits"},
		{RECORD("\"spanId\":\"abc\""), "OTLP JSON at byte 85: span_id must be hex digits"},
		{BODY("\"bytesValue\":\"!\""), "OTLP JSON at byte 116: bytes_value must be base64"},
		{BODY("\"boolValue\":1"), "OTLP JSON at byte 115: bool_value must be true or false"},
		{BODY("\"intValue\":1.5"), "OTLP JSON at byte 114: int_value must be an integer"},
		{BODY("\"doubleValue\":true"), "OTLP JSON at byte 117: double_value must be a number"},
		{ATTRIBUTE("...", "\"intValue\":1"),
		 "attribute \"...\": a name without a letter or digit cannot be queried; rename it"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct push p;
		if (decode_json(cases[i].text, &p)) fail_msg("taken: %s", cases[i].text);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.msg, cases[i].want);
	}
}

/* ---- protobuf ---- */

static Otlp__AnyValue string_value(const char *s)
{
	Otlp__AnyValue v;
	otlp__any_value__init(&v);
	v.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v.string_value = (ProtobufCBinaryData){strlen(s), (uint8_t *)(uintptr_t)s};
	return v;
}

/* One resource, scope and record with a string body. */
static void encode(struct buf *out, const char *service, const char *line)
{
	Otlp__AnyValue name = string_value(service), body = string_value(line);
	Otlp__KeyValue kv;
	Otlp__Resource resource;
	Otlp__LogRecord record;
	Otlp__ScopeLogs scope;
	Otlp__ResourceLogs logs;
	Otlp__LogsRequest request;
	otlp__key_value__init(&kv);
	otlp__resource__init(&resource);
	otlp__log_record__init(&record);
	otlp__scope_logs__init(&scope);
	otlp__resource_logs__init(&logs);
	otlp__logs_request__init(&request);
	kv.key = string_value("service.name").string_value;
	kv.value = &name;
	resource.attributes = (Otlp__KeyValue *[]){&kv};
	resource.n_attributes = 1;
	record.time_unix_nano = 5;
	record.severity_number = OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_ERROR;
	record.trace_id = (ProtobufCBinaryData){2, (uint8_t[]){0xab, 0x01}};
	record.body = &body;
	scope.log_records = (Otlp__LogRecord *[]){&record};
	scope.n_log_records = 1;
	logs.resource = &resource;
	logs.scope_logs = (Otlp__ScopeLogs *[]){&scope};
	logs.n_scope_logs = 1;
	request.resource_logs = (Otlp__ResourceLogs *[]){&logs};
	request.n_resource_logs = 1;
	buf_reserve(out, otlp__logs_request__get_packed_size(&request));
	out->n += otlp__logs_request__pack(&request, (uint8_t *)out->p + out->n);
}

static bool decode(struct str body, size_t cap, struct push *p)
{
	e = ERR_INIT;
	arena_reset(&a);
	a.cap = cap;
	return otlp_decode(&a, body, &rules, p, &e);
}

/* Rules for each kind of attribute; the first that takes a name decides, defaults before all. */
static void follows_rules(void **state)
{
	static const struct str names[] = {STR("drop.me"), STR("service.name"), STR("tier"), STR("user.id")};
	static const char request[] =
		"{\"resourceLogs\":[{\"resource\":{\"attributes\":[" TEXT("service.name", "cart") "," TEXT("drop.me", "x") "," TEXT(
			"host.arch",
			"arm64") "," TEXT("host.name",
					  "h") "," TEXT("other", "o") "]},\"scopeLogs\":[{\"scope\":{\"attributes\":"
								      "[" TEXT("drop.me",
									       "y") "," TEXT("sa",
											     "z") "]},\"logRecords\":["
												  "{\"timeUnixNano\":1,"
												  "\"severityText\":"
												  "\"INFO\","
												  "\"attributes\":"
												  "[" TEXT("tier", "gol"
														   "d") "," TEXT("user.id", "7") "," TEXT(
													  "drop.me",
													  "q") "]},"
													       "{\"time"
													       "UnixNan"
													       "o\":2},"
													       "{\"time"
													       "UnixNan"
													       "o\":3,"
													       "\"sever"
													       "ityText"
													       "\":"
													       "\"INFO"
													       "\","
													       "\"attri"
													       "butes\""
													       ":"
													       "[" TEXT(
														       "tier",
														       "gold") "]},"
															       "{\"timeUnixNano\":4,\"attributes\":[" TEXT(
																       "tier",
																       "") "]}]}]}]}";
	struct otlp_rules before = rules;
	struct regex *host = regex_new(STR("host\\..*"), REGEX_ANCHORED, &e);
	struct push p;
	(void)state;
	assert_non_null(host);
	struct otlp_rule resource[] = {{OTLP_DROP, &names[0], 2, NULL}, {OTLP_INDEX_LABEL, NULL, 0, host}};
	struct otlp_rule scope[] = {{OTLP_DROP, names, 1, NULL}};
	struct otlp_rule record[] = {{OTLP_STRUCTURED_METADATA, &names[3], 1, NULL},
				     {OTLP_INDEX_LABEL, &names[2], 2, NULL},
				     {OTLP_DROP, names, 1, NULL}};
	rules.resource = (struct otlp_rule_list){resource, 2};
	rules.scope = (struct otlp_rule_list){scope, 1};
	rules.record = (struct otlp_rule_list){record, 3};
	if (!decode_json(request, &p)) fail_msg("%s", e.msg);
	assert_string_equal(
		dump(&p),
		"{host_arch=\"arm64\", host_name=\"h\", service_name=\"cart\", tier=\"gold\"}"
		" 1:(other=o)(sa=z)(user_id=7)(severity_text=INFO) 3:(other=o)(sa=z)(severity_text=INFO)"
		" | {host_arch=\"arm64\", host_name=\"h\", service_name=\"cart\"} 2:(other=o)(sa=z) 4:(other=o)(sa=z)");
	assert_int_equal(p.entries, 4);
	rules.severity_label = true;
	rules.defaults.n_names = 0; /* the rule that drops service.name counts now */
	if (!decode_json(request, &p)) fail_msg("%s", e.msg);
	assert_string_equal(dump(&p),
			    "{host_arch=\"arm64\", host_name=\"h\", severity_text=\"INFO\", tier=\"gold\"}"
			    " 1:(other=o)(sa=z)(user_id=7)(severity_text=INFO) 3:(other=o)(sa=z)(severity_text=INFO)"
			    " | {host_arch=\"arm64\", host_name=\"h\"} 2:(other=o)(sa=z) 4:(other=o)(sa=z)");
	rules = before;
	regex_free(host);
}

static void reads_protobuf(void **state)
{
	(void)state;
	struct buf b = {0};
	struct push p;
	encode(&b, "cart", "boom");
	encode(&b, "shop", "bang"); /* messages behind each other add up */
	if (!decode(buf_view(&b), 0, &p)) fail_msg("%s", e.msg);
	assert_string_equal(dump(&p), "{service_name=\"cart\"} 5:boom(severity_number=17)(trace_id=ab01) | "
				      "{service_name=\"shop\"} 5:bang(severity_number=17)(trace_id=ab01)");
	assert_true(decode(STR(""), 0, &p));
	assert_int_equal(p.n, 0);
	buf_free(&b);
}

static void refuses_bad_protobuf(void **state)
{
	(void)state;
	struct buf b = {0};
	struct push p;
	encode(&b, "cart", "boom");
	for (size_t cut = 1; cut < b.n; cut++) {
		assert_false(decode(str_of(b.p, cut), 0, &p));
		assert_int_equal(e.code, ERR_INVALID);
	}
	assert_false(decode(STR("\x08\x01"), 0, &p)); /* resource_logs as a number */
	assert_string_equal(e.msg, "protobuf: a field of the OTLP logs request has another wire type than its schema");
	assert_false(decode(STR("\x0b"), 0, &p));
	assert_string_equal(e.msg, "protobuf: unknown wire type at byte 0");
	buf_free(&b);
}

/* request ← resource_logs ← scope_logs ← log_records ← body ← (array ← value)… */
static void nest(struct buf *out, unsigned levels)
{
	static const char path[] = {1, 2, 2, 5};
	struct buf in = {0}, next = {0};
	for (unsigned i = 0; i < levels; i++) {
		for (int tag = 5; tag >= 1; tag -= 4) { /* values = 1 in array_value = 5: inner first */
			buf_clear(&next);
			buf_u8(&next, (uint8_t)((tag == 5 ? 1 : 5) << 3 | 2));
			buf_lpstr(&next, buf_view(&in));
			struct buf swap = in;
			in = next;
			next = swap;
		}
	}
	for (int i = 3; i >= 0; i--) {
		buf_clear(&next);
		buf_u8(&next, (uint8_t)(path[i] << 3 | 2));
		buf_lpstr(&next, buf_view(&in));
		struct buf swap = in;
		in = next;
		next = swap;
	}
	buf_free(&next);
	*out = in;
}

static void bounds_nesting(void **state)
{
	(void)state;
	struct buf b;
	struct push p;
	nest(&b, 90);
	if (!decode(buf_view(&b), 0, &p)) fail_msg("%s", e.msg);
	buf_free(&b);
	nest(&b, 20000);
	assert_false(decode(buf_view(&b), 0, &p));
	assert_non_null(strstr(e.msg, "nested too deeply"));
	buf_free(&b);
	for (unsigned i = 0; i < 20000; i++) buf_c(&b, "{\"arrayValue\":{\"values\":[");
	struct buf text = {0};
	buf_printf(&text, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":%s", buf_cstr(&b));
	assert_false(decode_json(buf_cstr(&text), &p));
	assert_int_equal(e.code, ERR_INVALID);
	buf_free(&text);
	buf_free(&b);
}

/* A prefix that every leaf repeats, and a resource that every record repeats. */
static void stays_in_the_arena(void **state)
{
	(void)state;
	enum { N = 3000, CAP = 1 << 20 };
	struct buf b = {0};
	struct push p;
	for (int form = 0; form < 2; form++) {
		buf_clear(&b);
		buf_c(&b, "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"");
		for (int i = 0; i < N; i++) buf_ch(&b, 'k');
		buf_c(&b, form ? "\",\"value\":{}}" : "\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\"}");
		for (int i = 0; i < N; i++) buf_c(&b, ",{\"key\":\"k\"}");
		buf_c(&b, form ? "]},\"scopeLogs\":[{\"logRecords\":[{}" : "]}}}]},\"scopeLogs\":[{\"logRecords\":[{}");
		for (int i = 0; form && i < N; i++) buf_c(&b, ",{}");
		buf_c(&b, "]}]}]}");
		e = ERR_INIT;
		arena_reset(&a);
		a.cap = CAP;
		assert_false(otlp_json_decode(&a, buf_view(&b), &rules, &p, &e));
		assert_int_equal(e.code, ERR_TOO_LARGE);
		assert_true(a.used < 2 * CAP);
	}
	buf_clear(&b);
	for (int i = 0; i < 100000; i++) buf_add(&b, "\x0a\x00", 2); /* empty resource logs */
	assert_false(decode(buf_view(&b), CAP, &p));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_true(a.used <= CAP);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),           cmocka_unit_test(keeps_a_nul_in_a_line),
		cmocka_unit_test(counts),         cmocka_unit_test(refuses_bad_json),
		cmocka_unit_test(reads_protobuf), cmocka_unit_test(refuses_bad_protobuf),
		cmocka_unit_test(bounds_nesting), cmocka_unit_test(stays_in_the_arena),
		cmocka_unit_test(follows_rules),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
