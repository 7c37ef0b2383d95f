/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Argument lists of any bytes: nothing but accepted or refused, and what is accepted survives being
 * escaped and parsed again. */
#include "common/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_args(struct buf *b, const struct url_args *args)
{
	for (size_t i = 0; i < args->n; i++) {
		if (i) buf_ch(b, '&');
		url_encode(b, args->v[i].name, i % 2);
		buf_ch(b, '=');
		url_encode(b, args->v[i].value, i % 2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size), path;
	struct url_args args = {0}, again = {0};
	struct err e = ERR_INIT;
	struct buf printed = {0};
	struct arena a;

	arena_init(&a, 0);
	url_decode(&a, text, false, &path, &e);
	if (url_args_parse(&a, text, &args, &e)) {
		print_args(&printed, &args);
		if (!url_args_parse(&a, buf_view(&printed), &again, &e) || again.n != args.n) abort();
		for (size_t i = 0; i < args.n; i++)
			if (!str_eq(args.v[i].name, again.v[i].name) || !str_eq(args.v[i].value, again.v[i].value))
				abort();
	}
	buf_free(&printed);
	arena_free(&a);
	return 0;
}
