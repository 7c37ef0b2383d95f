/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/store/s3_xml.h"

#include "common/buf.h"

#include <expat.h>
#include <limits.h>

struct reader {
	XML_Parser parser;
	const struct s3_xml *x;
	struct arena *a;
	struct str *root;
	struct err *e;
	struct buf path, text;     /* of the element we are in, below the root */
	size_t ends[S3_XML_DEPTH]; /* length of the path at each depth */
	unsigned depth;
	bool stopped, failed;
};

static void fail(struct reader *r, const char *why)
{
	if (r->failed) return;
	r->failed = true;
	err_set(r->e, ERR_INVALID, "XML: %s", why);
	XML_StopParser(r->parser, XML_FALSE);
}

static void clear_item(struct reader *r)
{
	struct str item = str_c(r->x->item);
	for (size_t i = 0; i < r->x->nfields; i++) {
		struct str path = str_c(r->x->fields[i].path);
		if (str_starts(path, item) && (path.n == item.n || path.p[item.n] == '/'))
			*r->x->fields[i].to = STR_NULL;
	}
}

static void on_start(void *ud, const char *name, const char **attributes)
{
	struct reader *r = ud;
	(void)attributes;
	if (r->depth == S3_XML_DEPTH) {
		fail(r, "elements nest too deeply");
		return;
	}
	r->ends[r->depth++] = r->path.n;
	buf_clear(&r->text);
	if (r->depth == 1) {
		*r->root = arena_str(r->a, str_c(name));
		return;
	}
	if (r->path.n) buf_ch(&r->path, '/');
	buf_c(&r->path, name);
	if (r->x->item && str_eqc(buf_view(&r->path), r->x->item)) clear_item(r);
}

static void on_text(void *ud, const char *p, int n)
{
	struct reader *r = ud;
	if (r->text.n + (size_t)n > S3_XML_TEXT)
		fail(r, "an element's text is too long");
	else
		buf_add(&r->text, p, (size_t)n);
}

static void on_end(void *ud, const char *name)
{
	struct reader *r = ud;
	struct str path = buf_view(&r->path);
	(void)name;
	for (size_t i = 0; r->depth > 1 && i < r->x->nfields; i++) {
		if (str_eqc(path, r->x->fields[i].path)) *r->x->fields[i].to = arena_str(r->a, buf_view(&r->text));
	}
	buf_clear(&r->text);
	if (r->x->item && str_eqc(path, r->x->item) && !r->x->on_item(r->x->ud)) {
		r->stopped = true;
		XML_StopParser(r->parser, XML_FALSE);
	}
	r->path.n = r->ends[--r->depth];
}

static void on_doctype(void *ud, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	fail(ud, "it has a document type, which no answer of S3 has");
}

bool s3_xml_read(struct str text, const struct s3_xml *x, struct arena *a, struct str *root, struct err *e)
{
	struct reader r = {.parser = XML_ParserCreate(NULL), .x = x, .a = a, .root = root, .e = e};
	*root = STR_NULL;
	for (size_t i = 0; i < x->nfields; i++) *x->fields[i].to = STR_NULL;
	if (!r.parser) return err_set(e, ERR_INTERNAL, "expat could not be initialised");
	if (text.n > INT_MAX) text.n = INT_MAX;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	bool ok = XML_Parse(r.parser, text.p, (int)text.n, XML_TRUE) == XML_STATUS_OK || r.stopped;
	if (!ok && !r.failed)
		err_set(e, ERR_INVALID, "XML, line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r.parser),
			XML_ErrorString(XML_GetErrorCode(r.parser)));
	XML_ParserFree(r.parser);
	buf_free(&r.path);
	buf_free(&r.text);
	return ok && !r.failed;
}
