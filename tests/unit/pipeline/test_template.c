/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/map.h"
#include "pipeline/template.h"
#include "pipeline/template_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINE "level=info msg=\"hello\""
#define TS   INT64_C(1793493369981342370)

static const struct {
	struct str name, value;
} members[] = {{STR("app"), STR("counter")},
	       {STR("bad"), STR("a<b>&\"c\"'d'")},
	       {STR("empty"), STR("")},
	       {STR("num"), STR("42")},
	       {STR("x-y"), STR("dashed")}};

static bool get(void *ud, struct str name, struct tval *out)
{
	(void)ud;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		if (!str_eq(members[i].name, name)) continue;
		*out = TVAL_OF_STR(members[i].value);
		return true;
	}
	return false;
}

static struct tval_map all(void *ud, struct arena *a)
{
	(void)ud;
	struct tval_map m = {arena_alloc(a, sizeof members), arena_alloc(a, 16 * sizeof(struct tval)), 0};
	for (; m.n < sizeof members / sizeof *members; m.n++) {
		m.keys[m.n] = members[m.n].name;
		m.v[m.n] = TVAL_OF_STR(members[m.n].value);
	}
	return m;
}

static const struct template_data data = {.get = get, .all = all, .line = STR(LINE), .ts = TS};

/* The output, or the error of compiling or running, as a string of the test's arena. */
static struct arena arena;
static const char *run(const struct template_funcs *funcs, const char *text)
{
	struct err e = ERR_INIT;
	struct buf out = {0};
	struct template *t = template_compile(str_c(text), "line", funcs, &e);
	if (!t) return arena_cstr(&arena, str_c(e.msg));
	buf_c(&out, "kept:");
	bool ok = template_run(t, &data, &out, &arena, &e);
	assert_true(str_starts(buf_view(&out), STR("kept:")));
	if (!ok) assert_int_equal(out.n, 5);
	const char *result = arena_cstr(&arena, ok ? str_from(buf_view(&out), 5) : str_c(e.msg));
	buf_free(&out);
	template_free(t);
	return result;
}

struct sample {
	const char *text, *want;
};

static void check(const struct template_funcs *funcs, const struct sample *v, size_t n)
{
	arena_init(&arena, 0);
	for (size_t i = 0; i < n; i++) {
		const char *got = run(funcs, v[i].text);
		if (strcmp(got, v[i].want) != 0) print_error("template: %s\n", v[i].text);
		assert_string_equal(got, v[i].want);
	}
	arena_free(&arena);
}

#define CHECK(funcs, v) check((funcs), (v), sizeof(v) / sizeof *(v))

