/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reader accepts is written again and must read as the same tokens; any bytes survive quoting. */
#include "common/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

static struct str text(struct json *j, struct buf *scratch)
{
	buf_clear(scratch);
	return json_text(j, scratch);
}

static bool copy(struct str in, struct buf *out, bool html)
{
	struct err e = ERR_INIT;
	struct json j;
	struct json_out o;
	struct buf scratch = {0};
	json_init(&j, in, &e);
	json_out_init(&o, out, html);
	enum json_tok t;
	while ((t = json_next(&j)) != JSON_END && t != JSON_ERROR) {
		check(j.pos <= in.n && j.tok_at < j.pos && j.depth <= JSON_DEPTH);
		switch (t) {
		case JSON_OBJ_OPEN: json_open(&o, '{'); break;
		case JSON_OBJ_CLOSE: json_close(&o, '}'); break;
		case JSON_ARR_OPEN: json_open(&o, '['); break;
		case JSON_ARR_CLOSE: json_close(&o, ']'); break;
		case JSON_KEY: json_key(&o, text(&j, &scratch)); break;
		case JSON_STRING: json_put_str(&o, text(&j, &scratch)); break;
		default: json_put_raw(&o, j.text); break;
		}
	}
	buf_free(&scratch);
	check((t == JSON_ERROR) == (e.code == ERR_INVALID));
	check(t != JSON_ERROR || (e.off >= 0 && (size_t)e.off <= in.n));
	return t == JSON_END;
}

static void check_skip(struct str in, bool valid)
{
	struct err e = ERR_INIT;
	struct json j;
	struct str raw;
	json_init(&j, in, &e);
	check((json_skip(&j) && json_next(&j) == JSON_END) == valid);
	json_init(&j, in, &e);
	if (json_raw(&j, &raw)) check(raw.n && raw.p >= in.p && raw.p + raw.n <= in.p + in.n);
}

/* Text that was written reads, and writing it again changes nothing, but for bad bytes: they are written as an
 * escape of U+FFFD, which reads as a character that needs none. */
static void check_written(struct str text, bool utf8, bool html)
{
	struct buf again = {0};
	check(str_utf8_valid(text));
	check(copy(text, &again, html));
	check(!utf8 || str_eq(text, buf_view(&again)));
	buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	struct buf out = {0};
	bool utf8 = str_utf8_valid(in), html = size & 1;
	bool valid = copy(in, &out, html);
	check_skip(in, valid);
	if (valid) check_written(buf_view(&out), utf8, html);
	buf_clear(&out);
	json_quote(&out, in, html);
	check_written(buf_view(&out), utf8, html);
	buf_free(&out);
	return 0;
}
