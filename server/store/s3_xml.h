/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_xml: the few fields of S3's XML answers that we need, by expat.
 *
 * A table says which element's text goes where, by its path below the root ("Contents/Key"); elements that the table
 * does not name are passed over. Texts live in the arena. What a server can make us do is bounded: depth, length
 * of a text, and no document type (so no entities of its own). Pure; any thread; linear. */
#ifndef LARCH_SERVER_STORE_S3_XML_H
#define LARCH_SERVER_STORE_S3_XML_H

#include "common/arena.h"
#include "common/err.h"

#define S3_XML_DEPTH 8
#define S3_XML_TEXT  65536 /* bytes of one element's text */

struct s3_xml_field {
	const char *path;
	struct str *to; /* STR_NULL: not there */
};

struct s3_xml {
	const struct s3_xml_field *fields;
	size_t nfields;
	const char *item;          /* name of the repeated element below the root, or NULL */
	bool (*on_item)(void *ud); /* called where each ends, its fields filled; false: stop, which is no error */
	void *ud;
};

/* *root becomes the name of the root element. ERR_INVALID: it is not XML, or beyond a bound. */
bool s3_xml_read(struct str text, const struct s3_xml *x, struct arena *a, struct str *root, struct err *e);

#endif