static void test_language(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"", ""},
		{"plain {text}", "plain {text}"},
		{"{{.app}}", "counter"},
		{"{{.app}}/{{ .num }}/{{.nope}}.", "counter/42/."},
		{"a {{- \" b \" -}} c", "a b c"},
		{"a {{- /* note */ -}} c{{/* x */}}d", "acd"},
		{"{{ if .nope }}a{{ else if .app }}b{{ else }}c{{ end }}", "b"},
		{"{{ if .nope }}a{{ else if .empty }}b{{ else }}c{{ end }}", "c"},
		{"{{ with .app }}<{{ . }}>{{ end }}{{ with .nope }}x{{ else with .num }}{{ . }}{{ end }}",
		 "<counter>42"},
		{"{{ with $x := .app }}{{ $x }}{{ $.num }}{{ end }}", "counter42"},
		{"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $x }}{{ $y }}{{ end }}{{ $x }}", "232"},
		{"{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"},
		{"{{ range $i, $e := fromJson `[\"a\",\"b\",\"c\"]` }}{{ $i }}={{ $e }};{{ else }}none{{ end }}",
		 "0=a;1=b;2=c;"},
		{"{{ range fromJson `[]` }}x{{ else }}none{{ end }}", "none"},
		{"{{ range $k, $v := . }}{{ $k }}:{{ len $v }} {{ end }}", "app:7 bad:11 empty:0 num:2 x-y:6 "},
		{"{{ range 3 }}{{ . }}{{ end }}", "012"},
		{"{{ range 9 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ if eq . 5 }}{{ break }}{{ end }}{{ . }}{{ end "
		 "}}",
		 "0134"},
		{"{{ define \"t\" }}T{{ . }}{{ end }}{{ template \"t\" .app }}", "Tcounter"},
		{"{{ block \"b\" .num }}<{{ . }}>{{ end }}{{ template \"b\" 7 }}", "<42><7>"},
		{"{{ template \"t\" }}{{ define \"t\" }}{{ if . }}y{{ else }}n{{ end }}{{ end }}", "n"},
		{"{{ (fromJson `{\"a\":{\"b\":[1,{\"c\":2.5}]}}`).a.b }}", "[1 map[c:2.5]]"},
		{"{{ $o := fromJson `{\"a\":{\"b\":null}}` }}{{ $o.a.b }} {{ $o.x.y }} {{ $o }}",
		 "<no value> <no value> map[a:map[b:<nil>]]"},
		{"{{ .app | printf \"%s-%s\" \"x\" | ToUpper }}", "X-COUNTER"},
		{"{{ (eq .app \"counter\") | not }}", "false"},
		{"{{ index . \"x-y\" }} {{ index . \"none\" }}|{{ len . }}", "dashed |5"},
		{"{{ 'a' }} {{ '\\n' }} {{ 0x10 }} {{ 0b11 }} {{ 017 }} {{ 1_000 }} {{ 1e3 }} {{ -5 }} {{ +.5 }}",
		 "97 10 16 3 15 1000 1000 -5 0.5"},
		{"{{ \"q\\\"\\u00e9\\x41\" }}{{ `raw\\n` }}", "q\"\u00e9Araw\\n"},
		{"{{ true }}{{ false }}", "truefalse"},
		{"line\n{{- \"x\" }}\n{{ \"y\" -}}\n\nz", "linex\nyz"},
	};
	CHECK(template_funcs_logql(), v);
}

static void test_builtins(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{{ and 1 0 }}{{ and 1 \"x\" }}{{ or 0 \"x\" }}{{ or \"\" 0 }}{{ not \"\" }}", "0xx0true"},
		{"{{ or true (index . 5) }} {{ and false (index . 5) }}", "true false"},
		{"{{ eq 1 1 }} {{ eq .num \"1\" \"42\" }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt \"b\" "
		 "\"a\" }} "
		 "{{ ge 1 2 }} {{ lt 1.5 2.5 }}",
		 "true true true true true true false true"},
		{"{{ len \"h\u00e9llo\" }} {{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" 1 }} {{ index \"abc\" 1 }}",
		 "6 bc bc 98"},
		{"{{ print 1 2 \"a\" 3 4.5 }}|{{ println \"x\" 1 }}", "1 2a3 4.5|x 1\n"},
		{"{{ html .bad }} {{ js .bad }} {{ urlquery \"a b/\u00e9\" }}",
		 "a&lt;b&gt;&amp;&#34;c&#34;&#39;d&#39; a\\u003Cb\\u003E\\u0026\\\"c\\\"\\'d\\' a+b%2F%C3%A9"},
		{"{{ printf \"%05d|%x|%t|%.2f|%-6s|%6s|%q|%v\" 42 255 true 1.5 \"ab\" \"cd\" \"e\\\"f\" 1.0 }}",
		 "00042|ff|true|1.50|ab    |    cd|\"e\\\"f\"|1"},
		{"{{ printf \"%d %s\" \"x\" 5 }}", "%!d(string=x) %!s(int=5)"},
		{"{{ printf \"%d\" }} {{ printf \"a\" 1 \"b\" }} {{ printf \"%\" }} {{ printf \"%d%%\" 5 }}",
		 "%!d(MISSING) a%!(EXTRA int=1, string=b) %!(NOVERB) 5%"},
		{"{{ printf \"%[2]s %[1]s\" \"a\" \"b\" }} {{ printf \"%*d|%+d|% d|%#x|%e\" 5 42 7 8 255 1234.5 }}",
		 "b a    42|+7| 8|0xff|1.234500e+03"},
		{"{{ printf \"%T %T %T\" 1 \"a\" 1.5 }} {{ printf \"%c %U %X\" 65 233 \"hi\" }}",
		 "int string float64 A U+00E9 6869"},
		{"{{ printf \"%6.2f|%06.1f|%g|%v\" 3.14159 2.55 1e21 1e20 }}", "  3.14|0002.5|1e+21|1e+20"},
	};
	CHECK(template_funcs_logql(), v);
}

