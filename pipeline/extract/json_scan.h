/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract/json_scan: what the JSON parsers of this folder share: finding ends of strings and blocks, sixteen bytes at a
 * time, and reading one value the way Loki's JSON library does (github.com/grafana/jsonparser): tolerant inside what it
 * skips, with its texts for faults. Pure functions over borrowed bytes. */
#ifndef LARCH_PIPELINE_EXTRACT_JSON_SCAN_H
#define LARCH_PIPELINE_EXTRACT_JSON_SCAN_H

#include "common/arena.h"

enum js_fault {
	JS_OK,
	JS_STOP, /* not a fault: all that is wanted was found */
	JS_BAD,
	JS_BAD_OBJECT,
	JS_BAD_STRING,
	JS_BAD_ARRAY,
	JS_BAD_TYPE,
	JS_BAD_ESCAPE
};

struct str js_fault_text(enum js_fault f); /* for __error_details__ */

enum js_type { JS_T_STRING, JS_T_NUMBER, JS_T_BOOL, JS_T_NULL, JS_T_OBJECT, JS_T_ARRAY };

struct js_value {
	enum js_type type;
	struct str raw; /* strings: between the quotes */
	bool escaped;   /* STRING: holds a backslash */
	bool high;      /* STRING: holds bytes outside ASCII */
};

struct js_str {
	struct str raw; /* between the quotes */
	bool escaped, high;
};

/* First byte at or after p that is no JSON blank, or end. */
const char *js_blank(const char *p, const char *end);
/* p stands behind the opening quote; returns the place behind the closing one, or NULL. */
const char *js_string(const char *p, const char *end, struct js_str *s);
/* p stands at the opening bracket; returns the place behind the one that closes it, or NULL. */
const char *js_block(const char *p, const char *end, char open, char close);
/* The value that begins at or after *p (blanks are skipped); *p moves behind it. Objects and arrays are taken whole. */
enum js_fault js_value(const char **p, const char *end, struct js_value *v);
/* A string as a label's value: unescaped, U+FFFD and bad bytes blanked; "" when an escape is invalid. */
struct str js_label_value(struct arena *a, struct str raw, bool escaped, bool high);

#endif
