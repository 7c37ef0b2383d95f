/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conf: yaml trees → C structs over field tables; the same rows print the manual and the effective
 * configuration, and give command-line flags.
 *
 * A table describes one struct: one row a key. Decoding sets every default first (conf_defaults), then
 * what the file says (a null leaves the default); an unknown key fails and names the nearest known one;
 * every error has file:line:column, the key's path, the value and what would be right. Strings live in the
 * arena. Tables are static const; several may describe one struct at offset 0. No state; any thread. One decoding
 * takes at most YAML_NODES_MAX values, so that aliases cannot multiply it.
 *
 * conf.c decodes, conf_print.c prints, conf_env.c expands the environment. */
#ifndef LARCH_COMMON_CONF_H
#define LARCH_COMMON_CONF_H

#include "common/yaml.h"
#include <stddef.h>

enum conf_kind {
	CONF_END,
	CONF_BOOL,     /* bool */
	CONF_INT,      /* int64_t, min..max when max > min */
	CONF_FLOAT,    /* double */
	CONF_STR,      /* struct str; YAML 1.1 scalars keep their literal text */
	CONF_SECRET,   /* struct str; printed as <secret> */
	CONF_DUR_GO,   /* int64_t ns; a bare integer is ns, as in Go */
	CONF_DUR_PROM, /* int64_t ns; Prometheus or Go form */
	CONF_BYTES,    /* uint64_t; powers of 1024 */
	CONF_ENUM,     /* int; names in `names`, NULL-terminated, any case */
	CONF_STR_LIST, /* struct conf_strs; a list, or one scalar; `csv` splits scalars at commas */
	CONF_STR_MAP,  /* struct labels; sorted by key */
	CONF_OBJ,      /* nested struct in place, described by sub */
	CONF_LIST,     /* struct conf_list of structs described by sub */
	CONF_NODE,     /* struct yaml *: the raw node, for the owner to decode later */
	CONF_IGNORED,  /* accepted whatever is below; reported once through conf_ctx.ignored */
	CONF_REFUSED   /* refused: names a destination or protection that is not there; doc says what to do */
};

struct json_out;

struct conf_strs {
	struct str *v;
	size_t n;
};
struct conf_list {
	void *v;
	size_t n;
}; /* v: array of structs of sub->size */

struct conf_table;
struct conf_field {
	const char *key;
	enum conf_kind kind;
	size_t off;                   /* offsetof in the struct */
	const char *def;              /* default as it would stand in the file (strings without quotes); NULL: zero */
	const char *doc;              /* one sentence for the manual */
	const struct conf_table *sub; /* OBJ, LIST */
	const char *const *names;     /* ENUM */
	int64_t min, max;             /* INT, durations, bytes: checked when max > min */
	size_t set_off;               /* offsetof a bool that says "was given"; 0: none */
	const char *flag;             /* command-line flag without dash, or NULL */
	bool csv;                     /* STR_LIST: a scalar is split at commas */
	bool url;                     /* STR: a password in it is printed as stars */
};

/* How exact a scalar's type must be: as YAML decoders for typed structs have it (any scalar is a string, numbers stand
 * without quotes), exact (a number or a boolean is no string either), weak ("5" is a number, 5 is a string,
 * true is the string "1"), or convertible (numbers and strings stand for each other, booleans for nothing else). */
enum conf_typing { CONF_TYPED, CONF_EXACT, CONF_WEAK, CONF_CONVERTIBLE };

struct conf_table {
	const char *name;                /* for errors: "clients entry" */
	size_t size;                     /* sizeof the struct */
	const struct conf_field *fields; /* ends with {0} */
	/* Checks and derived values after decoding, or NULL. at is the node (NULL: defaults only). */
	bool (*check)(void *obj, const struct yaml *at, struct err *e);
	/* The same for values that hold more than memory: what it makes is released with the arena (arena_defer). */
	bool (*derive)(void *obj, const struct yaml *at, struct arena *a, struct err *e);
	bool lenient;  /* unknown keys are warned about, not refused (stage bodies) */
	bool any_case; /* keys match in any case (stage bodies) */
	enum conf_typing typing;
};

struct conf_ctx {
	struct arena *arena;
	const char *file;                                      /* for error texts */
	void (*ignored)(void *ud, const char *path, int line); /* CONF_IGNORED keys that the file sets; may be NULL */
	void (*warn)(void *ud, const char *text);              /* lenient tables; may be NULL */
	void *ud;
	bool unplaced; /* errors have their place in e only; the caller puts it into the text */
};

/* Sets the members that rows describe; others are left alone. A default that does not decode aborts. */
void conf_defaults(const struct conf_table *t, void *obj, struct arena *a);
/* obj already holds defaults (conf_defaults). node may be null. Checks run inside out, also those of OBJ
 * tables that the file does not mention. */
bool conf_decode(const struct conf_table *t, const struct yaml *node, void *obj, struct conf_ctx *c, struct err *e);
/* The same where the node is not a mapping of keys but the value of the table's only row. */
bool conf_decode_bare(const struct conf_table *t, const struct yaml *node, void *obj, struct conf_ctx *c,
		      struct err *e);
/* One scalar as if it stood at the row whose flag is `name` (searches sub tables in place); lists are
 * comma-separated, maps k=v,k2=v2. Checks of tables are not run again. ERR_NOT_FOUND: no such flag; the text names the
 * nearest. */
bool conf_set_flag(const struct conf_table *t, void *obj, struct arena *a, struct str name, struct str value,
		   struct err *e);
void conf_print(const struct conf_table *t, const void *obj, struct buf *out); /* effective YAML */
/* Members of a JSON object: the scalars and lists of strings whose keys are named (NULL-terminated), in the table's
 * order; durations and sizes are strings as in YAML. */
void conf_print_json(const struct conf_table *t, const void *obj, const char *const *keys, struct json_out *o);
void conf_manual(const struct conf_table *t, struct buf *out);                 /* Markdown reference */
void conf_flags_help(const struct conf_table *t, struct buf *out);

/* Text of a file with ${VAR} forms replaced, before YAML (drone/envsubst v1, see the spec): $$ and \\
 * escapes, :- = := default, substring, case and trim forms. Case is ASCII's. ERR_INVALID has line:column;
 * ERR_TOO_LARGE when the result exceeds YAML_TEXT_MAX. */
bool conf_expand_env(struct str text, const char *(*get)(const char *name), struct buf *out, struct err *e);
/* Nearest of n names to `s` within a sensible distance, or NULL. */
const char *conf_nearest(struct str s, const char *const *names, size_t n);

#endif