static void test_logql_functions(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{{ __line__ | len }} {{ __timestamp__ }}", "22 2026-11-01 00:36:09.98134237 +0000 UTC"},
		{"{{ __timestamp__ | unixEpoch }} {{ unixEpochMillis __timestamp__ }} {{ unixEpochNanos __timestamp__ "
		 "}}",
		 "1793493369 1793493369981 1793493369981342370"},
		{"{{ __timestamp__ | date \"2006-01-02T15:04:05.00Z-07:00\" }}", "2026-11-01T00:36:09.98Z+00:00"},
		{"{{ toDate \"2006-01-02\" \"2026-11-01\" }} {{ toDate \"2006\" \"x\" }}",
		 "2026-11-01 00:00:00 +0000 UTC 0001-01-01 00:00:00 +0000 UTC"},
		{"{{ unixToTime \"1793491200\" }} {{ unixToTime \"19373\" }}",
		 "2026-11-01 00:00:00 +0000 UTC 2023-01-16 00:00:00 +0000 UTC"},
		{"{{ duration \"1h2m\" }} {{ duration_seconds \"1.5ms\" }} {{ bytes \"2KB\" }} {{ bytes \"1MiB\" }}",
		 "3720 0.0015 2000 1.048576e+06"},
		{"{{ add 1 2 3 }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 4 }} {{ .num | int | add 1 }}",
		 "6 3 6 3 3 43"},
		{"{{ addf 0.1 0.2 }} {{ subf 3 1.5 }} {{ mulf 1.5 2 }} {{ divf 7 2 }} {{ divf 1 3 }}",
		 "0.3 1.5 3 3.5 0.3333333333333333"},
		{"{{ max 1 5 3 }} {{ min 4 2 }} {{ maxf 1.5 2 }} {{ minf 2 1.5 }} {{ floor 1.9 }} {{ ceil 1.1 }} "
		 "{{ round 1.2345 2 }} {{ int \"7\" }} {{ float64 \"1.5\" }} {{ int \"x\" }} {{ int 3.9 }}",
		 "5 2 2 1.5 1 2 1.23 7 1.5 0 3"},
		{"{{ regexReplaceAll \"(a+)b\" \"aab\" \"${1}x\" }} {{ regexReplaceAllLiteral \"a\" \"banana\" \"$\" "
		 "}} "
		 "{{ count \"a\" \"banana\" }} {{ count \"\" \"abc\" }}",
		 "aax b$n$n$ 3 4"},
		{"{{ $re := \"n+\" }}{{ regexReplaceAll $re \"anna\" \"-\" }}", "a-a"},
		{"{{ alignLeft 5 \"abcdefg\" }}|{{ alignLeft 5 \"ab\" }}|{{ alignRight 5 \"ab\" }}|{{ alignRight 2 "
		 "\"abc\" }}|",
		 "abcde|ab   |   ab|bc|"},
		{"{{ TrimLeft \"xxa\" \"x\" }}{{ TrimRight \"axx\" \"x\" }}{{ Trim \"xax\" \"x\" }}{{ TrimSpace \" a "
		 "\" }}"
		 "{{ TrimPrefix \"abc\" \"a\" }}{{ TrimSuffix \"abc\" \"c\" }}{{ Replace \"banana\" \"a\" \"b\" 1 }}",
		 "aaaabcabbbnana"},
		{"{{ trim \"  x \" }}{{ trimAll \"$\" \"$5$\" }}{{ trimPrefix \"a\" \"abc\" }}{{ trimSuffix \"c\" "
		 "\"abc\" }}"
		 "{{ replace \"a\" \"b\" \"banana\" }}{{ trunc 3 \"abcdef\" }}{{ trunc -3 \"abcdef\" }}{{ substr 1 3 "
		 "\"hello\" }}",
		 "x5bcabbbnbnbabcdefel"},
		{"{{ repeat 3 \"ab\" }}{{ indent 2 \"x\\ny\" }}{{ nindent 2 \"x\" }}", "ababab  x\n  y\n  x"},
		{"{{ lower \"AB\u00c9\" }}{{ upper \"ab\u00e9\" }}{{ title \"abc def-g\" }}",
		 "ab\u00e9AB\u00c9Abc Def-G"},
		{"{{ b64enc \"hi\" }} {{ b64dec \"aGk=\" }} {{ b64dec \"!!\" }} {{ b64enc \"\" }}{{ b64dec \"YWJj\" }}",
		 "aGk= hi illegal base64 data at input byte 0 abc"},
		{"{{ urlencode \"a b&c\" }} {{ urldecode \"a%20b+c\" }}", "a+b%26c a b c"},
		{"{{ default \"none\" .nope }} {{ default \"none\" \"x\" }} {{ contains \"a\" \"cat\" }} {{ hasPrefix "
		 "\"c\" \"cat\" }}"
		 "{{ hasSuffix \"c\" \"cat\" }}",
		 "none x true truefalse"},
	};
	CHECK(template_funcs_logql(), v);
}

