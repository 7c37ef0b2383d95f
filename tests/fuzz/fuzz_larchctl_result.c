/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server (or whatever stands in its place) answers to larchctl: any bytes are an answer or an error, and
 * every answer can be sorted, paged and printed. */
#include "cli/paging.h"
#include "cli/print.h"
#include "cli/result.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(struct result *r, bool forward)
{
	struct cli c = {.tty = true, .color = forward, .o.output = forward ? OUTPUT_DEFAULT : OUTPUT_JSONL};
	struct paging p;
	size_t fresh;

	result_sort(r, forward);
	paging_init(&p, 0, INT64_MAX, forward, 0);
	paging_ask(&p);
	fresh = paging_take(&p, r->entries, r->nentries);
	if (fresh != r->nentries) abort(); /* nothing is known yet */
	for (size_t i = 0; i < fresh; i++) print_entry(&c, &r->entries[i]);
	paging_ask(&p);
	if (paging_take(&p, r->entries, fresh) > fresh) abort();
	print_samples(&c, r->samples, r->nsamples);
	paging_free(&p);
	buf_free(&c.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	struct result_strings strings;
	struct result_series series;
	struct result_deletes deletes;
	struct err e = ERR_INIT;
	struct result r;
	struct arena a;

	arena_init(&a, 0);
	if (result_parse(&a, text, &r, &e)) {
		show(&r, true);
		show(&r, false);
	} else if (e.code != ERR_CORRUPT) {
		abort();
	}
	e = ERR_INIT;
	result_parse_strings(&a, text, &strings, &e);
	e = ERR_INIT;
	result_parse_series(&a, text, &series, &e);
	e = ERR_INIT;
	if (result_parse_deletes(&a, text, &deletes, &e)) {
		struct cli c = {.tty = true};
		print_deletes(&c, deletes.v, deletes.n);
		buf_free(&c.out);
	}
	e = ERR_INIT;
	size_t dropped;
	if (result_parse_frame(&a, text, &r, &dropped, &e))
		show(&r, true);
	else if (e.code != ERR_CORRUPT)
		abort();
	e = ERR_INIT;
	if (!result_parse_context(&a, text, &r, &e) && e.code != ERR_CORRUPT) abort();
	arena_free(&a);
	return 0;
}
