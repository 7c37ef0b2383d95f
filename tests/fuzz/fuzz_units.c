/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte chooses a parser, the rest is its text; what a parser takes must print and read back. */
#include "common/units.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok) abort();
}

static void go_duration(struct str s, struct buf *b, struct err *e)
{
	int64_t v, again;
	if (!units_dur_go(s, &v, e)) return;
	units_dur_go_print(b, v);
	need(units_dur_go(buf_view(b), &again, e) && again == v);
}

static void prom_duration(struct str s, struct buf *b, struct err *e)
{
	int64_t v, again;
	if (!units_dur_prom(s, &v, e)) return;
	units_dur_prom_print(b, v);
	need(units_dur_prom(buf_view(b), &again, e) && again == v);
}

static void size_1024(struct str s, struct buf *b, struct err *e)
{
	uint64_t v, again;
	if (!units_bytes_1024(s, &v, e)) return;
	units_bytes_1024_print(b, v);
	need(units_bytes_1024(buf_view(b), &again, e) && again == v);
}

static void size_human(struct str s, struct buf *b, struct err *e)
{
	uint64_t v, again;
	if (!units_bytes_human(s, &v, e)) return;
	units_bytes_human_print(b, v);
	need(units_bytes_human(buf_view(b), &again, e) || v > UINT64_MAX / 2); /* "18EB" and above may round up */
}

static void time_text(struct str s, struct buf *b, struct err *e)
{
	int64_t v, again;
	if (!units_rfc3339(s, &v, e)) return;
	units_rfc3339nano_print(b, v);
	need(units_rfc3339(buf_view(b), &again, e) && again == v);
}

static void number(struct str s, struct buf *b, struct err *e)
{
	double v, again;
	(void)e;
	if (!str_to_f64(s, &v)) return;
	buf_f64(b, v);
	need(str_to_f64(buf_view(b), &again) && (again == v || (isnan(v) && isnan(again))));
	buf_clear(b);
	buf_f64_g(b, v);
	need(str_to_f64(buf_view(b), &again) && (again == v || (isnan(v) && isnan(again))));
}

static void quoted(struct str s, struct buf *b, struct err *e)
{
	struct buf back = {0};
	(void)e;
	buf_unquote(&back, s);
	buf_clear(&back);
	buf_quote(b, s);
	need(buf_unquote(&back, buf_view(b)) && str_eq(buf_view(&back), s));
	buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct str, struct buf *, struct err *) = {
		go_duration, prom_duration, size_1024, size_human, time_text, number, quoted};
	if (size == 0) return 0;
	struct err e = ERR_INIT;
	struct buf b = {0};
	kinds[data[0] % (sizeof kinds / sizeof kinds[0])](str_of((const char *)data + 1, size - 1), &b, &e);
	buf_free(&b);
	return 0;
}