static void test_agent_functions(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{{ .nope }}|{{ .app }}|{{ if eq .nope \"x\" }}y{{ else }}n{{ end }}|{{ default \"d\" .nope }}",
		 "<no value>|counter|n|d"},
		{"{{ Hash \"ada\" \"salt\" }}", "53eb3df529943c67c314988b4db4a94f5a7528ededb97a4ee022f6f40b2bcd3d"},
		{"{{ Sha2Hash \"ada\" \"salt\" }}", "89fabf4a2ab31ab3230612338027966f82ff3adeea3c8d46e57b68e0172146e3"},
		{"{{ sha1sum \"abc\" }} {{ sha256sum \"\" }}",
		 "a9993e364706816aba3e25717850c26c9cd0d89d "
		 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"{{ list \"a\" \"b\" | join \"-\" }} {{ splitList \",\" \"a,b,\" }} {{ (split \"/\" \"a/b\")._1 }}",
		 "a-b [a b ] b"},
		{"{{ quote 1 \"a\" .nope }} {{ squote \"x\" }} {{ cat 1 .nope \"b\" }} {{ nospace \" a b \" }}",
		 "\"1\" \"a\" 'x' 1 b ab"},
		{"{{ ternary \"y\" \"n\" true }} {{ empty \"\" }} {{ coalesce 0 \"\" \"c\" }} {{ toString 1.5 }} {{ "
		 "atoi \"12\" }}",
		 "y true c 1.5 12"},
		{"{{ $d := dict \"b\" 2 \"a\" 1 }}{{ get $d \"b\" }}{{ hasKey $d \"x\" }} {{ keys $d }} {{ values $d "
		 "}} {{ toJson $d }}",
		 "2false [a b] [1 2] {\"a\":1,\"b\":2}"},
		{"{{ toJson (fromJson `{\"k\":[1,2.5,null,true,\"<\"]}`) }}", "{\"k\":[1,2.5,null,true,\"\\u003c\"]}"},
		{"{{ regexMatch \"^c.*r$\" .app }} {{ regexFind \"[0-9]+\" \"ab12c3\" }} {{ regexSplit \",\" \"a,b,c\" "
		 "2 }} "
		 "{{ regexSplit \"z*\" \"pizza\" -1 }}",
		 "true 12 [a b,c] [p i a]"},
		{"{{ first (list 1 2 3) }}{{ last (list 1 2 3) }} {{ rest (list 1 2) }} {{ initial (list 1 2) }} "
		 "{{ reverse (list 1 2) }} {{ uniq (list 1 1 2) }} {{ has 2 (list 1 2) }} {{ sortAlpha (list \"b\" "
		 "\"a\") }} "
		 "{{ until 3 }} {{ append (list 1) 2 }}",
		 "13 [2] [1] [2 1] [1 2] true [a b] [0 1 2] [1 2]"},
		{"{{ duration 63 }} {{ date \"2006\" 0 }} {{ dateModify \"1h\" (toDate \"15:04\" \"10:00\") | date "
		 "\"15:04\" }}",
		 "1m3s 1970 11:00"},
		{"{{ dateInZone \"15:04\" 0 \"Europe/Berlin\" }}", "01:00"},
	};
	CHECK(template_funcs_agent(), v);
}

