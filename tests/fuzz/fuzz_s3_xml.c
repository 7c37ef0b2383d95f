/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as an answer of S3: fields of a listing and of an error. What is found is within the bounds. */
#include "server/store/s3_xml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	struct str key, size, code, token;
	size_t items;
};

static void check_text(struct str s)
{
	if (s.n > S3_XML_TEXT) abort();
}

static bool on_item(void *ud)
{
	struct found *f = ud;
	check_text(f->key);
	check_text(f->size);
	return ++f->items < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found f = {0};
	const struct s3_xml_field fields[] = {{"Contents/Key", &f.key},
					      {"Contents/Size", &f.size},
					      {"Code", &f.code},
					      {"NextContinuationToken", &f.token}};
	const struct s3_xml x = {fields, 4, "Contents", on_item, &f};
	struct arena a;
	struct str root;
	struct err e = ERR_INIT;
	arena_init(&a, 0);
	if (s3_xml_read(str_of((const char *)data, size), &x, &a, &root, &e)) {
		if (!root.n) abort();
		check_text(f.code);
		check_text(f.token);
	} else if (e.code != ERR_INVALID) {
		abort();
	}
	arena_free(&a);
	return 0;
}