static void test_compile_errors(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{{", "template: line:1: unclosed action"},
		{"a\n{{ .x\n", "template: line:3: unclosed action started at line:2"},
		{"{{ .x | nofunc }}", "template: line:1: function \"nofunc\" not defined"},
		{"{{ $x }}", "template: line:1: undefined variable \"$x\""},
		{"{{ if }}{{ end }}", "template: line:1: missing value for if"},
		{"{{ }}", "template: line:1: missing value for command"},
		{"{{ if .x }}", "template: line:1: unexpected EOF"},
		{"{{ end }}", "template: line:1: unexpected {{end}}"},
		{"{{ else }}", "template: line:1: unexpected {{else}}"},
		{"{{ if .x }}{{ else }}{{ else }}{{ end }}", "template: line:1: expected end; found {{else}}"},
		{"{{ \"abc }}", "template: line:1: unterminated quoted string"},
		{"{{ `abc }}", "template: line:1: unterminated raw quoted string"},
		{"{{ ( .x }}", "template: line:1: unclosed left paren"},
		{"{{ .x ) }}", "template: line:1: unexpected right paren"},
		{"{{/* x }}", "template: line:1: unclosed comment"},
		{"{{/* x */ }}", "template: line:1: comment ends before closing delimiter"},
		{"{{ 3x }}", "template: line:1: bad number syntax: \"3x\""},
		{"{{ .x | 5 }}", "template: line:1: non executable command in pipeline stage 2"},
		{"{{ break }}", "template: line:1: {{break}} outside {{range}}"},
		{"{{ \"a\".b }}", "template: line:1: unexpected . after term \"\\\"a\\\"\""},
		{"{{ . = 1 }}", "template: line:1: unexpected \"=\" in operand"},
		{"{{ template .x }}", "template: line:1: unexpected \".x\" in template clause"},
		{"{{ range $a, $b, $c := . }}{{ end }}", "template: line:1: too many declarations in range"},
	};
	CHECK(template_funcs_logql(), v);
}

static void test_run_errors(void **state)
{
	(void)state;
	static const struct sample v[] = {
		{"{{ duration \"zz\" }}", "template: line:1:3: executing \"line\" at <duration \"zz\">: error calling "
					  "duration: time: invalid duration "
					  "\"zz\""},
		{"{{ bytes \"x\" }}", "template: line:1:3: executing \"line\" at <bytes \"x\">: error calling bytes: "
				      "strconv.ParseFloat: parsing \"\": invalid syntax"},
		{"{{ nil }}", "template: line:1:3: executing \"line\" at <nil>: nil is not a command"},
		{"{{ unixToTime \"x\" }}", "template: line:1:3: executing \"line\" at <unixToTime \"x\">: error "
					   "calling unixToTime: unable to parse time "
					   "'x': strconv.ParseInt: parsing \"x\": invalid syntax"},
		{"{{ .app.x }}",
		 "template: line:1:7: executing \"line\" at <.app.x>: can't evaluate field x in type string"},
		{"a\nb {{ .app | len 1 }}",
		 "template: line:2:12: executing \"line\" at <len>: wrong number of args for len: want "
		 "1 got 2"},
		{"{{ ToLower 5 }}", "template: line:1:11: executing \"line\" at <5>: expected string; found 5"},
		{"{{ trunc \"x\" \"y\" }}",
		 "template: line:1:9: executing \"line\" at <\"x\">: expected integer; found \"x\""},
		{"{{ 5 | ToLower }}",
		 "template: line:1:7: executing \"line\" at <ToLower>: wrong type for value; expected string; got int"},
		{"{{ .app \"x\" }}",
		 "template: line:1:3: executing \"line\" at <.app>: app is not a method but has arguments"},
		{"{{ 3 4 }}", "template: line:1:3: executing \"line\" at <3>: can't give argument to non-function 3"},
		{"{{ index (fromJson `[1]`) 5 }}", "template: line:1:3: executing \"line\" at <index (fromJson "
						   "`[1]...>: error calling index: index out of range: 5"},
		{"{{ div 1 0 }}", "template: line:1:3: executing \"line\" at <div 1 0>: error calling div: runtime "
				  "error: integer divide by zero"},
		{"{{ eq 1 \"a\" }}", "template: line:1:3: executing \"line\" at <eq 1 \"a\">: error calling eq: "
				     "incompatible types for comparison"},
		{"{{ template \"none\" }}",
		 "template: line:1:3: executing \"line\" at <{{template \"none\"}}>: template \"none\" "
		 "not defined"},
		{"{{ range .app }}{{ end }}",
		 "template: line:1:9: executing \"line\" at <.app>: range can't iterate over counter"},
		{"{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}",
		 "template: line:1:19: executing \"r\" at <{{template \"r\"}}>: exceeded maximum template depth (100)"},
		{"{{ range 1000000 }}{{ end }}",
		 "template: line:1:3: executing \"line\" at <range>: template runs too long (limit 100000 steps)"},
		{"{{ repeat 2000000 \"a\" }}",
		 "template: line:1:3: executing \"line\" at <repeat 2000000 \"a\">: error calling "
		 "repeat: result too large (limit 1048576 bytes)"},
		{"{{ regexReplaceAll \"(\" \"a\" \"b\" }}",
		 "template: line:1:3: executing \"line\" at <regexReplaceAll \"(\" ...>: error calling "
		 "regexReplaceAll: error "
		 "parsing regexp: missing closing ): `(`"},
	};
	CHECK(template_funcs_logql(), v);
}

static void test_fields(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const struct str *names;
	size_t n;
	struct template *t = template_compile(STR("{{.a}} {{.b.c}} {{if .a}}{{$.d | trunc 3}}{{end}}{{__line__}}"),
					      "line", template_funcs_logql(), &e);
	assert_non_null(t);
	assert_true(template_fields(t, &names, &n));
	assert_int_equal(n, 3);
	assert_true(str_eqc(names[0], "a") && str_eqc(names[1], "b") && str_eqc(names[2], "d"));
	assert_true(template_uses_line(t));
	template_free(t);
	t = template_compile(STR("{{range .}}x{{end}}"), "line", template_funcs_logql(), &e);
	assert_false(template_fields(t, &names, &n));
	assert_false(template_uses_line(t));
	template_free(t);
}

/* Functions are searched by bisection. */
static void test_sorted(void **state)
{
	(void)state;
	const struct template_funcs *sets[] = {template_funcs_logql(), template_funcs_agent()};
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 1; i < sets[s]->n; i++)
			assert_true(strcmp(sets[s]->v[i - 1].name, sets[s]->v[i].name) < 0);
	for (size_t i = 1; i < template_n_builtins; i++)
		assert_true(strcmp(template_builtins[i - 1].name, template_builtins[i].name) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_language),        cmocka_unit_test(test_builtins),
		cmocka_unit_test(test_logql_functions), cmocka_unit_test(test_agent_functions),
		cmocka_unit_test(test_compile_errors),  cmocka_unit_test(test_run_errors),
		cmocka_unit_test(test_fields),          cmocka_unit_test(test_sorted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
